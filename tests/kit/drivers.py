"""A small real search, run by a driver in a process of its own."""

import signal
import subprocess
import sys
import time

from kit.shapes import write_shapes
from search.journal.journal import read_events
from search.record import read_record

SPACE = """
from search import Augment, Recipe, Study

study = Study(
    data="shapes", folds=3, train_fractions=(1.0, 0.5), max_trials={trials}, lag={lag}, seed=3, baselines=False
)

def space(hp):
    return Recipe(
        backbone="SmallCNN",
        unfrozen_blocks=None,
        augment=Augment(hp.Choice("augment", ["none", "flip_crop"])),
        dropout=hp.Choice("dropout", [0.0, 0.2, 0.4]),
        learning_rate=hp.Float("learning_rate", 1e-3, 1e-2, sampling="log"),
        epochs=2,
    )
"""


def prepare(folder, trials, lag=1):
    write_shapes(folder / "shapes", {"across": 9, "down": 9})
    (folder / "space.py").write_text(SPACE.format(trials=trials, lag=lag))
    (folder / "data").mkdir()
    return folder


def outcome(folder):
    """What must be equal: everything but seconds, sessions and attempts."""
    record = read_record(folder)
    trials = {
        trial.id: (
            trial.values,
            trial.recipe,
            trial.verdict,
            {fold: run.scores for fold, run in (trial.runs | trial.confirmations).items()},
            trial.failures,
        )
        for trial in record.history.trials.values()
    }
    return record.history.order, trials, record.history.end_reason


def jobs_by_name(folder):
    jobs = [(e["trial"], e["job"]) for e in read_events(folder / "journal.jsonl") if e["event"] == "job"]
    assert len(jobs) == len(set(jobs)), "a finished job was trained again"
    return jobs


def heed_interrupts():
    """A shell that runs the tests in the background has them ignore Ctrl-C, and their children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder, *options):
    command = [sys.executable, "-m", "search", "run", "space.py", "--offline", "--name", "broken", *options]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "preexec_fn": heed_interrupts}
    return subprocess.Popen(command, cwd=folder, **options)


def lines_of(folder):
    journal = folder / "results" / "broken" / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for_lines(folder, process, number, seconds=300):
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None and lines_of(folder) < number:
        time.sleep(0.005)
