"""A toy row in each table that people add to; a search, a report and an export with them; no change to ``search/``."""

import hashlib
import json
import sys
from pathlib import Path

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
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.heads import HEADS
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.schedules import SCHEDULES
from search.report.contents import CHAPTERS
from search.report.json import schema
from search.report.write import PAGE, write_report
from search.system.machine import cores
from search.training.trainer import set_up

set_up(cores())
PACKAGE = Path(__file__).resolve().parents[1] / "search"
SPACE = """
from search import Augment, Recipe, Study, at_hand

study = Study("shapes", folds=3, train_fractions=(1.0,), max_trials=2, oracle="grid", image_size=32, seed=2)

def space(hp):
    backbone = hp.Choice("backbone", at_hand(["Toy"]))
    if hp.Choice("trained", [True, False]):
        return Recipe(
            backbone, 1, dropout=0, augment=Augment("invert"), optimizer="sgd", schedule="constant",
            learning_rate=0.05, epochs=4, views=2,
        )
    return Recipe(backbone, 0, head="nearest", augment=Augment("invert"))
"""


def digest():
    """Return a digest of all code of the package."""
    files = sorted(path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with images, a space of toys and their weights; the toys stand in their tables."""
    for name, (rows, row) in {
        "backbone": (BACKBONES, toys.BACKBONE),
        "head": (HEADS, toys.HEAD),
        "optimizer": (OPTIMIZERS, toys.OPTIMIZER),
        "schedule": (SCHEDULES, toys.SCHEDULE),
        "policy": (POLICIES, toys.POLICY),
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


def test_toys_are_searched_reported_exported_and_commanded_without_a_change_to_the_program(place, monkeypatch, capsys):
    before = digest()
    table = {**EXECUTORS, "counting": toys.EXECUTOR}
    options = {"executor": "counting", "name": "toys", "offline": True, "cache": str(place / "cache")}
    tuner = KFoldTuner("space.py", screen=Lines(wide_console()), executors=table, **options)
    tuner.search()

    record = tuner.record
    recipes = {trial.recipe.head: trial.recipe for trial in record.history.proposed}
    assert set(recipes) == {"nearest", "linear"}
    assert (recipes["linear"].optimizer, recipes["linear"].schedule) == ("sgd", "constant")
    assert len(ranked(record.history.trials.values())) == 4  # two of the space, and two baselines
    assert toys.Counting.jobs == sum(trial.jobs for trial in record.history.trials.values())
    for word in ("Toy", "nearest", "sgd", "constant", "inverted"):
        assert any(word in recipe.summary() for recipe in recipes.values()), word

    report = write_report(record, (*CHAPTERS, toys.CHAPTER))
    page = report.paths[PAGE].read_text(encoding="utf-8")
    told = json.loads(report.paths["report.json"].read_text(encoding="utf-8"))
    jsonschema.validate(told, schema((*CHAPTERS, toys.CHAPTER)))
    assert {row["trial"] for row in told["tables"]["letters"]} == set(record.history.trials)
    assert {row["head"] for row in told["tables"]["trials"]} == {"nearest", "linear"}
    for text in (page, report.paths["report.md"].read_text(encoding="utf-8")):
        assert "Long recipes and short ones" in text
        assert "How long each recipe is in words." in text
    assert (record.folder / "report" / "letters.csv").is_file()

    for trial in record.history.proposed:
        model = export(tuner, trial.id, place / f"model-{trial.id}")
        result = predict(model, [place / "shapes"], lambda done, of: None)
        assert len(result.images) == 18

    monkeypatch.setattr(sys, "argv", ["search", "count", "toys"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(toys.click.Group("search", commands=[*VERBS, toys.count]))
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out) == {"trials": 4}
    assert digest() == before
