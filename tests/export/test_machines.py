"""A search among heads, from the space file to the models: those of scikit-learn beside those that take steps."""

import json

import jsonschema
import numpy as np
from kit.shapes import write_shapes

from search.export.export import export
from search.export.predict import predict
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.report.contents import CHAPTERS
from search.report.json import schema
from search.report.write import write_report
from search.system.machine import cores
from search.training.trainer import set_up
from search.tuner import KFoldTuner

set_up(cores())

SPACE = """
from search import Mlp, Recipe, Study, Svm

study = Study(
    data="shapes", folds=2, train_fractions=(1.0,), image_size=32, max_trials=4, oracle="grid", baselines=False
)


def space(hp):
    head = hp.Choice("head", ["linear", Mlp((8, 8), dropout="both"), "logistic_regression", Svm("rbf", 5)])
    with hp.conditional_scope("head", ["linear", Mlp((8, 8), dropout="both")]):
        steps = {"epochs": hp.Fixed("epochs", 3), "dropout": hp.Fixed("dropout", 0.1)}
    return Recipe("Embedded", head=head, **{name: value for name, value in steps.items() if value is not None})
"""
LEVELS = {"linear", "mlp widths 8-8, dropout both", "logistic_regression", "svm_rbf C 5"}


def test_heads_of_all_kinds_are_searched_reported_and_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "shapes", {"across": 12, "down": 12, "other": 12})
    (tmp_path / "space.py").write_text(SPACE)
    tuner = KFoldTuner(
        "space.py",
        screen=Lines(wide_console()),
        executor="inline",
        name="heads",
        offline=True,
        cache=str(tmp_path / "c"),
    )
    tuner.search()

    report = write_report(tuner.record, CHAPTERS)
    told = json.loads(report.paths["report.json"].read_text(encoding="utf-8"))
    jsonschema.validate(told, schema(CHAPTERS))
    rows = {row["head"]: row for row in told["tables"]["trials"]}
    assert set(rows) == LEVELS
    assert rows["svm_rbf C 5"]["epochs"] is rows["logistic_regression"]["dropout"] is None
    assert rows["linear"]["epochs"] == 3
    page = report.paths["report.md"].read_text(encoding="utf-8")
    assert all(level in page for level in LEVELS)

    for trial in tuner.record.history.proposed:
        model = export(tuner, trial.id, tmp_path / f"model-{trial.id}")
        card = (model / "README.md").read_text(encoding="utf-8")
        recipe = json.loads((model / "recipe.json").read_text(encoding="utf-8"))
        is_svm = "svm" in trial.recipe.summary()
        assert ("held-out decisions" in card) == is_svm
        assert "How sure it is" in card  # in place of "not calibrated"
        assert recipe["compared"]["largest_difference"] < 1e-4
        result = predict(model, [tmp_path / "shapes"], lambda done, of: None)
        assert np.asarray(result.probabilities).shape == (36, 3)
