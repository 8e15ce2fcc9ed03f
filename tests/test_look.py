"""The hold-out in a real search: scored once, when all else is done, for the winner."""

import csv
import json

import numpy as np
import pytest
from kit.scripted import Script
from kit.shapes import write_shapes

from search import KFoldTuner, UserError
from search.executors.base import Failed
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.racing import ranked
from search.record import read_record

SPACE = """
from search import Recipe, Study

study = Study(
    data="shapes", folds=2, train_fractions=(1.0,), holdout=2, max_trials=2,
    oracle="random", seed=3, baselines=False,
)

def space(hp):
    return Recipe("SmallCNN", None, learning_rate=hp.Choice("learning_rate", [1e-5, 1e-4, 1e-3, 1e-2]), epochs=1)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project folder with images and a space, and fast trials: a stand-in answers what a network would."""
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "shapes", {"across": 8, "down": 8})
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def script():
    return Script()


def search(script, **options):
    screen, executors = Lines(wide_console()), script.executors
    tuner = KFoldTuner("space.py", screen=screen, executors=executors, executor="inline", offline=True, **options)
    tuner.search()
    return tuner.record


def fails(fold):
    """Return the plan in which every job with this fold fails."""
    return lambda job: Failed(job, "no memory") if job.folds[0] == fold else None


def journal(place):
    text = (place / "results" / "space-shapes" / "journal.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def scored_on_holdout(script):
    return [trial for trial, folds in script.jobs if folds == ("holdout",)]


def test_a_real_network_is_scored_on_images_that_no_trial_saw(place):
    tuner = KFoldTuner("space.py", screen=Lines(wide_console()), trials=1, offline=True)
    tuner.search()
    record = tuner.record
    (look,) = record.history.holdout_scores
    stored = np.load(record.folder / look.run.file)
    plan = list(csv.DictReader((record.folder / "folds.csv").open()))
    held = {row["id"] for row in plan if row["part"] == "holdout"}
    assert look.run.file == "runs/0000-holdout.npz"
    assert set(stored["holdout/ids"].tolist()) == held
    assert len(held) == 4
    assert not held & {row["id"] for row in plan if row["part"] != "holdout"}
    right = stored["holdout/probabilities"].argmax(axis=1) == stored["holdout/labels"]
    assert look.run.scores["accuracy"] == pytest.approx(right.mean())
    assert record.rules.images == 12
    assert set(record.history.trials["0000"].runs) == {"f0", "f1"}


def test_a_real_search_looks_once_is_resumed_without_a_look_and_looks_again_when_another_trial_wins(place, capsys):
    def go_on(trials):
        tuner = KFoldTuner("space.py", screen=Lines(wide_console()), trials=trials, offline=True)
        tuner.search()
        capsys.readouterr()
        tuner.results_summary()
        return tuner.record, " ".join(capsys.readouterr().out.split())  # the terminal breaks lines

    (place / "space.py").write_text(SPACE.replace("epochs=1", "epochs=12, batch_size=4"))
    first, printed = go_on(1)
    (look,) = first.history.holdout_scores
    assert f"Hold-out: balanced_accuracy {look.run.scores['balanced_accuracy']:.3f}" in printed
    assert "no longer blind" not in printed
    assert go_on(1)[0].history.holdout_scores == [look]
    extended, printed = go_on(4)
    best = ranked(extended.history.trials.values())[0].id
    assert best != look.trial  # or this shows nothing
    assert [look.trial for look in extended.history.holdout_scores] == ["0000", best]
    assert extended.history.holdout_scores[0] == look
    assert "(looked at 2 times; a search extended after a look is no longer blind)" in printed


def test_the_winner_alone_is_scored_when_all_else_is_done(place, script):
    record = search(script, trials=3)
    best = ranked(record.history.trials.values())[0]
    assert scored_on_holdout(script) == [best.id]
    assert script.jobs[-1] == (best.id, ("holdout",))
    events = [event["event"] for event in journal(place)]
    assert events[-4:] == ["attempt", "holdout", "end", "profile"]


def test_a_finished_search_does_not_look_again(place, script):
    search(script, trials=2)
    before = len(script.jobs)
    record = search(script, trials=2)
    assert len(script.jobs) == before
    assert len(record.history.holdout_scores) == 1


def test_an_interrupted_scoring_is_done_again(place, script):
    def interrupt(job):
        if job.folds == ("holdout",):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(Script(plan=interrupt), trials=2)
    assert not read_record(place / "results" / "space-shapes").history.holdout_scores
    record = search(script, trials=2)
    assert len(record.history.holdout_scores) == 1
    assert len(script.jobs) == 1


def test_an_extended_search_scores_a_new_winner_and_remembers_the_first_look(place, script):
    first = search(script, trials=1)
    (look,) = first.history.holdout_scores
    record = search(script, trials=4)
    best = ranked(record.history.trials.values())[0].id
    assert [look.trial for look in record.history.holdout_scores] == list(dict.fromkeys([look.trial, best]))
    assert best != look.trial  # or this shows nothing
    assert [look.trials for look in record.history.holdout_scores] == [1, 4]


def test_a_look_that_fails_twice_is_given_up_and_said(place, script, capsys):
    script.plan = fails("holdout")
    record = search(script, trials=1)
    assert scored_on_holdout(script) == ["0000", "0000"]
    assert not record.history.holdout_scores
    assert record.history.end_reason
    assert record.history.trials["0000"].verdict.status == "completed"
    assert capsys.readouterr().out.count("The hold-out could not be scored with 0000: no memory") == 2
    script.plan = fails("none")
    assert search(script, trials=1).history.holdout_score("0000")


def test_without_a_complete_trial_there_is_no_look(place, script):
    script.plan = fails("f0")
    history = search(script, trials=1).history
    assert history.with_status("failed")
    assert history.end_reason
    assert scored_on_holdout(script) == []


def test_another_holdout_is_another_search(place, script):
    search(script, trials=1)
    (place / "space.py").write_text(SPACE.replace("holdout=2", "holdout=1"))
    with pytest.raises(UserError, match="holdout was 2 and is now 1"):
        search(script, trials=1)
