"""What the card of a model says for others: its front matter, where it fails and what it is not for."""

from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from kit import toys

from search.analysis.judgement import Judgement
from search.analysis.predictions import read_runs
from search.export.card import ExportFacts, card, promised
from search.export.failures import Failures, unfit_for
from search.export.metadata import front_matter, weight_licences
from search.record import read_record
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.recipe import Recipe
from search.system.texts import visible

PROMISE = {
    "objective": "macro_f1",
    "expected": {"mean": 0.71234567, "low": 0.5, "high": 0.9},
    "accuracy": {"mean": 0.75, "low": None, "high": None},
    "corrected": True,
}
NAMES = (
    *("bees: 3, ants: 4", "- a\n---\n# b", "\"quoted\" 'twice'", "!!python:os.system", "&a *a", "{a: [b", "#1", "null"),
    *("ключ 🐝", "tab\there", "\x85\u2028", "yes"),
)


def head(name="hymenoptera", recipes=(), forms=(), promise=PROMISE):
    record = SimpleNamespace(name="search", about=SimpleNamespace(data=f"/data/{name.replace('/', '')}"))
    return front_matter(record, name, recipes or [Recipe("EfficientNetLite0")], forms, promise)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_strangers_stay_texts(name):
    text = head(name)
    assert text.startswith("---\n")
    assert text.count("\n---\n") == 1
    data = yaml.safe_load(text.split("---\n")[1])
    (model,) = data["model-index"]
    assert model["name"] == visible(name)
    assert model["results"][0]["dataset"]["name"] == visible(name)
    results = ModelCard(text + "# A model").data.eval_results
    assert {result.dataset_name for result in results} == {visible(name)}


def test_the_result_is_the_corrected_score_with_its_interval():
    metrics = {result.metric_type: result for result in ModelCard(head()).data.eval_results}
    assert metrics["macro_f1"].metric_value == 0.7123
    assert metrics["macro_f1"].metric_args == {"interval": [0.5, 0.9], "level": 0.95}
    assert metrics["macro_f1"].metric_name == (
        "macro-F1 to expect, cross-validated, corrected for having been picked, 95 % interval 0.500 to 0.900"
    )
    assert metrics["accuracy"].metric_name.endswith("no interval is known")
    raw = ModelCard(head(promise={**PROMISE, "corrected": False})).data.eval_results
    assert all("raw, and probably too high" in result.metric_name for result in raw)


def test_where_nothing_may_be_expected_no_result_is_given():
    assert "model-index" not in yaml.safe_load(head(promise=None).split("---\n")[1])


@pytest.mark.parametrize(
    ("backbones", "licence", "name"),
    [
        (["EfficientNetLite0"], "apache-2.0", None),
        (["ResNet50V2"], "bsd", None),
        (["VGG16"], "cc", None),
        (["EfficientNetLite0", "MobileNet"], "apache-2.0", None),
        (["EfficientNetLite0", "ResNet50"], "other", "Apache-2.0 and MIT"),
        (["EfficientNetLite0", "Toy"], "unknown", None),
        (["SmallCNN"], None, None),
    ],
)
def test_the_licence_is_that_of_the_weights(monkeypatch, backbones, licence, name):
    monkeypatch.setitem(BACKBONES, "Toy", toys.BACKBONE)  # of whose weights no licence is known
    recipes = [Recipe(each, 0 if BACKBONES[each].pretrained else None) for each in backbones]
    data = ModelCard(head(recipes=recipes)).data
    assert (data.license, data.license_name) == (licence, name)
    assert len(weight_licences(recipes)) <= len(backbones)


@pytest.fixture
def record(finished):
    return read_record(finished / "results" / "space-shapes")


def test_failures_are_those_of_the_folds(record):
    trial = Judgement.of(record).recommended
    failures = Failures(record, {trial.id: 1.0})
    full = [fold.id for fold in record.rules.folds if fold.fraction == record.rules.fractions[-1]]
    arrays = read_runs(record.folder, [trial.runs[fold] for fold in full])
    labels = np.concatenate([arrays[fold]["labels"] for fold in full])
    right = np.concatenate([arrays[fold]["probabilities"].argmax(axis=1) == arrays[fold]["labels"] for fold in full])
    told = {row["class"]: (row["correct"], row["images"]) for row in failures.classes}
    own = {name: labels == at for at, name in enumerate(record.about.classes)}
    assert told == {name: (int(right[rows].sum()), int(rows.sum())) for name, rows in own.items()}
    assert sum(row["images"] for row in failures.pairs) == int((~right).sum())
    assert [row["recall"] for row in failures.classes] == sorted(row["recall"] for row in failures.classes)


def test_the_card_says_where_it_fails_and_what_it_is_not_for(record, monkeypatch):
    judgement = Judgement.of(record)
    trial = judgement.recommended
    wrong = Failures(record, {trial.id: 1.0})
    wrong.classes = [
        {"class": "a*b", "images": 10, "correct": 2, "recall": 0.2, "low": 0.1, "high": 0.5, "precision": 0.4}
    ]
    wrong.pairs = [{"label": "a*b", "predicted": "<i>", "images": 8, "share": 0.8}]
    monkeypatch.setattr("search.export.card.Failures", lambda *_: wrong)
    text = card(judgement, ExportFacts(trial, 28, 0, {"keras": "3.15", "tensorflow": "2.21"}))
    assert '"a\\*b": 2 of 10 images right (95 % interval 0.10 to 0.50); 40 of 100 answers with this name' in text
    assert '"a\\*b" is taken for "\\<i\\>" 8 times, 80 of 100 of its images.' in text
    assert 'Finding or counting "a\\*b": its recipe missed 8 of 10 on the folds.' in text
    assert "Other runtimes" not in text


def test_classes_beyond_the_five_worst_are_counted(record):
    failures = Failures(record, {Judgement.of(record).recommended.id: 1.0})
    row, pair = {**failures.classes[0], "recall": 0.7}, {"label": "a", "predicted": "b", "images": 1, "share": 0.1}
    for others, says in ((1, "The other class is recognised"), (3, "The other 3 classes are recognised")):
        failures.classes, failures.pairs = [row] * (5 + others), [pair]
        assert any(line.startswith(says) for line in failures.lines())


def test_what_nobody_knows_is_not_to_be_used(record):
    judgement = Judgement.of(record)
    trial = judgement.recommended
    failures = Failures(record, {trial.id: 1.0})
    assert next(unfit_for(judgement, failures, None)).startswith("Anything, before it was measured")
    lines = list(unfit_for(judgement, failures, promised(judgement, trial)))
    assert not any(line.startswith("Anything") for line in lines)
    bad = {**PROMISE, "expected": {"mean": 0.3, "low": None, "high": None}}
    assert any("not known to be better than one answer" in line for line in unfit_for(judgement, failures, bad))
