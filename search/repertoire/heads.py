"""Heads: what turns the features of a backbone into class probabilities.

A head is fitted in one of two places. On a frozen backbone the heads of many runs are fitted together on
stored features, by ``Head.fit``, however the head likes: in steps, or all at once. On an unfrozen backbone the
head's layers are trained with it, step by step. A new head is a file of ``search.training.heads`` and one more
row of ``HEADS``; a file there imports nothing of this package but ``search.system``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from search.repertoire.fields import NUMBER, SECOND, TEXT, declare, describe, number
from search.system.errors import UserError
from search.system.validation import one_of

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe
    from search.training.loop import HeadRuns


class FittedHead(Protocol):
    """The head of one run, after or during its training."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities (n, classes) of rows of features (n, D)."""
        ...

    def layers(self) -> Sequence[Any]:
        """Return Keras layers that, one after another, give the probabilities that ``predict`` gives."""
        ...


@dataclass(frozen=True)
class Head:
    """A kind of head.

    ``fit(runs)`` returns the fitted heads of runs on a frozen backbone, in their order. ``layers(classes)`` are
    Keras layers from features to logits, whose own initializers say how a run begins; they are trained with an
    unfrozen backbone. ``from_weights(arrays)`` is the fitted head of such layers' weights, in their order.
    Both are None where a head cannot be trained by steps: it then needs a frozen backbone. ``seconds_a_step``
    is what a batch costs on stored features, for the estimate of a search's cost.
    """

    name: str
    seconds_a_step: float
    fit: Callable[["HeadRuns"], Sequence[FittedHead]]
    layers: Callable[[int], Sequence[Any]] | None = None
    from_weights: Callable[[Sequence[np.ndarray]], FittedHead] | None = None


def _fit_linear(runs: "HeadRuns") -> Sequence[FittedHead]:
    from search.training.heads import linear

    return linear.fit(runs)


def _linear_layers(classes: int) -> Sequence[Any]:
    from search.training.heads import linear

    return linear.layers(classes)


def _linear_from_weights(weights: Sequence[np.ndarray]) -> FittedHead:
    from search.training.heads.linear import LinearHead

    return LinearHead(*weights)


HEADS = {head.name: head for head in (Head("linear", 0.0001, _fit_linear, _linear_layers, _linear_from_weights),)}


def settle_head(name: str, value: Any, recipe: "Recipe") -> str:
    """Return the name of a head, which can be trained with what the recipe unfreezes."""
    one_of(name, value, HEADS)
    if HEADS[value].layers is None and not recipe.head_only:
        raise UserError(
            f"{name}={value!r} with unfrozen_blocks={recipe.unfrozen_blocks}: this head is fitted on a frozen backbone "
            "alone. Give unfrozen_blocks=0, or another head."
        )
    return str(value)


DROPOUT = declare(
    "dropout",
    number(0, 0.95),
    describe(NUMBER, "Rate."),
    words=lambda recipe: f"dropout {recipe.dropout:.2g}",
)
HEAD = declare(
    "head",
    settle_head,
    describe(TEXT, "What classifies the features."),
    words=lambda recipe: f"{recipe.head} head",
    level=lambda recipe: recipe.head,
    since=SECOND,
)
