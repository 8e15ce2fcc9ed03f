"""Recipe -> network, split at the border between its frozen and its unfrozen part.

One network serves every recipe of the same ``Shape``: learning rate, dropout rate and weight
decay are values of a run, not constants of its graph.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.graph import graph_of
from search.repertoire.backbones.pooling import pooled
from search.repertoire.heads import AnyHead, FittedHead, kind_of, settings_of
from search.repertoire.losses import LOSSES, gamma_of
from search.repertoire.recipe import Recipe
from search.repertoire.shape import Shape
from search.system.digests import seed_from
from search.system.modules import Home
from search.system.precision import FLOAT32, PRECISIONS
from search.system.tf import keras, tf
from search.training.folding import folded
from search.training.precision import LossScale
from search.training.update import Update, groups_of

SEED_STATE = "seed_generator_state"  # the name of the variable from which a layer draws


class VariableDropout(keras.layers.Layer):
    """Dropout whose rate and seed are variables, so that one compiled step serves every recipe."""

    def build(self, _input_shape: Any) -> None:
        """Make the two variables."""
        self.rate = self.add_weight(shape=(), initializer="zeros", trainable=False, name="rate")
        self.random = keras.random.SeedGenerator(0)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop a share ``rate`` of the inputs in training, none otherwise."""
        if not training:
            return inputs
        is_kept = keras.random.uniform(keras.ops.shape(inputs), seed=self.random) >= self.rate
        return inputs * keras.ops.cast(is_kept, inputs.dtype) / (1 - self.rate)

    def reset(self, rate: float, seed: int) -> None:
        """Begin the draws of ``seed`` anew, at ``rate``."""
        self.rate.assign(rate)
        self.random.state.assign([seed % 2**32, 0])


