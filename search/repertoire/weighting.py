"""Weightings: how much each training image counts in the loss, from the class that it is of."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.repertoire.fields import TEXT, declare, describe, member


@dataclass(frozen=True)
class Weighting:
    """One way to weigh training images: a row of the table of weightings.

    ``weights`` maps class numbers (n,) to weights (n,), float32. ``words`` is what the line of a
    recipe calls it, "" where it says nothing.
    """

    name: str
    weights: Callable[[np.ndarray], np.ndarray]
    words: str


def equal(labels: np.ndarray) -> np.ndarray:
    """Return 1 for each image."""
    return np.ones(len(labels), np.float32)


def balanced(labels: np.ndarray) -> np.ndarray:
    """Return n / (classes · n of its class) for each image, of the classes that are there (King & Zeng 2001)."""
    from sklearn.utils.class_weight import compute_class_weight

    classes = np.unique(labels)
    weights = compute_class_weight("balanced", classes=classes, y=labels)
    return weights[np.searchsorted(classes, labels)].astype(np.float32)


WEIGHTINGS: dict[str, Weighting] = {
    weighting.name: weighting
    for weighting in (
        Weighting("none", equal, words=""),
        Weighting("balanced", balanced, words="balanced weights"),
    )
}


CLASS_WEIGHT = declare(
    "class weights",
    member(WEIGHTINGS),
    describe(TEXT, f"{' or '.join(WEIGHTINGS)}."),
    words=lambda recipe: WEIGHTINGS[recipe.class_weight].words,
    level=lambda recipe: recipe.class_weight,
)
