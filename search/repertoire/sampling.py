"""Sampling: how many images of each class train a run, and which of them, drawn anew for each fold."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from search.repertoire.fields import FOURTH, TEXT, Subfield, declare, describe
from search.system.digests import seed_from
from search.system.errors import UserError
from search.system.validation import named_fields, one_of, whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

MOST = 1_000_000
NONE, TOP_UP, OVERSAMPLE = "none", "top_up", "oversample"


@dataclass(frozen=True)
class SamplingKind:
    """One way to even out classes: a row of the table of kinds.

    ``wanted(counts, number)`` is how many images of each class train, from how many there are of each (classes,), and a
    number. ``of_counts(counts)`` is that number where a recipe gives none; it is None where a recipe must.
    ``other_views`` says whether a further copy of an image is another view of it. ``words`` is what the line of a
    recipe calls it, and ``to`` what it calls that number.
    """

    name: str
    wanted: Callable[[np.ndarray, int], np.ndarray]
    of_counts: Callable[[np.ndarray], int] | None
    words: str
    to: str = ""
    other_views: bool = False


def _as_they_are(counts: np.ndarray, _number: int) -> np.ndarray:
    return counts


def _exactly(counts: np.ndarray, number: int) -> np.ndarray:
    return np.full_like(counts, number)


def _smallest(counts: np.ndarray) -> int:
    return int(counts.min())


def _largest(counts: np.ndarray) -> int:
    return int(counts.max())


SAMPLINGS: dict[str, SamplingKind] = {
    kind.name: kind
    for kind in (
        SamplingKind(NONE, _as_they_are, _largest, words="no sampling"),
        SamplingKind("undersample", np.minimum, _smallest, "undersampled", "the smallest class"),
        SamplingKind(OVERSAMPLE, np.maximum, _largest, "oversampled", "the largest class"),
        SamplingKind("exactly", _exactly, None, "sampled"),
        SamplingKind(TOP_UP, np.maximum, _largest, "topped up", "the largest class", other_views=True),
    )
}


@named_fields
@dataclass(frozen=True)
class Sampling:
    """How many of the real images of each class train a run, and how: a kind, and a number of images of each class.

    ``Sampling("undersample", 120)`` leaves images out of classes that have more, ``Sampling("oversample", 120)`` shows
    some images of classes that have fewer again, ``Sampling("exactly", 120)`` does both. ``Sampling("top_up", 120)``
    shows other views of them in place of the same. Without a number, "undersample" takes that of the smallest class of
    the fold, and "oversample" and "top_up" that of the largest. ``Sampling()`` takes all images as they are.

    Raises UserError for a number out of range, or where there must be one.
    """

    kind: str = NONE
    count: int | None = None

    def __post_init__(self) -> None:
        """Validate."""
        one_of("Sampling kind", self.kind, SAMPLINGS)
        if self.kind == NONE and self.count is not None:
            raise UserError(f"Sampling({NONE!r}, count={self.count!r}): this kind has no number. Leave it out.")
        if SAMPLINGS[self.kind].of_counts is None and self.count is None:
            raise UserError(f"Sampling({self.kind!r}) lacks the number of images: Sampling({self.kind!r}, 120).")
        if self.count is not None:
            object.__setattr__(self, "count", whole("Sampling count", self.count, 1, MOST))

    def __bool__(self) -> bool:
        """Return whether it changes anything."""
        return self.kind != NONE

    @property
    def other_views(self) -> bool:
        """Whether a further copy of an image is another view of it."""
        return SAMPLINGS[self.kind].other_views

    @property
    def of_one_view(self) -> "Sampling":
        """The same of images that have one view: topping up is then oversampling."""
        return Sampling(OVERSAMPLE, self.count) if self.other_views else self

    @property
    def level(self) -> str:
        """The kind and its number: "none", "exactly 120", "undersample"."""
        return self.kind if self.count is None else f"{self.kind} {self.count}"

    @property
    def words(self) -> str:
        """The same in the line of a recipe, as in "topped up to 250 of each class"."""
        kind = SAMPLINGS[self.kind]
        return f"{kind.words} to {kind.to if self.count is None else f'{self.count} of each class'}" if self else ""

    def wanted(self, counts: np.ndarray) -> np.ndarray:
        """Return how many images of each class train, of so many that there are (classes,); none of none."""
        there = counts > 0
        kind = SAMPLINGS[self.kind]
        if self.count is not None:
            number = self.count
        else:
            assert kind.of_counts is not None, "it was asked for"
            number = kind.of_counts(counts[there])
        return np.where(there, kind.wanted(counts, number), 0)

    def draw(self, rows: np.ndarray, labels: np.ndarray, seed: int, fold: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that train, some of them more than once, and (copy, copies) of each of them (n, 2).

        ``rows`` are those of a fold's training part, in any order, and ``labels`` their class numbers. The draw depends
        on the seed, the name of the fold and these alone; a larger number holds every smaller one.
        """
        counts = np.bincount(labels)
        drawn, copies = [], []
        for label, number in enumerate(self.wanted(counts)):
            members = np.sort(rows[labels == label])
            members = np.random.default_rng(seed_from(seed, "sampling", fold, label)).permutation(members)
            place = np.arange(number)
            turn, copy = (place % counts[label], place // counts[label]) if number else (place, place)
            drawn.append(members[turn])
            copies.append(np.stack([copy, np.bincount(turn, minlength=1)[turn]], axis=1))
        every, pairs = np.concatenate(drawn), np.concatenate(copies)
        order = np.lexsort((pairs[:, 0], every))
        return every[order], pairs[order]


def numbers_of(copies: np.ndarray) -> np.ndarray:
    """Return a number for each pair (copy, copies) (n, 2): 0 for an image that is there once."""
    copy, several = copies.T
    return np.asarray(several * (several - 1) // 2 + copy)


def views_of(numbers: np.ndarray, epoch: int, views: int) -> np.ndarray:
    """Return the view that an epoch shows of each copy, from the number of its pair (n,).

    Copy c of C shows view (epoch · C + c) mod ``views``: views are shared out among the copies.
    """
    several = (1 + np.sqrt(1 + 8 * numbers)).astype(np.int64) // 2
    copy = numbers - several * (several - 1) // 2
    return np.asarray((epoch * several + copy) % views)


def tally(sampling: Sampling, labels: np.ndarray, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Return how many images of each class a fold has, and how many of them train, copies included.

    ``labels`` are the class numbers of the fold's training part. Without sampling it is empty.
    """
    if not sampling:
        return {}
    counts = np.bincount(labels, minlength=len(names))
    pairs = {"there": counts, "trained": sampling.wanted(counts)}
    return {what: dict(zip(names, numbers.tolist(), strict=True)) for what, numbers in pairs.items()}


# DECISIONS: An oversampled copy is the same view, a topped-up one another
def _settle(name: str, value: Any, recipe: "Recipe") -> Sampling:
    if isinstance(value, str):
        one_of(name, value, SAMPLINGS)
        value = Sampling(value)
    if not isinstance(value, Sampling):
        raise UserError(f'{name}={value!r} must be a Sampling, as in Sampling("exactly", 120).')
    if value.other_views and recipe.views == 1:
        only = f"augment={recipe.augment.policy!r}" if recipe.augment.is_plain else "views=1"
        further = "a policy of augmentation" if recipe.augment.is_plain else "more views"
        count = "" if value.count is None else f", {value.count}"
        raise UserError(
            f"{name}={value.level!r} with {only}: an image then has one view, so a further copy of it cannot be "
            f"another. Give {further}, or {name}=Sampling({OVERSAMPLE!r}{count}), which shows the same view again."
        )
    return value


SAMPLING = declare(
    "sampling",
    _settle,
    describe(TEXT, "How classes are evened out."),
    words=lambda recipe: recipe.sampling.words,
    level=lambda recipe: recipe.sampling.level,
    to_json=asdict,
    from_json=lambda fields: Sampling(**fields),
    cell=lambda sampling: sampling.kind,
    brief=lambda sampling: sampling.level,
    subfields={
        "count": Subfield(
            "images a class",
            describe({"type": ["integer", "null"]}, "Images of each class, null where the fold says how many."),
            lambda sampling: sampling.count,
        )
    },
    since=FOURTH,
)
