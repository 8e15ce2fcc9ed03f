"""Every schedule gives each step a learning rate, never above the recipe's."""

import numpy as np
import pytest

from search.repertoire.recipe import Recipe
from search.repertoire.schedules import SCHEDULES


def recipe(**fields):
    return Recipe("SmallCNN", unfrozen_blocks=None, **fields)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 30), (2, 1), (15, 7), (300, 1)])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_gives_every_step_a_rate(name, epochs, steps):
    rates = SCHEDULES[name].rates(recipe(epochs=epochs, learning_rate=0.01), steps)
    assert rates.shape == (epochs, steps)
    assert rates.dtype == np.float32
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert 0 < rates.max() <= np.float32(0.01)
    np.testing.assert_allclose(
        SCHEDULES[name].rates(recipe(epochs=epochs, learning_rate=0.1), steps), 10 * rates, rtol=1e-5
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_row_stands_under_its_own_name(name):
    assert SCHEDULES[name].name == name


def test_cosine_rates_warm_up_and_fall_to_zero():
    rates = SCHEDULES["cosine"].rates(recipe(epochs=10, learning_rate=0.1), 20)
    assert rates.shape == (10, 20)
    flat = rates.ravel()
    assert flat.max() == pytest.approx(0.1, rel=1e-3)
    assert flat[0] < 0.01
    assert flat[-1] < 0.001
    peak = flat.argmax()
    assert (np.diff(flat[:peak]) > 0).all()
    assert (np.diff(flat[peak + 1 :]) < 0).all()
    assert np.isfinite(SCHEDULES["cosine"].rates(recipe(epochs=1), 1)).all()