@dataclass
class Network:
    """A classifier of so many classes in two parts, and what a step of training changes in them.

    ``prefix`` maps uint8 images to activations at the border, in inference mode, and is never
    trained; None where nothing is frozen. ``body`` and the layers of ``head`` are the trained part;
    where everything is frozen there is no body, and heads are trained elsewhere, on stored features.
    ``dropouts`` are what acts before each of these layers, None where nothing does.
    ``initial`` are the pretrained values of ``body``; ``again`` makes another one, with random weights. ``loss_scale``
    is what its losses are multiplied by, None where its precision needs no scale. ``gamma`` is
    the parameter of the loss, and ``adjustment`` what the logit of each class is lowered by in predictions (classes,);
    both are values of a run.
    """

    shape: Shape
    classes: int
    backbone: Backbone
    prefix: Any | None
    body: keras.Model | None
    pool: keras.layers.Layer
    dropouts: Sequence[VariableDropout | None]
    head: Sequence[keras.layers.Layer]
    update: Update
    initial: list[np.ndarray]
    again: Callable[[], keras.Model]
    loss_scale: LossScale | None
    gamma: keras.Variable
    adjustment: keras.Variable

    def logits(self, inputs: Any, training: bool) -> Any:
        """Return the class logits of activations (or of uint8 images, where nothing is frozen).

        BatchNorm of a pretrained body runs in inference mode, unless its shape says that it learns (its statistics
        come from more images than ours); that of a network from scratch learns.
        """
        x = keras.ops.cast(inputs, "float32")
        if self.body is not None:
            x = self.backbone.scaled(x) if self.prefix is None else x
            x = keras.ops.cast(self.body(x, training=training and self._norms_learn), "float32")
            x = self.pool(x)
        for dropout, layer in zip(self.dropouts, self.head, strict=True):
            x = layer(x if dropout is None else dropout(x, training=training))
        return x

    def losses(self, targets: Any, logits: Any) -> Any:
        """Return the loss of each example, from targets and logits (n, classes)."""
        return LOSSES[self.shape.loss].of(targets, logits, self.gamma.value)

    @cached_property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one image's inputs to the trained part."""
        if self.prefix is None:
            return (self.shape.image_size, self.shape.image_size, 3)
        return tuple(self.prefix.get_concrete_function().structured_outputs.shape[1:])

    @property
    def trained(self) -> list[Any]:
        """The variables that training changes: those of the body, and of the head after them."""
        return self.update.variables

    @property
    def _norms_learn(self) -> bool:
        return self.shape.norms_learn or not self.backbone.pretrained

    @property
    def body_weights(self) -> dict[str, np.ndarray]:
        """The weights of the unfrozen part, by paths that are those of the backbone as ``construct`` gives it."""
        return {variable.path: variable.numpy() for variable in (self.body.weights if self.body is not None else [])}

    @property
    def head_weights(self) -> list[np.ndarray]:
        """The weights of the head's layers, in their order."""
        return [variable.numpy() for variable in self.head_variables]

    @property
    def head_variables(self) -> list[Any]:
        """The variables of the head's layers, in their order."""
        return [variable for layer in self.head for variable in layer.weights]

    def reset(
        self, recipe: Recipe, seed: int, head: FittedHead | None = None, adjustment: np.ndarray | None = None
    ) -> None:
        """Begin a run: fresh weights, optimisers and draws, and the recipe's values.

        Pretrained weights are assigned again, others are drawn from ``seed``; the head starts as ``head``, if given.
        """
        if self.body is not None and self.backbone.pretrained:
            for variable, value in zip(self.body.variables, self.initial, strict=True):
                variable.assign(value)
        elif self.body is not None and all(map(has_initializers, self.body.layers)):
            initialise(self.body.layers, seed)
        elif self.body is not None:
            redraw(self.body, self.again, seed)
        first_weights(self.head, seed)
        if head is not None:
            for variable, value in zip(self.head_variables, _weights(head), strict=True):
                variable.assign(value)
        self.update.reset(recipe)
        if self.loss_scale is not None:
            self.loss_scale.reset()
        self.gamma.assign(gamma_of(recipe.loss))
        self.adjustment.assign(np.zeros(self.classes, np.float32) if adjustment is None else adjustment)
        for number, dropout in enumerate(self.dropouts):
            if dropout is not None:
                dropout.reset(recipe.dropout, seed_from(seed, "dropout", number) if number else seed)

    def end(self, recipe: Recipe, head: FittedHead | None = None) -> None:
        """End the training of a run: take averages of the weights, if the recipe wants any.

        Those over the steps come first, then those with the weights that it began with (WiSE-FT, Wortsman et al. 2022);
        of the head only where it began as ``head``.
        """
        self.update.end()
        if not recipe.wise_ft:
            return
        pairs = list(zip(self.body.variables, self.initial, strict=True)) if self.body is not None else []
        if head is not None:
            pairs += zip(self.head_variables, _weights(head), strict=True)
        for variable, value in pairs:
            variable.assign((1 - recipe.wise_ft) * variable + recipe.wise_ft * value)


def _weights(head: FittedHead) -> list[np.ndarray]:
    return [value for layer in head.layers() for value in layer.get_weights()]


def initialise(layers: Sequence[keras.layers.Layer], seed: int) -> None:
    """Draw the weights of every layer anew from its own initializers, from ``seed``."""
    for number, layer in enumerate(layers):
        for variable in layer.variables:
            initializer = getattr(layer, f"{variable.name}_initializer")
            config = initializer.get_config()
            if "seed" in config:
                config["seed"] = seed_from(seed, number, variable.name)
            variable.assign(type(initializer).from_config(config)(variable.shape, variable.dtype))


def has_initializers(layer: keras.layers.Layer) -> bool:
    """Return whether a layer has an initializer for each of its variables, under the name of it."""
    initializers = [getattr(layer, f"{variable.name}_initializer", None) for variable in layer.variables]
    return all(isinstance(initializer, keras.initializers.Initializer) for initializer in initializers)


def redraw(model: keras.Model, again: Callable[[], keras.Model], seed: int) -> None:
    """Give a model the weights that ``again`` draws for another one like it, and its own draws, from ``seed``."""
    keras.utils.set_random_seed(seed)
    for number, (variable, other) in enumerate(zip(model.variables, again().variables, strict=True)):
        if variable.name == SEED_STATE:
            variable.assign([seed_from(seed, number, SEED_STATE) % 2**32, 0])
        else:
            variable.assign(other)


