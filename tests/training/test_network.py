"""Networks: unfreezing changes exactly those variables, and a run begins from nothing but its seed."""

import numpy as np
import pytest
from kit.networks import linear_shape
from kit.own import LAYERS, NETS

from search import Backbone
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.tf import keras
from search.training.compiled import CompiledNetwork
from search.training.heads.linear import LinearHead
from search.training.network import build
from search.training.trainer import set_up

set_up(2)

SIZE = 32


def network(backbone="MobileNet_0.25", depth=1):
    return build(linear_shape(backbone, depth, SIZE), 3, pretrained=False)


def pixels(rows=12):
    return np.random.default_rng(0).integers(0, 256, (rows, SIZE, SIZE, 3)).astype(np.uint8)


def inputs(net):
    return pixels() if net.prefix is None else net.prefix(pixels()).numpy()


def train(compiled_network, recipe, seed, steps=3):
    net = compiled_network.network
    net.reset(recipe, seed)
    targets = np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    ends = np.array([4, 8, 12], np.int32)
    rates = np.full(3, 1e-2, np.float32)
    for _ in range(steps):
        compiled_network.epoch(inputs(net), targets, np.ones(12, np.float32), ends, rates)


def values(net):
    body = [variable.numpy() for variable in (net.body.variables if net.body else [])]
    return [*body, *net.head_weights]


def compiled_network(backbone, depth):
    shape = linear_shape(backbone, depth, SIZE)
    return CompiledNetwork(shape, lambda: build(shape, 3, pretrained=False))


def recipe(**fields):
    return Recipe(**{"backbone": "MobileNet_0.25", "unfrozen_blocks": 1, "image_size": SIZE, **fields})


def changes(net, depth):
    """Train a little; return the paths of the body's trainable and of its changed variables."""
    before = {v.path: v.numpy() for v in net.body.variables}
    frozen = None if net.prefix is None else net.prefix(pixels()).numpy()
    train(CompiledNetwork(net.shape, lambda: net), recipe(unfrozen_blocks=depth), seed=1, steps=6)
    if frozen is not None:
        np.testing.assert_array_equal(net.prefix(pixels()).numpy(), frozen)
    assert np.abs(net.head_weights[0]).max() > 0
    trainable = {v.path for v in net.body.variables if v.trainable}
    return trainable, {v.path for v in net.body.variables if not np.array_equal(v.numpy(), before[v.path])}


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_unfreezing_changes_exactly_the_unfrozen_variables(depth, imagenet):
    trainable, changed = changes(build(linear_shape("MobileNet_0.25", depth, SIZE), 3, pretrained=True), depth)
    assert changed == trainable  # and so no BatchNorm statistics
    assert bool(trainable) == (depth > 0)


def test_no_frozen_variable_changes_whatever_the_weights():
    trainable, changed = changes(network(depth=2), 2)
    assert changed
    assert changed <= trainable


def test_deeper_unfreezing_trains_more():
    counts = [len(network(depth=depth).trained) for depth in range(6)]
    assert counts == sorted(set(counts))


def test_the_split_of_real_weights_computes_what_the_whole_computes(imagenet):
    backbone = build(linear_shape("MobileNet_0.25", 5, 64), 2, pretrained=True)
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    reference = keras.applications.mobilenet.preprocess_input(images.astype("float32"))
    pooled = backbone.body(reference, training=False).numpy().mean(axis=(1, 2))
    for depth in (0, 1, 2, 4):
        net = build(linear_shape("MobileNet_0.25", depth, 64), 2, pretrained=True)
        stored = net.prefix(images).numpy()
        features = stored if net.body is None else net.pool(net.body(stored, training=False)).numpy()
        np.testing.assert_allclose(features, pooled, atol=2e-4)


