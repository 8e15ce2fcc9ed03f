"""A search of thousands of trials that can be resumed: forty scripted ones, and others made of their runs.

python tests/kit/thousands.py FOLDER 5000             # writes FOLDER/results/made; --racing stops trials
python -m search report made --results FOLDER/results
"""

import dataclasses
import os
import sys
from pathlib import Path

import numpy as np

from kit.journals import unsynced
from kit.scripted import Script
from kit.shapes import write_shapes
from search.journal.events import EndEvent, JobEvent, TrialEvent, VerdictEvent
from search.journal.journal import Journal
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.oracles import ask, retell, tell
from search.racing import Verdict, next_step
from search.record import read_about, rules_of
from search.tuner import KFoldTuner

STOCK = 40
SPACE = """
from search import Augment, Recipe, Study

study = Study({data!r}, folds=3, train_fractions=(1.0, 0.5), max_trials={trials}, oracle="random", seed=3,
              baselines=False)

def space(hp):
    return Recipe(
        "SmallCNN",
        None,
        augment=Augment(hp.Choice("augment", ["none", "flip_crop"])),
        dropout=hp.Choice("dropout", [0.0, 0.2, 0.4]),
        learning_rate=hp.Float("learning_rate", 1e-3, 1e-2, sampling="log"),
        epochs=2,
    )
"""


def write_thousands(place: Path, trials: int, *, racing: bool = False) -> Path:
    """Write a search of so many trials, which has ended, below ``place``; return its folder."""
    data = write_shapes(place / "shapes", {"across": 30, "down": 30})
    space = place / "space.py"
    space.write_text(SPACE.format(data=str(data), trials=trials))
    options = {"name": "made", "results": str(place / "results"), "cache": str(place / "cache"), "offline": True}
    with unsynced():
        tuner = KFoldTuner(
            str(space),
            screen=Lines(wide_console()),
            executors=Script(luck=0.1).executors,
            racing=racing,
            slots=1,
            trials=STOCK,
            **options,
        )
        tuner.search()
        _extend(tuner.setup, trials)
    return tuner.setup.folder


def _extend(setup, trials):
    """Have the search go on, with runs of its first trials."""
    journal, rng = Journal(setup.folder), np.random.default_rng(0)
    history, rules = journal.history, rules_of(read_about(setup.folder), journal.history)
    journal.append(dataclasses.replace(history.sessions[-1], max_trials=trials, files={}))
    oracle = retell(setup.study.oracle, setup.hyperparameters, setup.study.seed, history)
    stock = [list(trial.runs.values()) for trial in history.trials.values() if len(trial.runs) == len(rules.folds)]
    while len(history.proposed) < trials:
        values = ask(oracle, f"{len(history.proposed):04d}")
        trial_id = f"{len(history.proposed):04d}"
        journal.append(TrialEvent(trial_id, values, setup.recipe(values), ""))
        trial = history.trials[trial_id]
        near = rng.integers(len(stock))
        while not isinstance(step := next_step(history, trial, rules), Verdict):
            fold = len(trial.runs)
            run = stock[rng.choice([near, rng.integers(len(stock))], p=(0.8, 0.2))][fold]
            assert step.folds == (run.fold,)
            journal.append(JobEvent(trial_id, step.number, run.file, run.sha256, (run,), {}))
        journal.append(VerdictEvent(trial_id, step))
        tell(oracle, trial_id, step.score)
    journal.append(EndEvent(f"all {trials} trials are done"))
    journal.close()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    write_thousands(Path(sys.argv[1]).resolve(), int(sys.argv[2]), racing="--racing" in sys.argv)
