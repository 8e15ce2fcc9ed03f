"""Predictions over an image and its mirror image: the same on folds, from a cache or not, and in an export."""

import dataclasses

import numpy as np
import pytest
from kit.runs import materials, small

from search.data.images import decode
from search.export.plain import averaged, joint_model, plain_model
from search.repertoire.prediction import PREDICTIONS
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.tf import keras
from search.training.trainer import Trainer, set_up

set_up(2)
HEAD = Recipe("Embedded", 0, image_size=32, epochs=4, learning_rate=1e-2)
RECIPES = {
    "everything trains": small(epochs=2, unfrozen_blocks=None),
    "a block trains": dataclasses.replace(HEAD, unfrozen_blocks=1, epochs=2, learning_rate=1e-3),
    "the head trains": HEAD,
    "a head on two sizes": dataclasses.replace(HEAD, image_size=(32, 48)),
}


@pytest.fixture(params=["stored", "computed"])
def trainer(request, shapes, tmp_path, monkeypatch):
    """A trainer whose runs all have one seed, so that only what a recipe says differs."""
    monkeypatch.setattr("search.training.loop.seed_from", lambda *_: 5)
    limit = None if request.param == "stored" else 0
    return Trainer(dataclasses.replace(materials(shapes, tmp_path / "cache", folds=3), cache_bytes=limit))


def shown_to(model, pixels):
    return model.predict_on_batch(pixels if len(pixels) > 1 else pixels[0])


@pytest.mark.parametrize("kind", RECIPES)
def test_mirrored_prediction_is_the_mean_of_two_and_changes_nothing_else(kind, trainer, tmp_path):
    recipe, data = RECIPES[kind], trainer.materials
    fold = data.folds["f0"]
    plain = trainer.train(recipe, fold, lambda: None)
    mirrored = trainer.train(dataclasses.replace(recipe, tta="mirror"), fold, lambda: None)
    np.testing.assert_array_equal(plain.run.curve, mirrored.run.curve)
    for ours, theirs in zip(plain.body.values(), mirrored.body.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    shape = shape_of(recipe)
    if shape.branches:
        model = joint_model(shape, plain.run.head, data.weights)
    else:
        model = plain_model(shape, plain.body, plain.run.head, recipe.architecture.pretrained)
    pixels = [decode(data.paths, data.contents, size, data.cache).pixels[fold.validation] for size in recipe.sizes]
    one, other = (shown_to(model, shown) for shown in (pixels, [each[:, :, ::-1] for each in pixels]))
    np.testing.assert_allclose(plain.run.probabilities, one, atol=1e-5)
    np.testing.assert_allclose(mirrored.run.probabilities, (one + other) / 2, atol=1e-5)
    assert np.abs(one - other).max() > 1e-4

    averaged(model, PREDICTIONS["mirror"].views).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [each.name for each in loaded.inputs] == [each.name for each in model.inputs]
    np.testing.assert_allclose(shown_to(loaded, pixels), mirrored.run.probabilities, atol=1e-5)


def test_one_view_needs_no_other_model():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    assert averaged(model, PREDICTIONS["none"].views) is model
