"""What a step of training changes: groups of variables, each with its optimizer and its part of the learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from search.repertoire.body import block_rate
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.recipe import Recipe
from search.system.tf import keras, tf

HEAD = 0  # depth of the head; the last block has 1, the block below it 2


@dataclass
class Group:
    """Variables that learn at one rate, by an optimizer of their own: Keras gives all variables of one the same rate.

    ``depth`` is that of their block, ``factor`` their part of the learning rate, a value of a run. ``anchors`` are the
    values that they are pulled back to, at the strength ``pull``; there are none where nothing pulls.
    """

    depth: int
    variables: Sequence[Any]
    optimizer: Any
    anchors: Sequence[Any]
    factor: Any = field(default_factory=lambda: keras.Variable(1.0, trainable=False, name="factor"))
    pull: Any = field(default_factory=lambda: keras.Variable(0.0, trainable=False, name="pull"))

    def step(self, gradients: Sequence[Any], rate: Any) -> None:
        """Change the variables by these gradients, at their part of the rate."""
        rate = rate * self.factor
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients, self.variables)
        # DECISIONS: The pull to pretrained weights is decoupled from the gradient
        if self.anchors:
            for variable, anchor in zip(self.variables, self.anchors, strict=True):
                variable.assign_sub(rate * self.pull * (variable - anchor))

    def reset(self, recipe: Recipe) -> None:
        """Begin a run: forget all slopes, and take the values of the recipe."""
        for variable in self.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        self.optimizer.weight_decay.assign(0.0 if self.anchors else recipe.weight_decay)
        self.factor.assign(block_rate(recipe, self.depth) if self.depth > HEAD else 1.0)
        self.pull.assign(recipe.l2_sp)


class Update:
    """What a step changes in a network: all ``groups`` of it, and the moving averages of their variables, if any."""

    def __init__(self, groups: Sequence[Group], clips: bool, averaged: bool) -> None:
        """Make room for the moments of the optimizers, and for the averages; gradients may be clipped."""
        self.groups, self._clips = groups, clips
        for group in groups:
            group.optimizer.build(group.variables)
        self._averages = [_copy(variable) for variable in self.variables] if averaged else []
        self._decay = keras.Variable(0.0, trainable=False, name="decay")
        self._norm = keras.Variable(0.0, trainable=False, name="clip_norm")

    @property
    def variables(self) -> list[Any]:
        """The variables that training changes."""
        return [variable for group in self.groups for variable in group.variables]

    def step(self, gradients: Sequence[Any], rate: Any) -> None:
        """Change the ``variables`` by these gradients: the head at a learning rate, each block at its part of it.

        Gradients are clipped before, those of all groups together.
        """
        if self._clips:
            gradients, _ = tf.clip_by_global_norm(gradients, self._norm.value)
        start = 0
        for group in self.groups:
            end = start + len(group.variables)
            group.step(gradients[start:end], rate)
            start = end
        for average, variable in self._pairs():
            average.assign(self._decay * average + (1 - self._decay) * variable)

    def reset(self, recipe: Recipe) -> None:
        """Begin a run; the variables have their first values."""
        for group in self.groups:
            group.reset(recipe)
        self._decay.assign(recipe.ema)
        self._norm.assign(recipe.clip_norm or 0.0)
        for average, variable in self._pairs():
            average.assign(variable)

    def end(self) -> None:
        """Give the variables their averages, where these are kept."""
        for average, variable in self._pairs():
            variable.assign(average)

    def _pairs(self) -> list[tuple[Any, Any]]:
        return list(zip(self._averages, self.variables, strict=True)) if self._averages else []


def groups_of(blocks: Sequence[Sequence[Any]], head: Sequence[Any], optimizer: str, anchored: bool) -> list[Group]:
    """Return the groups of a network: its blocks from the lowest to the last, and its head.

    ``blocks`` are the variables of each that train. Where they are ``anchored`` the values of now pull them back.
    """
    make = OPTIMIZERS[optimizer].keras
    return [
        *(
            Group(len(blocks) - number, block, make(), [_copy(variable) for variable in block] if anchored else [])
            for number, block in enumerate(blocks)
        ),
        Group(HEAD, head, make(), []),
    ]


def _copy(variable: Any) -> Any:
    return keras.Variable(variable.numpy(), trainable=False, name=f"{variable.name}_copy")
