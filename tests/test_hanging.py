"""A worker that hangs in the middle of a search costs one attempt; and what the work of a worker tells of itself."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from kit.runs import materials, run, small
from kit.shapes import write_shapes

from search import KFoldTuner, UserError
from search.executors.table import EXECUTORS
from search.journal.journal import read_events
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.repertoire.heads import LogisticRegression
from search.repertoire.recipe import Recipe
from search.system import heartbeat
from search.training.trainer import Trainer, set_up

set_up(2)
SPACE = """
from search import Recipe, Study

study = Study("shapes", folds=2, train_fractions=(1.0,), max_trials=1, oracle="random", image_size=32, baselines=False)

def space(hp):
    return Recipe("SmallCNN", None, learning_rate=1e-2, batch_size=8, epochs=100)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with images and a space, where we are."""
    write_shapes(tmp_path / "shapes", {"across": 9, "down": 9})
    (tmp_path / "space.py").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def search(name, **options):
    """Return what the journal says of a search after the session."""
    KFoldTuner("space.py", name=name, offline=True, screen=Lines(wide_console()), **options).search()
    kept = ("attempt", "job", "failure", "verdict")
    return [event for event in read_events(Path("results", name, "journal.jsonl")) if event["event"] in kept]


def stopping_once(signals):
    """Return a table of executors whose first worker is stopped in the middle of its first job, as one that hangs."""
    row = EXECUTORS["processes"]

    def stop(workers):
        while workers.epochs().get(("0000", 1), 0) < 2:
            time.sleep(0.01)
        pid = workers._slots[0]._pid.result()
        os.kill(pid, signal.SIGSTOP)
        signals.append(pid)

    def make(*given):
        workers = row.make(*given)
        threading.Thread(target=stop, args=(workers,), daemon=True).start()
        return workers

    return {"processes": replace(row, make=make)}


def test_a_search_goes_on_after_a_worker_that_hangs(place):
    expected = search("whole", slots=1)
    signals = []
    events = search("hanging", slots=1, run_timeout="30s", executors=stopping_once(signals))
    assert len(signals) == 1
    failures = [event for event in events if event["event"] == "failure"]
    reason = "its worker made no progress for 30 s (--run-timeout)"
    assert failures == [{"event": "failure", "trial": "0000", "job": 1, "error": reason, "final": False}]
    assert [event["job"] for event in events if event["event"] == "attempt"] == [1, 1, 2]

    def scores(events):
        return [run["scores"] for event in events if event["event"] == "job" for run in event["runs"]]

    assert scores(events) == scores(expected)
    assert events[-1] == expected[-1]


def test_a_timeout_that_cannot_be_obeyed_is_refused(place):
    with pytest.raises(UserError, match="--executor inline trains without workers"):
        KFoldTuner("space.py", executor="inline", run_timeout="10m")
    with pytest.raises(UserError, match="'soon' is no time span"):
        KFoldTuner("space.py", run_timeout="soon")


@pytest.fixture
def beats(monkeypatch):
    """The beats of this process."""
    for name in ("_beat", "_wait"):
        monkeypatch.setattr(heartbeat, name, getattr(heartbeat, name))
    heard = []
    heartbeat.attach(lambda: heard.append("beat"), lambda _waiting: None)
    return heard


def beats_of(beats, trainer, recipe):
    del beats[:]
    run(trainer, recipe, "f0", "f1")
    return len(beats)


def test_all_work_of_a_trainer_beats(shapes, tmp_path, imagenet, beats):
    """Epochs of bodies and heads, heads that are fitted at once, batches of features and images that are decoded."""
    stuff = materials(shapes, tmp_path / "cache", folds=2, train_fractions=(1.0,), weights=["MobileNet_0.25"])
    trainer, images = Trainer(stuff), len(stuff.paths)
    body = small(epochs=3)
    beats_of(beats, trainer, body)
    few, many = beats_of(beats, trainer, body), beats_of(beats, trainer, replace(body, epochs=6))
    assert many >= few + 6  # each epoch of two runs
    heads = small(backbone="MobileNet_0.25", unfrozen_blocks=0, epochs=3)
    first = beats_of(beats, trainer, heads)
    again, longer = beats_of(beats, trainer, heads), beats_of(beats, trainer, replace(heads, epochs=6))
    assert first > again  # the features are stored
    assert longer >= again + 3
    at_once = beats_of(beats, trainer, Recipe("MobileNet_0.25", image_size=32, head=LogisticRegression()))
    assert at_once >= 2
    assert beats_of(beats, trainer, replace(heads, image_size=64)) >= again + images  # decoded
