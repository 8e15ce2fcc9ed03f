"""Classes that stand out among the mistakes: pairs that are taken for each other, and classes that are missed."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from search.analysis.stats.comparing import ALPHA, holm
from search.analysis.stats.intervals import Interval
from search.analysis.stats.scores import proportion

ROUNDING = 1e-6  # of sums of shares: a third and two thirds are one


@dataclass(frozen=True)
class Mistakes:
    """Mistakes with the images of one or two classes: so many of their ``images``, both means over predictions.

    ``classes`` are their numbers. ``share`` is mistakes over images, in [0, 1], with Wilson's 95 % interval, for which
    images of one group are one. ``p`` is one-sided, after Holm's adjustment over all that could have been named.
    """

    classes: tuple[int, ...]
    mistakes: float
    images: float
    share: Interval
    p: float


@dataclass(frozen=True)
class Confusions:
    """Predictions as tables of shape (classes, classes), row the label: ``images`` and ``groups`` taken for each class.

    An image that is predicted several times counts once, in shares; so does a group of images of one class.
    """

    images: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(
        cls, labels: np.ndarray, predicted: np.ndarray, image: np.ndarray, groups: np.ndarray, classes: int
    ) -> "Confusions":
        """Return the tables of predictions: all arrays (R,), of class numbers, and of numbers of images and groups."""
        return cls(
            _shares(labels, predicted, image, classes),
            _shares(labels, predicted, groups * classes + labels, classes),
        )

    def pairs(self) -> list[Mistakes]:
        """Return the pairs of classes that are taken for each other more than chance explains, the surest first.

        Chance is that a mistake falls on each other class as often as there are images of it: then the mistakes of a
        pair are the sum of two binomial numbers, whose distribution is exact.
        """
        wrong, sizes = _wrong(self.groups), self.groups.sum(axis=1)
        classes = len(sizes)
        first, second = np.triu_indices(classes, 1)
        both = wrong[first, second] + wrong[second, first]
        p = np.ones(len(both))
        of_class, rest = wrong.sum(axis=1), sizes.sum() - sizes
        for at in np.flatnonzero(both >= 1 - ROUNDING):
            a, b = first[at], second[at]
            one, other = _binomial(of_class[a], sizes[b] / rest[a]), _binomial(of_class[b], sizes[a] / rest[b])
            p[at] = np.convolve(one, other)[_down(both[at]) :].sum()
        return self._named([(int(a), int(b)) for a, b in zip(first, second, strict=True)], p, ordered=both)

    def weak(self) -> list[Mistakes]:
        """Return the classes that are missed more often than the others together, the surest first.

        The test is Fisher's exact one, one-sided.
        """
        wrong, sizes = _wrong(self.groups).sum(axis=1), self.groups.sum(axis=1)
        p = np.array(
            [
                scipy_stats.hypergeom.sf(
                    _down(own) - 1, round(sizes.sum()), _down(own) + _up(wrong.sum() - own), round(size)
                )
                for own, size in zip(wrong, sizes, strict=True)
            ]
        )
        return self._named([(number,) for number in range(len(sizes))], p, ordered=wrong)

    def _named(self, candidates: list[tuple[int, ...]], p: np.ndarray, ordered: np.ndarray) -> list[Mistakes]:
        """Return those candidates that chance does not explain, by p and then by the most mistakes."""
        adjusted = np.array(holm(p.clip(max=1.0).tolist()))
        named = np.flatnonzero(adjusted < ALPHA)
        order = named[np.lexsort((-ordered[named], adjusted[named]))]
        return [self._mistakes(candidates[at], float(adjusted[at])) for at in order]

    def _mistakes(self, classes: tuple[int, ...], p: float) -> Mistakes:
        wrong, own = _wrong(self.images), list(classes)
        mistakes = float(wrong[np.ix_(own, own)].sum() if len(own) > 1 else wrong[own].sum())
        images, groups = float(self.images[own].sum()), float(self.groups[own].sum())
        return Mistakes(classes, mistakes, images, proportion(mistakes / images * groups, groups), p)


def _shares(labels: np.ndarray, predicted: np.ndarray, unit: np.ndarray, classes: int) -> np.ndarray:
    """Return how many units of each class were taken for each; a unit of several predictions is shared out."""
    _, number, times = np.unique(unit, return_inverse=True, return_counts=True)
    table = np.bincount(labels * classes + predicted, 1 / times[number], classes * classes)
    return table.reshape(classes, classes)


def _wrong(table: np.ndarray) -> np.ndarray:
    return np.asarray(table * (1 - np.eye(len(table))))


def _binomial(draws: float, chance: float) -> np.ndarray:
    """Return the probabilities of 0, 1, … hits in so many draws."""
    number = _up(draws)
    return np.asarray(scipy_stats.binom.pmf(np.arange(number + 1), number, min(chance, 1.0)))


def _down(amount: float) -> int:
    return math.floor(amount + ROUNDING)


def _up(amount: float) -> int:
    return math.ceil(amount - ROUNDING)
