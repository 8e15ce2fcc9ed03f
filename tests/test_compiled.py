"""Networks that a space builds and compiles itself are searched, resumed, exported and predicted like recipes."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from kit.drivers import jobs_by_name, outcome
from kit.shapes import write_shapes

from search import Fit, KFoldTuner, Study, UserError
from search.analysis.judgement import Judgement
from search.executors.inline import Inline
from search.export.export import export, loaded
from search.export.predict import predict
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.options import Options
from search.oracles.hyperparameters import HyperModel
from search.oracles.networks import by_name
from search.prepare import prepare
from search.racing import Job
from search.record import read_record
from search.repertoire.networks import NetworkRecipe, recipe_from
from search.space import read_space
from search.system.tf import keras
from search.training.networks import own_network

SPACE = """
import keras
from search import Augment, Fit, Study
from layers import first

study = Study("shapes", folds=2, train_fractions=(1.0,), max_trials=2, seed=3)

def space(hp):
    model = keras.Sequential([
        keras.Input((32, 32, 3)),
        keras.layers.Rescaling(1 / 255),
        first(hp),
        keras.layers.GlobalMaxPooling2D(),
        keras.layers.Dropout(hp.Choice("dropout", [0.0, 0.2])),
        keras.layers.Dense(2),
    ])
    rate = hp.Float("learning_rate", 1e-2, 3e-2, sampling="log")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model, Fit(epochs=3, batch_size=6, augment=Augment(hp.Choice("augment", ["none", "flip_crop"])), views=2)
"""
MODULE = """
import keras

def first(hp):
    return keras.layers.Conv2D(hp.Int("filters", 8, 16, step=8), 5, strides=2, activation="relu")
