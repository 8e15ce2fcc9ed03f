"""What each factor does in a full grid: every combination of levels was tried, equally often.

A grid holds the other factors equal by itself, so that few trials are enough: what a level does is
an average over all combinations of the others, and its error is what lies between folds. It is
about the recipes of this grid; other recipes with the same level may be unlike.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import stats as scipy_stats

from search.analysis.stats.comparing import pooled_variance
from search.analysis.stats.effects import NEGLIGIBLE, Factor, Level, adjusted, ascending
from search.analysis.stats.intervals import LEVEL, NO_SPREAD, inflation


def in_grid(cells: np.ndarray, factors: Mapping[str, Sequence[str]], parts: float, runs: Sequence[int]) -> list[Factor]:
    """Return what each factor does to the score, in the order of ``factors``; nothing where trials are no full grid.

    ``cells`` is the objective of c complete trials, shape (c, training sizes, splits); ``factors`` the level
    of each factor in each trial; ``parts`` how many times the images hold a validation part;
    ``runs`` how many runs each trial has. The error is that of the pooled corrected t
    (``comparing.difference``), with (c−1)(splits−1) degrees of freedom.
    """
    varied = {name: np.asarray(levels, dtype=object) for name, levels in factors.items() if len(set(levels)) > 1}
    variance, df = pooled_variance(cells)
    if not is_full(varied, len(cells)) or df < 1 or not variance > NO_SPREAD**2:
        return []
    scores = cells.mean(axis=(1, 2))
    error = variance * inflation(cells.shape[2], parts)  # of a trial's mean
    note = f"judged by the folds, as these {len(cells)} trials are a full grid; each is averaged over the others"
    return adjusted([_factor(name, levels, scores, error, df, runs, note) for name, levels in varied.items()])


def is_full(factors: Mapping[str, Sequence[str] | np.ndarray], trials: int) -> bool:
    """Tell whether trials hold every combination of the levels of two factors or more, equally often."""
    combined = Counter(zip(*factors.values(), strict=True))
    every = math.prod(len(set(levels)) for levels in factors.values())
    return len(factors) > 1 and len(combined) == every and set(combined.values()) == {trials // every}


def _factor(
    name: str, levels: np.ndarray, scores: np.ndarray, error: float, df: int, runs: Sequence[int], note: str
) -> Factor:
    names = ascending(levels)
    each = len(scores) // len(names)  # trials of a level
    effects = {level: float(scores[levels == level].mean() - scores.mean()) for level in names}
    quantile = scipy_stats.t.ppf((1 + LEVEL) / 2, df)
    half = float(quantile * math.sqrt(error * (1 / each - 1 / len(scores))))
    of_pair = math.sqrt(2 * error / each)
    ratio = each * sum(effect**2 for effect in effects.values()) / (len(names) - 1) / error
    gaps = {(a, b): effects[a] - effects[b] for a, b in combinations(names, 2)}
    negligible = max(abs(gap) for gap in gaps.values()) + quantile * of_pair < NEGLIGIBLE
    return Factor(
        name,
        float(scipy_stats.f.sf(ratio, len(names) - 1, df)),
        math.nan,
        "no" if negligible else "unknown",
        note,
        [
            Level(level, each, int(np.asarray(runs)[levels == level].sum()), effect, effect - half, effect + half)
            for level, effect in effects.items()
        ],
        {pair: float(2 * scipy_stats.t.sf(abs(gap) / of_pair, df)) for pair, gap in gaps.items()},
    )
