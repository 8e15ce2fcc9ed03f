"""Baselines come first; at the end promising trials are finished, and the best confirmed."""

import contextlib
import functools

import pytest
from kit.scripted import Script
from kit.shapes import write_shapes

from search import KFoldTuner
from search.journal.journal import read_events
from search.journal.outcomes import CONFIRM
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.racing import cells, could_have_won, ranked, score
from search.record import read_record
from search.repertoire.baselines import SCRATCH

LUCK = 0.1  # with none, racing knows too well who is behind
SPACE = """
from search import Recipe, Study

study = Study(data="shapes", folds=4, train_fractions=(1.0, 0.5), holdout=2, max_trials=14, oracle="random", seed=13)

def space(hp):
    return Recipe("SmallCNN", None, epochs=1, learning_rate=hp.Float("learning_rate", 1e-5, 1e-2, sampling="log"))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_shapes(tmp_path / "shapes", {"across": 14, "down": 14})
    (tmp_path / "space.py").write_text(SPACE)
    return tmp_path


def made_tuner(script=None, **options):
    options = {"name": "made", "executor": "inline", "offline": True, **options}
    executors = (script or Script(luck=LUCK)).executors
    return KFoldTuner("space.py", screen=Lines(wide_console()), executors=executors, **options)


def search(script=None, **options):
    tuner = made_tuner(script, **options)
    tuner.search()
    return tuner.record


def interrupted_after(jobs):
    """Return the script that is interrupted after so many jobs."""
    script = Script(luck=LUCK)

    def plan(_job):
        if len(script.jobs) >= jobs:
            raise KeyboardInterrupt

    script.plan = plan
    return script


def events_of_trials(record):
    events = read_events(record.folder / "journal.jsonl")
    return [event for event in events if event["event"] not in ("session", "attempt", "profile", "end")]


def test_baselines_are_trained_first_and_are_no_part_of_the_budget(place):
    history = search(trials=2).history
    assert list(history.trials) == ["b0", "0000", "0001"]
    assert history.trials["b0"].baseline == SCRATCH.name
    assert history.trials["b0"].verdict.status == "completed"
    assert history.spent == 2
    assert history.end_reason == "all 2 trials are done"
    assert "b0" not in [trial.id for trial in history.proposed]


def test_baselines_can_be_left_out_and_are_not_made_up_for_later(place):
    assert list(search(trials=1, baselines=False).history.trials) == ["0000"]
    assert list(search(trials=2).history.trials) == ["0000", "0001"]


def test_the_oracle_proposes_the_same_with_and_without_baselines(place):
    one, other = (search(trials=3, name=str(with_), baselines=with_).history.proposed for with_ in (True, False))
    assert [trial.values for trial in one] == [trial.values for trial in other]


def test_best_hyperparameters_are_those_of_proposed_trials(place):
    tuner = made_tuner(trials=2)
    tuner.search()
    assert len(tuner.get_best_hyperparameters(5)) == 2


def test_promising_trials_are_finished_at_the_end(place):
    record = search()
    history = record.history
    finished = [trial for trial in history.trials.values() if trial.stop]
    assert finished
    assert len(history.with_status("completed")) <= 10
    left = [score(trial) for trial in history.with_status("stopped")]
    assert left
    assert not any(could_have_won(history, trial, record.rules) for trial in history.with_status("stopped"))
    for trial in finished:
        assert trial.verdict.status == "completed"
        assert trial.verdict.score == pytest.approx(cells(trial, record.rules).mean())
        assert trial.stop.score >= max(left)  # the best predicted ones
        assert "finished at the end; it had been stopped" in trial.verdict.reason


def test_without_racing_nothing_is_left_to_finish(place):
    assert not any(trial.stop for trial in search(racing=False).history.trials.values())


def test_a_search_that_was_finished_can_be_extended(place):
    search(trials=12)
    extended = search(trials=14).history
    assert extended.spent == 14  # the oracle was retold what it had been told


def test_the_best_are_confirmed_on_other_folds(place):
    record = search(confirm=2)
    best = ranked(record.history.trials.values())
    assert [bool(trial.confirmations) for trial in best] == [True] * 2 + [False] * (len(best) - 2)
    for trial in best[:2]:
        assert set(trial.confirmations) == {CONFIRM + fold.id for fold in record.rules.folds}
        assert len(trial.runs) == len(record.rules.folds)
        assert trial.verdict.score == pytest.approx(cells(trial, record.rules).mean())
    assert len(record.history.holdout_scores) == 1


def test_confirming_can_be_asked_for_later(place):
    before = events_of_trials(search())
    after = events_of_trials(search(confirm=1))
    assert after[: len(before)] == before
    new = after[len(before) :]
    assert {event["event"] for event in new} == {"job"}
    assert {run["fold"].startswith(CONFIRM) for event in new for run in event["runs"]} == {True}


def test_folds_are_reshuffled_within_what_is_not_held_out(place):
    tuner = KFoldTuner("space.py", screen=Lines(wide_console()), confirm=1, offline=True)
    folds, held = tuner.setup.materials.folds, set(tuner.setup.plan.holdout.validation.tolist())
    for fold in tuner.setup.plan.folds:
        other = folds[CONFIRM + fold.id]
        assert (other.fraction, other.split) == (fold.fraction, fold.split)
        assert not held & {*other.train.tolist(), *other.validation.tolist()}
    parts = [tuple(sorted(fold.validation)) for name, fold in folds.items() if "@" not in name and name != "holdout"]
    assert len(set(parts)) == len(parts) == 8
    whole = [
        row for name, fold in folds.items() if name in {f"{CONFIRM}f{k}" for k in range(4)} for row in fold.validation
    ]
    assert sorted(whole) == sorted(folds["holdout"].train)


@functools.cache
def uninterrupted():
    """The events of the whole search, the same in every place."""
    return events_of_trials(search(name="whole", confirm=1))


@pytest.mark.parametrize("after", [1, 5, 40, 66, 71, 75, 82])
def test_an_interruption_anywhere_changes_nothing(place, after):
    whole = uninterrupted()
    with contextlib.suppress(KeyboardInterrupt):
        search(interrupted_after(after), confirm=1)
    if after == 82:
        record = read_record(place / "results" / "made")
        assert any(trial.stop for trial in record.history.trials.values())
    assert events_of_trials(search(confirm=1)) == whole


def test_what_is_done_after_the_last_trial_is_said_once(place, capsys):
    search(confirm=1)
    said = capsys.readouterr().out.splitlines()
    assert sum("is finished: it could have won" in line for line in said) >= 1
    assert sum("is trained again on reshuffled folds" in line for line in said) == 1
    assert sum("is scored on the hold-out" in line for line in said) == 1
