"""Heads trained together are what each of them is alone, and what Keras makes of it."""

import dataclasses

import numpy as np
import pytest

from search.repertoire.losses import LOSSES
from search.repertoire.optimizers import OPTIMIZERS
from search.system.tf import keras, tf
from search.training.batches import PaddedBatches, one_hot
from search.training.heads.linear import Heads, compile_steps, drop
from search.training.trainer import set_up

set_up(2)
FEATURES, CLASSES, STEPS = 24, 3, 40
SEEDS = (11, 12, 13, 14)
ADAMW = OPTIMIZERS["adamw"]
LOSS = LOSSES["cross_entropy"]


def examples(heads, rng, widest=8):
    """Batches of different lengths, with class weights, for each head its own."""
    shape = STEPS, heads, widest
    lengths = rng.integers(widest - 1, widest + 1, (STEPS, heads))
    there = np.arange(widest) < lengths[..., None]
    labels = rng.integers(0, CLASSES, shape).astype(np.int32)
    features = (rng.normal(size=(*shape, FEATURES)) + labels[..., None]).astype(np.float32)
    weights = rng.uniform(0.3, 3, shape).astype(np.float32) * there
    return PaddedBatches(
        features * there[..., None], one_hot(labels, CLASSES), weights, (there / lengths[..., None]).astype(np.float32)
    )


def only(batches, head):
    return PaddedBatches(*(part[:, head : head + 1] for part in vars(batches).values()))


def rates(heads):
    return np.repeat(np.linspace(0.05, 0.001, STEPS).astype(np.float32)[:, None], heads, axis=1)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_heads_trained_together_equal_heads_trained_one_by_one(dropout):
    batches = examples(len(SEEDS), np.random.default_rng(0))
    shown = np.random.default_rng(1).normal(size=(50, FEATURES)).astype(np.float32)
    together = Heads(SEEDS, FEATURES, CLASSES, dropout, 0.01, ADAMW, LOSS)
    sums = together.train(batches, rates(len(SEEDS)))
    predictions = [together.head(head).predict(shown) for head in range(len(SEEDS))]
    for head, seed in enumerate(SEEDS):
        alone = Heads([seed], FEATURES, CLASSES, dropout, 0.01, ADAMW, LOSS)
        np.testing.assert_allclose(alone.train(only(batches, head), rates(1))[0], sums[head], rtol=1e-4)
        np.testing.assert_allclose(alone.head(0).predict(shown), predictions[head], atol=1e-5)
    assert not np.allclose(predictions[0], predictions[1], atol=1e-2)


@pytest.mark.parametrize(("dropout", "name", "norm"), [(0.0, "adamw", None), (0.4, "adamw", None), (0.0, "sgd", 0.3)])
def test_a_head_is_what_keras_trains(dropout, name, norm):
    """A Dense layer, Keras' own loss and optimizer, one step at a time; the masks alone are ours."""
    batches = examples(1, np.random.default_rng(0))
    head = Heads([5], FEATURES, CLASSES, dropout, 0.01, OPTIMIZERS[name], LOSS, norm=norm)
    ((losses, hits),) = head.train(batches, rates(1))
    dense = keras.layers.Dense(CLASSES, kernel_initializer="zeros")
    dense.build((None, FEATURES))
    settings = {"weight_decay": 0.01, "global_clipnorm": norm}
    adamw, sgd = keras.optimizers.AdamW(**settings), keras.optimizers.SGD(momentum=0.9, **settings)
    optimizer = adamw if name == "adamw" else sgd
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    total = right = 0.0
    for step in range(STEPS):
        there = batches.shares[step, 0] > 0
        truth, weights = batches.targets[step, 0][there].argmax(axis=1), batches.weights[step, 0][there]
        masked, scale = drop(tf.constant(batches.features[step]), tf.constant([5], tf.int64), step, dropout)
        optimizer.learning_rate = rates(1)[step, 0]
        with tf.GradientTape() as tape:
            logits = dense(masked[0][there] * scale)
            each = keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True) * weights
            loss = tf.reduce_mean(each)
        variables = dense.trainable_variables
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        total += float(tf.reduce_sum(each))
        right += int((logits.numpy().argmax(1) == truth).sum())
    shown = np.random.default_rng(1).normal(size=(50, FEATURES)).astype(np.float32)
    np.testing.assert_allclose(head.head(0).predict(shown), tf.nn.softmax(dense(shown)), atol=1e-5)
    assert losses == pytest.approx(total, rel=1e-4)
    assert hits == right


def test_heads_are_compiled_once_for_any_values_and_batches():
    rng = np.random.default_rng(0)
    compile_steps.cache_clear()
    for widest, dropout, decay in ((8, 0.0, 0.0), (5, 0.4, 0.01), (9, 0.2, 0.1)):
        Heads(SEEDS, FEATURES, CLASSES, dropout, decay, ADAMW, LOSS).train(
            examples(len(SEEDS), rng, widest), rates(len(SEEDS))
        )
    assert compile_steps.cache_info().currsize == 1


