"""The hold-out in a real search: scored once, when all else is done, for the winner."""

import csv
import json

import numpy as np
import pytest
from guessing import Guesser
from shapes import write_shapes

from search import KFoldTuner, UserError
from search import session as loop
from search.monitor.console import Lines, wide_console
from search.racing import ranked
from search.record import read_record

pytestmark = pytest.mark.usefixtures("without_charts")

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
def jobs(monkeypatch):
    Guesser.jobs, Guesser.fails = [], ()
    monkeypatch.setattr(loop, "Inline", Guesser)
    return Guesser.jobs


def search(**options):
    tuner = KFoldTuner("space.py", view=Lines(wide_console()), executor="inline", offline=True, **options)
    tuner.search()
    return tuner.record


def journal(place):
    text = (place / "results" / "space-shapes" / "journal.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def looks(jobs):
    return [trial for trial, folds in jobs if folds == ("holdout",)]


def test_a_real_network_is_scored_on_images_that_no_trial_saw(place):
    tuner = KFoldTuner("space.py", view=Lines(wide_console()), trials=1, offline=True)
    tuner.search()
    record = tuner.record
    (look,) = record.history.holdouts
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
        tuner = KFoldTuner("space.py", view=Lines(wide_console()), trials=trials, offline=True)
        tuner.search()
        capsys.readouterr()
        tuner.results_summary()
        return tuner.record, " ".join(capsys.readouterr().out.split())  # the terminal breaks lines

    (place / "space.py").write_text(SPACE.replace("epochs=1", "epochs=12, batch_size=4"))
    first, printed = go_on(1)
    (look,) = first.history.holdouts
    assert f"Hold-out: balanced_accuracy {look.run.scores['balanced_accuracy']:.3f}" in printed
    assert "no longer blind" not in printed
    assert go_on(1)[0].history.holdouts == [look]
    extended, printed = go_on(4)
    best = ranked(extended.history.trials.values())[0].id
    assert best != look.trial  # or this shows nothing
    assert [look.trial for look in extended.history.holdouts] == ["0000", best]
    assert extended.history.holdouts[0] == look
    assert "(looked at 2 times; a search extended after a look is no longer blind)" in printed


def test_the_winner_alone_is_scored_when_all_else_is_done(place, jobs):
    record = search(trials=3)
    best = ranked(record.history.trials.values())[0]
    assert looks(jobs) == [best.id]
    assert jobs[-1] == (best.id, ("holdout",))
    events = [event["event"] for event in journal(place)]
    assert events[-4:] == ["attempt", "holdout", "end", "profile"]


def test_a_finished_search_does_not_look_again(place, jobs):
    search(trials=2)
    before = len(jobs)
    record = search(trials=2)
    assert len(jobs) == before
    assert len(record.history.holdouts) == 1


def test_an_interrupted_look_is_done_again(place, jobs, monkeypatch):
    wait = Guesser.wait

    def interrupted(self, timeout):
        if self.waiting[0].folds == ("holdout",):
            raise KeyboardInterrupt
        return wait(self, timeout)

    monkeypatch.setattr(Guesser, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(trials=2)
    assert not read_record(place / "results" / "space-shapes").history.holdouts
    monkeypatch.setattr(Guesser, "wait", wait)
    runs = len(jobs)
    record = search(trials=2)
    assert len(record.history.holdouts) == 1
    assert len(jobs) == runs + 1


def test_an_extended_search_scores_a_new_winner_and_remembers_the_first_look(place, jobs):
    first = search(trials=1)
    (look,) = first.history.holdouts
    record = search(trials=4)
    best = ranked(record.history.trials.values())[0].id
    assert [look.trial for look in record.history.holdouts] == list(dict.fromkeys([look.trial, best]))
    assert best != look.trial  # or this shows nothing
    assert [look.trials for look in record.history.holdouts] == [1, 4]


def test_a_look_that_fails_twice_is_given_up_and_said(place, jobs, capsys):
    Guesser.fails = ("holdout",)
    record = search(trials=1)
    assert looks(jobs) == ["0000", "0000"]
    assert not record.history.holdouts
    assert record.history.ended
    assert record.history.trials["0000"].verdict.status == "completed"
    assert capsys.readouterr().out.count("The hold-out could not be scored with 0000: no memory") == 2
    Guesser.fails = ()
    assert search(trials=1).history.look_at("0000")


def test_without_a_complete_trial_there_is_no_look(place, jobs):
    Guesser.fails = ("f0",)
    history = search(trials=1).history
    assert history.with_status("failed")
    assert history.ended
    assert looks(jobs) == []


def test_another_holdout_is_another_search(place, jobs):
    search(trials=1)
    (place / "space.py").write_text(SPACE.replace("holdout=2", "holdout=1"))
    with pytest.raises(UserError, match="holdout was 2 and is now 1"):
        search(trials=1)
