"""Every oracle, retold from the journal, goes on exactly as if it had not been interrupted."""

import subprocess
import sys

import pytest

from search.journal.events import TrialEvent
from search.journal.history import History
from search.journal.outcomes import Status, Verdict
from search.oracles import (
    ORACLES,
    HyperParameters,
    ask,
    at_values,
    points,
    random_points,
    register,
    retell,
    tell,
    tell_known,
)
from search.repertoire.recipe import Recipe
from search.system.errors import UserError

RECIPE = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32)
SEED = 7


def declare(hp):
    hp.Choice("backbone", ["a", "b", "c"])
    with hp.conditional_scope("backbone", ["a", "b"]):
        hp.Int("depth", 0, 4)
    hp.Choice("policy", ["none", "color"])
    with hp.conditional_scope("policy", ["color"]):
        hp.Choice("strength", [0.3, 0.7])
    hp.Float("rate", 1e-5, 1e-2, sampling="log")


def declare_small(hp):
    hp.Choice("backbone", ["a", "b", "c"])
    with hp.conditional_scope("backbone", ["a", "b"]):
        hp.Int("depth", 0, 2)
    hp.Boolean("weights")


SMALL_POINTS = (2 * 3 + 1) * 2


def objective(values):
    """Make "b", deep, at a middling rate best; one region fails."""
    if values.get("backbone") == "c" and values.get("policy") == "none" and values["rate"] > 1e-4:
        return None
    score = 0.5 + 0.2 * (values.get("backbone") == "b") + 0.04 * (values.get("depth") or 0)
    return score - 0.05 * abs(values.get("rate", 1e-3) - 1e-3) / 1e-3


class Search:
    """The loop of the tuner without the training: what it does to an oracle and a history."""

    def __init__(self, kind, hyperparameters, history=None, lag=1):
        self.kind, self.hyperparameters, self.lag = kind, hyperparameters, lag
        self.history = history or History()
        self.oracle = retell(kind, hyperparameters, SEED, self.history, lag)

    def ask(self):
        name = f"{len(self.history.trials):04d}"
        tell_known(self.oracle, self.history, self.lag)
        values = ask(self.oracle, name)
        if values is not None:
            self.history.apply(TrialEvent(name, values, RECIPE))
        return values

    def tell(self, name):
        trial = self.history.trials[name]
        score = objective(trial.values)
        trial.verdict = Verdict(Status.FAILED if score is None else Status.COMPLETED, score, "")

    def run(self, trials):
        while len(self.history.trials) < trials:
            if self.ask() is None:
                return self
            self.tell(f"{len(self.history.trials) - 1:04d}")
        return self

    def restarted(self):
        return Search(self.kind, self.hyperparameters, self.history, self.lag)

    @property
    def proposed(self):
        return [trial.values for trial in self.history.trials.values()]


@pytest.fixture(scope="module")
def space():
    return register(declare)


@pytest.mark.parametrize(("kind", "trials"), [("tpe", 25), ("random", 25), ("bayesian", 12), ("grid", 25)])
def test_interrupted_after_every_trial_it_proposes_the_same(kind, trials, space):
    whole = Search(kind, space).run(trials)
    broken = Search(kind, space)
    for number in range(trials):
        broken = broken.restarted().run(number + 1)
    assert broken.proposed == whole.proposed
    assert len(whole.proposed) == trials


@pytest.mark.parametrize("kind", ORACLES)
def test_interrupted_during_a_trial_it_proposes_the_same(kind, space):
    whole = Search(kind, space).run(8)
    broken = Search(kind, space).run(5)
    broken.ask()
    broken = broken.restarted()
    broken.tell("0005")
    assert broken.run(8).proposed == whole.proposed


@pytest.mark.parametrize("kind", ORACLES)
def test_two_slots_ask_before_the_first_has_ended_and_can_be_retold(kind, space):
    search = Search(kind, space, lag=2)
    search.ask()
    for number in range(12):
        assert search.ask() is not None
        search.tell(f"{number:04d}")
        search = search.restarted()
    unbroken = Search(kind, space, lag=2)
    unbroken.ask()
    for number in range(12):
        unbroken.ask()
        unbroken.tell(f"{number:04d}")
    assert search.proposed == unbroken.proposed
    names = [tuple(sorted(values.items())) for values in search.proposed]
    assert len(set(names)) == len(names) >= 12


