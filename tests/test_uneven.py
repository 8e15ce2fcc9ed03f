"""A whole search of losses and of what is for uneven classes: run, run in another process, reported, exported."""

import csv
import json
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
from kit.shapes import write_shapes

from search import KFoldTuner
from search.analysis.predictions import read_runs
from search.export.export import export
from search.export.predict import predict
from search.journal.outcomes import Status
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.record import read_record
from search.report.json import schema
from search.report.write import write_report
from search.system.tf import keras
from search.training.trainer import set_up

set_up(2)

SPACE = """
from search import Augment, EffectiveNumber, Focal, Recipe, Sampling, Study

study = Study(
    "shapes", folds=2, train_fractions=(1.0,), max_trials=99, oracle="grid", image_size=32, seed=2, baselines=False,
    holdout=4,
)
CHOICES = {
    "loss": ["focal", Focal(0.5)],
    "label_smoothing": [0.2],
    "class_weight": ["balanced", "max_ratio", "effective_number", EffectiveNumber(0.9), {"down": 3.0}],
    "sampling": ["undersample", "oversample", "top_up", Sampling("exactly", 7)],
    "logit_adjustment": [0.5, 1.0],
}

def space(hp):
    field = hp.Choice("field", list(CHOICES))
    fields = {}
    for name, values in CHOICES.items():
        with hp.conditional_scope("field", [name]):
            value = hp.Choice(name, values)
        if field == name:
            fields[name] = value
    body = {"unfrozen_blocks": 1, "tta": "mirror", "head_start": "fitted", "mix": "mixup"}
    more = body if field == "logit_adjustment" or fields.get("loss") == "focal" else {"unfrozen_blocks": 0}
    return Recipe("Embedded", augment=Augment("flip_crop"), views=2, epochs=3, batch_size=8, **more, **fields)
"""
TRIALS = 14
COUNTS = {"across": 28, "down": 10}
RUN = ("run", "space.py", "--offline", "--no-racing", "--name")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with uneven classes and a finished search of all choices."""
    folder = tmp_path_factory.mktemp("uneven")
    write_shapes(folder / "shapes", COUNTS)
    (folder / "space.py").write_text(SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = {"executor": "inline", "racing": False, "cache": "cache", "offline": True, "name": "here"}
        KFoldTuner("space.py", screen=Lines(wide_console()), **options).search()
    return folder


def recorded(place, name):
    return read_record(place / "results" / name)


def predictions(record):
    """The probabilities of each run, by the recipe of its trial and its fold."""
    return {
        (trial.recipe.digest, fold): arrays["probabilities"]
        for trial in record.history.trials.values()
        for fold, arrays in read_runs(record.folder, list(trial.runs.values())).items()
    }


def test_each_choice_is_a_trial_with_predictions_of_its_own(place):
    record = recorded(place, "here")
    assert {trial.status for trial in record.history.trials.values()} == {Status.COMPLETED}
    probabilities = predictions(record).values()
    assert len(record.history.trials) == TRIALS
    assert len({each.tobytes() for each in probabilities}) == len(probabilities) == 2 * TRIALS


def test_the_journal_counts_what_sampling_takes_of_each_fold(place):
    trials = recorded(place, "here").history.trials.values()
    sampled = {trial.recipe.sampling.level: run.sampled for trial in trials for run in trial.runs.values()}
    there = sampled["undersample"]["there"]
    assert there["across"] > there["down"]
    for level, number in (
        ("undersample", there["down"]),
        ("oversample", there["across"]),
        ("top_up", there["across"]),
        ("exactly 7", 7),
    ):
        assert sampled[level] == {"there": there, "trained": dict.fromkeys(COUNTS, number)}
    assert sampled["none"] == {}


def test_another_process_draws_the_same_samples(place):
    (place / "other.py").write_text(
        SPACE.replace("\ndef space", '\nCHOICES = {"sampling": CHOICES["sampling"]}\n\ndef space')
    )
    command = ["run", "other.py", "--offline", "--no-racing", "--name", "there", "--cache", "other"]
    told = subprocess.run(
        [sys.executable, "-m", "search", *command], cwd=place, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    here, there = (predictions(recorded(place, name)) for name in ("here", "there"))
    assert len(there) == 8
    for run, probabilities in there.items():
        np.testing.assert_allclose(probabilities, here[run], atol=1e-6)


def test_the_report_names_each_choice(place):
    folder = write_report(recorded(place, "here")).paths["report.json"].parent
    jsonschema.validate(json.loads((folder / "report.json").read_text()), schema())
    rows = list(csv.DictReader((folder / "trials.csv").open()))
    assert {row["loss"] for row in rows} == {"cross_entropy", "focal 2", "focal 0.5"}
    assert {row["sampling_count"] for row in rows} == {"", "7"}
    assert {"effective_number 0.9", "down: 3", "max_ratio"} < {row["class_weight"] for row in rows}
    page = (folder / "report.md").read_text()
    for words in ("label smoothing", "logit adjustment", "class weights", "sampling", "loss"):
        assert words in page, words


@pytest.mark.parametrize(
    ("tau", "says"), [(0.5, "classes that are more even"), (1.0, "all classes are equally frequent")]
)
def test_an_adjusted_model_predicts_as_its_trial_and_says_what_it_assumes(place, tau, says, monkeypatch, capsys):
    monkeypatch.chdir(place)
    record = recorded(place, "here")
    (trial,) = (each for each in record.history.trials.values() if each.recipe.logit_adjustment == tau)
    assert trial.recipe.tta == "mirror"
    tuner = KFoldTuner.reopen(record, screen=Lines(wide_console()), executor="inline", cache="cache")
    folder = export(tuner, trial.id, place / f"model-{tau}")
    assert f"Beware of the model: Its logits are adjusted (logit_adjustment={tau:g})" in " ".join(
        capsys.readouterr().out.split()
    )
    assert says in " ".join((folder / "README.md").read_text().split())
    assert json.loads((folder / "recipe.json").read_text())["compared"]["largest_difference"] < 1e-4
    assert "logit_adjustment" in str(keras.models.load_model(folder / "model.keras").get_config())
    assert len(predict(folder, [place / "shapes"], lambda done, of: None).images) == sum(COUNTS.values())
