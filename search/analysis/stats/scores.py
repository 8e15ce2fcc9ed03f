"""Scores from out-of-fold predictions, how far confidence can be believed, and shares of images."""

import math
from dataclasses import dataclass

import numpy as np
import sklearn
from scipy import stats as scipy_stats
from sklearn import metrics

from search.analysis.stats.intervals import LEVEL, UNKNOWN, Interval

SMALLEST_PROBABILITY = 1e-7
BINS = 10


# DECISIONS: Scores are counted here
def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return the metrics of predictions on all images of a validation part.

    ``labels`` are class numbers, shape (n,); ``probabilities`` has shape (n, classes). Balanced
    accuracy and macro-F1 average over the classes that the part holds. ``log_loss`` is in nats.
    """
    predicted = probabilities.argmax(axis=1)
    true = np.clip(probabilities[np.arange(len(labels)), labels], SMALLEST_PROBABILITY, 1)
    hits, images, guesses = (
        np.bincount(numbers, minlength=probabilities.shape[1])
        for numbers in (labels[predicted == labels], labels, predicted)
    )
    present = images > 0
    return {
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": float((hits[present] / images[present]).mean()),
        "macro_f1": float((2 * hits[present] / (images[present] + guesses[present])).mean()),
        "log_loss": float(-np.log(true).mean()),
    }


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence lies in (low, high]: their number, mean confidence, accuracy and its limits."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def calibration(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Return the bins of equal width that hold predictions, lowest first (a reliability diagram).

    ``confidence`` in [0, 1] and ``correct`` (true or false) have shape (n,); the limits of the
    accuracy are Wilson's 95 % interval.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=bool)
    numbers = bin_numbers(confidence, bins)
    table = []
    for number in np.unique(numbers):
        inside = numbers == number
        share = proportion(int(correct[inside].sum()), int(inside.sum()))
        table.append(
            Bin(
                low=float(number / bins),
                high=float((number + 1) / bins),
                images=int(inside.sum()),
                confidence=float(confidence[inside].mean()),
                accuracy=share.mean,
                accuracy_low=share.low,
                accuracy_high=share.high,
            )
        )
    return table


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error (Guo et al. 2017) in [0, 1], NaN without predictions.

    It is the mean distance of accuracy from confidence over bins of equal width, weighted by their
    predictions. With few images it is above zero even for perfect calibration.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if not len(confidence):
        return math.nan
    surplus = np.bincount(bin_numbers(confidence, bins), weights=confidence - correct, minlength=bins)
    return float(np.abs(surplus).sum() / len(confidence))


def bin_numbers(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin of each confidence, from 0; a border belongs to the bin below it."""
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def roc_auc(is_second: np.ndarray, probability_of_second: np.ndarray) -> float:
    """Return the area under the ROC curve of two classes in [0, 1], NaN where one of them is missing."""
    if len(np.unique(is_second)) < 2:
        return math.nan
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):  # hundreds of trials ask
        false_positives, true_positives, _ = metrics.roc_curve(is_second, probability_of_second)
        return float(metrics.auc(false_positives, true_positives))


def proportion(hits: float, of: float) -> Interval:
    """Return a share of images with Wilson's 95 % interval; NaN and infinite limits where there are no images."""
    from statsmodels.stats.proportion import proportion_confint

    if not of:
        return UNKNOWN
    low, high = proportion_confint(hits, of, alpha=1 - LEVEL, method="wilson")
    return Interval(hits / of, float(low), float(high))


def at_most(hits: int, of: int) -> float:
    """Return the upper 95 % limit of a share with so many hits, in [0, 1] (Clopper & Pearson, one-sided).

    With no hit it is about 3 / ``of`` (the rule of three): 0 of 60 may be 4.9 %. It is 1 where there are no images.
    """
    return float(scipy_stats.beta.ppf(LEVEL, hits + 1, of - hits)) if hits < of else 1.0
