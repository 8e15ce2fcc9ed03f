"""Intervals hold the truth as often as they say."""

import math

import numpy as np
import pytest
from scipy import stats

from search.analysis.stats import Interval, corrected_interval, scores
from search.analysis.stats.metrics import METRICS
from search.study import OBJECTIVES

pytestmark = pytest.mark.quick


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_interval_agrees_with_a_calculation_by_hand():
    # mean 0.8; s = sqrt(0.025 / 4); t(4) at 97.5 % = 2.776445; sqrt(1/5 + 1/4) = 0.670820
    found = corrected_interval([0.8, 0.9, 0.7, 0.85, 0.75], folds=5)
    half = 2.776445 * math.sqrt(0.025 / 4) * 0.670820
    assert (found.mean, found.low, found.high) == pytest.approx((0.8, 0.8 - half, 0.8 + half), abs=1e-6)


def test_repeats_add_scores_but_not_folds(rng):
    values = rng.random(15)
    found = corrected_interval(values.tolist(), folds=5)
    low, high = stats.t.interval(0.95, 14, values.mean(), values.std(ddof=1) * math.sqrt(1 / 15 + 1 / 4))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_random_splits_count_by_the_part_that_validates(rng):
    values = rng.random(8)
    found = corrected_interval(values, folds=1 / 0.2)
    low, high = stats.t.interval(0.95, 7, values.mean(), values.std(ddof=1) * math.sqrt(1 / 8 + 0.2 / 0.8))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.known


def test_one_score_says_nothing_of_its_spread():
    assert corrected_interval([0.7], folds=5) == Interval(0.7, -math.inf, math.inf)
    assert not corrected_interval([0.7], folds=5).known


@pytest.mark.parametrize("same", [0.5, 0.7, 1.0])
def test_equal_scores_have_no_interval_rather_than_one_of_no_width(same):
    found = corrected_interval([same] * 4, folds=4)
    assert (found.mean, found.low, found.high, found.equal) == (pytest.approx(same), -math.inf, math.inf, True)
    assert not found.known


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_limits_of_an_objective_end_where_its_scores_do(objective):
    within = METRICS[objective].range
    near_one = corrected_interval([1, 1, 0.9, 1, 1], 5, within)
    assert near_one.high == 1.0
    assert near_one.low == pytest.approx(0.98 - near_one.half)
    assert near_one.half == pytest.approx(2.776445 * math.sqrt(0.008 / 4) * 0.670820)
    near_none = corrected_interval([0, 0, 0.1, 0, 0], 5, within)
    assert (near_none.low, near_none.high) == pytest.approx((0, 1 - near_one.low))
    nothing_known = corrected_interval([0.0, 1.0], 2, within)
    assert (nothing_known.low, nothing_known.high) == (0.0, 1.0)


def test_the_limits_of_a_loss_end_at_nothing_alone():
    found = corrected_interval([0.1, 3.0, 0.2], 3, METRICS["log_loss"].range)
    assert found.low == 0
    assert found.high > 3


def test_guessing_has_the_best_score_of_an_answer_that_ignores_the_image():
    counts = [3, 6, 1]
    labels = np.repeat(np.arange(3), counts)
    constant = [scores(labels, np.tile(np.eye(3)[answer], (10, 1))) for answer in range(3)]
    for name in OBJECTIVES:
        assert METRICS[name].guessing(np.array(counts)) == pytest.approx(max(each[name] for each in constant))
    shares = np.tile(np.array(counts) / 10, (10, 1))
    assert METRICS["log_loss"].guessing(np.array(counts)) == pytest.approx(scores(labels, shares)["log_loss"])


def coverage(draws, truth, folds):
    intervals = [corrected_interval(draw, folds) for draw in draws]
    return np.mean([interval.low <= truth <= interval.high for interval in intervals])


@pytest.mark.parametrize(("folds", "repeats"), [(5, 1), (10, 1), (5, 3), (3, 1)])
def test_correlated_scores_are_covered_where_the_plain_interval_flatters(rng, folds, repeats):
    # Every two scores correlate by 1 / folds, as Nadeau & Bengio assume.
    truth, draws, count = 0.8, 600, folds * repeats
    shared = rng.normal(size=(draws, 1)) * math.sqrt(1 / folds)
    values = truth + 0.05 * (shared + rng.normal(size=(draws, count)) * math.sqrt(1 - 1 / folds))
    low, high = stats.t.interval(0.95, count - 1, values.mean(axis=1), stats.sem(values, axis=1))
    assert coverage(values, truth, folds) >= 0.93
    assert np.mean((low <= truth) & (truth <= high)) < 0.93


def cross_validated(rng, examples, features, shift, folds):
    """Return the fold accuracies of a nearest-mean classifier, and the true accuracy of each one trained."""
    labels = np.arange(examples) % 2
    points = rng.normal(size=(examples, features)) + shift * (2 * labels[:, None] - 1)
    held_out = rng.permutation(examples // 2).repeat(2) % folds  # stratified: neighbours differ in class
    found, true = [], []
    for fold in range(folds):
        train, test = held_out != fold, held_out == fold
        means = [points[train & (labels == label)].mean(axis=0) for label in (0, 1)]
        direction, middle = means[1] - means[0], (means[0] + means[1]) / 2
        found.append(np.mean((points[test] @ direction > middle @ direction) == labels[test]))
        centre = np.full(features, shift)
        margins = [(centre - middle) @ direction, (centre + middle) @ direction]
        true.append(stats.norm.cdf(np.array(margins) / np.linalg.norm(direction)).mean())
    return found, true


def test_the_true_accuracy_of_a_real_learner_is_covered(rng):
    runs = [cross_validated(rng, examples=60, features=5, shift=0.4, folds=5) for _ in range(500)]
    truth = np.mean([true for _, true in runs])  # known in closed form for each trained classifier
    assert 0.7 < truth < 0.9
    assert coverage([found for found, _ in runs], truth, folds=5) >= 0.93
