"""Weightings: every one gives each training image a weight, and a class counts as the name says."""

import numpy as np
import pytest

from search.repertoire.recipe import Recipe
from search.repertoire.weighting import WEIGHTINGS, EffectiveNumber, check_classes, weights_of
from search.system.errors import UserError

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


def test_max_ratio_weighs_the_largest_class_1_and_all_classes_the_same():
    weights = WEIGHTINGS["max_ratio"].weights(LABELS)
    np.testing.assert_allclose(weights[:5], [1, 4 / 3, 4 / 3, 1, 1], rtol=1e-6)
    assert weights[LABELS == 4] == 4
    assert {round(float(weights[label == LABELS].sum()), 5) for label in LABELS} == {4.0}


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_the_effective_number_is_that_of_cui_and_others(beta):
    weights = weights_of(EffectiveNumber(beta), LABELS, ())
    first = [weights[label == LABELS][0] for label in (0, 2, 4)]
    formula = np.array([(1 - beta) / (1 - beta**n) for n in (3, 4, 1)])
    np.testing.assert_allclose(first, 3 * formula / formula.sum(), rtol=1e-5)
    np.testing.assert_allclose(first if beta == 0 else [1, 1, 1], [1, 1, 1], rtol=1e-6)


def test_the_effective_number_lies_between_equal_weights_and_balanced_ones():
    labels = np.array([0] * 90 + [1] * 10)
    ratios = [
        weights[-1] / weights[0]
        for value in (EffectiveNumber(0.5), "effective_number", EffectiveNumber(0.99999), "balanced")
        for weights in [weights_of(value, labels, ())]
    ]
    assert ratios == sorted(ratios)
    assert ratios[2] == pytest.approx(9, rel=1e-2)
    np.testing.assert_array_equal(
        weights_of("effective_number", labels, ()), weights_of(EffectiveNumber(0.99), labels, ())
    )


def test_weights_by_class_are_what_is_written_and_1_for_the_others():
    recipe = Recipe("MobileNet", class_weight={"dog": 0.5, "ant": 2, "bee": 1})
    np.testing.assert_array_equal(
        weights_of(recipe.class_weight, np.array([0, 1, 2, 3]), ["ant", "bee", "cat", "dog"]), [2, 1, 1, 0.5]
    )
    assert recipe.to_dict()["class_weight"] == {"by_class": {"ant": 2.0, "dog": 0.5}}
    assert "weights ant: 2; dog: 0.5" in recipe.summary()
    assert Recipe("MobileNet", class_weight={"dog": 1.0}) == Recipe("MobileNet")
    assert Recipe("MobileNet", class_weight=EffectiveNumber(0.99)).summary().count("effective_number 0.99 weights") == 1


@pytest.mark.parametrize("weight", [0, -1, 1e-300, float("nan"), "2", 1001])
def test_a_weight_is_a_number_that_weighs_something(weight):
    with pytest.raises(UserError, match=r"^class_weight\['dog'\]=.* must be a number, 0\.001 or more and at most 1000"):
        Recipe("MobileNet", class_weight={"dog": weight})


def test_a_class_that_is_not_there_is_refused_with_the_nearest(tmp_path):
    weighting = Recipe("MobileNet", class_weight={"Dog": 2}).class_weight
    check_classes(weighting, ("Dog", "cat"), tmp_path)
    check_classes("balanced", ("dog", "cat"), tmp_path)
    with pytest.raises(UserError, match=r"a class in class_weight='Dog' is not known\. Did you mean 'dog'\?"):
        check_classes(weighting, ("dog", "cat"), tmp_path)


def test_beta_is_below_1():
    with pytest.raises(UserError, match="EffectiveNumber beta=1 must be below 1"):
        EffectiveNumber(1)
