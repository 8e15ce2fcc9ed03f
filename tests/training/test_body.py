"""How the blocks of a body train: each choice changes what it says, and nothing else."""

import numpy as np
import pytest
from kit.networks import linear_shape
from kit.runs import materials, run

from search import Recipe, UserError
from search.export.plain import plain_model
from search.repertoire.shape import shape_of
from search.system.tf import keras
from search.training.compiled import CompiledNetwork
from search.training.heads.linear import LinearHead
from search.training.network import build
from search.training.trainer import Trainer, set_up

set_up(2)

SIZE, DEPTH, CLASSES, RATE = 32, 3, 3, 1e-2


def recipe(**fields):
    return Recipe("MobileNet_0.25", DEPTH, image_size=SIZE, dropout=0.0, **fields)


def network(**fields):
    """Return a network for a recipe with these fields; its random weights stand for pretrained ones."""
    return build(shape_of(recipe(**fields)), CLASSES, pretrained=False)


def stepped(net, gradient=1.0, steps=1, **fields):
    """Take steps with one gradient everywhere; return how the variables of each group moved, the lowest block first."""
    net.reset(recipe(**fields), 1)
    before = [[variable.numpy() for variable in group.variables] for group in net.update.groups]
    for _ in range(steps):
        net.update.step([np.full(variable.shape, gradient, np.float32) for variable in net.trained], np.float32(RATE))
    return [
        [variable.numpy() - was for variable, was in zip(group.variables, values, strict=True)]
        for group, values in zip(net.update.groups, before, strict=True)
    ]


def test_a_network_without_any_of_it_is_as_it_was():
    plain = linear_shape("MobileNet_0.25", DEPTH, SIZE)
    assert shape_of(recipe()) == plain
    assert [group.depth for group in network().update.groups] == [1, 0]


def test_each_block_learns_slower_than_the_one_above_it():
    net = network(layer_decay=0.5)
    assert [group.depth for group in net.update.groups] == [3, 2, 1, 0]
    bodies = ([v.path for group in each.update.groups[:-1] for v in group.variables] for each in (net, network()))
    assert set(next(bodies)) == set(next(bodies))
    for part in (1.0, 0.2):
        moves = stepped(net, layer_decay=0.5, body_rate=part, weight_decay=0.0)
        for group, factor in zip(moves, (0.125 * part, 0.25 * part, 0.5 * part, 1.0), strict=True):
            for move in group:
                np.testing.assert_allclose(move, -RATE * factor, rtol=1e-2)


def test_the_pull_goes_back_to_the_pretrained_weights_and_replaces_weight_decay():
    net = network(l2_sp=2.0)
    start = [variable.numpy() for variable in net.update.groups[0].variables]
    assert not any(move.any() for group in stepped(net, 0.0, l2_sp=2.0, weight_decay=0.5) for move in group)
    net.reset(recipe(l2_sp=2.0, weight_decay=0.5), 1)
    body, head = net.update.groups
    for variable in (*body.variables, *head.variables):
        variable.assign(variable + 1.0)
    net.update.step([np.zeros(variable.shape, np.float32) for variable in net.trained], np.float32(RATE))
    for variable, value in zip(body.variables, start, strict=True):
        np.testing.assert_allclose(variable.numpy() - value, 1 - RATE * 2.0, atol=1e-5)
    kernel, bias = (variable.numpy() for variable in head.variables)
    np.testing.assert_allclose(kernel, 1 - RATE * 0.5, atol=1e-5)  # the head still decays
    np.testing.assert_array_equal(bias, 1.0)


@pytest.mark.parametrize("fitted", [False, True])
def test_pretrained_weights_are_mixed_in_after_training(fitted):
    net = network()
    head = LinearHead(np.full((256, CLASSES), 3.0, np.float32), np.ones(CLASSES, np.float32)) if fitted else None
    mixed = recipe(wise_ft=0.25)
    net.reset(mixed, 1, head)
    for variable in (*net.body.variables, *net.head_variables):
        variable.assign(variable + 1.0)
    net.end(mixed, head)
    for variable, value in zip(net.body.variables, net.initial, strict=True):
        np.testing.assert_allclose(variable.numpy() - value, 0.75, atol=1e-5)
    kernel, bias = net.head_weights
    np.testing.assert_allclose(kernel, 3.75 if fitted else 1.0, atol=1e-6)
    np.testing.assert_allclose(bias, 1.75 if fitted else 1.0, atol=1e-6)


