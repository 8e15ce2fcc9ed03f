"""The epoch that is best on average over the folds: what is kept, which one counts, and what an export trains."""

import contextlib
import dataclasses
import json

import keras
import numpy as np
import pytest
from kit.runs import materials, run, small

from search import KFoldTuner, Recipe, UserError
from search.analysis.judgement import Judgement
from search.export.export import export
from search.journal.history import Trial
from search.journal.outcomes import Run
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.report.write import write_report
from search.system.machine import cores
from search.training.loop import DivergedError
from search.training.trainer import Trainer, set_up

set_up(cores())
HEAD = Recipe("Embedded", 0, image_size=32, epochs=4, batch_size=8, learning_rate=0.01)
BODY = small(epochs=4, batch_size=8)
SPACE = """
from search import Recipe, Study

study = Study("shapes", folds=3, train_fractions=(0.5, 1.0), max_trials=6, oracle="grid", image_size=32, seed=2)

def space(hp):
    rate = hp.Choice("rate", [0.003, 0.01, 0.03])
    return Recipe("Embedded", 0, epoch=hp.Choice("epoch", ["last", "best_mean"]), learning_rate=rate, epochs=6)
"""


@pytest.fixture
def trainer(shapes, tmp_path, monkeypatch):
    """A trainer whose runs all have one seed, so that only what a recipe says differs."""
    monkeypatch.setattr("search.training.loop.seed_from", lambda *_: 5)
    return Trainer(materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,), weights=["Embedded"]))


@pytest.mark.parametrize("recipe", [HEAD, BODY], ids=["head", "body"])
def test_every_epoch_is_predicted_and_the_last_is_as_without_it(trainer, recipe):
    wanted = dataclasses.replace(recipe, epoch="best_mean")
    (plain,), (kept,) = run(trainer, recipe, "f0"), run(trainer, wanted, "f0")
    assert plain.by_epoch is None
    assert kept.by_epoch.shape == (4, *plain.probabilities.shape)
    np.testing.assert_array_equal(kept.by_epoch[-1], kept.probabilities)
    np.testing.assert_array_equal(kept.probabilities, plain.probabilities)
    np.testing.assert_array_equal(kept.curve, plain.curve)
    assert kept.watched[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("recipe", [HEAD, BODY], ids=["head", "body"])
def test_training_that_ends_after_an_epoch_gives_what_the_folds_saw_after_it(trainer, recipe):
    wanted = dataclasses.replace(recipe, epoch="best_mean")
    (kept,) = run(trainer, wanted, "f0")
    for epochs in (1, 3, 4):
        trained = trainer.train(wanted, trainer.materials.folds["f0"], lambda: None, epochs)
        np.testing.assert_allclose(trained.run.probabilities, kept.by_epoch[epochs - 1], atol=1e-6)
    assert np.abs(kept.by_epoch[0] - kept.by_epoch[3]).max() > 1e-3


def a_run(fold, scores):
    by_epoch = {"accuracy": scores, "log_loss": [1 - score for score in scores]}
    last = {name: values[-1] for name, values in by_epoch.items()}
    return Run(fold, last, 1.0, {}, "file", "sha", by_epoch=by_epoch, chosen_by="accuracy")


def test_one_epoch_counts_for_all_folds_and_is_chosen_from_their_mean():
    trial = Trial("0000", {}, dataclasses.replace(HEAD, epoch="best_mean"))
    trial.runs = {each.fold: each for each in (a_run("f0", [0.5, 0.9, 0.6]), a_run("f1", [0.1, 0.2, 0.8]))}
    trial._choose_epoch()
    assert (trial.epoch, trial.epochs) == (2, 3)  # means .3, .55, .7: no fold gets its own best
    assert [each.scores["accuracy"] for each in trial.runs.values()] == [0.6, 0.8]
    trial.runs["f2"] = a_run("f2", [0.1, 1.0, 0.1])
    trial.confirmations["confirm-f0"] = a_run("confirm-f0", [1.0, 0.3, 1.0])
    trial._choose_epoch()
    assert trial.epoch == 1
    assert trial.runs["f0"].scores == {"accuracy": 0.9, "log_loss": pytest.approx(0.1)}
    assert trial.confirmations["confirm-f0"].scores["accuracy"] == 0.3  # which chooses nothing


def test_of_equal_epochs_the_first_counts_and_a_run_survives_json():
    trial = Trial("0000", {}, dataclasses.replace(HEAD, epoch="best_mean"))
    trial.runs = {"f0": a_run("f0", [0.5, 0.7, 0.7])}
    trial._choose_epoch()
    assert trial.epochs == 2
    given = a_run("f0", [0.5, 0.7, 0.7])
    assert Run.from_json(json.loads(json.dumps(given.to_json())), "file", "sha") == given
    line = given.to_json() | {"epochs": {"accuracy": [0.5], "log_loss": [0.5, 0.3]}}
    with pytest.raises(UserError, match="different numbers of epochs"):
        Run.from_json(line, "file", "sha")
    with pytest.raises(UserError, match="the scores of f0 end before epoch 4"):
        given.at(3)


def test_an_epoch_whose_predictions_are_no_numbers_ends_the_run(trainer):
    """At a wild rate predictions may overflow after an epoch, and be numbers again after the last."""
    (kept,) = run(trainer, dataclasses.replace(HEAD, epoch="best_mean"), "f0")
    overflown = np.full_like(kept.probabilities, np.nan)
    labels = kept.labels
    for epoch, error in (("last", None), ("best_mean", DivergedError)):
        recipe = dataclasses.replace(HEAD, epoch=epoch)
        fold = trainer.materials.folds["f0"]
        started = trainer.train(recipe, fold, lambda: None, 1).run
        with pytest.raises(error, match="predictions are no numbers") if error else contextlib.nullcontext():
            started.watch(0, labels, overflown)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epoch": "best"}, r"epoch='best' is refused. A run validates on the images that score it.*best_mean"),
        ({"epoch": "bestmean"}, "Did you mean 'best_mean'"),
        ({"early_stopping": True}, "early_stopping.*A run validates on the images that score it"),
        ({"callbacks": []}, "callbacks.*A run validates on the images that score it"),
        ({"epoch": "best_mean", "ema": 0.9, "unfrozen_blocks": 1}, "epoch='best_mean' with ema=0.9"),
        ({"epoch": "best_mean", "wise_ft": 0.5, "unfrozen_blocks": 1}, "epoch='best_mean' with wise_ft=0.5"),
    ],
)
def test_what_chooses_by_a_fold_alone_or_means_nothing_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        Recipe("Embedded", **fields)


