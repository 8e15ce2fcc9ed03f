"""An ensemble is chosen by what helps, costs what choosing it flatters, and is recommended only where it is better."""

import numpy as np
import pytest

from search.analysis.stats.combining import MOST, combined, greedy
from search.analysis.stats.scores import SMALLEST_PROBABILITY
from search.analysis.stats.selection import Configurations

IMAGES, FOLDS = 240, 4


def made(trials, share, seed=0):
    """Predictions of trials over two classes whose errors share this part of their cause."""
    rng = np.random.default_rng(seed)
    labels = np.arange(IMAGES) % 2
    common = rng.normal(0, 1, IMAGES)
    margins = 0.8 + np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(0, 1, (trials, IMAGES))
    own = 1 / (1 + np.exp(-2 * margins))
    probabilities = np.empty((trials, IMAGES, 2))
    probabilities[:, np.arange(IMAGES), labels] = own
    probabilities[:, np.arange(IMAGES), 1 - labels] = 1 - own
    configurations = Configurations(
        labels=[labels],
        groups=[np.arange(IMAGES)],
        predictions=[probabilities.argmax(axis=-1)],
        classes=2,
        objective="accuracy",
        folds=[np.arange(IMAGES) // 2 % FOLDS],
        repeats=[np.zeros(IMAGES, int)],
    )
    return configurations, probabilities


def test_each_step_adds_what_lowers_the_loss_most_and_the_best_prefix_is_kept():
    own = np.array([[0.9, 0.2, 0.6], [0.3, 0.9, 0.6], [0.5, 0.5, 0.5]])
    worth = np.full(3, 1 / 3)
    weights = greedy(own, worth)
    assert weights.sum() == pytest.approx(1)
    assert weights[2] == 0

    def loss(of):
        return -np.log(np.maximum(of @ own, SMALLEST_PROBABILITY)) @ worth

    assert loss(weights) < min(loss(each) for each in np.eye(3))
    share = weights[0]
    grid = np.array([loss(np.array([part, 1 - part, 0])) for part in np.linspace(0, 1, 1001)])
    assert loss(np.array([share, 1 - share, 0])) == pytest.approx(grid.min(), abs=1e-3)


def test_one_member_stays_alone_where_no_other_helps():
    own = np.array([[0.9, 0.9], [0.8, 0.8], [0.1, 0.1]])
    assert greedy(own, np.full(2, 0.5)).tolist() == [1, 0, 0]


def test_an_ensemble_has_few_members():
    rng = np.random.default_rng(1)
    weights = greedy(rng.uniform(0.2, 0.95, (10, 60)), np.full(60, 1 / 60))
    assert 1 < np.count_nonzero(weights) <= MOST


def test_of_trials_that_are_alike_only_the_best_is_chosen():
    configurations, probabilities = made(6, 0.0)
    told = combined(configurations, probabilities, [0, 0, 0, 1, 1, 1], seed=1)
    right = (configurations.predictions[0] == configurations.labels[0]).mean(axis=1)
    assert set(np.flatnonzero(told.weights)) == {int(right[:3].argmax()), 3 + int(right[3:].argmax())}


def test_trials_that_err_apart_are_better_together():
    configurations, probabilities = made(6, 0.1)
    told = combined(configurations, probabilities, range(6), seed=1)
    assert told.is_better
    assert told.gain.low > 0
    assert told.score.mean <= told.raw
    assert told.score.low < told.score.mean < told.score.high


def test_what_choosing_flatters_is_taken_off():
    """Of trials that guess, the chosen ones look better than they are on the images that chose them."""
    raws, corrected = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        configurations, _ = made(8, 0.5, seed)
        own = rng.uniform(0.2, 0.8, (8, IMAGES))
        probabilities = np.empty((8, IMAGES, 2))
        labels = configurations.labels[0]
        probabilities[:, np.arange(IMAGES), labels] = own
        probabilities[:, np.arange(IMAGES), 1 - labels] = 1 - own
        configurations.predictions[0] = probabilities.argmax(axis=-1)
        told = combined(configurations, probabilities, range(8), seed=1, draws=100)
        raws.append(told.raw)
        corrected.append(told.score.mean)
    assert np.mean(raws) > 0.52
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.015)
