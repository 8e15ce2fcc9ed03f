"""Every schedule gives each step a learning rate, never above the recipe's."""

import json

import numpy as np
import pytest

from search.oracles.values import label_of
from search.repertoire.columns import factors_of
from search.repertoire.recipe import Recipe
from search.repertoire.schedules import LOWER, SCHEDULES, Schedule, rates_of
from search.system.errors import UserError
from search.system.tf import keras

NO_LOSSES = np.zeros(0, np.float32)
PARAMETERS = [
    Schedule("cosine", warm_up=0.3),
    Schedule("step", factor=0.5, epochs=2),
    Schedule("exponential", factor=0.8, epochs=2),
    Schedule("exponential", steps=10_000),
    Schedule("plateau", factor=0.3, patience=1),
]


def recipe(**fields):
    return Recipe("SmallCNN", unfrozen_blocks=None, **fields)


def rates(schedule, epochs=10, steps=4, rate=0.1):
    return SCHEDULES[Schedule(schedule).name if isinstance(schedule, str) else schedule.name].rates(
        recipe(epochs=epochs, learning_rate=rate, schedule=schedule), steps
    )


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 30), (2, 1), (15, 7), (300, 1)])
@pytest.mark.parametrize("schedule", [*SCHEDULES, *PARAMETERS], ids=str)
def test_a_schedule_gives_every_step_a_rate(schedule, epochs, steps):
    every = rates(schedule, epochs, steps, 0.01)
    assert every.shape == (epochs, steps)
    assert every.dtype == np.float32
    assert np.isfinite(every).all()
    assert every.min() >= 0
    assert 0 < every.max() <= np.float32(0.01)
    np.testing.assert_allclose(rates(schedule, epochs, steps, 0.1), 10 * every, rtol=1e-5, atol=1e-30)
    one = recipe(epochs=epochs, learning_rate=0.01, schedule=schedule)
    falling = np.linspace(2, 1, epochs).astype(np.float32)
    for epoch in {0, epochs - 1}:
        now = rates_of(one, steps, falling[:epoch])
        assert now.dtype == np.float32
        np.testing.assert_array_equal(now, every[epoch])


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_row_stands_under_its_own_name(name):
    assert SCHEDULES[name].name == name


@pytest.mark.parametrize("warm_up", [0.0, 0.1, 0.5])
def test_cosine_rates_warm_up_and_fall_to_zero(warm_up):
    flat = rates(Schedule("cosine", warm_up=warm_up), 10, 20).ravel()
    assert flat.max() == pytest.approx(0.1, rel=1e-3)
    assert flat[-1] < 0.001
    peak = flat.argmax()
    assert peak == pytest.approx(200 * warm_up, abs=1)
    assert (np.diff(flat[:peak]) > 0).all()
    assert (np.diff(flat[peak + 1 :]) < 0).all()
    assert np.isfinite(rates("cosine", 1, 1)).all()


def test_a_step_comes_after_so_many_epochs():
    every = rates(Schedule("step", factor=0.5, epochs=3), 7, 2)
    np.testing.assert_allclose(every, np.repeat([[0.1], [0.1], [0.1], [0.05], [0.05], [0.05], [0.025]], 2, axis=1))
    assert (rates("constant") == np.float32(0.1)).all()


@pytest.mark.parametrize(
    ("schedule", "span"), [(Schedule("exponential", steps=25, factor=0.9), 25), (Schedule("exponential", epochs=2), 8)]
)
def test_exponential_rates_are_those_of_keras(schedule, span):
    keras_rates = keras.optimizers.schedules.ExponentialDecay(0.1, span, 0.9)
    expected = [float(keras_rates(step)) for step in range(40)]
    np.testing.assert_allclose(rates(schedule).ravel(), expected, rtol=1e-5)


def test_rates_after_a_plateau_are_those_of_keras():
    """Keras' own callback on the same losses: those that fall, rise, or fall by less than counts."""
    losses = np.array([1, 0.9, 0.9 - LOWER / 2, 0.95, 0.7, 0.7, 0.8, 0.71, 0.72, 0.6, 0.9, 0.9], np.float32)
    schedule = Schedule("plateau", factor=0.5, patience=2)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    callback = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=LOWER)
    callback.set_model(model)
    callback.on_train_begin()
    one, expected, told = recipe(epochs=len(losses), learning_rate=0.1, schedule=schedule), [], []
    for epoch, loss in enumerate(losses):
        expected.append(float(model.optimizer.learning_rate))
        told.append(rates_of(one, 3, losses[:epoch]))
        callback.on_epoch_end(epoch, {"loss": float(loss)})
    np.testing.assert_allclose(told, np.repeat(np.array(expected)[:, None], 3, axis=1), rtol=1e-6)
    assert len(set(expected)) > 3


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_name_is_the_schedule_with_its_defaults(name):
    plain = recipe(schedule=name)
    assert plain.schedule == Schedule(name) == Schedule(name, **SCHEDULES[name].parameters)
    assert plain == recipe(schedule=Schedule(name))
    assert plain.to_dict().get("schedule", "cosine") == name
    assert label_of(Schedule(name)) == name


def test_the_default_is_in_no_digest():
    assert recipe(schedule="cosine") == recipe()
    assert "schedule" not in recipe(schedule="cosine").to_dict()


@pytest.mark.parametrize("schedule", PARAMETERS, ids=str)
def test_parameters_are_kept_and_said(schedule):
    one = recipe(schedule=schedule)
    assert one.digest != recipe(schedule=schedule.name).digest
    assert Recipe.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    assert schedule.words in one.summary()
    assert label_of(schedule) != label_of(schedule.name)
    assert factors_of([one, recipe()])[0]["schedule"] == [schedule.level, "cosine"]


def test_levels_and_words():
    words = [schedule.words for schedule in PARAMETERS]
    assert words == [
        "cosine schedule with a warm-up of 0.3",
        "step schedule ×0.5 every 2 epochs",
        "exponential schedule ×0.8 every 2 epochs",
        "exponential schedule ×0.9 every 10000 steps",
        "plateau schedule ×0.3 after 1 epoch",
    ]
    assert Schedule("exponential").level == "exponential ×0.9 every epoch"
    assert Schedule("plateau").level == "plateau ×0.1 after 3 epochs"
    assert (Schedule().level, Schedule("constant").words) == ("cosine", "constant schedule")


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("stp", {}, "Schedule name='stp' is not known. Did you mean 'step'?"),
        ("step", {"factor": 0}, "Schedule factor=0 must be a number, above 0 and at most 1."),
        ("step", {"epochs": 0.5}, "Schedule epochs=0.5 must be a whole number, 1 or more."),
        ("exponential", {"steps": 0}, "Schedule steps=0 must be a whole number, 1 or more."),
        ("plateau", {"patience": 0}, "Schedule patience=0 must be a whole number, 1 or more."),
        ("cosine", {"warm_up": 2}, "Schedule warm_up=2 must be a number, 0 or more and at most 1."),
        ("constant", {"factor": 0.1}, "this schedule has no factor. Leave it out; factor is for 'step', "),
        ("step", {"steps": 3}, "Schedule('step', steps=3): this schedule has no steps."),
        ("exponential", {"steps": 3, "epochs": 1}, "within epochs or within steps. Leave one out."),
    ],
)
def test_what_means_nothing_is_refused(name, parameters, words):
    with pytest.raises(UserError) as error:
        Schedule(name, **parameters)
    assert words in str(error.value)
