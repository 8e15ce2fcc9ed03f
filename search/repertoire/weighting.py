"""Weightings: how much each training image counts in the loss, from the class that it is of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.repertoire.fields import TEXT, declare, describe, pairs_in_words
from search.system.errors import UserError
from search.system.validation import named_fields, one_of, real

LOWEST_WEIGHT, HIGHEST_WEIGHT = 0.001, 1000
EFFECTIVE_NUMBER = "effective_number"


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


def max_ratio(labels: np.ndarray) -> np.ndarray:
    """Return n of the largest class / n of its class for each image."""
    counts = np.bincount(labels)
    return (counts.max() / counts[labels]).astype(np.float32)


def effective_number(labels: np.ndarray, beta: float | None = None) -> np.ndarray:
    """Return (1 - beta) / (1 - beta^n) for each image, n of its class, such that those of the classes have the mean 1.

    beta^n is what makes a further image of a class of n count less (Cui et al. 2019). Without ``beta`` it is
    (N − 1) / N of all N images.
    """
    counts = np.bincount(labels)
    beta = (len(labels) - 1) / len(labels) if beta is None else beta
    of_classes = (1 - beta) / (1 - beta ** np.maximum(counts, 1))
    return (of_classes / of_classes[counts > 0].mean())[labels].astype(np.float32)


WEIGHTINGS: dict[str, Weighting] = {
    weighting.name: weighting
    for weighting in (
        Weighting("none", equal, words=""),
        Weighting("balanced", balanced, words="balanced weights"),
        Weighting("max_ratio", max_ratio, words="max_ratio weights"),
        Weighting(EFFECTIVE_NUMBER, effective_number, words="effective_number weights"),
    )
}


@named_fields
@dataclass(frozen=True)
class EffectiveNumber:
    """The weighting by the effective number of images with a ``beta`` of one's own, 0 or more and below 1.

    With 0 all images weigh the same, towards 1 all classes do. Raises UserError for another one.
    """

    beta: float

    def __post_init__(self) -> None:
        """Validate."""
        beta = real("EffectiveNumber beta", self.beta, 0, 1)
        if beta == 1:
            raise UserError("EffectiveNumber beta=1 must be below 1: 0.999, say. Or give class_weight='balanced'.")
        object.__setattr__(self, "beta", beta)

    @property
    def level(self) -> str:
        """The weighting and its parameter, as in "effective_number 0.99"."""
        return f"{EFFECTIVE_NUMBER} {self.beta:g}"


@dataclass(frozen=True)
class ByClass:
    """Weights by the names of classes, as sorted pairs; classes without a name here weigh 1."""

    pairs: tuple[tuple[str, float], ...]

    @property
    def names(self) -> list[str]:
        """The names of the classes."""
        return [name for name, _ in self.pairs]

    @property
    def level(self) -> str:
        """The weights of the first classes, as in "cat: 2; dog: 0.5"."""
        return pairs_in_words([(name, f"{weight:g}") for name, weight in self.pairs])

    def weights(self, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return the weight of each image, of class numbers (n,) and the names of all classes."""
        weights = dict(self.pairs)
        return np.array([weights.get(name, 1.0) for name in names], np.float32)[labels]


AnyWeighting = str | EffectiveNumber | ByClass | Mapping[str, float]  # however people write it


def weights_of(weighting: AnyWeighting, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the weight in the loss of each image (n,), float32, by the weighting of a recipe.

    ``labels`` are the class numbers (n,) of all that trains a run, ``names`` the names of all classes.
    """
    if isinstance(weighting, ByClass):
        return weighting.weights(labels, names)
    if isinstance(weighting, EffectiveNumber):
        return effective_number(labels, weighting.beta)
    return WEIGHTINGS[str(weighting)].weights(labels)


def level_of(weighting: AnyWeighting) -> str:
    """Return a weighting in a word or two."""
    return weighting.level if isinstance(weighting, EffectiveNumber | ByClass) else str(weighting)


def settle_weighting(name: str, value: Any, _recipe: Any) -> AnyWeighting:
    """Return a weighting as recipes keep it. Raises UserError for one that is not known."""
    if isinstance(value, EffectiveNumber | ByClass):
        return value
    if not isinstance(value, Mapping):
        one_of(name, value, WEIGHTINGS)
        return str(value)
    if not value or not all(isinstance(each, str) for each in value):
        raise UserError(f'{name}={value!r} must be weights by the names of classes, as in {{"cat": 2}}, or a name.')
    weights = {each: real(f"{name}[{each!r}]", weight, LOWEST_WEIGHT, HIGHEST_WEIGHT) for each, weight in value.items()}
    pairs = tuple(sorted((each, weight) for each, weight in weights.items() if weight != 1))
    return ByClass(pairs) if pairs else "none"


def check_classes(weighting: AnyWeighting, classes: Sequence[str], source: Any) -> None:
    """Raise UserError where a recipe weighs a class that is not known; ``source`` is the file of the space."""
    for name in weighting.names if isinstance(weighting, ByClass) else []:
        one_of(f"{source}: a class in class_weight", name, classes)


def _to_json(weighting: AnyWeighting) -> Any:
    if isinstance(weighting, ByClass):
        return {"by_class": dict(weighting.pairs)}
    return {EFFECTIVE_NUMBER: weighting.beta} if isinstance(weighting, EffectiveNumber) else weighting


def _from_json(value: Any) -> AnyWeighting:
    if not isinstance(value, dict):
        return str(value)
    return EffectiveNumber(value[EFFECTIVE_NUMBER]) if EFFECTIVE_NUMBER in value else dict(value["by_class"])


def _words(weighting: AnyWeighting) -> str:
    if isinstance(weighting, str):
        return WEIGHTINGS[weighting].words
    return f"weights {level_of(weighting)}" if isinstance(weighting, ByClass) else f"{level_of(weighting)} weights"


CLASS_WEIGHT = declare(
    "class weights",
    settle_weighting,
    describe(TEXT, f"{', '.join(WEIGHTINGS)}, or weights by class."),
    words=lambda recipe: _words(recipe.class_weight),
    level=lambda recipe: level_of(recipe.class_weight),
    to_json=_to_json,
    from_json=_from_json,
    cell=level_of,
    brief=level_of,
)