@pytest.mark.parametrize("kind", ORACLES)
def test_a_small_space_is_exhausted_without_repeats_or_gaps(kind):
    search = Search(kind, register(declare_small)).run(100)
    names = {tuple(sorted(values.items())) for values in search.proposed}
    assert len(names) == len(search.proposed) == SMALL_POINTS
    assert search.ask() is None
    assert search.restarted().ask() is None


@pytest.mark.parametrize("kind", ORACLES)
def test_a_space_of_one_point_is_one_trial(kind):
    assert Search(kind, register(lambda hp: None)).run(5).proposed == [{}]


@pytest.mark.parametrize("kind", ["tpe", "random", "bayesian"])
def test_another_seed_is_another_search(kind, space):
    first = retell(kind, space, 1, History())
    second = retell(kind, space, 2, History())
    assert ask(first, "0000") != ask(second, "0000")


def test_inactive_values_are_not_proposed(space):
    for values in Search("tpe", space).run(25).proposed:
        assert ("strength" in values) == (values["policy"] == "color")
        assert ("depth" in values) == (values["backbone"] != "c")


def test_tpe_finds_the_good_region(space):
    proposed = Search("tpe", space).run(40).proposed
    late = [objective(values) or 0 for values in proposed[25:]]
    early = [objective(values) or 0 for values in proposed[:8]]
    assert sum(late) / len(late) > sum(early) / len(early) + 0.05


def test_a_journal_that_this_oracle_would_not_have_written_is_refused(space):
    search = Search("grid", space).run(3)
    search.history.trials["0001"].values["rate"] = 0.5
    with pytest.raises(UserError, match=r"0001.*another version of Keras Tuner"):
        search.restarted()


def test_many_failures_in_a_row_are_no_end(space):
    oracle = retell("random", space, SEED, History())
    for number in range(12):
        assert ask(oracle, f"{number:04d}") is not None
        tell(oracle, f"{number:04d}", None)


def test_no_file_is_written(space, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Search("random", space).run(3)
    assert list(tmp_path.iterdir()) == []


def test_a_hidden_hyperparameter_is_refused():
    def hidden(hp):
        if hp.Choice("policy", ["none", "color"]) == "color":
            hp.Float("strength", 0, 1)

    with pytest.raises(UserError, match=r"'strength' appears only at some points.*conditional_scope"):
        register(hidden)


def test_points_lists_active_values_only():
    assert len(list(points(register(declare_small)))) == SMALL_POINTS
    assert all(("depth" in point) == (point["backbone"] != "c") for point in points(register(declare_small)))


def test_at_values_gives_back_what_was_proposed(space):
    values = Search("random", space).run(1).proposed[0]
    hp = at_values(space, values)
    declare(hp)
    assert hp.values == values


def test_random_points_differ_and_repeat_with_the_seed(space):
    first = [point.values for point in random_points(space, 5, seed=1)]
    assert first == [point.values for point in random_points(space, 5, seed=1)]
    assert len({str(values) for values in first}) == 5
    assert isinstance(next(random_points(space, 1, seed=1)), HyperParameters)


def test_what_is_left_is_drawn_from_the_whole_space(space):
    """Not from the front of a list: each value of the first hyperparameter has its chance."""
    oracle = retell("random", space, SEED, History())
    drawn = {oracle._untried(seed)["backbone"] for seed in range(40)}
    assert drawn == {"a", "b", "c"}


def test_one_name_with_two_ranges_is_refused():
    def twice(hp):
        hp.Choice("x", [0.0, 0.1])
        hp.Choice("x", [0.5, 0.6])

    with pytest.raises(UserError, match="'x' is declared twice"):
        register(twice)
    register(lambda hp: [hp.Choice("x", [0.0, 0.1]) for _ in range(2)])


def test_deprecated_calls_of_keras_tuner_are_no_errors_of_ours():
    told = "from search.oracles import ORACLES, HyperParameters, ask; hp = HyperParameters(); hp.Choice('a', [1, 2]); "
    command = [sys.executable, "-W", "error::DeprecationWarning", "-c", told + "assert ask(ORACLES['tpe'](hp, 1), '0')"]
    assert subprocess.run(command, check=False).returncode == 0
