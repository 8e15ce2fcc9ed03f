"""A trained network as plain Keras: pixels in, probabilities out, no layer of ours, so that it loads anywhere."""

from collections.abc import Mapping, Sequence

import numpy as np

from search.analysis.stats.confidence import AT_REST
from search.analysis.stats.scores import SMALLEST_PROBABILITY
from search.repertoire.augmentation import MIRRORED
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.pooling import pooled
from search.repertoire.heads import FittedHead
from search.repertoire.shape import Shape
from search.system.modules import Home
from search.system.tf import keras
from search.training.inputs import length_of

WHITE = 255.0


def plain_model(
    shape: Shape,
    body: Mapping[str, np.ndarray],
    head: FittedHead,
    pretrained: bool = False,
    sha256: str = "",
    home: Home | None = None,
) -> keras.Model:
    """Return the network of ``shape`` from pixels of 0 to 255, (n, side, side, 3), to probabilities (n, classes).

    ``body`` holds the weights of the unfrozen part by path; what is frozen is as ``construct`` gives it with
    ``pretrained``, ``sha256`` and ``home``. ``head`` turns the pooled features into probabilities.
    BatchNorm is in inference mode, dropout is gone.
    """
    backbone = shape.architecture
    base = construct(backbone, pretrained, sha256, home)
    variables = {variable.path: variable for variable in base.weights}
    for path, value in body.items():
        variables[path].assign(value)
    pixels = keras.Input((shape.image_size, shape.image_size, 3), name="pixels")
    pool, _ = pooled(backbone, shape.pooling, base, shape.image_size, name="pool")
    x = pool(base(_scaling(backbone)(pixels), training=False))
    for layer in head.layers():
        x = layer(x)
    return keras.Model(pixels, x, name="exported")


def joint_model(shape: Shape, head: FittedHead, weights: Mapping[str, str], home: Home | None = None) -> keras.Model:
    """Return the network of a shape with branches, from the pixels of an image at each of their sizes to probabilities.

    It has an input for each size, the smallest first: (n, side, side, 3), of 0 to 255. The rest is as for
    ``plain_model``; ``weights`` are the digests of the weights of backbones by name.
    """
    sizes = sorted({branch.image_size for branch in shape.branches})
    names = {size: f"pixels_{size}" if len(sizes) > 1 else "pixels" for size in sizes}
    pixels = {size: keras.Input((size, size, 3), name=names[size]) for size in sizes}
    bases: dict[str, keras.Model] = {}
    features = []
    for number, branch in enumerate(shape.branches):
        backbone = branch.architecture
        if backbone.name not in bases:
            base = construct(backbone, True, weights.get(backbone.name, ""), home)
            bases[backbone.name] = keras.Model(base.input, base.output, name=f"backbone_{len(bases)}")
        scaled = _scaling(backbone, f"scaling_{number}")(pixels[branch.image_size])
        base = bases[backbone.name]
        pool, _ = pooled(backbone, branch.pooling, base, branch.image_size, name=f"pool_{number}")
        x = pool(base(scaled, training=False))
        x = keras.layers.UnitNormalization(name=f"direction_{number}")(x)
        features.append(
            keras.layers.Rescaling(float(length_of(x.shape[-1], len(shape.branches))), name=f"length_{number}")(x)
        )
    x = keras.layers.Concatenate(name="side_by_side")(features)
    for layer in head.layers():
        x = layer(x)
    return keras.Model([pixels[size] for size in sizes], x, name="exported")


def averaged(model: keras.Model, views: Sequence[int]) -> keras.Model:
    """Return a model of the same inputs whose probabilities are the mean over these views of an image."""
    if len(views) == 1:
        return model
    pixels = [keras.Input(each.shape[1:], name=each.name) for each in model.inputs]
    outputs = []
    for view in views:
        shown = [keras.ops.flip(each, axis=2) if view == MIRRORED else each for each in pixels]
        outputs.append(model(shown if len(shown) > 1 else shown[0]))
    model.name = "one_view"
    return keras.Model(pixels, keras.layers.Average(name="mean")(outputs), name="exported")


def tempered_model(model: keras.Model, temperature: float) -> keras.Model:
    """Return a model of the same inputs whose logits are divided by a temperature, as ``confidence.tempered`` does."""
    if temperature == AT_REST:
        return model
    model.name = "untempered"
    pixels = [keras.Input(each.shape[1:], name=each.name) for each in model.inputs]
    logits = keras.ops.log(keras.ops.maximum(model(pixels if len(pixels) > 1 else pixels[0]), SMALLEST_PROBABILITY))
    cooled = keras.layers.Rescaling(1 / temperature, name="temperature")(logits)
    return keras.Model(pixels, keras.layers.Softmax(name="probabilities")(cooled), name="exported")


def weighted(models: Sequence[tuple[keras.Model, Sequence[int]]], weights: Sequence[float]) -> keras.Model:
    """Return one model that gives the weighted mean of the probabilities of several, whose weights add to 1.

    Each stands with the sides of its inputs, the smallest first. The model has an input for each side that there is,
    the smallest first.
    """
    sizes = sorted({size for _, own in models for size in own})
    names = {size: f"pixels_{size}" if len(sizes) > 1 else "pixels" for size in sizes}
    pixels = {size: keras.Input((size, size, 3), name=names[size]) for size in sizes}
    outputs = []
    for number, ((model, own), weight) in enumerate(zip(models, weights, strict=True)):
        model.name = f"member_{number}"
        shown = [pixels[size] for size in own]
        probabilities = model(shown if len(shown) > 1 else shown[0])
        outputs.append(keras.layers.Rescaling(weight, name=f"weight_{number}")(probabilities))
    return keras.Model([pixels[size] for size in sizes], keras.layers.Add(name="mean")(outputs), name="exported")


def _scaling(backbone: Backbone, name: str = "scaling") -> keras.layers.Layer:
    """Return what ``scaled`` does to the pixels of a backbone, as a layer that Keras has."""
    if not isinstance(backbone.scaling, str):
        scale, offset = backbone.scaling
        return keras.layers.Rescaling(scale, offset, name=name)
    # Channels are scaled apart and perhaps swapped: a fixed 1 by 1 convolution, read off the function itself.
    offset = keras.ops.convert_to_numpy(backbone.scaled(np.zeros((1, 1, 1, 3), np.float32)))
    primaries = WHITE * np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    kernel = (keras.ops.convert_to_numpy(backbone.scaled(primaries)) - offset) / WHITE
    layer = keras.layers.Conv2D(3, 1, trainable=False, name=name)
    layer.build((None, None, None, 3))
    layer.set_weights([kernel.reshape(1, 1, 3, 3), offset.reshape(3)])
    return layer
