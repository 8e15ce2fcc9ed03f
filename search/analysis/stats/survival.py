"""How recipes survive with less data: drops, slopes, and learning curves from four training sizes on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from search.analysis.stats.intervals import DIFFERENCES, UNKNOWN, Interval, corrected_interval

FEWEST_SIZES = 4
SLOWEST, FASTEST = 0.05, 2.0
GRID = 60
FARTHEST = 60  # doublings


def drops(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (drop, drop minus the median drop) of each trial, each of shape (c,), NaN with one training size.

    The drop is the full-size mean minus the smallest-size mean; ``cells`` (c, sizes, splits) has
    sizes in ascending order. Bad recipes lose little: never rank by it.
    """
    means = cells.mean(axis=2)
    if cells.shape[1] < 2 or not len(cells):
        return np.full(len(cells), np.nan), np.full(len(cells), np.nan)
    drop = means[:, -1] - means[:, 0]
    return drop, drop - np.median(drop)


def slopes(cells: np.ndarray, images: Sequence[float] | np.ndarray, parts: float) -> list[Interval]:
    """Return each trial's gain in the objective per doubling of images, between the two largest training sizes.

    ``images`` are the mean numbers of training images by size. The limits are the corrected
    resampled t's over per-fold gains: validation parts are the same at both sizes.
    """
    if cells.shape[1] < 2 or images[-1] <= images[-2]:
        return [UNKNOWN] * len(cells)
    doublings = math.log2(images[-1] / images[-2])
    within = DIFFERENCES[0] / doublings, DIFFERENCES[1] / doublings
    return [corrected_interval(gain, parts, within) for gain in (cells[:, -1] - cells[:, -2]) / doublings]


# DECISIONS: What more images promise is read off a falling error, not off a straight line
def gain_of_doubling(slope: float, error: float, doublings: float) -> float:
    """Return what twice as many images gain, where each doubling lowers the error by the same factor (a power law).

    ``slope`` is the gain for each of the last ``doublings`` (``slopes``), and ``error`` in [0, 1] what is missing now.
    So the next doubling gains less than the last ones did. A loss is taken to go on as it is.
    """
    if slope <= 0 or error <= 0:
        return min(slope, 0.0)
    return error * (1 - 2 ** -_exponent(slope, error, doublings))


def images_for(gain: float, images: float, slope: float, error: float, doublings: float) -> float:
    """Return how many images beside those that there are gain so much, by the same law; infinite where none do."""
    if slope <= 0 or error <= gain:
        return math.inf
    needed = math.log2(error / (error - gain)) / _exponent(slope, error, doublings)
    return images * (2**needed - 1) if needed < FARTHEST else math.inf


def _exponent(slope: float, error: float, doublings: float) -> float:
    """Return c of error ~ n^−c between the two largest sizes."""
    return math.log2((error + slope * doublings) / error) / doublings


@dataclass(frozen=True)
class Curve:
    """A learning curve a + b n^−c: ``a`` is where it would end, ``b`` < 0, ``c`` in [0.05, 2] how fast.

    ``residual`` is the root mean square distance from the scores, on their scale.
    """

    a: float
    b: float
    c: float
    residual: float

    def at(self, images: float) -> float:
        """Return the score that the curve has at a number of training images, 1 at most."""
        return min(1.0, self.a + self.b * images**-self.c)


def curve(images: Sequence[float] | np.ndarray, means: Sequence[float] | np.ndarray) -> Curve | None:
    """Return the least-squares curve through mean scores at so many training images.

    None below four sizes, where it would fit anything, and for scores that do not rise.
    """
    n, y = np.asarray(images, dtype=float), np.asarray(means, dtype=float)
    if len(np.unique(n)) < FEWEST_SIZES or not np.isfinite(y).all() or (n <= 0).any():
        return None
    unit = n.min()  # else b can be astronomical

    def fit(log_c: float) -> tuple[float, float, float]:
        x = (n / unit) ** -math.exp(log_c)
        b = min(float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()), 0.0)
        a = float(y.mean() - b * x.mean())
        return float(((y - a - b * x) ** 2).sum()), a, b

    grid = np.linspace(math.log(SLOWEST), math.log(FASTEST), GRID)  # a and b are linear: c is all there is to search
    near = int(np.argmin([fit(log_c)[0] for log_c in grid]))
    limits = (grid[max(near - 1, 0)], grid[min(near + 1, GRID - 1)])
    best_fit = optimize.minimize_scalar(lambda log_c: fit(log_c)[0], bounds=limits, method="bounded")
    if not best_fit.success:
        return None
    best = min((grid[near], best_fit.x), key=lambda log_c: fit(log_c)[0])
    error, a, b = fit(best)
    c = math.exp(best)
    return Curve(a, b * unit**c, c, math.sqrt(error / len(n))) if b < 0 else None