def test_a_search_chooses_corrects_reports_and_exports_it(shapes, tmp_path, monkeypatch):
    assert shapes == tmp_path / "shapes"
    (tmp_path / "space.py").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    options = {"executor": "inline", "offline": True, "cache": str(tmp_path / "cache")}
    tuner = KFoldTuner("space.py", screen=Lines(wide_console()), **options)
    tuner.search()
    record = tuner.record
    trials = [trial for trial in record.history.proposed if trial.recipe.epoch == "best_mean"]
    assert len(trials) == 3
    for trial in trials:
        curves = np.array([each.by_epoch["balanced_accuracy"] for each in trial.runs.values()])
        assert curves.shape[1] == 6
        assert trial.epoch == curves.mean(axis=0).round(9).argmax()
        if trial.verdict.status == "completed":
            assert trial.verdict.score == pytest.approx(curves.mean(axis=0).max())
    judgement = Judgement.of(record)
    chosen = [trial for trial in judgement.complete if trial.epoch is not None]
    sizes = judgement.evidence.sizes
    assert all(len(size.others) == 5 * len(chosen) for size in sizes)
    found = judgement.evidence.configurations(2, "balanced_accuracy", folds=True)
    assert found.trials == len(judgement.complete) + 5 * len(chosen)

    report = write_report(record).paths["report.md"].read_text(encoding="utf-8")
    assert "of the epoch that was best on these folds, which flatters a little" in report
    assert "best epoch on average" in report
    best = max(trials, key=lambda trial: trial.verdict.score)
    folder = export(tuner, best.id, tmp_path / "model")
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"trained for {best.epochs} of the 6 epochs" in text
    assert "the last one counts" not in text
    model = keras.models.load_model(folder / "model.keras")
    assert model.output_shape == (None, 2)
