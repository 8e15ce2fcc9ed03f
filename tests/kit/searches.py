"""Searches made for the report: the real plan, journal and verdicts, without the training."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kit.journals import unsynced
from kit.lines import event
from search.analysis import stats
from search.data.dataset import Dataset
from search.data.folds import make_plan, plan_table
from search.journal.journal import Journal
from search.journal.outcomes import CONFIRM
from search.racing import next_step
from search.record import About, begin_record, read_record, rules_of
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.study import Study
from search.system.files import npz_bytes
from search.system.places import make_folder

ODD = ("<script>", "a|b", "größer, 'ß'", "日本", "[bold]x", "NA", "[/]", "`", '"', "7")


class Search:
    """A search folder, written as the driver writes it; runs are made up, their scores are not."""

    def __init__(self, folder, classes=("across", "down"), each=12, fractions=(1.0, 0.25), about=(), **study):
        rows = [(f"{name}/{number}.png", label) for label, name in enumerate(classes) for number in range(each)]
        table = pd.DataFrame(
            [(id_, label, id_, "", "") for id_, label in rows], columns=["id", "label", "group", "split", "content"]
        )
        self.dataset = Dataset(folder / "data", table, tuple(classes))
        how = Study("data", **{"folds": 3, "train_fractions": fractions, **study})
        self.plan = make_plan(self.dataset, how)
        self.folds = self.plan.folds
        recorded = {
            "identity": {"study": {"objective": "balanced_accuracy", "splits": how.splits, "val": how.val}},
            "weights": {"SmallCNN": ""},
            "data": "images",
            "synthetic": None,
            "threads": 2,
            "images": len(rows),
            "in_folds": self.plan.in_folds,
            "holdout": len(self.plan.holdout.validation) if self.plan.holdout else 0,
            "classes": self.dataset.counts,
            "unreadable": [["across/torn.png", "truncated | file"]],
            "folds": [{"id": fold.id, "split": list(fold.split), "fraction": fold.fraction} for fold in self.folds],
            **dict(about),
        }
        about = About.of(recorded)
        self.folder = folder / "made"
        make_folder(self.folder)
        begin_record(self.folder, about, "", {"folds.csv": plan_table(self.plan.every, self.dataset.ids)})
        self.journal = Journal(self.folder)
        self.journal.append(event("session", max_trials=20, racing=True))
        self.rules = rules_of(about, self.history)

    @property
    def history(self):
        return self.journal.history

    @property
    def record(self):
        return read_record(self.folder)

    def begin(self, recipe=None):
        number = len(self.history.proposed)
        recipe = recipe or Recipe("MobileNetV2", 1, image_size=96, learning_rate=1e-3 + 1e-6 * number)
        self.journal.append(event("trial", trial=f"{number:04d}", values={"n": number}, recipe=recipe.to_dict()))
        return self.history.trials[f"{number:04d}"]

    def train(self, trial, skill, folds=None, synthetic=None):
        """Run folds, one job each, right with a chance of ``skill``."""
        rng = np.random.default_rng([*trial.id.encode(), 7])
        for fold in self.folds if folds is None else folds:
            stored, run = self.store(fold, skill, rng, f"runs/{trial.id}-{trial.jobs + 1}.npz", synthetic)
            self.journal.append(event("job", trial=trial.id, job=trial.jobs + 1, **stored, runs=[run]))

    def look(self, trial, skill):
        """Score a trial on the hold-out."""
        rng = np.random.default_rng([int(trial.id), 8])
        stored, run = self.store(self.plan.holdout, skill, rng, f"runs/{trial.id}-holdout.npz")
        self.journal.append(event("holdout", trial=trial.id, **stored, run=run))

    def store(self, fold, skill, rng, file, synthetic=None):
        arrays = self.predict(fold, skill, rng)
        data = npz_bytes({f"{fold.id}/{name}": array for name, array in arrays.items()})
        (self.folder / file).write_bytes(data)
        scores = stats.scores(arrays["labels"], arrays["probabilities"])
        run = {"fold": fold.id, "scores": scores, "seconds": 1.5, "synthetic": synthetic or {}}
        return {"file": file, "sha256": hashlib.sha256(data).hexdigest()}, run

    def predict(self, fold, skill, rng):
        labels = self.dataset.labels[fold.validation]
        guessed = np.where(
            rng.random(len(labels)) < skill, labels, rng.integers(len(self.dataset.classes), size=len(labels))
        )
        probabilities = rng.dirichlet(np.ones(len(self.dataset.classes)), len(labels)).astype(np.float32)
        probabilities[np.arange(len(labels)), guessed] += 1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return {
            "ids": np.array([self.dataset.ids[row] for row in fold.validation]),
            "labels": labels,
            "probabilities": probabilities,
            "curve": np.column_stack([np.linspace(1, 0.1, 3), np.linspace(0.5, 0.9, 3)]),
        }

    def judge(self, trial):
        """Give the verdict that the rules give."""
        verdict = next_step(self.history, trial, self.rules)
        self.conclude(trial, verdict.status, verdict.score, verdict.reason)
        return trial

    def conclude(self, trial, status, score, reason):
        self.journal.append(event("verdict", trial=trial.id, status=status, score=score, reason=reason))

    def complete(self, skill, recipe=None):
        trial = self.begin(recipe)
        self.train(trial, skill)
        return self.judge(trial)

    def stop(self, predicted):
        trial = self.begin()
        self.train(trial, 0.0, self.folds[:2], {"asked": 8, "drawn": 6})
        self.conclude(trial, "stopped", predicted, "9.9 points behind 0000 after 2 of 6 runs")
        return trial

    def baseline(self, skill, number=0, recipe=None, name="head alone"):
        recipe = recipe or Recipe("MobileNetV2", 0, image_size=96)
        line = event("trial", trial=f"b{number}", values={}, recipe=recipe.to_dict(), baseline=name)
        self.journal.append(line)
        trial = self.history.trials[f"b{number}"]
        self.train(trial, skill)
        return self.judge(trial)

    def confirm(self, trial, skill):
        """Train a complete trial again on reshuffled folds."""
        rng = np.random.default_rng([*trial.id.encode(), 9])
        for fold in self.folds:
            again = replace(fold, id=CONFIRM + fold.id)
            stored, run = self.store(again, skill, rng, f"runs/{trial.id}-{trial.jobs + 1}.npz")
            self.journal.append(event("job", trial=trial.id, job=trial.jobs + 1, **stored, runs=[run]))

    def fail(self):
        trial = self.begin()
        self.journal.append(event("failure", trial=trial.id, job=1, error="ValueError: a|b", final=True))
        return self.judge(trial)

    def duplicate(self, of):
        return self.judge(self.begin(of.recipe))


def fill(made):
    """Trials of every kind: a stopped one is predicted above all others."""
    first = made.complete(0.5)
    made.complete(0.95, Recipe("SmallCNN", None, image_size=32, augment=Augment("color", 0.3), class_weight="balanced"))
    made.stop(0.999)
    made.fail()
    made.duplicate(first)
    made.complete(0.7)
    made.begin()
    made.journal.append(event("end", reason="all 6 trials are done"))


def held_out(made):
    """A search that was scored, extended, and scored again with another winner."""
    made.look(made.complete(0.6), 0.6)
    made.journal.append(event("end", reason="all 1 trials are done"))
    made.look(made.complete(0.97), 0.9)
    made.journal.append(event("end", reason="all 2 trials are done"))


def nothing(made):
    pass


def one_complete(made):
    made.complete(0.9)


def all_failed(made):
    for _ in range(3):
        made.fail()


def all_stopped(made):
    for _ in range(3):
        made.stop(0.9)


def under_way(made):
    made.train(made.begin(), 0.9, made.folds[:1])


def duplicates(made):
    first = made.complete(0.9)
    for _ in range(3):
        made.duplicate(first)


def hundreds(made):
    with unsynced():
        for number in range(300):
            trial = made.begin()
            runs = [
                {
                    "fold": fold.id,
                    "scores": dict.fromkeys(
                        ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"), number / 300 + index / 1e4
                    ),
                    "seconds": 1.0,
                    "synthetic": {},
                }
                for index, fold in enumerate(made.folds)
            ]
            file = f"runs/{trial.id}-1.npz"
            made.journal.append(event("job", trial=trial.id, job=1, file=file, sha256="", runs=runs))
            made.judge(trial)


KINDS = (nothing, one_complete, all_failed, all_stopped, under_way, duplicates, fill, hundreds)


def strict_json(text):
    def refuse(name):
        pytest.fail(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


# --- fixtures, which a folder's conftest.py imports


@pytest.fixture
def made(tmp_path):
    return Search(tmp_path)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def any_search(request, tmp_path):
    made = Search(tmp_path)
    request.param(made)
    return made


@pytest.fixture
def filled(made):
    fill(made)
    return made


@pytest.fixture
def odd(tmp_path):
    made = Search(tmp_path, ODD, each=6)
    fill(made)
    return made