@pytest.mark.parametrize(("backbone", "depth"), [("SmallCNN", 4), ("MobileNet_0.25", 1)])
def test_a_reused_network_carries_nothing_over(backbone, depth):
    """Not weights, optimiser state, BatchNorm statistics or draws: a second run equals one in a new network."""
    wanted = recipe(backbone=backbone, unfrozen_blocks=depth, dropout=0.5)
    used, fresh = (compiled_network(backbone, depth) for _ in range(2))
    pretrained = used.network.initial
    train(used, recipe(backbone=backbone, unfrozen_blocks=depth, dropout=0.1, weight_decay=0.1), seed=5, steps=4)
    train(used, wanted, seed=9)
    fresh.network.initial = pretrained
    train(fresh, wanted, seed=9)
    if depth != 1:  # a partly frozen network has a random prefix of its own here
        for one, two in zip(values(used.network), values(fresh.network), strict=True):
            np.testing.assert_array_equal(one, two)
    again = values(used.network)
    train(used, wanted, seed=9)
    for one, two in zip(values(used.network), again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_network_from_scratch_starts_elsewhere_with_each_seed_and_a_pretrained_one_does_not():
    scratch, pretrained = network("SmallCNN", 4), network(depth=1)
    starts = []
    for net in (scratch, pretrained):
        drawn = []
        for seed in (1, 2):
            net.reset(recipe(backbone=net.shape.backbone, unfrozen_blocks=net.shape.unfrozen_blocks), seed)
            drawn.append(np.concatenate([value.ravel() for value in values(net)]))
        starts.append(drawn)
    assert not np.array_equal(*starts[0])
    np.testing.assert_array_equal(*starts[1])


def test_an_own_network_of_layers_of_any_kind_starts_from_the_seed_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_nets.py").write_text(NETS)
    (tmp_path / "my_layers.py").write_text(LAYERS)
    wanted = Recipe(Backbone("varied", make="my_nets:varied"), None, image_size=SIZE)
    shape = shape_of(wanted)
    used, fresh = (CompiledNetwork(shape, lambda: build(shape, 3, pretrained=False)) for _ in range(2))
    states = []
    for one, seed in ((used, 5), (used, 9), (fresh, 9), (used, 5)):
        train(one, wanted, seed)
        states.append([variable.numpy() for variable in [*one.network.body.variables, *one.network.head_variables]])
    first, other, again, once_more = states
    assert all(np.array_equal(*pair) for pair in zip(other, again, strict=True))
    assert all(np.array_equal(*pair) for pair in zip(first, once_more, strict=True))
    assert sum(np.array_equal(*pair) for pair in zip(first, other, strict=True)) == 0


def test_dropout_rate_is_a_value_of_the_run():
    net = network(depth=0)
    ones = np.ones((200, 50), np.float32)
    shares = []
    for rate in (0.0, 0.3, 0.8):
        net.dropouts[0].reset(rate, 1)
        shown = net.dropouts[0](ones, training=True).numpy()
        shares.append((shown == 0).mean())
        assert shown.mean() == pytest.approx(1, abs=0.05)
        np.testing.assert_array_equal(net.dropouts[0](ones, training=False).numpy(), ones)
    np.testing.assert_allclose(shares, [0, 0.3, 0.8], atol=0.02)


def test_weight_decay_is_a_value_of_the_run_and_spares_biases():
    net = network(depth=1)
    alone = CompiledNetwork(net.shape, lambda: net)
    norms = []
    for decay in (0.0, 5.0):
        train(alone, recipe(weight_decay=decay), seed=1, steps=8)
        kernels = [v for v in net.body.trainable_variables if v.name == "kernel"]
        norms.append(sum(float(np.square(v.numpy()).sum()) for v in kernels))
    assert norms[1] < 0.9 * norms[0]


def test_recipes_that_differ_in_values_only_share_a_network():
    one = recipe(learning_rate=1e-4, dropout=0.1, weight_decay=0.0, epochs=3, batch_size=8)
    assert shape_of(one) == shape_of(recipe())
    assert shape_of(one) != shape_of(recipe(unfrozen_blocks=2))


def test_a_head_may_start_from_a_fitted_one():
    net, rng = network(depth=1), np.random.default_rng(0)
    head = LinearHead(rng.normal(size=(256, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32))
    net.reset(recipe(), 1, head)
    np.testing.assert_array_equal(net.head_weights[0], head.kernel)
    np.testing.assert_array_equal(net.head_weights[1], head.bias)
    net.reset(recipe(), 1)
    assert not any(weights.any() for weights in net.head_weights)


def test_the_rate_of_the_body_is_a_part_of_that_of_the_head():
    net = network(depth=1)
    head = LinearHead(np.ones((256, 3), np.float32), np.zeros(3, np.float32))
    gradients = [np.ones(variable.shape, np.float32) for variable in net.trained]
    moves = {}
    for part in (1.0, 0.25):
        net.reset(recipe(body_rate=part, weight_decay=0.0), 1, head)
        before = [variable.numpy() for variable in net.trained]
        net.update.step(gradients, np.float32(1e-2))
        moves[part] = [variable.numpy() - was for variable, was in zip(net.trained, before, strict=True)]
    count = len(net.update.groups[0].variables)
    for whole, quarter in zip(moves[1.0][:count], moves[0.25][:count], strict=True):
        np.testing.assert_allclose(quarter, 0.25 * whole, atol=1e-6)
    for one, other in zip(moves[1.0][count:], moves[0.25][count:], strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, -1e-2, atol=1e-5)


def test_a_gradient_is_clipped_with_body_and_head_together():
    """By as much as Keras would clip all variables of one optimizer; the norm is a value of the run."""
    shape = shape_of(recipe(optimizer="sgd", clip_norm=1.0))
    net = build(shape, 3, pretrained=False)
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=variable.shape).astype(np.float32) for variable in net.trained]
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients))
    for limit in (0.5, 2.0, 1000.0):
        net.reset(recipe(optimizer="sgd", weight_decay=0.0, clip_norm=limit), 1)
        before = [variable.numpy() for variable in net.trained]
        net.update.step(gradients, np.float32(1e-1))
        moves = [variable.numpy() - was for variable, was in zip(net.trained, before, strict=True)]
        for move, gradient in zip(moves, gradients, strict=True):
            np.testing.assert_allclose(move, -0.1 * gradient * min(1, limit / norm), atol=1e-6)


def test_clipping_is_of_the_shape_and_its_norm_a_value():
    plain, one, two = (shape_of(recipe(clip_norm=norm)) for norm in (None, 1.0, 2.0))
    assert one == two != plain
    assert shape_of(recipe(unfrozen_blocks=0, clip_norm=1.0)) == shape_of(recipe(unfrozen_blocks=0))
