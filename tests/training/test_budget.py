"""The hours of a session, by a clock that is handed in: what is begun, what is left out, and when it is over."""

from dataclasses import replace

import pytest
from kit.machines import RULES, Machine, plan, space

from search.journal.events import TrialEvent
from search.journal.outcomes import JobKind
from search.racing import Job
from search.system.signals import TimeUpError
from search.training.budget import SECONDS_TO_REPORT, Budget
from search.training.timing import Timing

pytestmark = pytest.mark.quick

SAMPLE = space([0, 1])
TRIALS = 24


class Sitting:
    """A session of a search on a made-up machine, which asks its budget before each trial."""

    def __init__(self, hours, rules=RULES, machine=None, spent=0.0):
        self.machine = machine or Machine(plan(SAMPLE, rules))
        self.began = self.machine.now
        now = lambda: self.machine.now  # noqa: E731
        self.budget = Budget(self.machine.plan, self.machine.history, TRIALS, now, hours, spent=spent)

    def run(self, recipes):
        """Do trials in their order while the budget admits them; return how many, and the seconds that they took."""
        begun = len(self.machine.history.trials)
        for number, recipe in enumerate(recipes[begun:], start=begun):
            if not self.budget.admits(recipe):
                break
            before = set(self.machine.history.trials)
            self.machine.do(f"{number:04d}", recipe)
            (name,) = set(self.machine.history.trials) - before
            self.budget.note(Job(name, 1, recipe, ("f0",)), self.machine.history.trials[name].stages)
        return len(self.machine.history.trials) - begun, self.machine.now - self.began


RECIPES = space([0, 1], TRIALS, seed=9)
WHOLE = Sitting(None).run(RECIPES)[1] / 3600  # the hours of all trials


def test_without_hours_everything_is_begun():
    sitting = Sitting(None)
    assert sitting.run(RECIPES)[0] == TRIALS
    sitting.budget.check()
    assert (sitting.budget.left_out, sitting.budget.is_spent) == (0, False)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.8])
def test_what_is_begun_ends_in_time_and_uses_most_of_it(part):
    sitting = Sitting(WHOLE * part)
    trials, seconds = sitting.run(RECIPES)
    assert (0.6 if part >= 0.5 else 0.3) * WHOLE * part * 3600 < seconds < WHOLE * part * 3600
    assert 0 < trials < TRIALS
    assert sitting.budget.left_out == TRIALS - trials
    assert f"{TRIALS - trials} of {TRIALS} trials were not begun" in sitting.budget.reason
    sitting.budget.check()


def test_once_a_trial_does_not_fit_no_other_is_begun():
    sitting = Sitting(WHOLE * 0.5)
    sitting.run(RECIPES)
    cheap = replace(RECIPES[0], dropout=0.5)  # like one that is done, and nothing of it has to be made
    fresh = Budget(sitting.machine.plan, sitting.machine.history, TRIALS, lambda: sitting.machine.now, WHOLE)
    assert fresh.admits(cheap)
    assert not sitting.budget.admits(cheap)


def test_another_session_goes_on_with_the_trials_that_were_left_out():
    first = Sitting(WHOLE * 0.5)
    begun, _ = first.run(RECIPES)
    second = Sitting(WHOLE, machine=first.machine)
    assert second.run(RECIPES)[0] == TRIALS - begun
    assert list(first.machine.history.trials) == [f"{number:04d}" for number in range(TRIALS)]


def test_what_comes_at_the_end_is_counted_in():
    numbers = [
        Sitting(WHOLE * 0.6, replace(RULES, **fields)).run(RECIPES)[0]
        for fields in ({}, {"confirm": 3}, {"confirm": 3, "holdout": True})
    ]
    assert numbers[0] > numbers[1] >= numbers[2] > 0


def test_the_first_trial_begins_and_the_next_to_the_second():
    sitting = Sitting(1e-4)
    assert sitting.run(RECIPES)[0] == 1
    machine = sitting.machine
    seconds = Timing(machine.history, machine.plan, pace=machine.passing.pace).of_trial(RECIPES[1]) + SECONDS_TO_REPORT
    assert Sitting((seconds + 0.1) / 3600, machine=machine).budget.admits(RECIPES[1])
    assert not Sitting((seconds - 0.1) / 3600, machine=machine).budget.admits(RECIPES[1])


def test_time_that_the_session_has_had_already_is_gone():
    assert Sitting(WHOLE * 0.5, spent=WHOLE * 0.3 * 3600).run(RECIPES)[0] < Sitting(WHOLE * 0.5).run(RECIPES)[0]


def test_open_trials_are_counted_in():
    sitting = Sitting(None)
    sitting.run(RECIPES[:6])
    history, now = sitting.machine.history, sitting.machine.now
    timing = Timing(history, sitting.machine.plan, pace=sitting.machine.passing.pace)
    hours = (2.5 * timing.of_trial(SAMPLE[0]) + SECONDS_TO_REPORT) / 3600
    assert Budget(sitting.machine.plan, history, TRIALS, lambda: now, hours).admits(SAMPLE[0])
    for number in (6, 7):
        history.apply(TrialEvent(f"{number:04d}", {}, SAMPLE[0]))
    assert not Budget(sitting.machine.plan, history, TRIALS, lambda: now, hours).admits(SAMPLE[0])


def test_when_the_time_is_up_the_session_ends():
    sitting = Sitting(0.5)
    sitting.machine.now += 1800
    sitting.budget.check()
    sitting.machine.now += 0.1
    with pytest.raises(TimeUpError, match=r"The time is up: --hours 0\.5 have passed") as error:
        sitting.budget.check()
    assert isinstance(error.value, KeyboardInterrupt)


def test_the_time_left_goes_down_with_the_clock_and_is_not_longer_than_the_hours():
    sitting = Sitting(None)
    assert sitting.budget.seconds_left() is None
    sitting.run(RECIPES[:6])
    left = sitting.budget.seconds_left()
    sitting.machine.now += 5
    assert sitting.budget.seconds_left() == pytest.approx(left - 5)
    sitting.machine.now += 10 * left
    assert sitting.budget.seconds_left() == 0
    short = Sitting(0.01, machine=sitting.machine)
    assert short.budget.seconds_left() == pytest.approx(36)


def test_help_with_the_images_of_another_job_says_nothing_of_the_pace():
    sitting = Sitting(None)
    for at in range(3):
        sitting.machine.now = 100.0 * at
        sitting.budget.note(Job("0000", 1, SAMPLE[0], (), JobKind.HELP), {"views": 1.0})
    assert sitting.budget._passing.pace == 1.0
