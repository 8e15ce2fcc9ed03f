"""Scores from out-of-fold predictions, and intervals that do not flatter.

Folds share training images, so their scores are correlated and the usual standard error is too
small; the interval here is the corrected resampled t of Nadeau & Bengio (2003).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats
from sklearn import metrics

LEVEL = 0.95
SMALLEST_PROBABILITY = 1e-7


def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return the metrics of predictions on all images of a validation part.

    ``labels`` are class numbers, shape (n,); ``probabilities`` has shape (n, classes). Balanced
    accuracy and macro-F1 average over the classes that the part holds. ``log_loss`` is in nats.
    """
    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    true = np.clip(probabilities[np.arange(len(labels)), labels], SMALLEST_PROBABILITY, 1)
    return {
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "balanced_accuracy": float(
            metrics.recall_score(labels, predicted, labels=present, average="macro", zero_division=0)
        ),
        "macro_f1": float(metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)),
        "log_loss": float(-np.log(true).mean()),
    }


@dataclass(frozen=True)
class Interval:
    """A mean and the limits of its 95 % interval, on the scale of the scores (not clipped).

    The limits are infinite where there is no interval: one score says nothing of its spread.
    """

    mean: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def corrected_interval(fold_scores: Sequence[float] | np.ndarray, folds: float) -> Interval:
    """Return the mean of J = repeats × folds scores with its corrected resampled t interval.

    ``mean ± t(J−1) · s · sqrt(1/J + 1/(folds−1))`` (Nadeau & Bengio 2003): one score a fold,
    training sizes averaged first. ``folds`` is how many times the images hold a validation part:
    k, or 1/val for random splits, so that 1/(folds−1) is validation over training images. With a
    single score the limits are infinite.
    """
    values = np.asarray(fold_scores, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf)
    half = (
        scipy_stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)
        * values.std(ddof=1)
        * math.sqrt(1 / len(values) + 1 / (folds - 1))
    )
    return Interval(mean, mean - float(half), mean + float(half))
