"""What each factor does: an additive model on the runs of *all* trials, also of stopped ones.

Complete trials alone are biased: racing keeps bad levels only where they were lucky. Two stages.
Trials and folds by least squares over runs give each trial an estimate, whatever folds it ran;
these estimates are then explained by the factors (ordinary least squares), so that the error is
what lies between trials: runs of one trial say nothing of another with the same level.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from search.analysis.stats.intervals import DIFFERENCES, LEVEL, SCORES, cut

ALPHA = 1 - LEVEL
NEGLIGIBLE = 0.02  # 2 points: levels that differ by less do not matter
FEWEST_FREE = 4  # degrees of freedom of the error; with fewer the limits say nothing
FEW_NUMBERS = 5
SINGULAR = 1e-8
NUMBERS = re.compile(r"((?:(?<!\S)-)?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")  # in a level
ALONE = "looked at one at a time"


@dataclass(frozen=True)
class Level:
    """One level of a factor: its effect is its difference from the mean over the factor's levels.

    ``effect`` and its 95 % limits are on the scale of the score, NaN where they cannot be had.
    """

    level: str
    trials: int
    runs: int
    effect: float
    low: float
    high: float


@dataclass(frozen=True)
class Factor:
    """A factor with its levels: ``p`` of any difference between them, ``p_holm`` adjusted over factors (or NaN).

    ``matters`` is "yes" where p_holm < .05, "no" where every two levels differ by less than 2
    points (95 % limits), else "unknown". ``note`` says what the numbers cannot, or is empty. ``pairs`` holds
    the two-sided p of each pair of its levels that can be compared, after ``adjusted`` with Holm's
    adjustment over all pairs of all factors.
    """

    name: str
    p: float
    p_holm: float
    matters: str
    note: str
    levels: list[Level]
    pairs: dict[tuple[str, str], float] = field(default_factory=dict)

    def below(self, level: str) -> list[str]:
        """Return the levels that are told apart from a level, and lie below it."""
        effects = {each.level: each.effect for each in self.levels}
        others = [(set(pair) - {level}).pop() for pair, p in self.pairs.items() if level in pair and p < ALPHA]
        return [other for other in others if effects[other] < effects[level]]


@dataclass(frozen=True)
class LevelPair:
    """The trials with one pair of levels: their mean score and its 95 % limits (infinite where unknown)."""

    first: str
    second: str
    trials: int
    mean: float
    low: float
    high: float


def additive(
    values: np.ndarray, trials: np.ndarray, folds: np.ndarray, factors: Mapping[str, Sequence[str]]
) -> list[Factor]:
    """Return what each factor does to the score, in the order of ``factors``.

    ``values`` are the objectives of n runs, ``trials`` and ``folds`` (fold and training size) their
    ids, ``factors`` the level of each factor in each run. Levels that no trial separates from
    another factor's get NaN and a note. Where trials are too few to hold the other factors equal, each
    factor is looked at alone, which a note says: its effects then hold those of what went with it,
    and never say that it matters.
    """
    if not len(values):
        return []
    first, runs, scores = _by_trial(values, trials, folds)
    first_levels = {name: np.asarray(levels, dtype=object)[first] for name, levels in factors.items()}
    varied = {name: levels for name, levels in first_levels.items() if len(set(levels)) > 1}
    model = _Model(scores, varied)
    if model.free >= FEWEST_FREE:
        return adjusted([_factor(model, name, levels, runs) for name, levels in varied.items()])
    needed = len(scores) - model.free + FEWEST_FREE
    note = f"{ALONE}, as {len(scores)} trials are too few to hold the other choices equal ({needed} are needed)"
    alone = adjusted([_factor(_Model(scores, {name: levels}), name, levels, runs) for name, levels in varied.items()])
    return [replace(factor, p=math.nan, p_holm=math.nan, matters="unknown", note=note) for factor in alone]


def interaction(
    values: np.ndarray, trials: np.ndarray, folds: np.ndarray, first: Sequence[str], second: Sequence[str]
) -> list[LevelPair]:
    """Return the mean score of each pair of levels of two factors, sorted by these levels.

    Trials are estimated from the runs that they have, as in ``additive``; the limits are a t
    interval over trials with the spread within all cells, infinite for a cell of one trial, which may be unlike.
    """
    if not len(values):
        return []
    at, _, scores = _by_trial(values, trials, folds)
    pairs = [(first[run], second[run]) for run in at]
    names = sorted(set(pairs))
    cell = np.array([names.index(pair) for pair in pairs])
    counts = np.bincount(cell)
    means = np.bincount(cell, scores) / counts
    df = len(scores) - len(names)
    spread = math.sqrt(((scores - means[cell]) ** 2).sum() / df) if df else math.inf
    half = (scipy_stats.t.ppf((1 + LEVEL) / 2, df) if df else 1) * spread / np.sqrt(counts)
    half[counts < 2] = math.inf
    return [
        LevelPair(*name, int(count), cut(mean, SCORES), cut(mean - each, SCORES), cut(mean + each, SCORES))
        for name, count, mean, each in zip(names, counts, means, half, strict=True)
    ]


def depends(
    values: np.ndarray, trials: np.ndarray, folds: np.ndarray, first: Sequence[str], second: Sequence[str]
) -> float:
    """Return the p of an interaction: whether what one factor does depends on the other, beside what each does alone.

    NaN where no pair of levels is there that the two alone would not tell, or trials are too few.
    """
    if not len(values):
        return math.nan
    at, _, scores = _by_trial(values, trials, folds)
    one, other = (np.asarray(levels, dtype=object)[at] for levels in (first, second))
    pairs = np.array([f"{a}\0{b}" for a, b in zip(one, other, strict=True)], dtype=object)
    additive_ = _Model(scores, {"first": one, "second": other})
    whole = _Model(scores, {"pair": pairs})
    more = additive_.free - whole.free
    if more < 1 or whole.free < FEWEST_FREE or whole.fit.ssr <= 0:
        return math.nan
    ratio = (additive_.fit.ssr - whole.fit.ssr) / more / (whole.fit.ssr / whole.free)
    return float(scipy_stats.f.sf(ratio, more, whole.free))


def thirds(numbers: Sequence[float] | np.ndarray) -> list[str]:
    """Return numbers as levels: themselves where at most 5 differ, else the third of them that each lies in.

    Thirds hold about equally many; equal numbers stay together. A level reads "0.0003 to 0.001".
    """
    values = np.asarray(numbers, dtype=float)
    if len(np.unique(values)) <= FEW_NUMBERS:
        return [f"{value:g}" for value in values]
    borders = np.quantile(values, [1 / 3, 2 / 3])
    third = np.searchsorted(borders, values)  # a border belongs to the third below it
    names = [f"{values[third == at].min():.2g} to {values[third == at].max():.2g}" for at in np.unique(third)]
    return [names[at] for at in np.searchsorted(np.unique(third), third)]


def ascending(levels: Iterable[str]) -> list[str]:
    """Return the levels that differ, in the order of the numbers in them, and of their texts where these differ."""

    def key(level: str) -> list[tuple[float, str]]:
        parts = NUMBERS.split(level)  # texts and numbers in turn
        return [(float(part), "") if at % 2 else (math.inf, part) for at, part in enumerate(parts) if part]

    return sorted(set(levels), key=lambda level: (key(level), level))


def _by_trial(values: np.ndarray, trials: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each trial's first run, its number of runs, and its estimated score over all folds (stage one)."""
    values = np.asarray(values, dtype=float)
    _, first, trial = np.unique(np.asarray(trials), return_index=True, return_inverse=True)
    names, fold = np.unique(np.asarray(folds), return_inverse=True)
    runs = np.bincount(trial)
    dummies = np.eye(len(names))[fold]

    def within(columns: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(runs), columns.shape[1]))
        np.add.at(sums, trial, columns)
        return sums / runs[:, None]

    # Least squares on trial and fold dummies, trials partialled out: thousands of them cost nothing.
    means = within(values[:, None])[:, 0]
    of_fold = np.linalg.lstsq(dummies - within(dummies)[trial], values - means[trial], rcond=None)[0]
    return first, runs, means - within(dummies) @ of_fold + of_fold.mean()