"""
EDITED = SPACE.replace("GlobalMaxPooling2D", "GlobalAveragePooling2D")


def network(hp, classes=2, **compiled):
    """A function of a module, as Keras Tuner's users write one: it names no Fit and no size of images."""
    model = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(hp.Choice("filters", [8, 16]), 5, strides=2, activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(**{"optimizer": "adam", "loss": "categorical_crossentropy", **compiled})
    return model


class Tunable(HyperModel):
    """A network as Keras Tuner's users write one in a class."""

    def build(self, hp):
        return network(hp), Fit(epochs=1, class_weight="balanced")


class Fitting(HyperModel):
    """One that would fit itself."""

    def build(self, hp):
        return network(hp)

    def fit(self, hp, model, *values, **named):
        return model.fit(*values, epochs=5, **named)


def in_folder(folder, patch):
    patch.chdir(folder)
    write_shapes(folder / "shapes", {"across": 8, "down": 8})
    (folder / "space.py").write_text(SPACE)
    (folder / "layers.py").write_text(MODULE)
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    return in_folder(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A search by worker processes, killed in the middle, and resumed from its record while its file was edited."""
    with pytest.MonkeyPatch.context() as patch:
        folder = in_folder(tmp_path_factory.mktemp("compiled"), patch)
        run = [sys.executable, "-m", "search", "run", "space.py", "--offline", "--name", "own", "--slots", "1"]
        process = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        journal = folder / "results" / "own" / "journal.jsonl"
        while process.poll() is None and (
            not journal.exists() or b'"job", "trial": "0000"' not in journal.read_bytes()
        ):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        (folder / "space.py").write_text(EDITED)
        resume = [sys.executable, "-m", "search", "resume", "own", "--slots", "1"]
        done = subprocess.run(resume, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder


def tuner_of(*space, **options):
    return KFoldTuner(*space, screen=Lines(wide_console()), offline=True, executor="inline", **options)


def test_killed_and_resumed_it_ends_as_if_uninterrupted(finished, place):
    jobs_by_name(finished / "results" / "own")
    tuner_of("space.py", name="own", cache=str(finished / "cache")).search()
    assert outcome(place / "results" / "own") == outcome(finished / "results" / "own")


def test_hyperparameters_are_what_the_report_explains(finished):
    record = read_record(finished / "results" / "own")
    judgement = Judgement.of(record)
    assert {factor.name for factor in judgement.factors} <= {"filters", "dropout", "learning_rate", "augment"}
    assert judgement.factors
    trial = record.history.trials["0000"]
    assert dict(trial.recipe.values) == trial.values
    assert recipe_from(json.loads(json.dumps(trial.recipe.to_dict()))) == trial.recipe
    report = json.loads((finished / "results" / "own" / "report" / "report.json").read_text())
    rows = {row["trial"]: row for row in report["tables"]["trials"]}
    assert rows["0000"]["hp.filters"] == trial.values["filters"]
    assert rows["0000"]["parameters"] == trial.recipe.network.parameters
    assert rows["b0"]["hp.filters"] is None
    assert f"filters {trial.values['filters']}" in rows["0000"]["summary"]


def test_an_export_predicts(finished, monkeypatch):
    monkeypatch.chdir(finished)
    record = read_record(finished / "results" / "own")
    tuner = KFoldTuner.reopen(record, screen=Lines(wide_console()), executor="inline")
    folder = export(tuner, "0000", finished / "model")
    predictions = predict(folder, [finished / "shapes" / "across"], lambda *_: None)
    assert len(predictions.images) == 8
    assert np.allclose(predictions.probabilities.sum(axis=1), 1)
    about = json.loads((folder / "recipe.json").read_text())
    assert about["compared"]["largest_difference"] < 1e-5
    assert about["recipe"] == record.history.trials["0000"].recipe.to_dict()
    assert "filters" in (folder / "README.md").read_text()


def test_a_run_depends_on_its_seed_alone(place):
    setup = prepare(read_space(place / "space.py"), Options(offline=True, executor="inline"), print)
    executor, recipe = Inline(setup.materials), setup.sample()[1]

    def run(fold):
        executor.submit(Job("0000", 1, recipe, (fold,)))
        return executor.wait(0).result.runs[0]

    first, other, again = run("f0"), run("f1"), run("f0")
    assert np.array_equal(first.probabilities, again.probabilities)
    assert np.array_equal(first.curve, again.curve)
    assert first.curve.shape == (3, 2)
    assert len(first.watched) == 3
    assert not np.array_equal(first.probabilities, other.probabilities)


def test_a_network_that_cannot_be_loaded_again_is_not_exported(tmp_path):
    double = keras.layers.Lambda(lambda pixels: 2 * pixels)
    model = keras.Sequential([keras.Input((32, 32, 3)), double, keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    own_network(model, 2, 32).plain().save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="in place of a Lambda"):
        loaded(tmp_path / "model.keras", "It")


@pytest.mark.parametrize("space", [network, Tunable()])
def test_functions_and_hypermodels_are_taken(place, space):
    study = Study("shapes", folds=2, train_fractions=(1.0,), max_trials=1, image_size=32, baselines=False)
    tuner = tuner_of(space, study)
    tuner.search()
    (trial,) = tuner.record.history.trials.values()
    assert isinstance(trial.recipe, NetworkRecipe)
    assert trial.verdict.status == "completed"
    assert trial.recipe.epochs == (15 if space is network else 1)
    assert trial.recipe.image_size == 32


def test_other_processes_import_a_function_by_its_name():
    assert by_name(network)
    with pytest.raises(UserError, match="space file"):
        by_name(REFUSED["is not compiled"])


def drawing(hp):
    return network(hp, metrics=[], optimizer=keras.optimizers.Adam(int.from_bytes(os.urandom(2)) / 2**16))


def mixed(hp):
    from search import Recipe

    return network(hp) if hp.Boolean("own", default=True) else Recipe("SmallCNN", None)


REFUSED = {
    "is not compiled": lambda hp: keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()]),
    "without a loss": lambda hp: network(hp, loss=None),
    "has 3 outputs, and the data has 2 classes": lambda hp: network(hp, classes=3),
    "ends in probabilities, but": lambda hp: network(hp, loss=keras.losses.CategoricalCrossentropy(from_logits=True)),
    "another recipe each time": drawing,
    "at some points, and a network at others": mixed,
    "return model, Fit": lambda hp: (network(hp), 10),
    "Fit has no field 'callbacks'.*flatter": lambda hp: (network(hp), Fit(callbacks=[])),
    "Fit has no field 'epoch'. Did you mean 'epochs'": lambda hp: (network(hp), Fit(epoch=3)),
    "epochs=0": lambda hp: (network(hp), Fit(epochs=0)),
    "Fitting.fit would never be called": Fitting(),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_trained_is_refused_before_the_search(place, words):
    study = Study("shapes", folds=2, max_trials=1, image_size=32)
    with pytest.raises(UserError, match=words):
        tuner_of(REFUSED[words], study)
