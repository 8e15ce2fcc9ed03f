"""Recipe -> network, split at the border between its frozen and its unfrozen part.

One network serves every recipe of the same ``Shape``: learning rate, dropout rate and weight
decay are values of a run, not constants of its graph.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.recipe import Recipe
from search.system.digests import seed_from
from search.system.tf import keras, tf
from search.training.folding import folded

NOT_DECAYED = ("bias", "gamma", "beta")


@dataclass(frozen=True)
class Shape:
    """What makes two recipes need different networks."""

    backbone: str
    unfrozen_blocks: int
    image_size: int
    classes: int

    @property
    def frozen(self) -> bool:
        """Whether a part of the network stays as it is."""
        return BACKBONES[self.backbone].has_frozen_part(self.unfrozen_blocks)


def shape_of(recipe: Recipe, classes: int) -> Shape:
    """Return the shape of the network that a recipe needs; its image size must be settled."""
    image_size, unfrozen_blocks = recipe.settled
    return Shape(recipe.backbone, unfrozen_blocks, image_size, classes)


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
        kept = keras.random.uniform(keras.ops.shape(inputs), seed=self.random) >= self.rate
        return inputs * keras.ops.cast(kept, inputs.dtype) / (1 - self.rate)

    def reset(self, rate: float, seed: int) -> None:
        """Begin the draws of ``seed`` anew, at ``rate``."""
        self.rate.assign(rate)
        self.random.state.assign([seed % 2**32, 0])


@dataclass
class Network:
    """A classifier in two parts, with its optimiser.

    ``prefix`` maps uint8 images to activations at the border, in inference mode, and is never
    trained; None where nothing is frozen. ``body`` (None where everything is frozen) and
    ``head`` are the trained part. ``initial`` are the pretrained values of ``body``.
    """

    shape: Shape
    backbone: Backbone
    prefix: Any | None
    body: keras.Model | None
    pool: keras.layers.Layer
    dropout: VariableDropout
    head: keras.layers.Dense
    optimizer: keras.optimizers.Optimizer
    initial: list[np.ndarray]

    def logits(self, inputs: Any, training: bool) -> Any:
        """Return the class logits of activations (or of uint8 images, where nothing is frozen).

        BatchNorm of a pretrained body always runs in inference mode (its statistics come from
        more images than ours); that of a network from scratch learns.
        """
        x = keras.ops.cast(inputs, "float32")
        if self.body is not None:
            x = self.backbone.scaled(x) if self.prefix is None else x
            x = self.pool(self.body(x, training=training and not self.backbone.pretrained))
        return self.head(self.dropout(x, training=training))

    @cached_property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one image's inputs to the trained part."""
        if self.prefix is None:
            return (self.shape.image_size, self.shape.image_size, 3)
        return tuple(self.prefix.get_concrete_function().structured_outputs.shape[1:])

    @property
    def trained(self) -> list[Any]:
        """The variables that training changes."""
        body = self.body.trainable_variables if self.body is not None else []
        return [*body, *self.head.trainable_variables]

    @property
    def body_weights(self) -> dict[str, np.ndarray]:
        """The weights of the unfrozen part, by paths that are those of the backbone as ``construct`` gives it."""
        return {variable.path: variable.numpy() for variable in (self.body.weights if self.body is not None else [])}

    def reset(self, recipe: Recipe, seed: int) -> None:
        """Begin a run: fresh weights, optimiser and draws, and the recipe's values.

        Pretrained weights are assigned again, others are drawn from ``seed``. The head starts at
        zero (as in BiT, Kolesnikov et al. 2020): its loss is convex, and it adds no noise.
        """
        if self.body is not None and self.backbone.pretrained:
            for variable, value in zip(self.body.variables, self.initial, strict=True):
                variable.assign(value)
        elif self.body is not None:
            initialise(self.body, seed)
        for variable in [*self.head.variables, *self.optimizer.variables]:
            variable.assign(keras.ops.zeros_like(variable))
        self.optimizer.weight_decay.assign(recipe.weight_decay)
        self.dropout.reset(recipe.dropout, seed)


def initialise(body: keras.Model, seed: int) -> None:
    """Draw the weights of every layer anew from its own initializers, from ``seed``."""
    for number, layer in enumerate(body.layers):
        for variable in layer.variables:
            initializer = getattr(layer, f"{variable.name}_initializer")
            config = initializer.get_config()
            if "seed" in config:
                config["seed"] = seed_from(seed, number, variable.name)
            variable.assign(type(initializer).from_config(config)(variable.shape, variable.dtype))


def build(shape: Shape, pretrained: bool, sha256: str = "") -> Network:
    """Return the network for a shape; ``pretrained`` and ``sha256`` as in ``construct``."""
    backbone = BACKBONES[shape.backbone]
    base = construct(backbone, pretrained, sha256)
    pool = backbone.pooling()
    border = backbone.border(shape.unfrozen_blocks)
    prefix, body = _split(backbone, base, border, pool, shape.image_size)
    dropout, head = VariableDropout(), keras.layers.Dense(shape.classes, dtype="float32")
    features = base.output.shape[-1]
    dropout.build((None, features))
    head.build((None, features))
    optimizer = keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=0.0)
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    optimizer.weight_decay = keras.Variable(0.0, trainable=False, name="weight_decay")
    initial = [variable.numpy() for variable in body.variables] if body is not None else []
    network = Network(shape, backbone, prefix, body, pool, dropout, head, optimizer, initial)
    optimizer.build(network.trained)
    return network


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
        tensor = base.get_layer(border).output
        frozen, body = joined(keras.Model(base.input, tensor)), joined(keras.Model(tensor, base.output))

    # One trace serves batches of any length.
    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])  # type: ignore[untyped-decorator]
    def prefix(pixels: Any) -> Any:
        x = frozen(backbone.scaled(pixels), training=False)
        return pool(x) if body is None else x

    return prefix, body
