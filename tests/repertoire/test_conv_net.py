"""Plain convolutional networks from scratch, of blocks that a person sizes."""

import dataclasses

import keras
import numpy as np
import pytest
from kit.runs import materials, run, small

from search import Recipe, UserError, conv_net
from search.export.plain import plain_model
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.cost import mega_macs_of
from search.repertoire.backbones.own import in_words
from search.repertoire.shape import shape_of
from search.training.trainer import Trainer

ROWS = [
    conv_net((8, 16)),
    conv_net((8,), dropout=0.1, batch_norm=True),
    conv_net((4, 8, 8, 16, 16, 32), scaling=(1 / 255, 0)),
]


@pytest.mark.parametrize("backbone", ROWS, ids=lambda backbone: backbone.name)
def test_what_it_says_of_itself_is_what_its_network_has(backbone):
    model = construct(backbone, pretrained=False)
    assert model.count_params() == backbone.parameters
    assert backbone.mega_macs == pytest.approx(mega_macs_of(model), rel=0.01)  # which rounds to three digits
    assert model.compute_output_shape((1, backbone.smallest, backbone.smallest, 3))[1] >= 1
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == len(backbone.make.filters)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == ([backbone.make.dropout] * len(backbone.make.filters) if backbone.make.dropout else [])
    assert ("BatchNormalization" in kinds) is backbone.make.batch_norm


def test_the_smallest_size_is_the_smallest_that_leaves_a_map():
    deep = conv_net((4,) * 5)
    model = construct(deep, pretrained=False)
    assert deep.smallest == 94
    assert model.compute_output_shape((1, 94, 94, 3))[1:3] == (1, 1)
    last = keras.Model(model.input, model.get_layer("relu_5").output)  # 1 px, of which pooling leaves nothing
    assert last.compute_output_shape((1, 93, 93, 3))[1:3] == (1, 1)
    with pytest.raises(UserError, match="its images need a side of 94 px or more"):
        Recipe(deep, None, image_size=93)


@pytest.mark.parametrize("backbone", ROWS, ids=lambda backbone: backbone.name)
def test_a_recipe_of_it_is_json_and_back(backbone):
    recipe = Recipe(backbone, None, image_size=192)
    again = Recipe.from_dict(recipe.to_dict())
    assert again == recipe
    assert again.digest == recipe.digest
    assert recipe.whole
    assert recipe.summary().startswith(f"{backbone.name}, all blocks")


def test_its_name_tells_how_it_is_made_unless_one_is_given():
    assert conv_net((8, 16), dropout=0.25, batch_norm=True).name == "ConvNet 8-16, dropout 0.25, BatchNorm"
    assert conv_net((8, 16), name="tiny").name == "tiny"
    assert conv_net((8, 16)).network.sha256 != conv_net((8, 16), dropout=0.1).network.sha256
    assert in_words(conv_net((8, 16))).startswith("ConvNet 8-16 (conv_net): from random weights, all of it trains")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"filters": ()}, r"filters=\(\) must be the channels of each block"),
        ({"filters": (8, 0)}, "filters=0 must be a whole number, from 1 to 4096"),
        ({"filters": (8,), "dropout": 1.0}, "dropout=1.0 must be a number, 0 or more and at most 0.95"),
        ({"filters": (8,), "batch_norm": "yes"}, "batch_norm='yes' must be True or False"),
        ({"filters": 8}, "filters=8 must be the channels of each block"),
    ],
)
def test_what_makes_no_network_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        conv_net(**given)


def test_blocks_cannot_stay_frozen():
    with pytest.raises(UserError, match="starts from random weights: a frozen block would stay random"):
        Recipe(conv_net((8, 16)), 0)


def test_a_run_gives_the_same_again_and_its_export_predicts_as_it_did(shapes, tmp_path):
    trainer, other = (Trainer(materials(shapes, tmp_path / name, folds=3, train_fractions=(1.0,))) for name in "ab")
    recipe = small(backbone=conv_net((8, 16), dropout=0.5, batch_norm=True), epochs=3)
    first, _ = run(trainer, recipe, "f0", "f1")
    (again,) = run(other, recipe, "f0")
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    without = dataclasses.replace(recipe, backbone=conv_net((8, 16), batch_norm=True))
    assert np.abs(run(other, without, "f0")[0].probabilities - first.probabilities).max() > 1e-3

    fold = trainer.materials.folds["f0"]
    trained = trainer.train(recipe, fold, lambda: None)
    model = plain_model(shape_of(recipe), trained.body, trained.run.head)
    (decoded,) = tmp_path.glob("a/decoded/*/pixels.npy")
    pixels = np.load(decoded)[fold.validation]
    np.testing.assert_allclose(model.predict_on_batch(pixels), trained.run.probabilities, atol=1e-4)
