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
from search.repertoire.heads import HEADS, FittedHead
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.recipe import Recipe
from search.repertoire.shape import Shape
from search.system.digests import seed_from
from search.system.modules import Home
from search.system.tf import keras, tf
from search.training.folding import folded

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
    """A classifier of so many classes in two parts, each with its optimizer.

    ``prefix`` maps uint8 images to activations at the border, in inference mode, and is never
    trained; None where nothing is frozen. ``body`` and the layers of ``head`` are the trained part;
    where everything is frozen there is no body, and heads are trained elsewhere, on stored features.
    ``body_rate`` is the learning rate of the body as a factor of the head's, and ``clip_norm`` the highest norm of a
    gradient where it is clipped: values of a run. ``initial`` are the pretrained values of ``body``; ``again`` makes
    another one, with random weights.
    """

    shape: Shape
    classes: int
    backbone: Backbone
    prefix: Any | None
    body: keras.Model | None
    pool: keras.layers.Layer
    dropout: VariableDropout
    head: Sequence[keras.layers.Layer]
    body_optimizer: keras.optimizers.Optimizer
    head_optimizer: keras.optimizers.Optimizer
    body_rate: keras.Variable
    clip_norm: keras.Variable
    initial: list[np.ndarray]
    again: Callable[[], keras.Model]

    def logits(self, inputs: Any, training: bool) -> Any:
        """Return the class logits of activations (or of uint8 images, where nothing is frozen).

        BatchNorm of a pretrained body always runs in inference mode (its statistics come from
        more images than ours); that of a network from scratch learns.
        """
        x = keras.ops.cast(inputs, "float32")
        if self.body is not None:
            x = self.backbone.scaled(x) if self.prefix is None else x
            x = self.pool(self.body(x, training=training and not self.backbone.pretrained))
        x = self.dropout(x, training=training)
        for layer in self.head:
            x = layer(x)
        return x

    @cached_property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one image's inputs to the trained part."""
        if self.prefix is None:
            return (self.shape.image_size, self.shape.image_size, 3)
        return tuple(self.prefix.get_concrete_function().structured_outputs.shape[1:])

    @property
    def trained(self) -> list[Any]:
        """The variables that training changes."""
        return [*self.body_trained, *self.head_trained]

    @property
    def body_trained(self) -> list[Any]:
        """The variables of the body that training changes."""
        return list(self.body.trainable_variables) if self.body is not None else []

    @property
    def head_trained(self) -> list[Any]:
        """The variables of the head that training changes."""
        return [variable for layer in self.head for variable in layer.trainable_variables]

    def step(self, gradients: Sequence[Any], rate: Any) -> None:
        """Change the ``trained`` variables by these gradients: the head at a learning rate, the body at its part of it.

        Each has an optimizer of its own, as Keras gives one rate to all variables of an optimizer. Gradients are
        clipped before, those of head and body together.
        """
        if self.shape.clips:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm.value)
        body, head = self.body_trained, self.head_trained
        self.body_optimizer.learning_rate.assign(rate * self.body_rate)
        self.body_optimizer.apply(gradients[: len(body)], body)
        self.head_optimizer.learning_rate.assign(rate)
        self.head_optimizer.apply(gradients[len(body) :], head)

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

    def reset(self, recipe: Recipe, seed: int, head: FittedHead | None = None) -> None:
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
        initialise(self.head, seed_from(seed, "head"))
        if head is not None:
            start = [value for layer in head.layers() for value in layer.get_weights()]
            for variable, value in zip(self.head_variables, start, strict=True):
                variable.assign(value)
        for optimizer in (self.body_optimizer, self.head_optimizer):
            for variable in optimizer.variables:
                variable.assign(keras.ops.zeros_like(variable))
            optimizer.weight_decay.assign(recipe.weight_decay)
        self.body_rate.assign(recipe.body_rate)
        self.clip_norm.assign(recipe.clip_norm or 0.0)
        self.dropout.reset(recipe.dropout, seed)


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


def build(shape: Shape, classes: int, pretrained: bool, sha256: str = "", home: Home | None = None) -> Network:
    """Return the network for a shape; ``pretrained``, ``sha256`` and ``home`` as in ``construct``."""
    backbone = shape.architecture
    construction = partial(construct, backbone, pretrained, sha256, home)
    base = construction()
    pool = backbone.pooling()
    border = backbone.border(shape.unfrozen_blocks)
    prefix, body = _split(backbone, base, border, pool, shape.image_size)
    dropout, features = VariableDropout(), base.output.shape[-1]
    dropout.build((None, features))
    head = _head(shape.head, features, classes)
    assert head or body is None, "a recipe unfreezes blocks only with a head that is trained by steps"
    body_optimizer, head_optimizer = (OPTIMIZERS[shape.optimizer].keras() for _ in range(2))
    body_rate = keras.Variable(1.0, trainable=False, name="body_rate")
    clip_norm = keras.Variable(0.0, trainable=False, name="clip_norm")
    initial = [variable.numpy() for variable in body.variables] if body is not None else []
    parts = shape, classes, backbone, prefix, body, pool, dropout, head
    network = Network(*parts, body_optimizer, head_optimizer, body_rate, clip_norm, initial, construction)
    body_optimizer.build(network.body_trained)
    head_optimizer.build(network.head_trained)
    return network


def _head(name: str, features: int, classes: int) -> Sequence[keras.layers.Layer]:
    """Return the layers of a head, built, from features to logits; none where it is not trained by steps."""
    make = HEADS[name].layers
    layers, shape = make(classes) if make else [], (None, features)
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return layers


def _split(
    backbone: Backbone, base: keras.Model, border: str | None, pool: keras.layers.Layer, size: int
) -> tuple[Callable[[Any], Any] | None, keras.Model | None]:
    """Return the frozen part, from pixels to activations, and the part to train."""
    joined = folded if backbone.pretrained else lambda model: model  # whose BatchNorm never learns
    if border == "":
        return None, joined(base)
    if border is None:
        frozen, body = joined(base), None
    else:
        graph = graph_of(base)
        tensor = graph.tensors[border]
        frozen, body = joined(keras.Model(graph.input, tensor)), joined(keras.Model(tensor, graph.output))

    # One trace serves batches of any length.
    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])  # type: ignore[untyped-decorator]
    def prefix(pixels: Any) -> Any:
        x = frozen(backbone.scaled(pixels), training=False)
        return pool(x) if body is None else x

    return prefix, body
