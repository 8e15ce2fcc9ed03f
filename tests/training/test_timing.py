"""How long the rest of a search takes: fitted to its jobs on a made-up machine, whose true times are known."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from kit.machines import FOLDS, OF_BACKBONES, RATIOS, RULES, SPEED, Machine, plan, space

from search.journal.events import JobEvent, TrialEvent, VerdictEvent
from search.journal.history import History
from search.journal.outcomes import Run, Status, Verdict
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.training.cost import trained
from search.training.timing import (
    BODIES,
    HEADS,
    RACED_SHARE,
    RACED_WEIGHT,
    Observation,
    Passing,
    Ratios,
    Timing,
    path_of,
)

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("depths", [[0], [0, 1, 2], [2]], ids=["heads", "mixed", "bodies"])
def test_after_four_trials_the_time_left_is_within_30_percent_on_average(depths):
    """A search of 24 trials, of which four are done, over 20 draws of these trials."""
    errors = []
    for seed in range(20):
        machine = Machine(plan(space(depths)), seed)
        recipes = space(depths, 24, seed=100 + seed)
        for number, recipe in enumerate(recipes[:4]):
            machine.do(f"{number:04d}", recipe)
        left = Timing(machine.history, machine.plan, pace=machine.passing.pace).left(20)
        actual = sum(machine.do(f"{number:04d}", recipe) for number, recipe in enumerate(recipes[4:], start=4))
        errors.append(left.seconds / actual - 1)
    assert abs(np.median(errors)) < 0.2
    assert np.mean(np.abs(errors)) < 0.3


def test_a_trial_like_one_that_is_done_is_known_well():
    recipe = Recipe("MobileNet_0.25", unfrozen_blocks=1, image_size=96, epochs=10)
    machine = Machine(plan([recipe]))
    machine.do("0000", recipe)
    again = replace(recipe, dropout=0.4)
    expected = Timing(machine.history, machine.plan).of_trial(again)
    assert expected == pytest.approx(machine.do("0001", again), rel=0.15)


def test_what_is_stored_and_built_need_not_be_made_again():
    recipe = Recipe("MobileNet_0.25", image_size=96, augment=Augment("color"))
    machine = Machine(plan([recipe]))
    first = Timing(machine.history, machine.plan).of_trial(recipe)
    machine.do("0000", recipe)
    timing = Timing(machine.history, machine.plan)
    assert timing.of_trial(replace(recipe, dropout=0.4)) < first / 2
    assert timing.of_trial(replace(recipe, image_size=64)) > timing.of_trial(replace(recipe, dropout=0.4))


def test_ratios_lean_on_what_is_like_them():
    path, other = ("train", HEADS, "A"), ("train", HEADS, "B")
    assert Ratios([], 3.0).of(path) == 3.0
    few = Ratios([Observation(path, 10.0, 60.0)])
    assert 1 < few.of(("views", BODIES, "A")) < few.of(other) < few.of(path) < 6
    many = Ratios([Observation(path, 10.0, 60.0)] * 50 + [Observation(other, 10.0, 20.0)] * 50)
    assert many.of(path) == pytest.approx(6, rel=0.05)
    assert many.of(other) == pytest.approx(2, rel=0.05)
    assert many.of(("train", HEADS, "C")) == pytest.approx(4, rel=0.05)


def test_what_costs_nothing_by_the_estimate_has_the_ratio_of_what_is_like_it():
    ratios = Ratios([Observation(("views", HEADS, "A"), 0.0, 1.0), Observation(("train", HEADS, "A"), 1.0, 2.0)])
    assert ratios.of(("views", HEADS, "A")) == ratios.of(("views",)) == ratios.of(())


def test_baselines_open_trials_and_what_comes_at_the_end_are_counted():
    sample = space([0, 1])
    machine = Machine(plan(sample))
    for number, recipe in enumerate(space([0, 1], 6, seed=5)):
        machine.do(f"{number:04d}", recipe)
    history = machine.history

    def left(trials=0, rules=RULES, **fields):
        return Timing(history, plan(sample, rules, **fields)).left(trials)

    assert left().seconds == 0
    assert left(8).trials > left(4).trials > 0
    assert left(baselines={"all": sample[0]}).trials > 0
    assert left(rules=replace(RULES, confirm=2)).afterwards > left(rules=replace(RULES, confirm=1)).afterwards > 0
    assert left(rules=replace(RULES, holdout=True)).afterwards > 0
    history.apply(TrialEvent("0006", {}, sample[1]))
    assert left().trials == pytest.approx(Timing(history, plan(sample)).of_trial(sample[1]))


def test_before_the_first_trial_what_comes_at_the_end_is_that_of_the_space():
    rules = replace(RULES, confirm=2, holdout=True)
    both = Timing(History(), plan(space([0, 1]), rules)).afterwards()
    assert both > Timing(History(), plan(space([0, 1]), replace(rules, confirm=0))).afterwards() > 0


def test_racing_shortens_bodies_alone_and_by_what_it_has_stopped():
    body = Recipe("MobileNet_0.25", unfrozen_blocks=1, image_size=64, epochs=10)
    head = Recipe("MobileNet_0.25", image_size=64, epochs=10)
    rules = replace(RULES, racing=True)
    machine = Machine(plan([body, head], rules))
    for number in range(4):
        machine.do(f"{number:04d}", replace(body, dropout=number / 10))
    raced, unraced = (Timing(machine.history, plan([body], each)) for each in (rules, RULES))
    new = replace(body, dropout=0.5)
    assert raced.of_trial(new) < unraced.of_trial(new)
    assert raced.of_trial(head) == unraced.of_trial(head)
    # Three runs keep 1.5 of two workers busy, two runs both, and one run one.
    assert raced.of_trial(new) / unraced.of_trial(new) == pytest.approx(RACED_SHARE * 1.5 / 2, rel=0.01)
    for number in range(4, 16):
        trial, recipe = f"{number:04d}", replace(body, dropout=0.5 + number / 100)
        machine.history.apply(TrialEvent(trial, {}, recipe))
        seconds = trained(recipe, [FOLDS["f0"]], SPEED) * RATIOS["train"] * OF_BACKBONES["MobileNet_0.25"]
        runs = (Run("f0", {"accuracy": 0.2}, seconds, {}, "", ""),)
        machine.history.apply(JobEvent(trial, 1, "", "", runs, {"train": seconds, "rest": 0.1}))
        machine.history.apply(VerdictEvent(trial, Verdict(Status.STOPPED, 0.2, "")))
    raced, unraced = (Timing(machine.history, plan([body], each)) for each in (rules, RULES))
    share = (12 / 3 + RACED_SHARE * RACED_WEIGHT) / (12 + RACED_WEIGHT)  # one of three runs, each time
    assert raced.of_trial(new) == pytest.approx(share * unraced.of_trial(new) * 1.5, rel=0.01)


def test_more_open_trials_keep_more_workers_busy():
    head, body = Recipe("MobileNet_0.25"), Recipe("MobileNet_0.25", unfrozen_blocks=1)
    plans = [plan([head, body], replace(RULES, lag=lag)) for lag in (1, 2, 8)]
    widths = [(each.width(head, 3), each.width(body, 3)) for each in plans]
    assert widths == [(1.0, 1.5), (2.0, 2.0), (2.0, 2.0)]
    assert path_of("train", head) == ("train", HEADS, "MobileNet_0.25")
    assert path_of("train", body)[1] == BODIES


def test_the_pace_is_that_of_the_time_that_passed():
    passing = Passing()
    assert passing.pace == 1.0
    for at in itertools.accumulate([20.0] * 50, initial=100.0):
        passing.note(at, 20.0, 2.0)
    assert passing.pace == pytest.approx(2.0, rel=0.05)
    assert Passing().pace == 1.0
