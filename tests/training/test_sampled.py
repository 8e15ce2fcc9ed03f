"""Sampling and stand-ins in training: bodies and heads are shown what they say, in batches, weights and costs."""

import dataclasses

import numpy as np
import pytest
from kit.runs import materials, run, write_pool
from kit.shapes import write_shapes

from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.repertoire.sampling import Sampling
from search.training.compiled import CompiledNetwork
from search.training.cost import further_images
from search.training.heads.linear import Heads
from search.training.trainer import Trainer, set_up

set_up(2)
THERE = {"across": 12, "down": 4}  # in the training part of each fold


@pytest.fixture
def trainer(tmp_path):
    root = write_shapes(tmp_path / "uneven", {"across": 18, "down": 6})
    pool = write_pool(tmp_path / "pool", root, methods=("odd", "even"))
    return Trainer(
        materials(root, tmp_path / "cache", pool=pool, folds=3, train_fractions=(1.0,), weights=["Embedded"])
    )


def recipe(backbone="Embedded", **fields):
    depth = 0 if backbone == "Embedded" else None
    return Recipe(backbone, depth, **{"image_size": 32, "epochs": 2, "dropout": 0.0, "batch_size": 8, **fields})


heads_and_bodies = pytest.mark.parametrize("backbone", ["Embedded", "SmallCNN"])


@pytest.fixture
def shown(monkeypatch):
    """What each epoch shows: (inputs, labels, weights, steps), of bodies and of heads."""
    epochs = []
    of_heads = Heads.train
    make = CompiledNetwork.epoch.func

    def epoch(self):
        inner = make(self)

        def note(inputs, targets, weights, ends, rates):
            epochs.append((inputs, targets.argmax(1), weights, len(ends)))
            return inner(inputs, targets, weights, ends, rates)

        note.get_concrete_function = inner.get_concrete_function
        return note

    def train(self, batches, rates):
        there = batches.shares > 0
        epochs.append((batches.features[there], batches.targets[there].argmax(1), batches.weights[there], len(rates)))
        return of_heads(self, batches, rates)

    patched = type(vars(CompiledNetwork)["epoch"])(epoch)
    patched.__set_name__(CompiledNetwork, "epoch")
    monkeypatch.setattr(CompiledNetwork, "epoch", patched)
    monkeypatch.setattr(Heads, "train", train)
    return epochs


def rows_of(inputs):
    return [row.tobytes() for row in np.ascontiguousarray(inputs)]


