"""Scores, calibration and shares agree with scikit-learn, statsmodels, and the papers' formulas."""

import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics

from search.analysis.stats import scores
from search.analysis.stats.scores import calibration, calibration_error, proportion, roc_auc


@pytest.mark.parametrize("seed", range(40))
def test_scores_are_those_of_scikit_learn_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 140))
    labels = rng.integers(0, classes, int(rng.integers(1, 400)))  # some classes may be missing
    probabilities = (rng.dirichlet(np.ones(classes), len(labels)) + np.eye(classes)[labels]) / 2
    probabilities[::3] = rng.dirichlet(np.full(classes, 3.0), len(labels[::3]))
    predicted, present = probabilities.argmax(axis=1), np.unique(labels)
    options = {"labels": present, "average": "macro", "zero_division": 0}
    found = scores(labels, probabilities)
    assert found.pop("log_loss") == pytest.approx(metrics.log_loss(labels, probabilities, labels=np.arange(classes)))
    assert found == {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": metrics.recall_score(labels, predicted, **options),
        "macro_f1": metrics.f1_score(labels, predicted, **options),
    }


def test_a_class_that_the_part_lacks_does_not_count():
    labels = np.array([0, 0, 0, 0, 2, 2])
    predicted = np.array([0, 0, 0, 1, 2, 0])
    found = scores(labels, np.eye(4)[predicted])
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_a_guess_that_was_sure_and_wrong_has_a_finite_loss():
    found = scores(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-7) / 2)


@pytest.mark.parametrize("seed", range(10))
def test_the_calibration_error_is_that_of_guo_et_al(seed):
    rng = np.random.default_rng(seed)
    confidence, correct = rng.random(200).round(2), rng.random(200) < 0.7
    error = 0.0
    for m in range(10):  # equation 3, with bins ((m-1)/M, m/M]
        inside = (confidence > m / 10) & (confidence <= (m + 1) / 10) | ((m == 0) & (confidence == 0))
        if inside.any():
            error += inside.sum() / 200 * abs(correct[inside].mean() - confidence[inside].mean())
    assert calibration_error(confidence, correct) == pytest.approx(error)
    bins = calibration(confidence, correct)
    assert sum(each.images * abs(each.accuracy - each.confidence) for each in bins) / 200 == pytest.approx(error)


def test_bins_are_those_that_hold_images():
    bins = calibration(np.array([0.0, 0.55, 0.6, 0.61, 1.0]), np.array([0, 1, 0, 1, 1]))
    assert [(each.low, each.high, each.images) for each in bins] == [
        (0.0, 0.1, 1),
        (0.5, 0.6, 2),
        (0.6, 0.7, 1),
        (0.9, 1.0, 1),
    ]
    half = bins[1]
    assert (half.confidence, half.accuracy) == pytest.approx((0.575, 0.5))
    assert half.accuracy_low < 0.5 < half.accuracy_high


def test_nothing_predicted_has_no_calibration():
    assert calibration(np.zeros(0), np.zeros(0)) == []
    assert math.isnan(calibration_error(np.zeros(0), np.zeros(0)))


def test_the_limits_of_a_share_are_wilsons():
    # Newcombe (1998), table I, method 3 (score method): 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for hits, of, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        found = proportion(hits, of)
        assert (found.mean, found.low, found.high) == pytest.approx((hits / of, low, high), abs=5e-5)
    assert not proportion(0, 0).known


def test_the_area_under_the_curve_counts_pairs(rng):
    second = rng.random(80) < 0.4
    probability = (rng.random(80) + 0.3 * second).round(1)
    pairs = probability[second][:, None] - probability[~second]
    assert roc_auc(second, probability) == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    assert math.isnan(roc_auc(np.ones(4), np.linspace(0, 1, 4)))


def test_what_is_slow_to_import_is_imported_when_needed():
    modules = "search.analysis.stats.effects, search.analysis.stats.comparing, search.analysis.stats.scores"
    code = f"import sys, {modules}; print('statsmodels' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
