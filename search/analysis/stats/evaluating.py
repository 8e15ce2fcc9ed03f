"""Scores of a model on images that are new to it: each with its interval, by group, and set against what was promised.

``labels`` and ``groups`` have shape (n,), whole numbers; ``probabilities`` (n, classes). Images of one group, such as
copies of a picture or pictures of one patient, tell less than as many images that have nothing to do with each other.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy import stats as scipy_stats

from search.analysis.stats.intervals import DIFFERENCES, LEVEL, NO_SPREAD, SCORES, UNKNOWN, Interval, cut
from search.analysis.stats.scores import (
    SMALLEST_PROBABILITY,
    Bin,
    bin_numbers,
    calibration,
    calibration_error,
    proportion,
    scores,
)

DRAWS = 2_000
ENTRIES_AT_ONCE = 4_000_000  # of the weights of draws, 32 MB
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


# DECISIONS: Intervals of an evaluation
def evaluated(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, Interval]:
    """Return each metric of ``scores`` on at least one image with its 95 % interval.

    Accuracy has ``share_right``, balanced accuracy ``mean_recall``. Macro-F1 and log loss have the quantiles over draws
    of whole groups; where these do not differ, macro-F1 has the limits of balanced accuracy, and log loss none.
    """
    told = scores(labels, probabilities)
    right = probabilities.argmax(axis=1) == labels
    recall = mean_recall(right, labels, groups)
    drawn = np.concatenate(list(_drawn(labels, probabilities, groups, seed)), axis=1)
    f1, loss = (_between(told[name], values) for name, values in zip(("macro_f1", "log_loss"), drawn, strict=True))
    if not f1.known and recall.known:
        f1 = Interval(f1.mean, min(recall.low, f1.mean), max(recall.high, f1.mean))
    return {
        "accuracy": share_right(right, groups),
        "balanced_accuracy": recall,
        "macro_f1": f1,
        "log_loss": loss,
    }


def share_right(right: np.ndarray, groups: np.ndarray) -> Interval:
    """Return the share of right answers (n,) with Wilson's 95 % interval for as many images as these are worth.

    n images in G groups are worth n over the design effect, the variance between groups over that of n separate images;
    it is at least 1, and where all answers are alike that of groups which are right or wrong as a whole. Student's t
    with G−1 degrees of freedom stands for the normal quantile (Korn & Graubard 1998; Franco et al. 2019). Limits are
    infinite for a single group of several images, and all is unknown of no image.
    """
    number, sizes = len(right), np.unique(groups, return_counts=True)[1]
    if not number:
        return UNKNOWN
    share, parts = float(right.mean()), len(sizes)
    if parts == number:
        return proportion(int(right.sum()), number)
    if parts < 2:
        return Interval(share, -math.inf, math.inf)
    if 0 < share < 1:
        effect = max(1.0, _variance(right - share, groups) / (share * (1 - share) / number))
    else:
        effect = float((sizes**2).sum()) / number
    quantiles = scipy_stats.norm.ppf(TAILS[1]) / scipy_stats.t.ppf(TAILS[1], parts - 1)
    worth = number / effect * float(quantiles) ** 2
    limits = proportion(share * worth, worth)
    return Interval(share, limits.low, limits.high)


def mean_recall(right: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Interval:
    """Return the mean over classes of the share of right answers, of the classes that ``labels`` hold.

    Its limits are those of the classes, taken together (MOVER, Zou, Huang & Zhang 2009): the distance of each from its
    mean is the root of the mean square over classes, over the root of their number. Infinite where those of a class
    are, and for a single group of several images. Groups that hold several classes make them as much wider as the mean
    varies more between these than between their parts of one class.
    """
    recalls = [share_right(right[labels == label], groups[labels == label]) for label in np.unique(labels)]
    mean, wider = float(np.mean([each.mean for each in recalls])), _together(right, labels, groups)
    if not math.isfinite(wider):
        return Interval(mean, -math.inf, math.inf)
    below, above = (
        wider * float(np.sqrt(np.sum(np.square(distances)))) / len(recalls)
        for distances in ([each.mean - each.low for each in recalls], [each.high - each.mean for each in recalls])
    )
    return Interval(mean, cut(mean - below, SCORES), cut(mean + above, SCORES))


def _together(right: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Return how many times as much the mean of recalls varies between groups as between their parts of one class.

    It is at least 1, and infinite for one group of several images. Where all answers of each class are alike, groups
    are taken to be right or wrong as a whole.
    """
    names, number = np.unique(groups, return_inverse=True)
    if len(names) == 1 and len(groups) > 1:
        return math.inf
    classes, label = np.unique(labels, return_inverse=True)
    parts = np.unique(label * len(names) + number, return_inverse=True)[1]
    images = np.bincount(label)[label]
    worth = len(labels) / (images * len(classes))
    deviations = worth * (right - (np.bincount(label, right) / np.bincount(label))[label])
    if not deviations.any():
        deviations = worth
    apart, together = (float(np.square(np.bincount(of, deviations)).sum()) for of in (parts, number))
    return math.sqrt(max(1.0, together / apart)) if apart else 1.0


