"""Backbones that compute in smaller numbers: real fits on processors, where float16 is slow and as right."""

import dataclasses

import numpy as np
import pytest
from kit.runs import materials, run, small

from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.precision import BFLOAT16, FLOAT16, FLOAT32, PRECISIONS
from search.system.tf import keras, tf
from search.training.precision import FIRST_SCALE, STEPS_TO_GROW, LossScale, gain
from search.training.trainer import Trainer, set_up

set_up(2)
HEAD = Recipe("Embedded", image_size=32, epochs=3)
BODY = Recipe("Embedded", 1, image_size=32, epochs=3, learning_rate=1e-3)
NET = small(epochs=4)
MIXED = (BFLOAT16, FLOAT16)


@pytest.fixture
def stuff(shapes, tmp_path):
    return materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,), weights=("Embedded",))


def trainer(stuff, precision):
    return Trainer(dataclasses.replace(stuff, precision=precision))


@pytest.mark.parametrize("recipe", [HEAD, BODY, NET], ids=["head", "body", "from scratch"])
def test_mixed_precision_trains_nearly_what_float32_trains(stuff, recipe):
    (exact,) = run(trainer(stuff, FLOAT32), recipe, "f0")
    for precision in MIXED:
        (result,) = run(trainer(stuff, precision), recipe, "f0")
        assert result.probabilities.dtype == np.float32
        assert np.abs(result.probabilities - exact.probabilities).max() < 0.05
        assert (result.probabilities != exact.probabilities).any()  # it is another precision indeed
        np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-6)
        assert result.curve[-1, 0] < result.curve[0, 0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_backbones_compute_in_the_precision_and_all_else_in_float32(stuff, precision):
    mixed = trainer(stuff, precision)
    for recipe in (BODY, NET):
        run(mixed, dataclasses.replace(recipe, epochs=1), "f0")
        network = mixed._network(shape_of(recipe)).network
        convolutions = [layer for layer in network.body.layers if hasattr(layer, "convolution")]
        convolutions = [layer.convolution for layer in convolutions] or network.body.layers
        computes = {each.compute_dtype for each in convolutions if isinstance(each, keras.layers.Conv2D)}
        assert computes == {PRECISIONS[precision].computes}
        assert {layer.compute_dtype for layer in network.head} == {"float32"}
        assert {variable.dtype for variable in (*network.body.weights, *network.head_variables)} == {"float32"}
        assert network.logits(np.zeros((2, *network.row_shape), np.uint8), training=False).dtype == tf.float32
        assert (network.loss_scale is not None) == (precision == FLOAT16)
    assert keras.config.dtype_policy().name == FLOAT32  # of what is made elsewhere


def test_runs_in_mixed_precision_repeat_to_the_last_bit_whatever_came_before(stuff):
    (first,) = run(trainer(stuff, FLOAT16), NET, "f0")
    again = trainer(stuff, FLOAT16)
    run(again, NET, "f1")
    again._network(shape_of(NET)).network.loss_scale._scale.assign(4.0)
    (second,) = run(again, NET, "f0")
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


def test_stored_activations_of_two_precisions_are_kept_apart(stuff):
    for precision in PRECISIONS:
        run(trainer(stuff, precision), HEAD, "f0")
    assert len(list((stuff.cache / "activations").iterdir())) == len(PRECISIONS)


def test_a_loss_scale_gives_way_to_infinite_gradients_and_grows_without_them():
    scale, weight = LossScale(), tf.Variable(1.0)

    @tf.function
    def step(gradient):
        scale.apply([gradient], lambda gradients: weight.assign_sub(gradients[0]))

    step(tf.constant(np.inf))
    assert (float(weight), float(scale.value)) == (1.0, FIRST_SCALE / 2)  # no step was taken
    step(tf.constant(0.5 * FIRST_SCALE / 2))
    assert float(weight) == 0.5  # by the gradient of the loss itself
    for _ in range(STEPS_TO_GROW - 1):
        step(tf.constant(0.0))
    assert float(scale.value) == FIRST_SCALE
    step(tf.constant(np.nan))
    scale.reset()
    assert (float(scale.value), float(weight)) == (FIRST_SCALE, 0.5)


def test_the_gain_of_bfloat16_is_measured():
    assert 0.001 < gain(0.05) < 1000
