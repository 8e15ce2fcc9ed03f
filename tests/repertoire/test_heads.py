"""Every head fits, predicts, gives Keras layers with equal probabilities, and is the same alone and among others.

``NEAREST`` is no head of the table: it stands for those that are fitted all at once.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from kit.runs import materials
from kit.toys import HEAD as NEAREST

from search.data.folds import Fold
from search.export.plain import plain_model
from search.racing import Job
from search.repertoire.heads import HEADS
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.errors import UserError
from search.system.tf import keras, tf
from search.training.inputs import Part, Rows
from search.training.loop import HeadRuns, TrainingRun
from search.training.network import initialise
from search.training.trainer import Trainer, set_up

set_up(2)
CLASSES, FEATURES, IMAGES = 3, 20, 90


ALL = [*HEADS.values(), NEAREST]
each_head = pytest.mark.parametrize("head", ALL, ids=lambda head: head.name)


class StoredFeatures:
    """A feed of features that tell the classes apart; each epoch shows them a little otherwise."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.materials = SimpleNamespace(classes=CLASSES)
        self.all_labels = np.arange(IMAGES, dtype=np.int32) % CLASSES
        self.groups = np.arange(IMAGES)
        means = 0.9 * rng.normal(size=(CLASSES, FEATURES))
        self.features = (means[self.all_labels] + rng.normal(size=(IMAGES, FEATURES))).astype(np.float32)

    def scored(self, _network, _recipe):
        return [Rows(self.features)]

    def view(self, _network, _recipe, epoch):
        moved = np.random.default_rng(epoch).normal(0, 0.1, self.features.shape)
        return Rows(self.features + moved.astype(np.float32))

    def labels(self, rows):
        return self.all_labels[rows]


def training_run(head, feed, index, wrong=0):
    """A run of a head on a fold; ``wrong`` more of its examples have a wrong label and no weight."""
    part = np.arange(IMAGES) // CLASSES % 3 == index
    rows, validation = np.flatnonzero(~part), np.flatnonzero(part)
    labels = np.concatenate([feed.labels(rows), (feed.labels(rows[:wrong]) + 1) % CLASSES])
    weights = np.concatenate([np.ones(len(rows)), np.zeros(wrong)]).astype(np.float32)
    steps = {"epochs": 12, "learning_rate": 0.03, "batch_size": 16} if head.layers else {}
    recipe = Recipe("MobileNetV2_0.35", head=head.name if head.name in HEADS else "linear", image_size=32, **steps)
    fold = Fold(0, index, 1.0, rows, validation, f"f{index}")
    return TrainingRun(recipe, fold, Part(np.concatenate([rows, rows[:wrong]]), labels, weights, {}), 7)


def fit(head, *indices, wrong=0):
    """Return (runs, the heads that come of fitting them together)."""
    feed = StoredFeatures()
    runs = HeadRuns(feed, None, [training_run(head, feed, index, wrong) for index in indices], lambda: None)
    heads = head.fit(runs)
    assert len(heads) == len(indices)
    return runs, heads


@each_head
def test_a_head_learns_what_its_features_tell(head):
    runs, heads = fit(head, 0, 1, 2)
    for number, one in enumerate(heads):
        probabilities = runs.predict(number, one)
        assert probabilities.shape == (IMAGES // 3, CLASSES)
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        assert (probabilities.argmax(axis=1) == runs.labels[number]).mean() > 0.9


@each_head
def test_a_head_is_the_same_alone_and_among_others(head):
    runs, together = fit(head, 0, 1, 2)
    for number, one in enumerate(together):
        alone_runs, (alone,) = fit(head, number)
        np.testing.assert_allclose(alone_runs.predict(0, alone), runs.predict(number, one), atol=1e-5)
    assert not np.allclose(together[0].predict(runs.feed.features), together[1].predict(runs.feed.features), atol=1e-3)


@each_head
def test_examples_without_weight_teach_nothing(head):
    runs, (one,) = fit(head, 0, wrong=40)
    assert (runs.predict(0, one).argmax(axis=1) == runs.labels[0]).mean() > 0.9


@each_head
def test_the_layers_of_a_head_give_its_probabilities(head):
    runs, (one,) = fit(head, 1)
    x = runs.feed.features
    for layer in one.layers():
        x = layer(x)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(x), one.predict(runs.feed.features), atol=1e-5)


@pytest.mark.parametrize("name", [name for name, head in HEADS.items() if head.layers])
def test_layers_that_a_body_trains_become_a_head_of_equal_probabilities(name):
    settings = HEADS[name].settings
    layers, features = HEADS[name].layers(CLASSES, settings), StoredFeatures().features
    logits = features
    for layer in layers:
        logits = layer(logits)
    assert logits.shape == (len(features), CLASSES)
    for seed in (1, 2, 1):
        initialise(layers, seed)
    weights = [variable for layer in layers for variable in layer.weights]
    for number, variable in enumerate(weights):
        variable.assign(variable + np.random.default_rng(number).normal(size=variable.shape))
    logits = features
    for layer in layers:
        logits = layer(logits)
    head = HEADS[name].from_weights([variable.numpy() for variable in weights], settings, "linear")
    np.testing.assert_allclose(head.predict(features), tf.nn.softmax(logits), atol=1e-5)


@each_head
def test_a_row_stands_under_its_own_name_and_has_a_cost(head):
    assert HEADS.get(head.name, head) is head
    assert (head.seconds_a_step if head.layers else head.seconds_a_run(100)) > 0
    assert (head.layers is None) == (head.from_weights is None)


@each_head
def test_a_trainer_fits_and_hands_on_whatever_head_is_in_the_table(head, monkeypatch, photographs, imagenet, tmp_path):
    monkeypatch.setitem(HEADS, head.name, head)
    data = materials(
        photographs / "tiny_flowers3", tmp_path, size=64, folds=3, train_fractions=(1.0,), weights=["MobileNet_0.25"]
    )
    steps = {"epochs": 3, "learning_rate": 0.01} if head.layers else {}
    recipe = Recipe("MobileNet_0.25", image_size=64, head=head.name, **steps)
    runs = Trainer(data).run(Job("0000", 1, recipe, ("f0", "f1", "f2"))).runs
    for result in runs:
        assert result.watched[-1, 0] == recipe.epochs
        assert result.curve.shape in {(0, 2), (recipe.epochs, 2)}
    trained = Trainer(data).train(recipe, data.folds["f0"], lambda: None)
    np.testing.assert_allclose(trained.run.probabilities, runs[0].probabilities, atol=1e-5)
    model = plain_model(shape_of(recipe), trained.body, trained.run.head, True, data.weights["MobileNet_0.25"])
    (decoded,) = tmp_path.glob("decoded/*/pixels.npy")
    pixels = np.load(decoded)[data.folds["f0"].validation]
    np.testing.assert_allclose(model.predict_on_batch(pixels), trained.run.probabilities, atol=1e-4)


def test_a_head_that_no_body_can_train_needs_a_frozen_backbone(monkeypatch):
    monkeypatch.setitem(HEADS, NEAREST.name, NEAREST)
    assert Recipe("MobileNetV2_0.35", 0, head=NEAREST.name).head == NEAREST.name
    with pytest.raises(UserError, match="unfrozen_blocks=0"):
        Recipe("MobileNetV2_0.35", 1, head=NEAREST.name)
