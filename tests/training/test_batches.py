"""An epoch in batches: each example once with its own target and weight, however many fit into memory at a time."""

import numpy as np
import pytest
from kit.networks import linear_shape

from search.system.tf import tf
from search.training.batches import batches_of_heads, batches_of_run, one_hot
from search.training.compiled import CompiledNetwork
from search.training.inputs import Part, Rows
from search.training.network import build
from search.training.trainer import set_up

set_up(2)
CLASSES, STEPS = 3, 4
ROWS = Rows(np.arange(60, dtype=np.float32)[:, None] * np.ones(2, np.float32))


def part(images, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, images).astype(np.int32)
    return Part(rng.permutation(60)[:images], labels, rng.uniform(1, 2, images).astype(np.float32), {})


@pytest.fixture(params=["in one piece", "step by step"])
def memory(request, monkeypatch):
    if request.param == "step by step":
        monkeypatch.setattr("search.training.batches.CHUNK_BYTES", 1)
    return request.param


def test_batches_of_a_run_show_each_example_once_in_the_order_asked_for(memory):
    of_run, order = part(18, 0), np.random.default_rng(1).permutation(18)
    chunks = list(batches_of_run(of_run, order, STEPS, ROWS, CLASSES))
    assert len(chunks) == (1 if memory == "in one piece" else STEPS)
    lengths = np.concatenate([np.diff(batches.ends, prepend=0) for _, batches in chunks])
    assert lengths.tolist() == [5, 5, 4, 4]
    rows, targets, weights = (
        np.concatenate([getattr(batches, name) for _, batches in chunks]) for name in ("inputs", "targets", "weights")
    )
    np.testing.assert_array_equal(rows[:, 0], of_run.rows[order])
    np.testing.assert_array_equal(targets, np.eye(CLASSES)[of_run.labels[order]])
    np.testing.assert_array_equal(weights, of_run.weights[order])


def test_batches_of_heads_are_those_of_each_run_padded_with_what_has_no_share(memory):
    parts = [part(18, 0), part(20, 1), part(17, 2)]
    orders = [np.random.default_rng(len(one)).permutation(len(one)) for one in parts]
    for head, (one, order) in enumerate(zip(parts, orders, strict=True)):
        rows, targets, weights = [], [], []
        for chunk, batches in batches_of_heads(parts, orders, STEPS, ROWS, CLASSES):
            assert batches.features.shape == (len(range(STEPS)[chunk]), 3, 5, 2)
            is_example = batches.shares[:, head] > 0
            np.testing.assert_allclose(batches.shares[:, head].sum(axis=1), 1, rtol=1e-6)
            rows.append(batches.features[:, head][is_example][:, 0])
            targets.append(batches.targets[:, head][is_example])
            weights.append(batches.weights[:, head][is_example])
        np.testing.assert_array_equal(np.concatenate(rows), one.rows[order])
        np.testing.assert_array_equal(np.concatenate(targets), np.eye(CLASSES)[one.labels[order]])
        np.testing.assert_array_equal(np.concatenate(weights), one.weights[order])


def test_the_loss_of_targets_of_one_class_is_to_the_last_bit_that_of_labels():
    """So that searches which were begun with labels go on with the same numbers."""

    @tf.function(reduce_retracing=True)
    def losses(loss, truth, logits, weights):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            each = loss(truth, logits) * weights
        return each, tape.gradient(tf.reduce_mean(each), logits)

    rng = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 30.0, 1e4):
        for classes in (2, 5, 37):
            labels = rng.integers(0, classes, 64).astype(np.int32)
            logits, weights = (
                tf.constant(rng.normal(0, scale, (64, classes)), tf.float32),
                tf.random.uniform([64], seed=1),
            )
            sparse = losses(tf.nn.sparse_softmax_cross_entropy_with_logits, tf.constant(labels), logits, weights)
            soft = losses(
                tf.nn.softmax_cross_entropy_with_logits, tf.constant(one_hot(labels, classes)), logits, weights
            )
            for one, other in zip(sparse, soft, strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_target_between_two_classes_has_the_loss_between_theirs():
    shape = linear_shape("SmallCNN", 4, 32)
    network = CompiledNetwork(shape, lambda: build(shape, CLASSES, pretrained=False))
    dense = network.network.head[0]
    dense.set_weights([np.random.default_rng(0).normal(size=value.shape) for value in dense.get_weights()])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)

    def loss(*targets):
        ends, rates = np.array([2], np.int32), np.zeros(1, np.float32)
        return float(network.epoch(pixels, np.array(targets, np.float32), np.ones(2, np.float32), ends, rates)[0])

    first, second = loss([1, 0, 0], [0, 0, 1]), loss([0, 1, 0], [0, 0, 1])
    assert first != pytest.approx(second, rel=1e-3)
    assert loss([0.3, 0.7, 0], [0, 0, 1]) == pytest.approx(0.3 * first + 0.7 * second, rel=1e-5)
