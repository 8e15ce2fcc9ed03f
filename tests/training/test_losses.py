"""Losses and smoothed labels: one definition, which bodies and batched heads minimise alike."""

import dataclasses

import numpy as np
import pytest
from kit.runs import materials, run, small
from kit.toys import HEAD as NEAREST

from search.export.plain import plain_model
from search.repertoire.heads import HEADS
from search.repertoire.losses import LOSSES, Focal, gamma_of, row_of, smoothed
from search.repertoire.mixing import Mix, blended
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.errors import UserError
from search.system.tf import keras, tf
from search.training.batches import Batches, PaddedBatches, one_hot
from search.training.compiled import CompiledNetwork
from search.training.heads.linear import Heads
from search.training.network import build
from search.training.trainer import Trainer, set_up
from search.training.update import Update, groups_of

set_up(2)
CLASSES, EXAMPLES = 3, 40
each_loss = pytest.mark.parametrize("name", LOSSES)
CHOICES = [{"loss": Focal(2)}, {"loss": Focal(0.5)}, {"label_smoothing": 0.2}, {"loss": "binary_cross_entropy"}]


def targets_and_logits(scale=3.0):
    rng = np.random.default_rng(0)
    targets = rng.dirichlet(np.ones(CLASSES), EXAMPLES).astype(np.float32)
    targets[::2] = one_hot(rng.integers(0, CLASSES, EXAMPLES // 2), CLASSES)
    return targets, rng.normal(0, scale, (EXAMPLES, CLASSES)).astype(np.float32)


@each_loss
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_slopes_are_those_of_the_loss_and_its_measure_is_the_loss(name, gamma):
    loss, (targets, logits) = LOSSES[name], targets_and_logits()
    assert loss.name == name
    np.testing.assert_allclose(loss.measure(targets, logits, gamma), loss.of(targets, logits, gamma), rtol=1e-4)
    with tf.GradientTape() as tape:
        tape.watch(logits := tf.constant(logits))
        each = loss.of(targets, logits, gamma)
    slopes = loss.slopes(targets, logits, gamma).numpy()
    np.testing.assert_allclose(tape.gradient(each, logits), slopes, atol=1e-5)
    for place in range(CLASSES):  # the definition itself, by differences
        step = 1e-2 * one_hot(np.full(EXAMPLES, place), CLASSES)
        rise = loss.measure(targets, logits.numpy() + step, gamma) - loss.measure(targets, logits.numpy() - step, gamma)
        np.testing.assert_allclose(rise / 2e-2, slopes[:, place], atol=2e-3)


@each_loss
def test_a_sure_answer_has_a_finite_loss_and_slope(name):
    targets = one_hot(np.array([0, 1, 2, 0]), CLASSES)
    logits = np.array([[200, 0, 0], [200, 0, 0], [0, 0, 60], [0, 0, 0]], np.float32)
    for gamma in (0.1, 1.0, 10.0):
        for formula in (LOSSES[name].of, LOSSES[name].slopes, LOSSES[name].measure):
            assert np.isfinite(formula(targets, logits, gamma)).all()


def test_the_focal_loss_is_that_of_keras():
    targets, logits = targets_and_logits()
    theirs = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=3.0, from_logits=True, reduction=None)
    np.testing.assert_allclose(LOSSES["focal"].measure(targets, logits, 3.0), theirs(targets, logits), rtol=1e-4)


def test_smoothed_labels_are_those_of_keras_and_keep_their_class():
    targets = one_hot(np.array([0, 2, 1]), CLASSES)
    assert smoothed(targets, 0.0) is targets
    np.testing.assert_allclose(smoothed(targets, 0.3)[0], [0.8, 0.1, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(smoothed(targets, 0.9).argmax(1), [0, 2, 1])


def test_labels_may_be_smoothed_before_or_after_they_are_mixed():
    inputs, targets = np.zeros((8, 4), np.float32), one_hot(np.arange(8) % CLASSES, CLASSES)
    weights = np.random.default_rng(1).uniform(0.5, 3, 8).astype(np.float32)

    def mixed(targets):
        return blended(Mix("mixup", 1.0), inputs, targets, weights, np.random.default_rng(2))[1]

    assert not np.allclose(mixed(targets), targets)
    np.testing.assert_allclose(mixed(smoothed(targets, 0.3)), smoothed(mixed(targets), 0.3), atol=1e-6)


@pytest.mark.parametrize("fields", [{}, *CHOICES], ids=str)
def test_a_head_and_a_body_take_the_same_steps(fields):
    """The head of a network whose body stands still is what a batched head becomes of the same features."""
    recipe = small(dropout=0.0, weight_decay=0.0, body_rate=1.0, **fields)
    network = CompiledNetwork(shape_of(recipe), lambda: build(shape_of(recipe), CLASSES, pretrained=False)).network
    width = network.head[0].weights[0].shape[0]
    rng, steps, images = np.random.default_rng(0), 5, 8
    features = rng.normal(size=(steps * images, width)).astype(np.float32)
    own, other = (one_hot(rng.integers(0, CLASSES, len(features)), CLASSES) for _ in range(2))
    targets = smoothed(0.7 * own + 0.3 * other, recipe.label_smoothing)  # as of mixed images
    weights = rng.uniform(0.5, 2, len(features)).astype(np.float32)
    rates = np.full(steps, 0.05, np.float32)
    network.body = None  # features in place of pixels
    network.update = Update(groups_of([], network.head[0].trainable_variables, recipe.optimizer, False), False, False)
    body = CompiledNetwork(shape_of(recipe), lambda: network)
    batches = Batches(features, targets, weights, np.arange(1, steps + 1, dtype=np.int32) * images)
    network.reset(recipe, 1)
    loss, hits = body._epoch(**vars(batches), rates=rates)

    heads = Heads(
        [1], width, CLASSES, 0.0, 0.0, OPTIMIZERS[recipe.optimizer], row_of(recipe.loss), gamma_of(recipe.loss)
    )
    cut = [array.reshape(steps, 1, images, *array.shape[1:]) for array in (features, targets, weights)]
    sums = heads.train(PaddedBatches(*cut, np.full((steps, 1, images), 1 / images, np.float32)), rates[:, None])
    np.testing.assert_allclose(heads.head(0).kernel, network.head_weights[0], atol=1e-5)
    np.testing.assert_allclose(sums[0], [float(loss), float(hits)], rtol=1e-4)


def test_two_classes_learn_what_one_sigmoid_does():
    """Keras' own network of one unit takes the same steps, and its sigmoid is the second probability."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 2, 40)
    theirs = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros")])
    theirs.compile(keras.optimizers.SGD(0.5, momentum=0.9), "binary_crossentropy")
    theirs.fit(features, labels[:, None], batch_size=40, epochs=8, shuffle=False, verbose=0)
    heads = Heads([1], 6, 2, 0.0, 0.0, OPTIMIZERS["sgd"], LOSSES["binary_cross_entropy"])
    steps = [np.stack([part[None]] * 8) for part in (features, one_hot(labels, 2), np.ones(40, np.float32))]
    heads.train(PaddedBatches(*steps, np.full((8, 1, 40), 1 / 40, np.float32)), np.full((8, 1), 0.5, np.float32))
    head, sure = heads.head(0), theirs.predict(features, verbose=0)[:, 0]
    np.testing.assert_allclose(head.predict(features)[:, 1], sure, atol=1e-5)
    exported = features
    for layer in head.layers():
        exported = layer(exported)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(exported)[:, 1], sure, atol=1e-5)
    assert np.ptp(sure) > 0.5


@pytest.mark.parametrize(("backbone", "depth", "head"), [("Embedded", 0, "mlp"), ("Embedded", 1, "linear")])
def test_sigmoids_are_in_the_exported_model_too(trainer, backbone, depth, head, tmp_path):
    wanted = Recipe(
        backbone, depth, head=head, image_size=32, epochs=2, loss="binary_cross_entropy", learning_rate=0.01
    )
    trained = trainer.train(wanted, trainer.materials.folds["f0"], lambda: None)
    plain_model(shape_of(wanted), trained.body, trained.run.head, True).save(tmp_path / "model.keras")
    (decoded,) = (tmp_path / "cache").glob("decoded/*/pixels.npy")
    pixels = np.load(decoded)[trainer.materials.folds["f0"].validation]
    predicted = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(pixels)
    np.testing.assert_allclose(predicted, trained.run.probabilities, atol=1e-5)


@pytest.fixture
def trainer(shapes, tmp_path):
    return Trainer(materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,), weights=["Embedded"]))


@pytest.mark.parametrize(("backbone", "depth"), [("Embedded", 0), ("SmallCNN", None)])
def test_each_choice_changes_what_training_minimises_and_nothing_else(trainer, backbone, depth):
    """The first loss is that of even probabilities, which the formula tells; rows, labels and the order stay."""
    plain = Recipe(backbone, depth, image_size=32, epochs=2, dropout=0.0, batch_size=64, learning_rate=0.01)
    (before,) = run(trainer, plain, "f0")
    seen = {before.probabilities.tobytes()}
    assert before.curve[0, 0] == pytest.approx(np.log(2), rel=1e-5)
    for fields, first in zip(CHOICES, (0.25, 0.5**0.5, 1.0, 2.0), strict=True):
        (after,) = run(trainer, dataclasses.replace(plain, **fields), "f0")
        assert after.curve[0, 0] == pytest.approx(first * np.log(2), rel=1e-5)
        np.testing.assert_array_equal(after.rows, before.rows)
        np.testing.assert_array_equal(after.labels, before.labels)
        assert after.probabilities.tobytes() not in seen
        seen.add(after.probabilities.tobytes())
    (again,) = run(trainer, plain, "f0")
    np.testing.assert_array_equal(again.probabilities, before.probabilities)


def test_one_network_serves_every_gamma(trainer):
    wanted = small(epochs=1, loss=Focal(3))
    (first,) = run(trainer, wanted, "f0")
    run(trainer, small(epochs=1, loss=Focal(1)), "f0")
    (again,) = run(trainer, wanted, "f0")
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    (network,) = trainer._networks.values()
    assert network.epoch.experimental_get_tracing_count() == 1


def test_a_head_that_is_fitted_all_at_once_has_a_loss_of_its_own(monkeypatch):
    monkeypatch.setitem(HEADS, NEAREST.name, NEAREST)
    for fields in CHOICES:
        with pytest.raises(UserError, match=r"with head='toy-nearest'.*another head"):
            Recipe("MobileNetV2_0.35", head=NEAREST.name, **fields)


def test_focal_is_written_in_three_ways():
    assert Recipe("MobileNet", loss="focal") == Recipe("MobileNet", loss=Focal()) == Recipe("MobileNet", loss=Focal(2))
    assert "focal 2 loss" in Recipe("MobileNet", loss="focal").summary()
    with pytest.raises(UserError, match="Focal gamma=0 must be a number, above 0 and at most 10"):
        Focal(0)
