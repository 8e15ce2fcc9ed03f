"""Weightings: every one gives each training image a weight, and a class counts as the name says."""

import numpy as np
import pytest

from search.repertoire.weighting import WEIGHTINGS

LABELS = np.array([2, 0, 0, 2, 2, 2, 4, 0])


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_images_of_a_class_weigh_the_same_and_above_nothing(name):
    weighting = WEIGHTINGS[name]
    weights = weighting.weights(LABELS)
    assert (weighting.name, weights.shape, weights.dtype) == (name, LABELS.shape, np.float32)
    assert (weights > 0).all()
    assert np.isfinite(weights).all()
    assert all(len(set(weights[label == LABELS])) == 1 for label in LABELS)
    order = np.array([7, 1, 0, 6, 5, 4, 3, 2])
    np.testing.assert_array_equal(weighting.weights(LABELS[order]), weights[order])


def test_balanced_weights_change_the_loss_and_not_the_data():
    labels = np.array([0] * 30 + [1] * 10)
    balanced, none = WEIGHTINGS["balanced"].weights, WEIGHTINGS["none"].weights
    weights = balanced(labels)
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum())
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_array_equal(none(labels), np.ones(40))
    np.testing.assert_allclose(balanced(np.array([0, 0, 0, 2])), [2 / 3] * 3 + [2])