class _Model:
    """Ordinary least squares of trial scores on the levels of all factors."""

    def __init__(self, scores: np.ndarray, factors: Mapping[str, np.ndarray]) -> None:
        from statsmodels.regression.linear_model import OLS

        self.names = {name: ascending(levels) for name, levels in factors.items()}
        blocks = {
            name: (levels[:, None] == np.array(self.names[name], dtype=object)).astype(float)
            for name, levels in factors.items()
        }
        self.design = np.hstack([np.ones((len(scores), 1)), *blocks.values()])
        ends = np.cumsum([1, *(len(names) for names in self.names.values())])
        self.columns = {
            name: np.arange(low, high) for name, low, high in zip(self.names, ends[:-1], ends[1:], strict=True)
        }
        # One dummy a level is more than can be told; what can be are the coordinates of these.
        _, sizes, directions = np.linalg.svd(np.unique(self.design, axis=0), full_matrices=False)
        self.directions = directions[sizes > SINGULAR * sizes[0]].T
        self.fit: Any = OLS(scores, self.design @ self.directions).fit()
        self.free = len(scores) - self.directions.shape[1]

    def comparable(self, name: str, without: str = "") -> list[list[int]]:
        """Return the levels of a factor in sets within which they can be compared, ``without`` another factor."""
        columns = np.setdiff1d(np.arange(self.design.shape[1]), self.columns.get(without, []))
        design = np.unique(self.design[:, columns], axis=0)  # a combination of levels counts once
        row_space = np.linalg.pinv(design) @ design
        at = np.searchsorted(columns, self.columns[name])
        sets: list[list[int]] = []
        for level in range(len(at)):
            for group in sets:
                contrast = np.zeros(len(columns))
                contrast[at[group[0]]], contrast[at[level]] = 1, -1
                if np.abs(contrast @ row_space - contrast).max() < SINGULAR:
                    group.append(level)
                    break
            else:
                sets.append([level])
        return sets

    def row(self, name: str, weights: Mapping[int, float]) -> np.ndarray:
        """Return a contrast between comparable levels of a factor, in the coordinates that were fitted."""
        contrast = np.zeros(self.design.shape[1])
        for level, weight in weights.items():
            contrast[self.columns[name][level]] = weight
        return np.asarray(contrast @ self.directions)


