"""Heads that scikit-learn fits all at once: they are its machines, with honest probabilities, as layers of Keras."""

import dataclasses
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from kit.runs import materials, run
from kit.shapes import write_shapes
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression as Reference
from sklearn.svm import SVC

from search.export.plain import plain_model
from search.oracles.values import label_of
from search.repertoire.augmentation import Augment
from search.repertoire.columns import columns_of, factors_of, varied
from search.repertoire.heads import BY_STEPS, HEADS, LogisticRegression, Svm, level_of
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.errors import UserError
from search.system.tf import keras
from search.training.heads import svm
from search.training.heads.dense import unit_rows
from search.training.heads.svm import Rows, inner_splits
from search.training.loop import Examples
from search.training.trainer import Trainer, set_up

set_up(2)
AT_ONCE = [name for name, head in HEADS.items() if head.layers is None]
each_head = pytest.mark.parametrize("name", AT_ONCE)


def examples(classes=3, images=60, features=12, apart=1.0, views=1):
    """Examples of random directions, by class as far apart as is said; all views of an image are the same."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % classes
    x = rng.normal(size=(images, features)) + apart * rng.normal(size=(classes, features))[labels]
    weights = rng.uniform(0.3, 3, images) / views
    each = (
        x.astype(np.float32),
        np.eye(classes, dtype=np.float32)[labels],
        weights.astype(np.float32),
        np.arange(images),
        np.arange(images),
    )
    return Examples(*(np.concatenate([part] * views) for part in each))


def fit(settings, given, seed=5):
    """Return the head of one run on these examples."""
    runs = SimpleNamespace(
        runs=[None], seeds=[seed], settings=settings, proceed=lambda: None, examples=lambda _number: given
    )
    (head,) = HEADS[settings.name].fit(runs)
    return head


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_is_that_of_scikit_learn(classes):
    given = examples(classes)
    head = fit(LogisticRegression(2.0), given)
    machine = Reference(C=2.0, max_iter=1000)
    machine.fit(unit_rows(given.features), given.targets.argmax(axis=1), given.weights)
    np.testing.assert_allclose(
        head.predict(given.features), machine.predict_proba(unit_rows(given.features)), atol=1e-5
    )


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("settings", [Svm(), Svm("rbf", 3.0), Svm("rbf", gamma=0.7)], ids=level_of)
def test_an_svm_is_one_machine_of_scikit_learn_for_each_class(classes, settings, monkeypatch):
    given = examples(classes)
    unit, labels = unit_rows(given.features), given.targets.argmax(axis=1)
    rows = Rows(unit, labels, given.weights, given.images, given.groups, 5)
    parts = []
    for label in range(classes):
        machine = SVC(C=settings.C, kernel=settings.kernel, gamma=settings.gamma or "scale")
        splits = inner_splits(rows, labels == label, label)
        calibrated = CalibratedClassifierCV(machine, method="sigmoid", cv=splits, ensemble=False)
        calibrated.fit(unit, labels == label, sample_weight=given.weights)
        parts.append(calibrated.predict_proba(unit)[:, 1])
    expected = np.stack(parts, axis=1) / np.sum(parts, axis=0)[:, None]
    if classes == 2:
        expected = np.stack([1 - parts[1], parts[1]], axis=1)
    np.testing.assert_allclose(fit(settings, given).predict(given.features), expected, atol=1e-3)
    monkeypatch.setattr(svm, "MOST_PRECOMPUTED", 10)
    np.testing.assert_allclose(fit(settings, given).predict(given.features), expected, atol=1e-3)


@pytest.mark.parametrize("settings", [Svm(), Svm("rbf")], ids=level_of)
def test_an_svm_is_as_sure_as_it_is_right(settings, monkeypatch):
    """Features say nothing, and each image can be learned by heart: decisions on what trained a machine flatter it."""
    given, rng = examples(2, images=120, features=100, apart=0.0), np.random.default_rng(1)
    fresh, labels = rng.normal(size=(1000, 100)).astype(np.float32), np.arange(1000) % 2

    def too_sure():
        probabilities = fit(settings, given).predict(fresh)
        return probabilities.max(axis=1).mean() - (probabilities.argmax(axis=1) == labels).mean()

    honest = too_sure()
    assert honest < 0.13
    every = np.arange(120)
    monkeypatch.setattr(svm, "inner_splits", lambda *_: [(every, every)])
    assert too_sure() > honest + 0.08


def test_inner_folds_keep_the_views_of_an_image_together_and_have_both_sides():
    images = np.tile(np.arange(23) * 3, 4)
    truth = images % 5 == 0
    rows = Rows(np.zeros((92, 2)), truth.astype(int), np.ones(92), images, images, 5)
    splits = inner_splits(rows, truth, 1)
    assert len(splits) == min(svm.INNER_FOLDS, len(set(images[truth])))
    np.testing.assert_array_equal(np.sort(np.concatenate([held for _, held in splits])), np.arange(92))
    for train, held in splits:
        assert not set(images[train]) & set(images[held])
        assert len(train) + len(held) == 92
        assert set(truth[train]) == {False, True}
    same, other = (inner_splits(dataclasses.replace(rows, seed=seed), truth, 1) for seed in (5, 6))
    held = [[part.tolist() for _, part in each] for each in (splits, same, other)]
    assert held[0] == held[1] != held[2]


def test_inner_folds_keep_the_images_of_a_group_together():
    images = np.tile(np.arange(24), 2)
    truth, alone = images % 3 == 0, Rows(np.zeros((48, 2)), images % 3, np.ones(48), images, images, 5)
    for groups in (images // 3, images % 3 + 3 * (images // 6)):  # of both sides, and of one
        splits = inner_splits(dataclasses.replace(alone, groups=groups), truth, 0)
        assert 1 < len(splits) <= svm.INNER_FOLDS
        np.testing.assert_array_equal(np.sort(np.concatenate([held for _, held in splits])), np.arange(48))
        for train, held in splits:
            assert not set(groups[train]) & set(groups[held])
            assert set(truth[train]) == {False, True}
    single = inner_splits(dataclasses.replace(alone, groups=np.where(truth, 99, images)), truth, 0)
    assert len(single) == svm.INNER_FOLDS  # of which the only group of a side is parted, as if there were none
    np.testing.assert_array_equal(single[0][1], inner_splits(alone, truth, 0)[0][1])


def test_an_svm_is_calibrated_on_images_of_other_groups_than_trained_it(trainer):
    data = trainer.materials
    assert len(set(data.groups)) == len(data.labels)
    (apart,) = run(Trainer(dataclasses.replace(data, groups=None)), recipe("svm"), "f0")
    (alone,) = run(trainer, recipe("svm"), "f0")
    (pairs,) = run(Trainer(dataclasses.replace(data, groups=np.arange(len(data.labels)) // 2)), recipe("svm"), "f0")
    np.testing.assert_array_equal(alone.probabilities, apart.probabilities)
    assert np.abs(pairs.probabilities - alone.probabilities).max() > 1e-3


@each_head
def test_a_class_of_one_image_is_learned_and_one_of_none_is_never_told(name):
    given = examples(4, apart=3.0)
    labels = given.targets.argmax(axis=1)
    chosen = np.flatnonzero((labels < 2) | (np.arange(60) == 2))
    few = Examples(*(part[chosen] for part in given))
    probabilities = fit(HEADS[name].settings, few).predict(given.features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert not probabilities[:, 3].any()
    assert probabilities[2, 2] > probabilities[labels < 2, 2].mean()


@each_head
def test_every_view_counts_and_together_they_weigh_what_one_image_does(name):
    one, four = (fit(HEADS[name].settings, examples(views=views)) for views in (1, 4))
    shown = examples().features
    np.testing.assert_allclose(one.predict(shown), four.predict(shown), atol=0.02)


@pytest.fixture
def trainer(tmp_path):
    root = write_shapes(tmp_path / "uneven", {"across": 24, "down": 8, "other": 8})
    return Trainer(materials(root, tmp_path / "cache", folds=2, train_fractions=(1.0,), weights=["Embedded"]))


def recipe(name, **fields):
    return Recipe("Embedded", 0, image_size=32, head=name, **fields)


@each_head
def test_a_run_sees_all_views_and_obeys_class_weights(trainer, name):
    plain, weighted = recipe(name), recipe(name, class_weight="balanced")
    (before,), (after,) = (run(trainer, each, "f0") for each in (plain, weighted))
    rare = np.isin(after.labels, [1, 2])
    assert after.probabilities[:, 1:].sum() > before.probabilities[:, 1:].sum()
    assert rare.any()
    shown = []
    view = trainer._feed.view
    trainer._feed.view = lambda network, wanted, epoch: shown.append(epoch) or view(network, wanted, epoch)
    (augmented,) = run(trainer, recipe(name, augment=Augment("flip_crop"), views=3), "f0")
    assert sorted(set(shown)) == [0, 1, 2]
    assert not np.allclose(augmented.probabilities, before.probabilities, atol=1e-4)


@each_head
def test_what_is_adjusted_and_averaged_is_in_the_model_too(trainer, name, tmp_path):
    wanted = recipe(name, logit_adjustment=1.0)
    data = trainer.materials
    trained = trainer.train(wanted, data.folds["f0"], lambda: None)
    plain_model(shape_of(wanted), trained.body, trained.run.head, True).save(tmp_path / "model.keras")
    (decoded,) = (tmp_path / "cache").glob("decoded/*/pixels.npy")
    model = keras.models.load_model(tmp_path / "model.keras")
    pixels = np.load(decoded)[data.folds["f0"].validation]
    np.testing.assert_allclose(model.predict_on_batch(pixels), trained.run.probabilities, atol=1e-5)


ELSEWHERE = """
import json, sys; from kit.runs import materials, run; from search.repertoire.recipe import Recipe
from search.training.trainer import Trainer, set_up
set_up(2)
trainer = Trainer(materials(sys.argv[1], sys.argv[2], folds=2, train_fractions=(1.0,), weights=["Embedded"]))
recipes = [Recipe("Embedded", 0, image_size=32, head=name) for name in sys.argv[3:]]
print(json.dumps([run(trainer, recipe, "f0")[0].probabilities.tolist() for recipe in recipes]))
"""


def test_another_process_gives_the_same(trainer, tmp_path):
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "uneven"), str(tmp_path / "cache"), *AT_ONCE]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    for name, probabilities in zip(AT_ONCE, json.loads(told.stdout.splitlines()[-1]), strict=True):
        np.testing.assert_array_equal(run(trainer, recipe(name), "f0")[0].probabilities, np.float32(probabilities))


STEPS = {
    "dropout": 0.3,
    "learning_rate": 0.01,
    "weight_decay": 0.1,
    "batch_size": 8,
    "epochs": 3,
    "optimizer": "sgd",
    "schedule": "constant",
    "clip_norm": 1.0,
    "ema": 0.9,
    "epoch": "best_mean",
    "mix": "mixup",
    "loss": "focal",
    "label_smoothing": 0.1,
    "unfrozen_blocks": 1,
}


@each_head
@pytest.mark.parametrize("field", STEPS)
def test_what_only_steps_have_is_refused_by_both_names(name, field):
    with pytest.raises(UserError) as error:
        Recipe(**{"backbone": "Embedded", "head": name, field: STEPS[field]})
    assert re.search(rf"\b{field}=.*{STEPS[field]}", str(error.value), re.IGNORECASE)
    assert f"head={name!r}" in str(error.value)
    assert set(BY_STEPS) <= set(STEPS)


def test_reports_say_nothing_of_steps_that_were_not_taken():
    fitted, stepped = recipe("svm"), recipe("linear", dropout=0.3, optimizer="sgd", learning_rate=0.01)
    assert "dropout" not in fitted.summary(list(fitted.fields))
    assert "svm head" in fitted.summary()
    cells = {column.name: column.cell(fitted) for column in columns_of([fitted, stepped])}
    assert cells["dropout"] is cells["learning_rate"] is cells["optimizer"] is None
    assert cells["head"] == "svm"
    words, numbers = factors_of([fitted, stepped, dataclasses.replace(stepped, dropout=0.4)])
    assert words["optimizer"] == ["none", "sgd", "sgd"]
    assert words["head"] == ["svm", "linear", "linear"]
    assert numbers["dropout"] == [None, 0.3, 0.4]
    assert "learning_rate" not in numbers  # it does not differ where it counts
    assert varied([fitted, stepped]) == {"head"}
    assert set(OPTIMIZERS) > {"sgd"}


def test_settings_are_kept_and_the_usual_ones_are_the_name():
    assert recipe(Svm()).head == "svm"
    assert recipe(Svm("rbf", 10, "scale")).head == "svm_rbf"
    assert recipe(LogisticRegression(10)).head == "logistic_regression"
    wanted = recipe(Svm("rbf", gamma=0.5))
    assert label_of(wanted.head) == level_of(wanted.head) == "svm_rbf gamma 0.5"
    assert Recipe.from_dict(json.loads(json.dumps(wanted.to_dict()))) == wanted
    assert level_of(LogisticRegression(0.25)) == "logistic_regression C 0.25"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Svm("poly"), "Svm kernel='poly' is not known. Choose one of: linear, rbf"),
        (lambda: Svm(C=0), "Svm C=0 must be a number, above 0"),
        (lambda: Svm(gamma=1), "Svm gamma=1 with kernel='linear': only 'rbf' has a gamma"),
        (lambda: Svm("rbf", gamma="auto"), "Svm gamma='auto' must be a number above 0, or 'scale'"),
        (lambda: Svm("rbf", gamma=-1), "Svm gamma=-1 must be a number, above 0"),
        (lambda: LogisticRegression(-1), "LogisticRegression C=-1 must be a number, above 0"),
    ],
)
def test_wrong_settings_are_refused_by_their_name(make, words):
    with pytest.raises(UserError, match=words):
        make()
