"""Networks that a space builds and compiles itself are searched, resumed, exported and predicted like recipes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from kit.drivers import jobs_by_name, outcome
from kit.shapes import write_shapes

from search import Fit, KFoldTuner, Study, UserError, amounts_at_hand, image_sizes
from search.analysis.judgement import Judgement
from search.executors.inline import Inline
from search.export.export import export
from search.export.members import loaded
from search.export.predict import predict
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.options import Options
from search.oracles.hyperparameters import HyperModel, HyperParameters
from search.oracles.networks import by_name
from search.prepare import prepare
from search.racing import Job
from search.record import read_record
from search.repertoire.networks import NetworkRecipe, recipe_from
from search.space import read_space
from search.system.tf import keras
from search.training.networks import own_network

SPACES = Path(__file__).resolve().parents[1] / "spaces"
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
        rate = 1e-3 * image_sizes()[0] / 32  # of which workers need the same
        drawn = hp.Choice("drawn", amounts_at_hand([0, 8]))
        with hp.conditional_scope("drawn", [8]):  # of which no value is at hand
            hp.Int("more", 1, 2)
        return network(hp, optimizer=keras.optimizers.Adam(rate)), Fit(epochs=1 + drawn, class_weight="balanced")


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


def tuner_of(*space, executor="inline", **options):
    return KFoldTuner(*space, screen=Lines(wide_console()), offline=True, executor=executor, **options)


def test_killed_and_resumed_it_ends_as_if_uninterrupted(finished, place):
    jobs_by_name(finished / "results" / "own")
    tuner_of("space.py", name="own", cache=str(finished / "cache")).search()
    assert outcome(place / "results" / "own") == outcome(finished / "results" / "own")


def test_the_code_of_the_networks_is_part_of_a_search(finished, monkeypatch):
    monkeypatch.chdir(finished)

    def prepared(space, module):
        (finished / "space.py").write_text(space)
        (finished / "layers.py").write_text(module)
        options = Options(name="own", offline=True, executor="inline")
        return prepare(read_space(finished / "space.py"), options, lambda line: None)

    assert prepared(f'"""A text."""\n{SPACE.replace("max_trials=2", "max_trials=3")}# and another', MODULE)
    with pytest.raises(UserError, match=r"(?s)the code that builds .* changed.*\+layers.py:     filters = 8.*--fresh"):
        prepared(SPACE, MODULE.replace("    return", "    filters = 8\n    return"))


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


def test_the_network_of_the_example_is_built_and_fitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "shapes", {f"digit {digit}": 6 for digit in range(10)})
    options = Options(data="shapes", offline=True, executor="inline")
    setup = prepare(read_space(SPACES / "own_network.py"), options, lambda line: None)
    executor, (recipe,) = Inline(setup.materials), setup.sample(1)
    executor.submit(Job("0000", 1, recipe, (setup.plan.folds[-1].id,)))
    (run,) = executor.wait(0).result.runs
    assert run.probabilities.shape == (20, 10)
    assert np.allclose(run.probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_network_that_cannot_be_loaded_again_is_not_exported(tmp_path):
    double = keras.layers.Lambda(lambda pixels: 2 * pixels)
    model = keras.Sequential([keras.Input((32, 32, 3)), double, keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    own_network(model, 2, 32).plain().save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="in place of a Lambda"):
        loaded(tmp_path / "model.keras", "It")


@pytest.mark.parametrize(("space", "executor"), [(network, "inline"), (Tunable(), "processes")])
def test_functions_and_hypermodels_are_taken(place, space, executor):
    study = Study("shapes", folds=2, train_fractions=(1.0,), max_trials=1, image_size=32, baselines=False)
    tuner = tuner_of(space, study, executor=executor, slots=1 if executor == "processes" else None)
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


def branched(hp):
    """A functional network whose operations are no layers, in a model within a model too."""
    inputs, maps = keras.Input((32, 32, 3)), keras.Input((16, 16, 8))
    sides = [keras.layers.Conv2D(8, 3, strides=2, padding="same")(inputs / 255.0) for _ in range(2)]
    inner = keras.Model(maps, keras.ops.relu(2 * maps - keras.layers.Conv2D(8, 1)(maps)))
    x = keras.layers.GlobalMaxPooling2D()(inner(sides[0] + sides[1]))
    model = keras.Model(inputs, keras.layers.Dense(hp.Fixed("classes", 2), activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_a_network_of_operations_is_known_by_them_however_many_a_process_built():
    hp = HyperParameters()
    first, again = (own_network(branched(hp), 2, 32).architecture for _ in range(2))
    keras.utils.clear_session()  # as a worker does: the names of operations begin anew
    inputs = keras.Input((32, 32, 3))
    keras.Model(inputs, inputs / 3 + inputs)
    assert first == again == own_network(branched(hp), 2, 32).architecture
    other = branched(hp)
    scaled = keras.Model(other.input, other(other.input * 2.0))
    scaled.compile("adam", "sparse_categorical_crossentropy")
    assert own_network(scaled, 2, 32).architecture.digest != first.digest


class Failing(keras.Model):
    def call(self, pixels):
        raise KeyError("pixels")


def failing(hp):
    model = Failing()
    model.compile("adam", "mse")
    return model


REFUSED = {
    "is not compiled": lambda hp: keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()]),
    "without a loss": lambda hp: network(hp, loss=None),
    "has 3 outputs, and the data has 2 classes": lambda hp: network(hp, classes=3),
    "ends in probabilities, but": lambda hp: network(hp, loss=keras.losses.CategoricalCrossentropy(from_logits=True)),
    "loss='sparse_crossentropy', which Keras does not know": lambda hp: network(hp, loss="sparse_crossentropy"),
    "metrics that fail: ValueError: .* acuracy": lambda hp: network(hp, metrics=["acuracy"]),
    r"cannot be called with images of 32 × 32 × 3: KeyError: .*Failing.call\(\). pixels": failing,
    "another recipe each time": drawing,
    "at some points, and a network at others": mixed,
    "return model, Fit": lambda hp: (network(hp), 10),
    "Fit has no field 'callbacks'.*flatter": lambda hp: (network(hp), Fit(callbacks=[])),
    "Fit has no field 'epoch'. Did you mean 'epochs'": lambda hp: (network(hp), Fit(epoch=3)),
    "Fit has no field 'loss'. The network is compiled with its loss": lambda hp: (network(hp), Fit(loss="focal")),
    "Fit has no field 'sampling'.*class_weight": lambda hp: (network(hp), Fit(sampling="top_up")),
    "in class_weight='acros'.*Did you mean 'across'": lambda hp: (network(hp), Fit(class_weight={"acros": 2})),
    "epochs=0": lambda hp: (network(hp), Fit(epochs=0)),
    "Fitting.fit would never be called": Fitting(),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_trained_is_refused_before_the_search(place, words):
    study = Study("shapes", folds=2, max_trials=1, image_size=32)
    with pytest.raises(UserError, match=words):
        tuner_of(REFUSED[words], study)
