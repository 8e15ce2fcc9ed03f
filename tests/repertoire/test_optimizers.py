"""Every optimizer takes the same steps in both its forms, and begins anew where its variables are zero."""

import numpy as np
import pytest

from search.repertoire.optimizers import OPTIMIZERS
from search.system.tf import keras, tf
from search.training.trainer import set_up

set_up(2)
STEPS, HEADS = 20, 2
NAMES = {"kernel": (5, 3), "gamma": (3,), "beta": (3,), "bias": (3,)}


def normal(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def slopes(step, name):
    return normal((HEADS, *NAMES[name]), 100 * step + sorted(NAMES).index(name)) * 10 ** (step % 3)


def rate(step):
    return np.float32(0.1 / (1 + step))


def steps_by_keras(optimizer, head, decay):
    """Take the steps of one head; return its variables after them, by name."""
    variables = [keras.Variable(normal((HEADS, *shape), 7)[head], name=name) for name, shape in NAMES.items()]
    if not optimizer.built:
        optimizer.build(variables)
    for variable in optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    optimizer.weight_decay.assign(decay)
    for step in range(STEPS):
        optimizer.learning_rate.assign(rate(step))
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
                *state, rate(step), np.float32(step + 1), decay if variable == "kernel" else 0.0
            )
            assert len(moments[variable]) == OPTIMIZERS[name].moments
    for head in range(HEADS):
        for variable, value in steps_by_keras(OPTIMIZERS[name].keras(), head, decay).items():
            assert not np.allclose(value, normal((HEADS, *NAMES[variable]), 7)[head], atol=0.01)
            np.testing.assert_allclose(values[variable][head], value, rtol=1e-5, atol=1e-6, err_msg=variable)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_whose_variables_are_zero_begins_anew(name, monkeypatch):
    used, new = OPTIMIZERS[name].keras(), OPTIMIZERS[name].keras()
    variables = [keras.Variable(normal((HEADS, *shape), 7)[0], name=name) for name, shape in NAMES.items()]
    used.build(variables)
    for decay in (0.5, 0.1):
        for variable in used.variables:
            variable.assign(keras.ops.zeros_like(variable))
        used.weight_decay.assign(decay)
        for variable in variables:
            variable.assign(normal((HEADS, *NAMES[variable.name]), 7)[0])
        for step in range(STEPS):
            used.learning_rate.assign(rate(step))
            used.apply([tf.constant(slopes(step, variable.name)[0]) for variable in variables], variables)
    for variable, value in steps_by_keras(new, 0, 0.1).items():
        (again,) = (other.numpy() for other in variables if other.name == variable)
        np.testing.assert_array_equal(again, value)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_row_stands_under_its_own_name(name):
    assert OPTIMIZERS[name].name == name
