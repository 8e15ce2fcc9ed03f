"""Every optimizer takes the same steps in both its forms, and begins anew where its variables are zero."""

import numpy as np
import pytest

from search.repertoire.columns import briefs, factors_of, varied
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.rates import BASES, Times
from search.repertoire.recipe import Recipe
from search.system.errors import UserError
from search.system.tf import keras, tf
from search.training.trainer import set_up

set_up(2)
STEPS, HEADS = 20, 2
HIGH = {"adadelta": 100.0}  # which begins with steps of a thousandth
NAMES = {"kernel": (5, 3), "gamma": (3,), "beta": (3,), "bias": (3,)}


def normal(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def slopes(step, name):
    return normal((HEADS, *NAMES[name]), 100 * step + sorted(NAMES).index(name)) * 10 ** (step % 3)


def rate(name, step):
    """Return the rate of a step: of AdamW .1 and less, of the others what moves them as far."""
    return np.float32(HIGH.get(name, 0.1) / (1 + step))


def steps_by_keras(name, optimizer, head, decay):
    """Take the steps of one head; return its variables after them, by name."""
    variables = [keras.Variable(normal((HEADS, *shape), 7)[head], name=part) for part, shape in NAMES.items()]
    if not optimizer.built:
        optimizer.build(variables)
    for variable in optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    optimizer.weight_decay.assign(decay)
    for step in range(STEPS):
        optimizer.learning_rate.assign(rate(name, step))
        optimizer.apply([tf.constant(slopes(step, variable.name)[head]) for variable in variables], variables)
    return {variable.name: variable.numpy() for variable in variables}


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_the_same_for_a_network_and_for_heads_together(name, decay):
    values = {variable: tf.constant(normal((HEADS, *shape), 7)) for variable, shape in NAMES.items()}
    moments = {variable: (tf.zeros_like(value),) * OPTIMIZERS[name].moments for variable, value in values.items()}
    for step in range(STEPS):
        for variable in NAMES:
            state = values[variable], tf.constant(slopes(step, variable)), moments[variable]
            values[variable], moments[variable] = OPTIMIZERS[name].step(
                *state, rate(name, step), np.float32(step + 1), decay if variable == "kernel" else 0.0
            )
            assert len(moments[variable]) == OPTIMIZERS[name].moments
    for head in range(HEADS):
        for variable, value in steps_by_keras(name, OPTIMIZERS[name].keras(), head, decay).items():
            assert not np.allclose(value, normal((HEADS, *NAMES[variable]), 7)[head], atol=0.01)
            np.testing.assert_allclose(values[variable][head], value, rtol=1e-5, atol=1e-6, err_msg=variable)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_whose_variables_are_zero_begins_anew(name, monkeypatch):
    used, new = OPTIMIZERS[name].keras(), OPTIMIZERS[name].keras()
    variables = [keras.Variable(normal((HEADS, *shape), 7)[0], name=part) for part, shape in NAMES.items()]
    used.build(variables)
    for decay in (0.5, 0.1):
        for variable in used.variables:
            variable.assign(keras.ops.zeros_like(variable))
        used.weight_decay.assign(decay)
        for variable in variables:
            variable.assign(normal((HEADS, *NAMES[variable.name]), 7)[0])
        for step in range(STEPS):
            used.learning_rate.assign(rate(name, step))
            used.apply([tf.constant(slopes(step, variable.name)[0]) for variable in variables], variables)
    for variable, value in steps_by_keras(name, new, 0, 0.1).items():
        (again,) = (other.numpy() for other in variables if other.name == variable)
        np.testing.assert_array_equal(again, value)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_row_stands_under_its_own_name(name):
    assert OPTIMIZERS[name].name == name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_keras_object_is_of_the_class_that_the_name_stands_for(name):
    assert type(OPTIMIZERS[name].keras()).__name__.lower() == name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_may_be_written_as_its_class(name):
    written = type(OPTIMIZERS[name].keras()).__name__
    recipe = Recipe("MobileNet", optimizer=written)
    assert recipe.optimizer == name
    assert recipe.digest == Recipe("MobileNet", optimizer=name).digest
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_adam_has_no_weight_decay():
    adam = Recipe("MobileNet", optimizer="adam")
    assert adam.weight_decay == 0
    assert adam.digest == Recipe("MobileNet", optimizer="adam", weight_decay=0).digest
    assert Recipe.from_dict(adam.to_dict()) == adam
    with pytest.raises(
        UserError, match=r"^weight_decay=0\.3 with optimizer='Adam': this optimizer has no weight decay"
    ):
        Recipe("MobileNet", optimizer="Adam", weight_decay=0.3)
    assert Recipe("MobileNet", optimizer="sgd", weight_decay=0.3).weight_decay == 0.3
    others = [Recipe("MobileNet", optimizer=name) for name in ("adamw", "sgd")]
    words, numbers = factors_of([adam, *others])
    assert words["optimizer"] == ["adam", "adamw", "sgd"]
    assert "weight_decay" not in numbers  # which the optimizer alone decides
    assert "weight_decay" not in varied([adam, *others])


def test_a_factor_of_the_usual_rate_is_of_the_rate_of_the_optimizer():
    for name, row in OPTIMIZERS.items():
        recipe = Recipe("MobileNet", optimizer=name, learning_rate=Times(0.5))
        assert recipe.rate == 0.5 * BASES["head"] * row.rate_factor
    assert OPTIMIZERS["adamw"].rate_factor == 1


def test_clipping_is_told_only_where_a_recipe_clips():
    plain, clips = Recipe("MobileNet"), Recipe("MobileNet", clip_norm=1)
    assert "clip_norm" not in plain.to_dict()
    assert clips.to_dict()["clip_norm"] == 1.0
    assert Recipe.from_dict(clips.to_dict()) == clips
    assert clips.summary().endswith("gradients clipped at 1")
    assert factors_of([plain, clips])[0]["clip_norm"] == ["none", "1"]
    assert [briefs(one).get("clip_norm") for one in (plain, clips)] == [None, 1.0]
