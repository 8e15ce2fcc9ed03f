"""Metrics: how predictions are scored, with the range of each, its direction, and what guessing would have."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A way to score predictions: a row of the table of metrics.

    ``title`` is its name in words. Every score lies in [``low``, ``high``]. ``sign`` is 1 where more
    is better, else −1. ``guessing`` takes the numbers of images by class, shape (classes,), and
    returns the best score of an answer that ignores the image.
    """

    title: str
    guessing: Callable[[np.ndarray], float]
    low: float = 0.0
    high: float = 1.0
    sign: int = 1

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest score that there can be."""
        return self.low, self.high


def _shares(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    counts = np.asarray(counts, dtype=float)
    return counts / counts.sum()


def _largest(counts: np.ndarray) -> float:
    return float(_shares(counts).max())


def _one_of(counts: np.ndarray) -> float:
    return 1 / len(counts)


def _f1_of_largest(counts: np.ndarray) -> float:
    """Return macro-F1 of always answering the largest class: 2 p / (1 + p) of that class, 0 of the others."""
    share = _largest(counts)
    return 2 * share / (1 + share) / len(counts)


def _entropy(counts: np.ndarray) -> float:
    shares = _shares(counts)
    return float((shares[shares > 0] * np.log(1 / shares[shares > 0])).sum())  # 0 of one class, never -0


METRICS = {
    "accuracy": Metric("accuracy", _largest),
    "balanced_accuracy": Metric("balanced accuracy", _one_of),
    "macro_f1": Metric("macro-F1", _f1_of_largest),
    "log_loss": Metric("log loss", _entropy, high=math.inf, sign=-1),
}