@heads_and_bodies
def test_an_epoch_shows_as_many_of_each_class_as_asked_in_as_many_steps(trainer, shown, backbone):
    plain = recipe(backbone=backbone, epochs=1)
    run(trainer, plain, "f0")
    (images, labels, _, _), *_ = shown
    every = dict(zip(rows_of(images), labels.tolist(), strict=True))
    for kind, number, counts in (
        ("undersample", None, [4, 4]),
        ("oversample", None, [12, 12]),
        ("exactly", 7, [7, 7]),
        ("undersample", 6, [6, 4]),
    ):
        shown.clear()
        (result,) = run(trainer, dataclasses.replace(plain, sampling=Sampling(kind, number)), "f0")
        ((images, labels, weights, steps),) = shown
        assert np.bincount(labels).tolist() == counts
        assert steps == -(-sum(counts) // 8)
        assert set(weights.tolist()) == {1.0}
        assert all(every[row] == label for row, label in zip(rows_of(images), labels.tolist(), strict=True))
        assert result.sampled == {"there": THERE, "trained": dict(zip(THERE, counts, strict=True))}
        assert len(result.rows) == 8


@heads_and_bodies
def test_a_topped_up_copy_is_another_view_and_an_oversampled_one_is_not(trainer, shown, backbone):
    plain = recipe(backbone=backbone, augment=Augment("flip_crop"), views=4)
    distinct = {}
    for kind in ("top_up", "oversample"):
        shown.clear()
        run(trainer, dataclasses.replace(plain, sampling=Sampling(kind, 16)), "f0")
        assert [np.bincount(labels).tolist() for _, labels, _, _ in shown] == [[16, 16], [16, 16]]
        distinct[kind] = [len(set(rows_of(images[labels == 1]))) for images, labels, _, _ in shown]
    assert distinct == {"top_up": [16, 16], "oversample": [4, 4]}


def test_weights_count_what_is_left_and_synthetic_images_join_on_top(trainer, shown):
    sampled = {"sampling": Sampling("exactly", 10), "synthetic_per_class": {"down": 0.5}, "class_weight": "balanced"}
    (result,) = run(trainer, recipe(epochs=1, **sampled), "f0")
    ((_, labels, weights, _),) = shown
    assert np.bincount(labels).tolist() == [10, 12]  # half of the 4 real images of the fold
    np.testing.assert_allclose([weights[labels == 0][0], weights[labels == 1][0]], [22 / 20, 22 / 24], rtol=1e-6)
    assert result.synthetic["drawn"] == {"down": 2}


@heads_and_bodies
def test_a_run_is_the_same_in_any_order_and_in_another_trainer(trainer, backbone):
    sampled = recipe(backbone=backbone, sampling=Sampling("top_up", 15), augment=Augment("flip_crop"), views=3)
    first = {result.fold: result for result in run(trainer, sampled, "f0", "f1", "f2")}
    other = Trainer(trainer.materials)
    run(other, recipe(sampling=Sampling("undersample"), backbone=backbone), "f1")
    for result in run(other, sampled, "f2", "f0"):
        np.testing.assert_allclose(result.probabilities, first[result.fold].probabilities, atol=1e-6)


def test_a_fitted_start_sees_the_images_of_its_run_as_they_are(trainer, shown):
    sampling = Sampling("top_up", 14)
    wanted = Recipe(
        "Embedded", 1, image_size=32, epochs=2, head_start="fitted", sampling=sampling, augment=Augment("flip_crop")
    )
    (start,) = trainer._starts(wanted, [trainer._run(wanted, trainer.materials.folds["f0"])])
    assert np.bincount(shown[0][1]).tolist() == [14, 14]
    assert len(set(rows_of(shown[0][0]))) == 16
    assert np.abs(start.kernel).max() > 0


def test_the_estimate_counts_what_trains(trainer):
    data = trainer.materials
    fold = data.folds["f0"]
    further = further_images(data.pool, [fold], data.labels)
    assert further(recipe(), fold) == 0
    assert further(recipe(sampling="undersample"), fold) == -8
    assert further(recipe(sampling=Sampling("oversample", 50)), fold) == 84
    assert further(recipe(sampling=Sampling("exactly", 10), synthetic_per_class=2), fold) == 4 + 4


def replaced(trainer, shown, fields, fold="f0"):
    """Return of each epoch the images, their labels, and which of them are synthetic; and the result."""
    shown.clear()
    run(trainer, recipe(**{**fields, "synthetic_replacing": 0.0, "synthetic_per_class": 0}), fold)
    real = set(rows_of(np.concatenate([images for images, *_ in shown])))
    shown.clear()
    (result,) = run(trainer, recipe(**fields), fold)
    epochs = [(images, labels, np.array([row not in real for row in rows_of(images)])) for images, labels, *_ in shown]
    return epochs, result


@heads_and_bodies
def test_stand_ins_replace_real_images_of_their_class_anew_in_each_epoch(trainer, shown, backbone):
    fields = {"backbone": backbone, "epochs": 12, "synthetic_per_class": 100}
    for share, low, high in ((0.3, 0.2, 0.42), (1.0, 1.0, 1.0)):
        epochs, result = replaced(trainer, shown, {**fields, "synthetic_replacing": share})
        assert [np.bincount(labels).tolist() for _, labels, _ in epochs] == [list(THERE.values())] * 12
        assert {steps for *_, steps in shown} == {2}
        assert low <= np.mean([new for *_, new in epochs]) <= high
        assert len({tuple(sorted(rows_of(images))) for images, *_ in epochs}) > 6
        assert result.synthetic["drawn"] == result.synthetic["admissible"]
    pool, fold = trainer.materials.pool, trainer.materials.folds["f0"]
    seen = {row: label for images, labels, _ in epochs for row, label in zip(rows_of(images), labels, strict=True)}
    assert len(seen) == len(pool.admissible(fold))  # all that may train did, and nothing else
    assert sorted(seen.values()) == sorted(pool.labels[pool.admissible(fold)])


def test_stand_ins_are_the_same_for_a_recipe_with_another_rate(trainer, shown):
    fields = {"synthetic_per_class": 100, "synthetic_replacing": 0.5}
    first, other = (
        [new.sum() for *_, new in replaced(trainer, shown, {**fields, "learning_rate": rate})[0]]
        for rate in (1e-3, 1e-2)
    )
    assert first == other


def test_a_class_without_synthetic_images_keeps_its_real_ones(trainer, shown):
    epochs, _ = replaced(trainer, shown, {"synthetic_per_class": {"down": 4}, "synthetic_replacing": 1.0})
    for _, labels, new in epochs:
        assert new.tolist() == (labels == 1).tolist()


def test_a_head_that_is_fitted_at_once_sees_stand_ins_too(trainer):
    fields = {"image_size": 32, "head": "logistic_regression", "synthetic_per_class": 100}
    shares = (Recipe("Embedded", **fields, synthetic_replacing=share) for share in (0.0, 1.0))
    added, replacing = (run(trainer, each, "f0")[0].probabilities for each in shares)
    assert np.abs(added - replacing).max() > 1e-3


def test_only_images_of_the_named_method_train(trainer, shown):
    pool, fold = trainer.materials.pool, trainer.materials.folds["f0"]
    for method in ("odd", "even"):
        (result,) = run(trainer, recipe(synthetic_per_class=100, synthetic_method=method), "f0")
        there = [row for row in pool.admissible(fold) if pool.methods[row] == method]
        assert there
        assert sum(result.synthetic["drawn"].values()) == sum(result.synthetic["admissible"].values()) == len(there)
        further = further_images(pool, [fold], trainer.materials.labels)
        assert further(recipe(synthetic_per_class=100, synthetic_method=method), fold) == len(there)
        assert further(recipe(synthetic_per_class=100, synthetic_replacing=0.5), fold) == 0


def test_a_synthetic_image_is_of_the_group_of_what_it_comes_from(trainer):
    data = trainer.materials
    groups = trainer._feed.groups
    assert len(groups) == len(data.labels) + len(data.pool)
    np.testing.assert_array_equal(groups[: len(data.labels)], data.groups)
    first = [rows[0] for rows in data.pool.sources]
    np.testing.assert_array_equal(groups[len(data.labels) :], data.groups[first])
