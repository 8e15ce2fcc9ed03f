"""Pooling: what a head sees of the last maps, stored, trained and exported alike."""

import dataclasses

import numpy as np
import pytest
from kit.networks import linear_shape
from kit.runs import materials, run, small

from search.export.plain import joint_model, plain_model
from search.repertoire.backbones.backbone import IDENTITY, Backbone, NetworkFacts
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.pooling import AVERAGE, POOLINGS
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.digests import digest
from search.system.errors import UserError
from search.system.tf import COMPUTED_BY, keras
from search.training.activations import ACTIVATIONS_VERSION, PLAIN, Activations, Computed, Images
from search.training.compiled import CompiledNetwork
from search.training.network import build
from search.training.trainer import Trainer, set_up

set_up(2)
POOL = {
    "average": lambda maps: maps.mean(axis=(1, 2)),
    "maximum": lambda maps: maps.max(axis=(1, 2)),
    "flatten": lambda maps: maps.reshape(len(maps), -1),
}
OTHERS = sorted(set(POOLINGS) - {AVERAGE})
each_pooling = pytest.mark.parametrize("pooling", POOLINGS)


def recipe(pooling, depth=0, **fields):
    return Recipe("Embedded", depth, **{"image_size": 32, "epochs": 2, "pooling": pooling, **fields})


@each_pooling
def test_features_are_the_maps_pooled_as_it_says(pooling):
    backbone, pixels = BACKBONES["Embedded"], np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3)).astype(np.uint8)
    maps = np.asarray(construct(backbone, True)(backbone.scaled(pixels), training=False))
    expected = POOL[pooling](maps)
    network = build(dataclasses.replace(linear_shape("Embedded", 0, 48), pooling=pooling), 3, True)
    np.testing.assert_allclose(network.prefix(pixels), expected, atol=1e-4)
    assert network.row_shape == expected.shape[1:]
    assert network.head[0].kernel.shape == (expected.shape[1], 3)


def test_the_average_is_stored_where_it_was_and_the_others_apart(tmp_path):
    keys, images = {}, Images(np.zeros((1, 32, 32, 3)), ["a"], "key")
    for depth in (0, 1):
        for pooling in POOLINGS:
            shape = dataclasses.replace(linear_shape("Embedded", depth, 32), pooling=pooling)
            rows = Computed(CompiledNetwork(shape, lambda: None), images, PLAIN, 0, 7)
            keys[depth, pooling] = Activations(tmp_path, "weights", 7)._key(rows)
    for depth in (0, 1):
        frozen = ["Embedded", "weights", depth, COMPUTED_BY]
        assert keys[depth, AVERAGE] == digest(["activations", ACTIVATIONS_VERSION, "key", frozen, None])
    assert len({keys[0, pooling] for pooling in POOLINGS}) == len(POOLINGS)
    assert len({keys[1, pooling] for pooling in POOLINGS}) == 1


@pytest.fixture
def trainer(shapes, tmp_path):
    return Trainer(materials(shapes, tmp_path / "cache", folds=2, train_fractions=(1.0,), weights=["Embedded"]))


FITTED = Recipe("Embedded", 0, image_size=32, head="svm")
EVERY = {"head": recipe(AVERAGE), "blocks": recipe(AVERAGE, 1), "scratch": small(epochs=2), "svm": FITTED}


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("pooling", OTHERS)
def test_a_run_is_another_one_gives_the_same_again_and_is_exported(trainer, pooling, kind, tmp_path):
    wanted = dataclasses.replace(EVERY[kind], pooling=pooling)
    data = trainer.materials
    (result,) = run(trainer, wanted, "f0")
    (average,) = run(trainer, dataclasses.replace(wanted, pooling=AVERAGE), "f0")
    assert not np.allclose(result.probabilities, average.probabilities, atol=1e-4)
    trained = Trainer(data).train(wanted, data.folds["f0"], lambda: None)
    np.testing.assert_array_equal(trained.run.probabilities, result.probabilities)
    model = plain_model(shape_of(wanted), trained.body, trained.run.head, wanted.architecture.pretrained)
    model.save(tmp_path / "model.keras")
    (decoded,) = (tmp_path / "cache").glob("decoded/*/pixels.npy")
    pixels = np.load(decoded)[data.folds["f0"].validation]
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict_on_batch(pixels), result.probabilities, atol=1e-4)


@pytest.mark.parametrize("pooling", OTHERS)
def test_features_of_several_sizes_are_pooled_each(trainer, pooling, tmp_path):
    wanted = recipe(pooling, image_size=(32, 48))
    data = trainer.materials
    trained = trainer.train(wanted, data.folds["f0"], lambda: None)
    model = joint_model(shape_of(wanted), trained.run.head, data.weights)
    pixels = [
        np.load(file)[data.folds["f0"].validation]
        for file in sorted((tmp_path / "cache").glob("decoded/*/pixels.npy"), key=lambda file: file.stat().st_size)
    ]
    np.testing.assert_allclose(model.predict_on_batch(pixels), trained.run.probabilities, atol=1e-4)


@pytest.mark.parametrize("pooling", OTHERS)
def test_vectors_cannot_be_pooled_otherwise(pooling):
    facts = NetworkFacts("00", pretrained=True, side=None, vectors=True, cut_off="")
    mine = Backbone("mine", "my_nets:network", IDENTITY, (), 1.0, network=facts)
    assert Recipe(mine).pooling == AVERAGE
    with pytest.raises(UserError, match=rf"pooling='{pooling}' with backbone='mine': .*vectors"):
        Recipe(mine, pooling=pooling)
    with pytest.raises(UserError, match=rf"pooling='{pooling}' with backbone='mine'"):
        Recipe(("Embedded", mine), pooling=pooling)