def build(
    shape: Shape,
    classes: int,
    pretrained: bool,
    sha256: str = "",
    home: Home | None = None,
    precision: str = FLOAT32,
) -> Network:
    """Return the network for a shape; ``pretrained``, ``sha256`` and ``home`` as in ``construct``.

    Its backbone computes at this ``precision``, its head as ever.
    """
    backbone = shape.architecture
    construction = partial(construct, backbone, pretrained, sha256, home, precision)
    base = construction()
    pool, features = pooled(backbone, shape.pooling, base, shape.image_size)
    border = backbone.border(shape.unfrozen_blocks)
    prefix, body = _split(backbone, base, border, pool, shape)
    head = head_layers(shape.head, features, classes)
    dropouts = _dropouts(shape.head, head)
    assert head or body is None, "a recipe unfreezes blocks only with a head that is trained by steps"
    blocks = _blocks(shape, base, body) if body is not None else []
    trained = [variable for layer in head for variable in layer.trainable_variables]
    update = Update(groups_of(blocks, trained, shape.optimizer, shape.anchored), shape.clips, shape.averaged)
    initial = [variable.numpy() for variable in body.variables] if body is not None else []
    scale = LossScale() if PRECISIONS[precision].scales_losses else None
    parts = shape, classes, backbone, prefix, body, pool, dropouts, head, update, initial, construction, scale
    gamma = keras.Variable(0.0, trainable=False, name="gamma")
    adjustment = keras.Variable(np.zeros(classes, np.float32), trainable=False, name="adjustment")
    return Network(*parts, gamma, adjustment)


def _blocks(shape: Shape, base: keras.Model, body: keras.Model) -> list[list[Any]]:
    """Return the variables of a body that train: all together, or those of each block, the lowest first."""
    variables = list(body.trainable_variables)
    if not shape.by_block or shape.unfrozen_blocks < 2:
        return [variables]
    graph, blocks = graph_of(base), []
    for cut in (shape.architecture.cuts or ())[1 - shape.unfrozen_blocks :]:
        below = {weight.path for weight in keras.Model(graph.input, graph.tensors[cut]).weights}
        blocks.append([variable for variable in variables if variable.path in below])
        variables = [variable for variable in variables if variable.path not in below]
    return [*blocks, variables]


def head_layers(head: AnyHead, features: int, classes: int) -> Sequence[keras.layers.Layer]:
    """Return the layers of a head, built, from features to logits; none where it is not trained by steps."""
    make = kind_of(head).layers
    layers, shape = make(classes, settings_of(head)) if make else [], (None, features)
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return layers


def _dropouts(head: AnyHead, layers: Sequence[keras.layers.Layer]) -> list[VariableDropout | None]:
    """Return what drops before each layer of a head, None where nothing does."""
    row, settings = kind_of(head), settings_of(head)
    dropouts = [VariableDropout() if row.drops(settings, number) else None for number in range(len(layers))]
    for dropout in dropouts:
        if dropout is not None:
            dropout.build((None, None))
    return dropouts


def first_weights(layers: Sequence[keras.layers.Layer], seed: int) -> list[np.ndarray]:
    """Return the weights that the layers of a head have before the first step of a run, whose seed this is."""
    initialise(layers, seed_from(seed, "head"))
    return [variable.numpy() for layer in layers for variable in layer.weights]


def _as_it_is(model: keras.Model) -> keras.Model:
    return model


def _split(
    backbone: Backbone, base: keras.Model, border: str | None, pool: keras.layers.Layer, shape: Shape
) -> tuple[Callable[[Any], Any] | None, keras.Model | None]:
    """Return the frozen part, from pixels to activations, and the part to train."""
    size = shape.image_size
    joined = folded if backbone.pretrained else _as_it_is  # whose BatchNorm never learns
    joined_body = _as_it_is if shape.norms_learn else joined
    if border == "":
        return None, joined_body(base)
    if border is None:
        frozen, body = joined(base), None
    else:
        graph = graph_of(base)
        tensor = graph.tensors[border]
        frozen, body = joined(keras.Model(graph.input, tensor)), joined_body(keras.Model(tensor, graph.output))

    # One trace serves batches of any length.
    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])  # type: ignore[untyped-decorator]
    def prefix(pixels: Any) -> Any:
        x = keras.ops.cast(frozen(backbone.scaled(pixels), training=False), "float32")
        return pool(x) if body is None else x

    return prefix, body
