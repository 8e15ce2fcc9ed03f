"""Logit adjustment: training stays as it is, and every prediction leaves out how frequent the classes were."""

import dataclasses

import numpy as np
import pytest
from kit.runs import materials, run
from kit.shapes import write_shapes

from search.data.images import decode
from search.export.plain import averaged, plain_model
from search.repertoire.prediction import PREDICTIONS
from search.repertoire.priors import assumption, log_prior
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.errors import UserError
from search.system.tf import keras
from search.training.trainer import Trainer, set_up

set_up(2)


@pytest.fixture
def trainer(tmp_path):
    root = write_shapes(tmp_path / "uneven", {"across": 18, "down": 6})
    return Trainer(materials(root, tmp_path / "cache", folds=3, train_fractions=(1.0,), weights=["Embedded"]))


def recipe(backbone="Embedded", depth=0, **fields):
    return Recipe(backbone, depth, **{"image_size": 32, "epochs": 2, "dropout": 0.0, **fields})


heads_and_bodies = pytest.mark.parametrize(("backbone", "depth"), [("Embedded", 0), ("SmallCNN", None)])


def test_the_prior_is_that_of_what_trains():
    np.testing.assert_allclose(np.exp(log_prior(np.array([0, 2, 2, 2]), 3)), [0.2, 0.2, 0.6], rtol=1e-6)


@heads_and_bodies
def test_predictions_leave_out_the_prior_and_training_stays_as_it_is(trainer, backbone, depth, monkeypatch):
    plain = recipe(backbone, depth)
    monkeypatch.setattr("search.training.loop.seed_from", lambda *_: 5)  # the same draws, whatever the recipe
    (before,) = run(trainer, plain, "f0")
    for tau in (1.0, 0.5):
        (after,) = run(trainer, dataclasses.replace(plain, logit_adjustment=tau), "f0")
        np.testing.assert_array_equal(before.curve, after.curve)
        weighted = before.probabilities * np.array([12 / 16, 4 / 16]) ** -tau
        np.testing.assert_allclose(after.probabilities, weighted / weighted.sum(1, keepdims=True), atol=1e-5)
        assert not np.allclose(before.watched[:, 1], after.watched[:, 1], atol=1e-4)
        of_truth = after.probabilities[range(8), after.labels]
        np.testing.assert_allclose(after.watched[-1, 1], -np.log(of_truth).mean(), rtol=1e-4)
    (again,) = run(trainer, plain, "f0")
    np.testing.assert_array_equal(before.probabilities, again.probabilities)


@heads_and_bodies
def test_the_model_to_take_away_has_it_in_its_layers(trainer, backbone, depth, tmp_path):
    wanted, data = recipe(backbone, depth, logit_adjustment=1), trainer.materials
    trained = trainer.train(wanted, data.folds["f0"], lambda: None)
    made = plain_model(shape_of(wanted), trained.body, trained.run.head, backbone == "Embedded")
    made.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    (decoded,) = (tmp_path / "cache").glob("decoded/*/pixels.npy")
    pixels = np.load(decoded)[data.folds["f0"].validation]
    np.testing.assert_allclose(model.predict_on_batch(pixels), trained.run.probabilities, atol=1e-5)
    assert "logit_adjustment" in [layer.name for layer in model.layers]


@pytest.mark.parametrize("depth", [0, 1])
def test_each_view_is_adjusted_before_views_are_averaged(trainer, depth, monkeypatch):
    monkeypatch.setattr("search.training.loop.seed_from", lambda *_: 5)
    plain, data = recipe(depth=depth), trainer.materials
    fold = data.folds["f0"]
    trained = trainer.train(plain, fold, lambda: None)
    both = dataclasses.replace(plain, logit_adjustment=1, tta="mirror")
    adjusted = trainer.train(both, fold, lambda: None)
    model = plain_model(shape_of(plain), trained.body, trained.run.head, True)
    pixels = decode(data.paths, data.contents, 32, data.cache).pixels[fold.validation]
    views = np.stack([model.predict_on_batch(shown) for shown in (pixels, pixels[:, :, ::-1])])

    def even(probabilities):
        weighted = probabilities * np.array([16 / 12, 16 / 4])
        return weighted / weighted.sum(axis=-1, keepdims=True)

    np.testing.assert_allclose(adjusted.run.probabilities, even(views).mean(axis=0), atol=1e-5)
    assert np.abs(even(views).mean(axis=0) - even(views.mean(axis=0))).max() > 1e-4

    of_one = plain_model(shape_of(both), adjusted.body, adjusted.run.head, True)
    exported = averaged(of_one, PREDICTIONS["mirror"].views)
    np.testing.assert_allclose(exported.predict_on_batch(pixels), adjusted.run.probabilities, atol=1e-5)


def test_a_fitted_start_is_not_adjusted(trainer):
    plain = recipe(depth=1, head_start="fitted")
    adjusted = dataclasses.replace(plain, logit_adjustment=1)
    starts = [
        trainer._starts(each, [trainer._run(each, trainer.materials.folds["f0"])])[0] for each in (plain, adjusted)
    ]
    np.testing.assert_array_equal(starts[0].kernel, starts[1].kernel)
    run(trainer, adjusted, "f0")


def test_it_is_refused_beside_class_weights():
    for weights in ("balanced", {"cat": 2}):
        with pytest.raises(UserError, match=r"logit_adjustment=1 with class_weight=.*twice.*class_weight='none'"):
            Recipe("MobileNet", logit_adjustment=1, class_weight=weights)


def test_what_probabilities_assume_is_said():
    assert assumption(recipe()) == ""
    assert "all classes are equally frequent" in assumption(recipe(logit_adjustment=1))
    assert "more even" in assumption(recipe(logit_adjustment=0.5))
    assert "more frequent than the others" in assumption(recipe(logit_adjustment=2))