def calibration_by_group(confidence: np.ndarray, right: np.ndarray, groups: np.ndarray) -> list[Bin]:
    """Return the bins of ``calibration``, the limits of each by group, as ``share_right`` has them.

    The limits are NaN in a bin whose images, several, are all of one group.
    """
    numbers, bins = bin_numbers(np.asarray(confidence, float)), calibration(confidence, right)
    told = []
    for number, each in zip(np.unique(numbers), bins, strict=True):
        share = share_right(right[numbers == number], groups[numbers == number])
        low, high = (share.low, share.high) if share.known else (math.nan, math.nan)
        told.append(replace(each, accuracy_low=low, accuracy_high=high))
    return told


def overconfidence(right: np.ndarray, confidence: np.ndarray, groups: np.ndarray) -> Interval:
    """Return the mean confidence minus the share of right answers, with its 95 % interval by group (Student's t)."""
    gaps = confidence - right
    mean, parts = float(gaps.mean()), len(np.unique(groups))
    if parts < 2 or (variance := _variance(gaps - mean, groups)) < NO_SPREAD**2:
        return Interval(mean, -math.inf, math.inf, parts > 1)
    half = float(scipy_stats.t.ppf(TAILS[1], parts - 1)) * math.sqrt(variance)
    return Interval(mean, cut(mean - half, DIFFERENCES), cut(mean + half, DIFFERENCES))


def if_calibrated(
    confidence: np.ndarray, groups: np.ndarray, seed: int, draws: int = DRAWS
) -> tuple[Interval, Interval]:
    """Return the calibration error and the overconfidence that confidences (n,) show by chance where they are right.

    Mean and 2.5 and 97.5 % quantiles over draws of right and wrong answers (Bröcker & Smith 2007). A group is drawn at
    once, with one random number for all of its images.
    """
    rng, number = np.random.default_rng(seed), np.unique(groups, return_inverse=True)[1]
    shown = np.empty((draws, 2))
    for draw in shown:
        right = rng.random(int(number.max()) + 1)[number] < confidence
        draw[:] = calibration_error(confidence, right), (confidence - right).mean()
    error, gap = (
        Interval(float(each.mean()), float(np.quantile(each, TAILS[0])), float(np.quantile(each, TAILS[1])))
        for each in shown.T
    )
    return error, gap


def difference(one: Interval, other: Interval, within: tuple[float, float] = DIFFERENCES) -> Interval:
    """Return one score minus another one of other images, with its 95 % interval from those of both.

    ``low = d − sqrt((one − low of one)² + (high of other − other)²)``, and ``high`` likewise (MOVER, Zou & Donner
    2008). The limits are cut at the ends of ``within``, and infinite where those of one of both are.
    """
    mean = one.mean - other.mean
    below = math.hypot(one.mean - one.low, other.high - other.mean)
    above = math.hypot(one.high - one.mean, other.mean - other.low)
    return Interval(mean, cut(mean - below, within), cut(mean + above, within))


def _variance(deviations: np.ndarray, groups: np.ndarray) -> float:
    """Return the variance of a mean from deviations (n,) from it, between groups: G/(G−1) Σ (Σ of a group)² / n²."""
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=deviations)
    return float(len(sums) / (len(sums) - 1) * (sums**2).sum() / len(deviations) ** 2)


def _between(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn, TAILS)
    if high - low < NO_SPREAD:
        return Interval(value, -math.inf, math.inf)
    return Interval(value, min(float(low), value), max(float(high), value))


def _drawn(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yield macro-F1 and log loss, (2, some), of draws of as many groups as there are, with replacement."""
    number = np.unique(groups, return_inverse=True)[1]
    parts, classes = int(number.max()) + 1, probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    own = np.clip(probabilities[np.arange(len(labels)), labels], SMALLEST_PROBABILITY, 1)
    losses, sizes = np.bincount(number, -np.log(own), parts), np.bincount(number, minlength=parts)
    images, answers = (
        sparse.csr_array((np.ones(len(number)), (number, of)), shape=(parts, classes)) for of in (labels, predicted)
    )
    hits = sparse.csr_array((1.0 * (labels == predicted), (number, labels)), shape=(parts, classes))
    rng, at_once = np.random.default_rng(seed), max(1, ENTRIES_AT_ONCE // parts)
    for first in range(0, DRAWS, at_once):
        draws = min(at_once, DRAWS - first)
        cells = rng.integers(parts, size=(draws, parts)) + parts * np.arange(draws)[:, None]
        times = np.bincount(cells.ravel(), minlength=draws * parts).reshape(draws, parts).astype(float)
        of_class = times @ images
        f1 = 2 * (times @ hits) / np.maximum(of_class + times @ answers, 1)
        present = (of_class > 0).sum(axis=1)
        yield np.stack([np.where(of_class > 0, f1, 0).sum(axis=1) / present, times @ losses / (times @ sizes)])