def test_steps_taken_in_two_calls_equal_those_taken_in_one():
    batches = examples(2, np.random.default_rng(0))
    one, two = (Heads(SEEDS[:2], FEATURES, CLASSES, 0.3, 0.01, ADAMW, LOSS) for _ in range(2))
    sums = one.train(batches, rates(2))
    first, second = (
        PaddedBatches(*(part[at] for part in vars(batches).values())) for at in (slice(15), slice(15, None))
    )
    halves = two.train(first, rates(2)[:15]) + two.train(second, rates(2)[15:])
    np.testing.assert_allclose(halves, sums, rtol=1e-5)
    for head in range(2):
        shown = batches.features[0, 0]
        np.testing.assert_allclose(one.head(head).predict(shown), two.head(head).predict(shown), atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_padding_changes_nothing(dropout):
    batches = examples(1, np.random.default_rng(0))
    wider = PaddedBatches(*(np.concatenate([part, np.zeros_like(part)], axis=2) for part in vars(batches).values()))
    plain, padded = (Heads([3], FEATURES, CLASSES, dropout, 0.0, ADAMW, LOSS) for _ in range(2))
    np.testing.assert_allclose(padded.train(wider, rates(1)), plain.train(batches, rates(1)), rtol=1e-5)
    shown = batches.features[0, 0]
    np.testing.assert_allclose(padded.head(0).predict(shown), plain.head(0).predict(shown), atol=1e-6)


@pytest.mark.parametrize("width", [24, 7])  # 7: no whole number of words
def test_dropout_takes_its_share_anew_each_step_and_for_each_head(width):
    ones = tf.ones((2, 500, width))
    seeds = tf.constant([1, 2], tf.int64)
    kept, scale = drop(ones, seeds, 0, 0.3)
    assert float(scale) == pytest.approx(1 / 0.7)
    assert float(tf.reduce_mean(kept)) == pytest.approx(0.7, abs=0.02)
    assert not np.array_equal(kept[0], kept[1])
    np.testing.assert_array_equal(drop(ones, seeds, 0, 0.3)[0], kept)
    assert not np.array_equal(drop(ones, seeds, 1, 0.3)[0], kept)
    np.testing.assert_array_equal(drop(ones[:1], seeds[:1], 0, 0.3)[0][0], kept[0])
    np.testing.assert_array_equal(drop(ones, seeds, 0, 0.0)[0], ones)


def test_each_head_steps_at_its_own_rates():
    batches, slower = examples(2, np.random.default_rng(0)), rates(2) * np.array([1, 0.1], np.float32)
    together = Heads(SEEDS[:2], FEATURES, CLASSES, 0.0, 0.01, ADAMW, LOSS)
    together.train(batches, slower)
    for head in range(2):
        alone = Heads(SEEDS[head : head + 1], FEATURES, CLASSES, 0.0, 0.01, ADAMW, LOSS)
        alone.train(only(batches, head), slower[:, head : head + 1])
        np.testing.assert_allclose(alone.head(0).kernel, together.head(head).kernel, atol=1e-5)
    assert np.abs(together.head(1).kernel).max() < 0.5 * np.abs(together.head(0).kernel).max()


def test_gradients_are_clipped_head_by_head():
    batches, norm = examples(2, np.random.default_rng(0)), 0.05
    louder = dataclasses.replace(batches, weights=batches.weights * np.array([1, 100], np.float32)[:, None])
    sgd = OPTIMIZERS["sgd"]
    kernels = []
    for shown, limit in ((batches, None), (batches, norm), (louder, norm), (batches, 1000)):
        heads = Heads(SEEDS[:2], FEATURES, CLASSES, 0.0, 0.0, sgd, LOSS, norm=limit)
        heads.train(shown, np.full((STEPS, 2), 0.01, np.float32))
        kernels.append([heads.head(number).kernel for number in range(2)])
    plain, clipped, loud, loose = kernels
    assert np.abs(clipped[0]).max() < 0.5 * np.abs(plain[0]).max()
    np.testing.assert_array_equal(loud[0], clipped[0])  # the other head's gradient counts for nothing
    assert np.linalg.norm(loud[1]) <= STEPS * 10 * 0.01 * norm  # 10: what momentum adds up to
    np.testing.assert_allclose(loose, plain, atol=1e-6)


def test_the_average_over_the_steps_is_taken_of_each_head_and_changes_no_step():
    batches = examples(2, np.random.default_rng(3))
    plain, averaged = (Heads(SEEDS[:2], FEATURES, CLASSES, 0.2, 0.01, ADAMW, LOSS, ema=ema) for ema in (0.0, 0.8))
    means = [np.zeros((FEATURES, CLASSES)) for _ in range(2)]
    for step in range(STEPS):
        one = PaddedBatches(*(part[step : step + 1] for part in vars(batches).values()))
        for heads in (plain, averaged):
            heads.train(one, rates(2)[step : step + 1])
        means = [0.8 * mean + 0.2 * plain.head(number).kernel for number, mean in enumerate(means)]
    for number in range(2):
        np.testing.assert_array_equal(averaged.head(number).kernel, plain.head(number).kernel)
    averaged.end()
    plain.end()
    for number, mean in enumerate(means):
        np.testing.assert_allclose(averaged.head(number).kernel, mean, atol=1e-6)
        assert not np.allclose(plain.head(number).kernel, mean, atol=1e-3)