def test_an_average_over_the_steps_counts_in_the_end_and_changes_no_step():
    net = network(ema=0.9)
    for group in stepped(net, steps=3, ema=0.9, weight_decay=0.0):
        for move in group:
            np.testing.assert_allclose(move, -3 * RATE, rtol=1e-2)
    net.reset(recipe(ema=0.9, weight_decay=0.0), 1)
    average = [variable.numpy() for variable in net.trained]
    for _ in range(4):
        net.update.step([np.ones(variable.shape, np.float32) for variable in net.trained], np.float32(RATE))
        average = [0.9 * mean + 0.1 * v.numpy() for mean, v in zip(average, net.trained, strict=True)]
    net.end(recipe(ema=0.9))
    for variable, mean in zip(net.trained, average, strict=True):
        np.testing.assert_allclose(variable.numpy(), mean, atol=1e-6)


@pytest.mark.parametrize("kind", ["frozen", "learning"])
def test_statistics_of_batch_norm_are_learnt_where_they_are_said_to_be(kind):
    net = network(batch_norm=kind)
    head = LinearHead(np.random.default_rng(1).normal(size=(256, CLASSES)).astype(np.float32), np.zeros(CLASSES))
    net.reset(recipe(batch_norm=kind), 1, head)
    rows = np.random.default_rng(0).normal(size=(8, *net.row_shape)).astype(np.float32)
    compiled = CompiledNetwork(net.shape, lambda: net)
    before = compiled.predict(rows).numpy()
    statistics = [v for v in net.body.variables if "moving" in v.name]
    was = [v.numpy() for v in statistics]
    targets, ends = np.eye(CLASSES, dtype=np.float32)[np.arange(8) % CLASSES], np.array([8], np.int32)
    compiled.epoch(rows, targets, np.ones(8, np.float32), ends, np.zeros(1, np.float32))
    changed = [not np.array_equal(v.numpy(), value) for v, value in zip(statistics, was, strict=True)]
    assert statistics
    assert set(changed) == {kind == "learning"}
    assert np.array_equal(before, compiled.predict(rows).numpy()) == (kind == "frozen")
    net.reset(recipe(batch_norm=kind), 1)
    assert all(np.array_equal(v.numpy(), value) for v, value in zip(statistics, was, strict=True))


@pytest.mark.parametrize(
    "field", [{"layer_decay": 0.7}, {"l2_sp": 0.1}, {"wise_ft": 0.5}, {"batch_norm": "learning"}], ids=str
)
def test_what_means_nothing_without_a_body_is_refused_by_both_names(field):
    (name,) = field
    with pytest.raises(UserError, match=rf"{name}=.* with unfrozen_blocks=0: only the head trains"):
        Recipe("MobileNet_0.25", 0, **field)
    with pytest.raises(UserError, match=rf"{name}=.*SmallCNN has no pretrained weights"):
        Recipe("SmallCNN", None, **field)
    assert Recipe("MobileNet_0.25", 1, **field).digest != Recipe("MobileNet_0.25", 1).digest


@pytest.fixture
def trainer(shapes, tmp_path):
    return Trainer(materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,), weights=["Embedded"]))


CHOICES = [
    {"layer_decay": 0.5, "l2_sp": 0.5, "batch_norm": "learning", "epoch": "best_mean"},
    {"wise_ft": 0.3, "ema": 0.9, "clip_norm": 1.0},
]


@pytest.mark.parametrize("fields", CHOICES, ids=lambda fields: next(iter(fields)))
def test_a_run_from_a_fitted_head_gives_the_same_again_and_its_model_predicts_as_it_did(trainer, fields, tmp_path):
    body = Recipe("Embedded", 2, image_size=SIZE, epochs=2, head_start="fitted", body_rate=0.5, **fields)
    (result,) = run(trainer, body, "f0")
    data = trainer.materials
    trained = Trainer(data).train(body, data.folds["f0"], lambda: None)
    np.testing.assert_array_equal(trained.run.probabilities, result.probabilities)
    model = plain_model(shape_of(body), trained.body, trained.run.head, pretrained=True)
    model.save(tmp_path / "model.keras")
    (decoded,) = (tmp_path / "cache").glob("decoded/*/pixels.npy")
    pixels = np.load(decoded)[data.folds["f0"].validation]
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict_on_batch(pixels), result.probabilities, atol=1e-5)