def _factor(model: _Model, name: str, levels: np.ndarray, runs: np.ndarray) -> Factor:
    names = model.names[name]
    has = [levels == level for level in names]
    blank = [
        Level(level, int(mask.sum()), int(runs[mask].sum()), *[math.nan] * 3)
        for level, mask in zip(names, has, strict=True)
    ]
    if model.free < FEWEST_FREE:
        return Factor(name, math.nan, math.nan, "unknown", "", blank)
    sets = model.comparable(name)
    comparable_levels = max(sets, key=lambda some: (len(some) > 1, sum(int(has[level].sum()) for level in some)))
    note = _inseparable(model, name, [level for level in range(len(names)) if level not in comparable_levels])
    if len(comparable_levels) < 2:
        return Factor(name, math.nan, math.nan, "unknown", note, blank)
    even = dict.fromkeys(comparable_levels, -1 / len(comparable_levels))
    contrasts = model.fit.t_test(np.stack([model.row(name, {**even, at: 1 + even[at]}) for at in comparable_levels]))
    limits = contrasts.conf_int(ALPHA)
    estimates = list(blank)
    for at, effect, (low, high) in zip(comparable_levels, np.atleast_1d(contrasts.effect), limits, strict=True):
        estimates[at] = replace(blank[at], effect=float(effect), low=cut(low, DIFFERENCES), high=cut(high, DIFFERENCES))
    p = float(
        model.fit.f_test(
            np.stack([model.row(name, {comparable_levels[0]: -1, at: 1}) for at in comparable_levels[1:]])
        ).pvalue
    )
    pairs = list(combinations(comparable_levels, 2))
    differences = model.fit.t_test(np.stack([model.row(name, {a: 1, b: -1}) for a, b in pairs]))
    negligible = np.abs(differences.conf_int(ALPHA)).max() < NEGLIGIBLE
    p_pairs = {
        (names[a], names[b]): float(own) for (a, b), own in zip(pairs, np.ravel(differences.pvalue), strict=True)
    }
    return Factor(name, p, math.nan, "no" if negligible else "unknown", note, estimates, p_pairs)


def _inseparable(model: _Model, name: str, levels: list[int]) -> str:
    """Return in words what these levels cannot be separated from."""
    if not levels:
        return ""
    whole = len(model.names[name])
    guilty = [other for other in model.names if other != name and max(map(len, model.comparable(name, other))) == whole]
    # Where leaving out one factor is not enough, several together stand in the way.
    whose = " or ".join(guilty) or "other factors together"
    which = ", ".join(str(model.names[name][level]) for level in levels)
    return f"{which}: cannot be separated from {whose}"


def adjusted(factors: list[Factor]) -> list[Factor]:
    """Return the factors with Holm's adjustment over those that have a p, and over all pairs of levels."""
    from statsmodels.stats.multitest import multipletests

    every = [1.0 if math.isnan(p) else p for factor in factors for p in factor.pairs.values()]
    p_pairs = iter(multipletests(every, method="holm")[1] if every else ())
    factors = [replace(factor, pairs={pair: float(next(p_pairs)) for pair in factor.pairs}) for factor in factors]
    numbers = [at for at, factor in enumerate(factors) if not math.isnan(factor.p)]
    if not numbers:
        return factors
    p_values = multipletests([factors[at].p for at in numbers], method="holm")[1]
    for at, p_holm in zip(numbers, p_values, strict=True):
        matters = "yes" if p_holm < ALPHA else factors[at].matters
        factors[at] = replace(factors[at], p_holm=float(p_holm), matters=matters)
    return factors
