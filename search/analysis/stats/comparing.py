"""Comparing complete trials: pooled corrected t, the set that cannot be told from the best, what to recommend.

``cells`` is always the objective of complete trials, shape (c, training sizes, splits), sizes in
ascending order; ``parts`` is how many times the images hold a validation part (k, or 1/val).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import stats as scipy_stats

from search.analysis.stats.intervals import DIFFERENCES, LEVEL, NO_SPREAD, cut, inflation

FEWEST_POOLED = 4  # complete trials: with fewer, their common spread is not known better than one pair's own
ALPHA = 1 - LEVEL
WITHIN = 0.01


class Standing(StrEnum):
    """How a trial stands against the best one: the one word for it, in tables, charts and sentences.

    "worse" needs a p below .05 after Holm's adjustment, "probably worse" one of this pair alone.
    """

    BEST = "the best"
    ALIKE = "cannot be told apart"
    PROBABLY_WORSE = "probably worse"
    WORSE = "worse"
    UNJUDGED = "not judged"


@dataclass(frozen=True)
class Difference:
    """How much better one trial scored than another: mean and 95 % limits on the scale of the scores.

    ``p`` is one-sided, for "better"; ``p_holm`` is it after Holm's adjustment, where there was one.
    Where nothing is known of the spread both are NaN and the limits infinite.
    """

    mean: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan

    @property
    def standing(self) -> Standing:
        """How the other trial stands, where this is the best minus it; a p that is NaN tells nothing apart."""
        if self.p_holm < ALPHA:
            return Standing.WORSE
        return Standing.PROBABLY_WORSE if self.p < ALPHA else Standing.ALIKE


def pooled_variance(cells: np.ndarray) -> tuple[float, int]:
    """Return (s², degrees of freedom): the residual variance of fold scores about trial + fold.

    Training sizes are averaged within each fold first; the degrees of freedom are (c−1)(splits−1).
    """
    trials, _, splits = cells.shape
    df = (trials - 1) * (splits - 1)
    return (float(_own_variances(cells.mean(axis=1)).mean()) if df > 0 else math.nan), df


def _own_variances(values: np.ndarray) -> np.ndarray:
    """Return each trial's residual variance about trial + fold, shape (c,): their mean is the pooled one."""
    centred = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    trials, splits = values.shape
    return np.asarray((centred**2).sum(axis=1) / (splits - 1) * trials / (trials - 1))


def difference(cells: np.ndarray, a: int, b: int, parts: float) -> Difference:
    """Return how much better trial ``a`` is than trial ``b``.

    From four trials on by the pooled corrected t, ``d / sqrt((s_a² + s_b²) (1/J + 1/(parts−1)))``,
    where s² of a trial is that of all trials, or its own where that is larger: among equal recipes
    the winner is often a wild one, which the common spread would make look sure. With two or three
    by the corrected resampled t of the fold differences themselves (Nadeau & Bengio 2003). Where
    the spread is zero, as it is by chance between few scores of few images, nothing is known: p is
    NaN and the limits are infinite.
    """
    return _differences(cells, a, [b], parts)[0]


def against(cells: np.ndarray, a: int, others: Sequence[int], parts: float) -> list[Difference]:
    """Return how much better trial ``a`` is than each of ``others``, with p after Holm's adjustment over them."""
    differences = _differences(cells, a, others, parts)
    adjusted = holm([each.p for each in differences])
    return [replace(each, p_holm=value) for each, value in zip(differences, adjusted, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """Return p after Holm's adjustment; those that are NaN stay so, and count as comparisons that could not succeed."""
    from statsmodels.stats.multitest import multipletests

    if not p:
        return []
    unknown = np.isnan(p)
    adjusted = np.where(unknown, np.nan, multipletests(np.where(unknown, 1.0, p), method="holm")[1])
    return [float(value) for value in adjusted]


def _differences(cells: np.ndarray, a: int, others: Sequence[int], parts: float) -> list[Difference]:
    values = cells.mean(axis=1)
    fold_wise = values[a] - values[list(others)]  # (others, splits)
    splits = fold_wise.shape[1]
    means = fold_wise.mean(axis=1)
    if splits < 2:
        return [Difference(float(mean), -math.inf, math.inf, math.nan) for mean in means]
    if len(cells) >= FEWEST_POOLED:
        pooled, df = pooled_variance(cells)
        own = np.maximum(_own_variances(values), pooled)
        variances = own[a] + own[list(others)]
    else:
        variances, df = fold_wise.var(axis=1, ddof=1), splits - 1
    known = variances > NO_SPREAD**2
    errors = np.sqrt(np.where(known, variances, np.inf) * inflation(splits, parts))
    p = np.where(known, scipy_stats.t.sf(means / errors, df), np.nan)
    half = scipy_stats.t.ppf((1 + LEVEL) / 2, df) * errors
    return [
        Difference(
            float(mean), cut(float(mean - each), DIFFERENCES), cut(float(mean + each), DIFFERENCES), float(own_p)
        )
        for mean, each, own_p in zip(means, half, p, strict=True)
    ]


def winner(cells: np.ndarray) -> int:
    """Return the trial with the highest score; of equal ones the first."""
    totals = cells.mean(axis=2).mean(axis=1)
    return int(np.flatnonzero(totals >= totals.max() - NO_SPREAD)[0])


def contenders(cells: np.ndarray, parts: float) -> np.ndarray:
    """Return which trials cannot be told from the best, shape (c,): one-sided p of .05 or more against the winner.

    Not being told apart is no sign of being equal.
    """
    if not len(cells):
        return np.zeros(0, dtype=bool)
    best = winner(cells)
    differences = _differences(cells, best, range(len(cells)), parts)
    within = np.array([each.standing is Standing.ALIKE for each in differences])
    within[best] = True
    return within


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> float:
    """Return McNemar's exact two-sided p for two trials' hits and misses on the same images, each of shape (n,).

    It is about these images and these trained networks alone: folds, draws and seeds are not in it.
    """
    right_a, right_b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return float(scipy_stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def recommended(scores: Sequence[float] | np.ndarray, seconds: Sequence[float] | np.ndarray) -> int:
    """Return the trial to use: the winner, or the cheapest one within 1 raw point of it; of equal ones the better."""
    scores, seconds = np.asarray(scores, dtype=float), np.asarray(seconds, dtype=float)
    near = np.flatnonzero(scores >= scores.max() - WITHIN - NO_SPREAD)
    return int(min(near, key=lambda at: (seconds[at], -scores[at], at)))
