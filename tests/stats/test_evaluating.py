"""Scores on new images: intervals that hold the truth as often as they say, by group, and beside a promise."""

import math

import numpy as np
import pytest

from search.analysis.stats import evaluating
from search.analysis.stats.evaluating import (
    calibration_by_group,
    difference,
    evaluated,
    if_calibrated,
    mean_recall,
    overconfidence,
    share_right,
)
from search.analysis.stats.intervals import Interval
from search.analysis.stats.scores import calibration, calibration_error, proportion, scores

pytestmark = pytest.mark.quick

CLASSES = 3


def predictions(rng, groups, size, skill=0.85, same=1.0):
    """Draw labels, probabilities and groups: of so many groups of ``size`` images, which are right together."""
    labels = np.repeat(rng.integers(CLASSES, size=groups), size)
    chance = np.where(rng.random(groups * size) < same, np.repeat(rng.random(groups), size), rng.random(groups * size))
    predicted = np.where(chance < skill, labels, (labels + 1) % CLASSES)
    confidence = rng.uniform(0.7, 0.95, len(labels))
    probabilities = np.repeat((1 - confidence)[:, None] / (CLASSES - 1), CLASSES, axis=1)
    probabilities[np.arange(len(labels)), predicted] = confidence
    return labels, probabilities, np.repeat(np.arange(groups), size)


def test_means_are_those_of_the_scores_and_lie_in_their_intervals(rng):
    labels, probabilities, groups = predictions(rng, 60, 2)
    told = evaluated(labels, probabilities, groups, 1)
    for name, value in scores(labels, probabilities).items():
        assert told[name].mean == pytest.approx(value)
        assert told[name].low < value < told[name].high


def test_separate_images_have_wilsons_interval():
    right = np.arange(40) < 37
    assert share_right(right, np.arange(40)) == proportion(37, 40)


def test_copies_add_no_certainty(rng):
    right = rng.random(50) < 0.8
    alone = share_right(right, np.arange(50))
    copied = share_right(np.repeat(right, 4), np.repeat(np.arange(50), 4))
    assert copied.mean == alone.mean
    assert copied.high - copied.low >= alone.high - alone.low
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_groups_that_are_all_right_count_once_each():
    told = share_right(np.ones(80, bool), np.repeat(np.arange(20), 4))
    assert told.mean == told.high == 1
    assert told.low <= proportion(20, 20).low


def test_bins_of_confidence_have_limits_by_group():
    confidence, right = np.repeat([0.55, 0.95], [40, 5]), np.append(np.arange(40) % 4 > 0, np.ones(5, bool))
    apart, (plain, _) = calibration_by_group(confidence, right, np.arange(45)), calibration(confidence, right)
    assert apart == calibration(confidence, right)
    few, one = calibration_by_group(confidence, right, np.append(np.arange(40) % 4, np.full(5, 9)))
    assert (few.accuracy, few.images) == (plain.accuracy, plain.images)
    assert few.accuracy_low < plain.accuracy_low
    assert math.isnan(one.accuracy_low)


def test_one_group_has_no_interval():
    told = share_right(np.array([True, True, False]), np.zeros(3, int))
    assert told.mean == pytest.approx(2 / 3)
    assert not told.known
    assert not overconfidence(np.array([1.0, 0]), np.array([0.9, 0.8]), np.zeros(2, int)).known


@pytest.mark.parametrize(("groups", "size", "same"), [(120, 1, 1.0), (40, 4, 1.0), (40, 4, 0.3)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(rng, groups, size, same, monkeypatch):
    monkeypatch.setattr(evaluating, "DRAWS", 200)
    labels, probabilities, _ = predictions(rng, 60_000, 1)
    truth = scores(labels, probabilities)
    held = dict.fromkeys(truth, 0)
    repeats = 150
    for number in range(repeats):
        told = evaluated(*predictions(rng, groups, size, same=same), number)
        for name, interval in told.items():
            held[name] += interval.low <= truth[name] <= interval.high
    for name, times in held.items():
        assert times / repeats > (0.9 if name in {"accuracy", "balanced_accuracy"} else 0.85), name


def test_groups_of_several_classes_are_no_more_evidence_than_there_are_groups(rng):
    labels, groups, skill, held = np.tile(np.arange(CLASSES), 20), np.repeat(np.arange(20), CLASSES), 0.8, 0
    for _ in range(200):
        told = mean_recall(np.repeat(rng.random(20) < skill, CLASSES), labels, groups)
        held += told.low <= skill <= told.high
    assert held / 200 > 0.88  # apart, .76
    alike = mean_recall(np.ones(60, bool), labels, groups)
    assert alike.low == pytest.approx(share_right(np.ones(20, bool), np.arange(20)).low, abs=0.02)
    assert not mean_recall(np.ones(2, bool), np.arange(2), np.zeros(2, int)).known


def test_a_class_with_few_images_widens_balanced_accuracy():
    labels = np.repeat([0, 1], [95, 5])
    right = np.ones(100, bool)
    wide, narrow = mean_recall(right, labels, np.arange(100)), share_right(right, np.arange(100))
    assert wide.mean == narrow.mean == 1
    assert wide.low < narrow.low
    few = proportion(5, 5)
    assert wide.low == pytest.approx(1 - math.hypot(1 - few.low, 1 - proportion(95, 95).low) / 2)


def test_macro_f1_of_a_model_that_is_never_wrong_is_no_certainty():
    labels = np.repeat([0, 1, 2], 5)
    told = evaluated(labels, np.eye(3)[labels] * 0.97 + 0.01, np.arange(15), 1)
    assert told["macro_f1"].mean == 1
    assert told["macro_f1"].low == told["balanced_accuracy"].low < 0.9


def test_a_difference_has_the_noise_of_both():
    promised, found = Interval(0.8, 0.7, 0.88), proportion(35, 50)
    told = difference(found, promised)
    assert told.mean == pytest.approx(-0.1)
    assert told.low == pytest.approx(-0.1 - math.hypot(0.7 - found.low, 0.08))
    assert told.high == pytest.approx(-0.1 + math.hypot(found.high - 0.7, 0.1))
    assert not difference(found, Interval(0.8, -math.inf, math.inf)).known


def test_what_a_calibrated_model_shows_is_not_zero_and_holds_its_own(rng):
    confidence = rng.uniform(0.5, 1, 100)
    error, gap = if_calibrated(confidence, np.arange(100), 1, draws=400)
    assert 0 < error.low < error.mean < error.high < 0.3
    assert gap.low < 0 < gap.high
    answers = [rng.random(100) < confidence for _ in range(200)]
    errors = [calibration_error(confidence, right) for right in answers]
    assert np.mean([error.low <= each <= error.high for each in errors]) > 0.88
    assert np.mean([gap.low <= (confidence - right).mean() <= gap.high for right in answers]) > 0.88
    grouped, _ = if_calibrated(confidence, np.repeat(np.arange(20), 5), 1, draws=400)
    assert grouped.mean > error.mean


def test_a_few_images_that_are_all_right_do_not_show_too_little_confidence():
    _, gap = if_calibrated(np.full(16, 0.96), np.arange(16), 1)
    assert gap.low <= 0.96 - 1
