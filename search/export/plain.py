"""A trained network as plain Keras: pixels in, probabilities out, no layer of ours, so that it loads anywhere."""

from collections.abc import Mapping

import numpy as np

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.construction import construct
from search.repertoire.heads import FittedHead
from search.repertoire.shape import Shape
from search.system.modules import Home
from search.system.tf import keras

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
    x = backbone.pooling(name="pool")(base(_scaling(backbone)(pixels), training=False))
    for layer in head.layers():
        x = layer(x)
    return keras.Model(pixels, x, name="exported")


def _scaling(backbone: Backbone) -> keras.layers.Layer:
    """Return what ``scaled`` does to the pixels of a backbone, as a layer that Keras has."""
    if not isinstance(backbone.scaling, str):
        scale, offset = backbone.scaling
        return keras.layers.Rescaling(scale, offset, name="scaling")
    # Channels are scaled apart and perhaps swapped: a fixed 1 by 1 convolution, read off the function itself.
    offset = keras.ops.convert_to_numpy(backbone.scaled(np.zeros((1, 1, 1, 3), np.float32)))
    primaries = WHITE * np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    kernel = (keras.ops.convert_to_numpy(backbone.scaled(primaries)) - offset) / WHITE
    layer = keras.layers.Conv2D(3, 1, trainable=False, name="scaling")
    layer.build((None, None, None, 3))
    layer.set_weights([kernel.reshape(1, 1, 3, 3), offset.reshape(3)])
    return layer
