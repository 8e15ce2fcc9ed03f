"""What the statistics promise holds in searches whose truth is known; ``simulate.py`` says of what kind.

The default tier looks at some, the slow one at all of them: pytest -m slow tests/stats.
"""

import functools

import numpy as np
import pytest
from finishing import FINISHING, finishing_fare
from simulate import DRAWS, EFFECTS, LARGE, MAIN, NEAR, NULL, SMALL, STRESS, World, effects_fare, fare, recipes, study

told = functools.cache(fare)
FEW, MANY = 20, 100  # searches
HALF = DRAWS // 2  # without the slow tier; it moves a corrected score by 0.2 points, where a search has 0.9 to 1.3
POINTS = 1.2
UNSEEN = STRESS[-1]  # its training set suits some recipes, all folds alike: no resampling of it can show that


def test_the_truth_is_how_often_new_images_are_right(rng):
    truth = recipes(rng, 6)
    world = World(images=400, noise=0.1)
    cells = np.mean([study(rng, world, truth).cells.mean(axis=2) for _ in range(60)], axis=0)
    assert cells == pytest.approx(truth, abs=0.012)


def test_racing_leaves_complete_trials_and_stopped_ones(rng):
    found = effects_fare(SMALL, 20, 3)
    assert 0.3 < found.stopped < 0.8


@pytest.mark.parametrize("case", [MAIN[1], STRESS[1]], ids=str)
def test_limits_and_the_corrected_winner(case):
    found = told(*case, FEW, draws=HALF)
    assert found.covered >= 0.93
    assert found.raw > 2
    assert abs(found.corrected) < 2.0  # a standard error of 0.9 (MAIN) and 1.3 points (STRESS)
    assert found.limits >= 0.9
    assert found.holds_best >= 0.9


def test_drawing_images_leaves_the_luck_of_trainings():
    found = told(*STRESS[1], FEW, draws=HALF)
    assert found.by_images > 2.5 > abs(found.corrected)


def test_nothing_is_better_among_equals():
    assert told(*NULL[1], FEW, draws=HALF).false_better <= 0.05


def test_effects_under_racing_are_covered():
    found = effects_fare(LARGE, 40, 12)
    assert found.covered >= 0.9
    assert 0.4 <= found.stopped <= 0.75


def test_finishing_hopeless_trials_buys_nothing():
    found = finishing_fare(8, 0.35, FEW, draws=HALF)
    assert found.runs < found.runs_all - 0.05
    assert found.corrected == pytest.approx(found.corrected_all, abs=0.3)
    assert found.limits >= found.limits_all - 0.06  # one search of twenty


@pytest.mark.slow
@pytest.mark.parametrize("case", FINISHING, ids=str)
def test_finishing_in_many_searches(case):
    found = finishing_fare(*case, MANY)
    assert found.runs <= found.runs_all
    assert found.corrected == pytest.approx(found.corrected_all, abs=0.2)
    assert found.limits >= found.limits_all - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("case", [*MAIN, *STRESS[:-1]], ids=str)
def test_all_of_it_in_many_searches(case):
    found = told(*case, MANY)
    assert found.covered >= 0.93
    assert abs(found.corrected) < POINTS
    assert abs(found.full_corrected) < POINTS
    assert found.limits >= (0.93 if case[0].folds > 3 else 0.9)  # a miss: .92 with three folds, too few to draw from
    assert found.full_limits >= 0.93
    assert found.holds_best >= 0.95
    assert found.false_better < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("case", NEAR, ids=str)
def test_limits_that_are_cut_in_many_searches(case):
    """Scores near 1, where a quarter to nine tenths of the limits would lie beyond it."""
    *how, mean = case
    found = told(*how, MANY, mean=mean)
    assert found.covered >= 0.93
    assert found.limits >= 0.93
    assert found.full_limits >= 0.93
    assert abs(found.corrected) < POINTS
    assert found.corrected <= found.drawn
    assert found.false_better <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("case", NULL, ids=str)
def test_equals_in_many_searches(case):
    """In hundreds of searches each .005 to .04 (seed 77); in the hundred here the unsteady ones have five."""
    found = told(*case, MANY)
    assert found.covered >= 0.93
    assert found.false_better <= 0.05
    assert abs(found.corrected) < POINTS


@pytest.mark.slow
def test_what_this_data_set_does_for_a_recipe_is_not_corrected():
    """A miss: the winner stays about 2.6 points too high (raw 5.4) where a data set suits some recipes by chance.

    Of equal recipes one is then called better in 40 % of searches: on these training images it is.
    Folds share most of their training images, so no resampling of these can show it; new ones would.
    It can be seen in no recording.
    """
    found = told(*UNSEEN, MANY)
    assert found.covered >= 0.93
    assert 0.5 < found.corrected < 3.5 < found.raw
    world, trials, _ = UNSEEN
    assert 0.2 < told(world, trials, 0, 50).false_better < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("case", EFFECTS, ids=str)
def test_effects_in_many_searches(case):
    _, space, trials = case
    found = effects_fare(space, trials, 100)
    assert found.covered >= 0.93
    assert abs(found.lead) < 0.5
    assert found.false_alarms <= 0.05
