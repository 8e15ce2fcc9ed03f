"""Intervals that do not flatter.

Folds share training images, so their scores are correlated and the usual standard error is too
small; the interval here is the corrected resampled t of Nadeau & Bengio (2003).
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

LEVEL = 0.95
NO_SPREAD = 1e-9  # standard deviation below which scores are equal but for rounding
EVERYWHERE = (-math.inf, math.inf)


@dataclass(frozen=True)
class Interval:
    """A mean and the limits of its 95 % interval, on the scale of the scores.

    The limits are infinite where there is no interval: one score says nothing of its spread, and
    neither do scores that are all ``equal``.
    """

    mean: float
    low: float
    high: float
    equal: bool = False

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def half(self) -> float:
        """Half of its width, before one end of it was cut; infinite where there is no interval."""
        return max(self.mean - self.low, self.high - self.mean)


SCORES, DIFFERENCES = (0.0, 1.0), (-1.0, 1.0)  # where every objective lies, and every difference of two

UNKNOWN = Interval(math.nan, -math.inf, math.inf)


def inflation(scores: int, folds: float) -> float:
    """Return what stands for 1/J in the variance of a mean of J correlated scores: 1/J + 1/(folds−1).

    ``folds`` is how many times the images hold a validation part: k, or 1/val for random splits, so
    that 1/(folds−1) is validation over training images (Nadeau & Bengio 2003).
    """
    return 1 / scores + 1 / (folds - 1)


def cut(limit: float, within: tuple[float, float]) -> float:
    """Return a limit of an interval, cut at the ends of a range; an infinite one stays, as there is no interval."""
    return float(min(max(limit, within[0]), within[1]) if math.isfinite(limit) else limit)


@functools.cache
def _quantile(df: int) -> float:
    """Return the two-sided quantile of Student's t, which takes a tenth of a millisecond: thousands of trials ask."""
    return float(scipy_stats.t.ppf((1 + LEVEL) / 2, df))


# DECISIONS: Intervals end where scores do
def corrected_interval(
    fold_scores: Sequence[float] | np.ndarray, folds: float, within: tuple[float, float] = EVERYWHERE
) -> Interval:
    """Return the mean of J = repeats × folds scores with its corrected resampled t interval.

    ``mean ± t(J−1) · s · sqrt(1/J + 1/(folds−1))`` (Nadeau & Bengio 2003): one score a fold,
    training sizes averaged first. ``folds`` is how many times the images hold a validation part:
    k, or 1/val for random splits, so that 1/(folds−1) is validation over training images. The limits
    are cut at the ends of ``within``, the range of such scores. With a single score, and where all
    are equal, they are infinite.
    """
    values = np.asarray(fold_scores, dtype=float)
    number = len(values)
    mean = float(np.add.reduce(values)) / number  # values.mean() and .std() take five times as long
    squares = float(np.add.reduce((values - mean) ** 2))
    if number < 2 or math.sqrt(squares / number) < NO_SPREAD:
        return Interval(mean, -math.inf, math.inf, number > 1)
    half = _quantile(number - 1) * math.sqrt(squares / (number - 1)) * math.sqrt(inflation(number, folds))
    return Interval(mean, cut(mean - half, within), cut(mean + half, within))
