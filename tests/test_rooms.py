"""A toy row in each table that people add to; a search, a report and an export with them.

All toys are in ``kit/toys.py``. What stands there is all that a stranger has to write.
"""

import json
import sys

import jsonschema
import pytest
from kit import toys
from kit.shapes import write_shapes

from search import KFoldTuner
from search.cli.main import VERBS, main
from search.executors.table import EXECUTORS
from search.export.export import export
from search.export.predict import predict
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.racing import ranked
from search.repertoire.augmentation import POLICIES
from search.repertoire.backbones.pooling import POOLINGS
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.heads import HEADS
from search.repertoire.losses import LOSSES
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.sampling import SAMPLINGS
from search.repertoire.schedules import SCHEDULES
from search.repertoire.weighting import WEIGHTINGS
from search.report.contents import CHAPTERS
from search.report.json import schema
from search.report.write import PAGE, write_report
from search.system.machine import cores
from search.training.trainer import set_up

set_up(cores())
SPACE = """
from search import Augment, Recipe, Study, at_hand

study = Study("shapes", folds=3, train_fractions=(1.0,), max_trials=2, oracle="grid", image_size=32, seed=2)

def space(hp):
    backbone = hp.Choice("backbone", at_hand(["Toy"]))
    if hp.Choice("trained", [True, False]):
        return Recipe(
            backbone, 1, dropout=0, augment=Augment("toy-invert"), optimizer="toy-sgd", schedule="toy-constant",
            learning_rate=0.05, epochs=4, views=2, loss="toy-squared", sampling="toy-half", class_weight="toy-second",
            pooling="toy-lowest",
        )
    return Recipe(backbone, 0, head="toy-nearest", augment=Augment("toy-invert"))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with images, a space of toys and their weights; the toys stand in their tables."""
    for name, (rows, row) in {
        "backbone": (BACKBONES, toys.BACKBONE),
        "head": (HEADS, toys.HEAD),
        "pooling": (POOLINGS, toys.POOLING),
        "optimizer": (OPTIMIZERS, toys.OPTIMIZER),
        "schedule": (SCHEDULES, toys.SCHEDULE),
        "policy": (POLICIES, toys.POLICY),
        "loss": (LOSSES, toys.LOSS),
        "sampling": (SAMPLINGS, toys.SAMPLING),
        "weighting": (WEIGHTINGS, toys.WEIGHTING),
    }.items():
        assert row.name not in rows, name
        monkeypatch.setitem(rows, row.name, row)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(toys.Counting, "jobs", 0)
    toys.write_weights(tmp_path / "keras" / "models")
    write_shapes(tmp_path / "shapes", {"across": 9, "down": 9})
    (tmp_path / "space.py").write_text(SPACE)
    return tmp_path


def test_toys_are_searched_reported_exported_and_commanded(place, monkeypatch, capsys):
    table = {**EXECUTORS, "counting": toys.EXECUTOR}
    options = {
        "executor": "counting",
        "count_from": 100,
        "name": "toys",
        "offline": True,
        "cache": str(place / "cache"),
    }
    tuner = KFoldTuner("space.py", screen=Lines(wide_console()), executors=table, **options)
    tuner.search()

    record = tuner.record
    recipes = {trial.recipe.head: trial.recipe for trial in record.history.proposed}
    assert set(recipes) == {"toy-nearest", "linear"}
    assert (recipes["linear"].optimizer, recipes["linear"].schedule.name) == ("toy-sgd", "toy-constant")
    assert len(ranked(record.history.trials.values())) == 4  # two of the space, and two baselines
    assert toys.Counting.jobs == 100 + sum(trial.jobs for trial in record.history.trials.values())
    for word in (
        "Toy",
        "toy-lowest",
        "toy-nearest",
        "toy-sgd",
        "toy-constant",
        "toy-inverted",
        "toy-squared",
        "toy-halved",
    ):
        assert any(word in recipe.summary() for recipe in recipes.values()), word

    report = write_report(record, (*CHAPTERS, toys.CHAPTER))
    page = report.paths[PAGE].read_text(encoding="utf-8")
    told = json.loads(report.paths["report.json"].read_text(encoding="utf-8"))
    jsonschema.validate(told, schema((*CHAPTERS, toys.CHAPTER)))
    assert {row["trial"] for row in told["tables"]["letters"]} == set(record.history.trials)
    assert {row["head"] for row in told["tables"]["trials"]} == {"toy-nearest", "linear"}
    for text in (page, report.paths["report.md"].read_text(encoding="utf-8")):
        assert "Long recipes and short ones" in text
        assert "How long each recipe is in words." in text
    assert (record.folder / "report" / "letters.csv").is_file()

    for trial in record.history.proposed:
        model = export(tuner, trial.id, place / f"model-{trial.id}", also=[toys.FORM])
        assert json.loads((model / "recipe.json").read_text(encoding="utf-8"))["also"].keys() == {"toy-keras"}
        result = predict(model, [place / "shapes"], lambda done, of: None)
        assert len(result.images) == 18

    monkeypatch.setattr(sys, "argv", ["search", "toy-count", "toys"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(toys.click.Group("search", commands=[*VERBS, toys.count]))
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out) == {"trials": 4}
