"""Training: each choice of a recipe does what it says, and no run knows of another."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from kit.runs import materials, run, small, write_pool

from search.analysis.stats import scores
from search.data.images import decode
from search.repertoire.augmentation import Augment
from search.repertoire.rates import first_step
from search.repertoire.recipe import Recipe
from search.training.loop import DivergedError, TrainingRun
from search.training.network import Network
from search.training.trainer import CancelledError, Trainer, set_up

set_up(2)


@pytest.fixture
def shapes_trainer(shapes, tmp_path):
    return Trainer(materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0, 0.5)))


def test_a_network_from_scratch_learns_bars(shapes_trainer):
    (result,) = run(shapes_trainer, small(epochs=25), "f0")
    assert scores(result.labels, result.probabilities)["accuracy"] >= 0.75
    assert result.curve[-1, 0] < result.curve[0, 0]


def test_labels_and_rows_travel_with_predictions(shapes_trainer):
    for result in run(shapes_trainer, small(epochs=1), "f0", "f1@0.5"):
        fold = shapes_trainer.materials.folds[result.fold]
        np.testing.assert_array_equal(result.rows, fold.validation)
        np.testing.assert_array_equal(result.labels, shapes_trainer.materials.labels[fold.validation])
        assert result.probabilities.shape == (len(fold.validation), 2)
        np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_validation_part_is_watched_and_its_last_point_is_the_score(shapes_trainer):
    result, short = (run(shapes_trainer, small(epochs=epochs), "f0")[0] for epochs in (9, 2))
    told = scores(result.labels, result.probabilities)
    assert result.watched[:, 0].tolist() == [1, 3, 5, 7, 9]
    assert short.watched[:, 0].tolist() == [1, 2]
    np.testing.assert_allclose(result.watched[-1, 1:], [told["log_loss"], told["accuracy"]], rtol=1e-5)
    assert result.watched[0, 1] != result.watched[-1, 1]


def test_a_run_is_the_same_alone_among_others_and_in_another_process_state(shapes_trainer, shapes, tmp_path):
    """Fresh weights and draws of its own: order, grouping and what the process did before change nothing."""
    wanted = small(dropout=0.3, augment=Augment("flip_crop"))
    together = {result.fold: result for result in run(shapes_trainer, wanted, "f0@0.5", "f0", "f1")}
    run(shapes_trainer, small(learning_rate=1e-2, dropout=0.6), "f2", "f0")
    again = {result.fold: result for result in run(shapes_trainer, wanted, "f1", "f0")}
    other = Trainer(materials(shapes, tmp_path / "other-cache", folds=3, train_fractions=(1.0, 0.5)))
    alone = run(other, wanted, "f0")[0]
    np.testing.assert_array_equal(together["f0"].probabilities, again["f0"].probabilities)
    np.testing.assert_array_equal(together["f1"].probabilities, again["f1"].probabilities)
    np.testing.assert_array_equal(together["f0"].probabilities, alone.probabilities)


def test_folds_recipes_and_seeds_have_draws_of_their_own(shapes, tmp_path):
    one = Trainer(materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,)))
    curves = [result.curve for result in run(one, small(epochs=2), "f0", "f1")]
    assert not np.array_equal(*curves)


def test_a_loss_that_is_no_number_is_said(shapes_trainer):
    with pytest.raises(DivergedError, match="no number in epoch"):
        run(shapes_trainer, small(learning_rate=10.0, weight_decay=10.0, epochs=60), "f0")


def recorded(trainer, monkeypatch):
    """Note what each epoch is shown."""
    shown, wrapped = [], []
    make = Trainer._network

    def network(self, shape):
        made = make(self, shape)
        if made in wrapped:
            return made
        wrapped.append(made)
        inner = made.epoch

        def epoch(inputs, targets, weights, ends, rates):
            np.testing.assert_array_equal(np.sort(targets)[:, -2:], [[0, 1]] * len(targets))
            shown.append((np.array(inputs), targets.argmax(axis=1), np.array(weights)))
            return inner(inputs, targets, weights, ends, rates)

        epoch.get_concrete_function = inner.get_concrete_function
        monkeypatch.setattr(made, "epoch", epoch)
        return made

    monkeypatch.setattr(Trainer, "_network", network)
    return shown


def as_set(images):
    return {image.tobytes() for image in images}


def test_class_weights_reach_the_loss_of_the_training_part_only(tmp_path, monkeypatch):
    from kit.shapes import write_shapes

    root = write_shapes(tmp_path / "uneven", {"across": 18, "down": 6})
    trainer = Trainer(materials(root, tmp_path / "cache", folds=3, train_fractions=(1.0,)))
    shown = recorded(trainer, monkeypatch)
    run(trainer, small(class_weight="balanced", epochs=1), "f0")
    run(trainer, small(class_weight="none", epochs=1), "f0")
    (images, labels, balanced), (others, _, plain) = shown
    assert as_set(images) == as_set(others)
    assert set(plain) == {1.0}
    assert balanced[labels == 1].sum() == pytest.approx(balanced[labels == 0].sum(), rel=1e-5)


def test_balanced_weights_raise_the_recall_of_the_rare_class(photographs, imagenet, tmp_path):
    root = tmp_path / "uneven"
    for name, count in (("ants", 15), ("bees", 120)):
        (root / name).mkdir(parents=True)
        for path in sorted((photographs / "hymenoptera" / name).iterdir())[:count]:
            (root / name / path.name).symlink_to(path)
    trainer = Trainer(
        materials(root, tmp_path / "cache", size=96, folds=3, train_fractions=(1.0,), weights=["MobileNetV2_0.35"])
    )
    recall = {}
    for weighting in ("none", "balanced"):
        recipe = Recipe("MobileNetV2_0.35", image_size=96, class_weight=weighting, dropout=0.0, epochs=10)
        results = run(trainer, recipe, "f0", "f1", "f2")
        rare = [(r.probabilities[r.labels == 0].argmax(1) == 0).mean() for r in results]
        recall[weighting] = np.mean(rare)
    assert recall["balanced"] > recall["none"]


def test_augmentation_shows_other_views_each_epoch_and_never_validation(shapes_trainer, monkeypatch):
    shown = recorded(shapes_trainer, monkeypatch)
    run(shapes_trainer, small(augment=Augment("flip_crop"), views=3, epochs=5), "f0")
    views = [as_set(images) for images, _, _ in shown]
    assert views[0] == views[3]
    assert views[1] == views[4]
    assert not views[0] & views[1]
    assert not views[1] & views[2]
    fold = shapes_trainer.materials.folds["f0"]
    plain = decode(
        shapes_trainer.materials.paths, shapes_trainer.materials.contents, 32, shapes_trainer.materials.cache
    ).pixels
    shown.clear()
    run(shapes_trainer, small(epochs=2), "f0")
    for images, labels, _ in shown:
        assert as_set(images) == as_set(plain[fold.train])
        assert not as_set(images) & as_set(plain[fold.validation])
        by_image = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
        assert all(by_image[plain[row].tobytes()] == shapes_trainer.materials.labels[row] for row in fold.train)


def test_training_batches_are_shuffled_anew_each_epoch(shapes_trainer, monkeypatch):
    shown = recorded(shapes_trainer, monkeypatch)
    run(shapes_trainer, small(epochs=2), "f0")
    (first, labels, _), (second, _, _) = shown
    assert as_set(first) == as_set(second)
    assert not np.array_equal(first, second)
    assert len(np.flatnonzero(np.diff(labels))) > 1


def test_validation_is_predicted_from_plain_images(shapes_trainer):
    data = shapes_trainer.materials
    (result,) = run(shapes_trainer, small(augment=Augment("randaugment", 0.9)), "f0")
    (network,) = shapes_trainer._networks.values()  # it still has the weights of the run
    plain = decode(data.paths, data.contents, 32, data.cache).pixels[data.folds["f0"].validation]
    np.testing.assert_allclose(result.probabilities, network.predict(plain).numpy(), atol=1e-6)
    assert not np.allclose(result.probabilities, network.predict(plain[::-1]).numpy())


def test_synthetic_images_are_exactly_the_admissible_ones_and_never_validate(shapes, tmp_path, monkeypatch):
    pool_folder = write_pool(tmp_path / "pool", shapes)
    trainer = Trainer(materials(shapes, tmp_path / "cache", pool=pool_folder, folds=3, train_fractions=(1.0, 0.5)))
    shown = recorded(trainer, monkeypatch)
    pool = trainer.materials.pool
    generated = decode(pool.paths, pool.contents, 32, trainer.materials.cache).pixels
    real = decode(trainer.materials.paths, trainer.materials.contents, 32, trainer.materials.cache).pixels
    for name in ("f0", "f1@0.5"):
        fold = trainer.materials.folds[name]
        for amount in (0, 2, 1000):
            shown.clear()
            (result,) = run(trainer, small(synthetic_per_class=amount, epochs=1), name)
            images, labels, _ = shown[0]
            extra = as_set(images) - as_set(real[fold.train])
            admissible = as_set(generated[pool.admissible(fold)])
            assert extra <= admissible
            assert as_set(real[fold.train]) <= as_set(images)
            assert len(result.rows) == len(fold.validation)
            if amount == 1000:
                assert extra == admissible
                there = np.bincount(pool.labels[pool.admissible(fold)], minlength=2).tolist()
                assert result.synthetic == {
                    "asked": dict.fromkeys(pool.classes, 1000),
                    "admissible": dict(zip(pool.classes, there, strict=True)),
                    "drawn": dict(zip(pool.classes, there, strict=True)),
                }
                assert sum(there) == len(admissible)
            if amount == 2:
                added = labels[[image.tobytes() in extra for image in images]]
                assert np.bincount(added).tolist() == [2, 2]
    for fold in trainer.materials.folds.values():
        for row in pool.admissible(fold):
            assert set(pool.sources[row]) <= set(fold.train)
            assert not set(pool.sources[row]) & set(fold.validation)


def test_ratios_and_amounts_by_class_train_as_many_as_they_say(shapes, tmp_path, monkeypatch):
    trainer = Trainer(materials(shapes, tmp_path / "cache", pool=write_pool(tmp_path / "pool", shapes), folds=3))
    shown = recorded(trainer, monkeypatch)
    fold, first = trainer.materials.folds["f0@0.25"], trainer.materials.pool.classes[0]
    real = np.bincount(trainer.materials.labels[fold.train])
    for amount, more in ((0.5, real // 2), ({first: 1}, [1, 0]), ({first: 0.5}, [real[0] // 2, 0])):
        shown.clear()
        (result,) = run(trainer, small(synthetic_per_class=amount, epochs=1), fold.id)
        assert np.bincount(shown[0][1]).tolist() == (real + more).tolist()
        assert result.synthetic["drawn"] == {
            name: int(n) for name, n in zip(("across", "down"), more, strict=True) if n
        }
        assert result.synthetic["asked"] == result.synthetic["drawn"]


def test_stored_activations_are_used_again_and_equal_those_computed_anew(photographs, imagenet, tmp_path):
    root = photographs / "tiny_flowers3"
    shared = {"size": 64, "folds": 2, "train_fractions": (1.0,), "weights": ["MobileNetV2_0.35"]}
    recipe = Recipe("MobileNetV2_0.35", image_size=64, unfrozen_blocks=1, epochs=2, augment=Augment("color"), views=2)
    cold = Trainer(materials(root, tmp_path / "cache", **shared))
    first = run(cold, recipe, "f0")[0]
    entries = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.npy")}
    warm = run(Trainer(materials(root, tmp_path / "cache", **shared)), recipe, "f0")[0]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.npy")} == entries
    elsewhere = run(Trainer(materials(root, tmp_path / "other", **shared)), recipe, "f0")[0]
    np.testing.assert_array_equal(first.probabilities, warm.probabilities)
    np.testing.assert_array_equal(first.probabilities, elsewhere.probabilities)


def test_heads_of_all_folds_and_sizes_train_as_they_would_alone(photographs, imagenet, tmp_path, monkeypatch):
    """Together in one job, one by one, and in chunks of one step: with weights, synthetic images and dropout."""
    root = photographs / "tiny_flowers3"
    pool = write_pool(tmp_path / "pool", root, "*.jpg")
    shared = {"size": 64, "pool": pool, "folds": 3, "train_fractions": (1.0, 0.5), "weights": ["MobileNetV2_0.35"]}
    fields = {"dropout": 0.4, "class_weight": "balanced", "synthetic_per_class": {"rose": 3}, "batch_size": 4}
    recipe = Recipe("MobileNetV2_0.35", image_size=64, augment=Augment("flip_crop"), views=2, epochs=4, **fields)
    trainer = Trainer(materials(root, tmp_path / "cache", **shared))
    names = list(trainer.materials.folds)
    together = run(trainer, recipe, *names)
    assert [result.fold for result in together] == names
    monkeypatch.setattr("search.training.batches.CHUNK_BYTES", 1)
    for name, result in zip(names, together, strict=True):
        (alone,) = run(trainer, recipe, name)
        np.testing.assert_allclose(alone.probabilities, result.probabilities, atol=1e-5)
        np.testing.assert_allclose(alone.curve, result.curve, rtol=1e-4)
        assert alone.synthetic == result.synthetic
        assert result.synthetic["drawn"]["rose"]
    assert len({result.probabilities.tobytes() for result in together}) == len(names)


def test_heads_on_stored_features_need_no_network(photographs, imagenet, tmp_path):
    shared = {"size": 64, "folds": 2, "train_fractions": (1.0,), "weights": ["MobileNetV2_0.35"]}
    recipe = Recipe("MobileNetV2_0.35", image_size=64, epochs=1)
    (cold,) = run(Trainer(materials(photographs / "tiny_flowers3", tmp_path / "cache", **shared)), recipe, "f0")
    trainer = Trainer(materials(photographs / "tiny_flowers3", tmp_path / "cache", **shared))
    (warm,) = run(trainer, recipe, "f0")
    (network,) = trainer._networks.values()
    assert "network" not in vars(network)
    np.testing.assert_array_equal(warm.probabilities, cold.probabilities)


def test_steps_are_compiled_once_for_all_runs_of_a_shape(shapes_trainer):
    for fields in ({}, {"batch_size": 5}, {"learning_rate": 1e-4, "dropout": 0.5, "weight_decay": 0.1}):
        run(shapes_trainer, small(**fields, epochs=2), "f0", "f1@0.5")
    (network,) = shapes_trainer._networks.values()
    assert [step.experimental_get_tracing_count() for step in (network.epoch, network.predict)] == [1, 1]


def test_a_trainer_keeps_a_few_networks_those_used_last(shapes_trainer, monkeypatch):
    monkeypatch.setattr("search.training.trainer.NETWORKS_KEPT", 2)
    sizes = (32, 40, 48, 40, 56)
    results = [run(shapes_trainer, small(image_size=size, epochs=1), "f0")[0] for size in sizes]
    assert [shape.image_size for shape in shapes_trainer._networks] == [40, 56]
    np.testing.assert_array_equal(results[1].probabilities, results[3].probabilities)
    (again,) = run(shapes_trainer, small(image_size=32, epochs=1), "f0")
    np.testing.assert_array_equal(again.probabilities, results[0].probabilities)


def test_a_job_that_nobody_waits_for_ends_with_its_epoch(shapes, tmp_path):
    answers = iter([False, False, True])
    trainer = Trainer(materials(shapes, tmp_path / "cache", folds=3), cancelled=lambda: next(answers))
    with pytest.raises(CancelledError):
        run(trainer, small(epochs=50), "f0")
    assert next(answers, "all were asked for") == "all were asked for"


@pytest.mark.parametrize("recipe", [small(epochs=4), Recipe("Embedded", 0, image_size=32, epochs=4)], ids=str)
def test_every_epoch_is_reported_when_it_begins(shapes, tmp_path, recipe):
    told = []
    stuff = materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,))
    run(Trainer(stuff, report=told.append), recipe, "f0")
    assert told == [1, 2, 3, 4]


def test_images_that_are_damaged_between_jobs_are_decoded_anew(shapes_trainer, tmp_path):
    (good,) = run(shapes_trainer, small(epochs=2), "f0")
    (pixels,) = (tmp_path / "cache").glob("decoded/*/pixels.npy")
    with pixels.open("r+b") as file:
        file.seek(2000)
        file.write(bytes(20_000))
    (again,) = run(shapes_trainer, small(epochs=2), "f0")
    np.testing.assert_array_equal(again.probabilities, good.probabilities)


ACCURACIES = {"hymenoptera": 0.85, "cats_dogs": 0.90}


@pytest.mark.parametrize("name", ACCURACIES)
def test_pretrained_features_are_used_and_scaled_right(name, photographs, imagenet, tmp_path):
    """Frozen MobileNetV2-0.35, linear head, 160 px, five folds: about .89 and .93; .58 from random weights."""
    trainer = Trainer(
        materials(photographs / name, tmp_path, size=160, train_fractions=(1.0,), weights=["MobileNetV2_0.35"])
    )
    results = run(trainer, Recipe("MobileNetV2_0.35", image_size=160), *(f"f{index}" for index in range(5)))
    accuracy = np.mean([scores(result.labels, result.probabilities)["accuracy"] for result in results])
    assert accuracy >= ACCURACIES[name]


def test_the_same_network_from_random_weights_is_far_worse(photographs, imagenet, tmp_path, monkeypatch):
    import search.training.trainer

    real = search.training.trainer.build
    monkeypatch.setattr(
        search.training.trainer, "build", lambda shape, classes, *_: real(shape, classes, pretrained=False)
    )
    trainer = Trainer(materials(photographs / "hymenoptera", tmp_path, size=160, train_fractions=(1.0,)))
    results = run(trainer, Recipe("MobileNetV2_0.35", image_size=160), "f0", "f1")
    accuracy = np.mean([scores(result.labels, result.probabilities)["accuracy"] for result in results])
    assert accuracy < 0.75


def test_predictions_that_are_no_numbers_are_said(shapes_trainer, monkeypatch):
    (result,) = run(shapes_trainer, small(epochs=1), "f0")
    assert np.isfinite(result.probabilities).all()
    check, (network,) = TrainingRun.check, shapes_trainer._networks.values()

    def overflow(self, epoch):
        check(self, epoch)
        network.network.head[0].bias.assign([np.inf, np.inf])  # as a last step at a wild learning rate does

    monkeypatch.setattr(TrainingRun, "check", overflow)
    with pytest.raises(DivergedError, match="predictions are no numbers"):
        run(shapes_trainer, small(epochs=1), "f0")


def test_synthetic_images_cost_nothing_where_none_are_used(shapes, tmp_path):
    pool = write_pool(tmp_path / "pool", shapes)
    counts = []
    for name, folder in (("with", pool), ("without", None)):
        cache = tmp_path / name
        trainer = Trainer(materials(shapes, cache, pool=folder, folds=3, train_fractions=(1.0,)))
        run(trainer, small(augment=Augment("flip_crop"), views=2, epochs=2), "f0")
        counts.append(len(list((cache / "activations").iterdir())))
    assert counts[0] == counts[1] == 2


def test_a_fitted_start_knows_the_training_part_of_its_fold_alone(shapes, tmp_path, monkeypatch):
    """Other labels of the validation part change nothing; the head that it starts from is that of the frozen body."""
    recipe = Recipe("Embedded", 1, image_size=32, epochs=2, head_start="fitted", body_rate=0.1)
    data = materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,), weights=["Embedded"])
    starts = []
    reset = Network.reset
    monkeypatch.setattr(Network, "reset", lambda *given: (starts.append(given[3]), reset(*given))[1])
    (result,) = run(Trainer(data), recipe, "f0")
    others = data.labels.copy()
    others[data.folds["f0"].validation] = 1 - others[data.folds["f0"].validation]
    (other,) = run(Trainer(dataclasses.replace(data, labels=others)), recipe, "f0")
    np.testing.assert_array_equal(result.probabilities, other.probabilities)
    assert not np.array_equal(result.labels, other.labels)
    frozen = Trainer(data).train(first_step(recipe), data.folds["f0"], lambda: None)
    assert np.abs(frozen.run.head.kernel).max() > 0
    for start in starts:
        np.testing.assert_array_equal(start.kernel, frozen.run.head.kernel)


def test_no_line_of_a_library_is_printed_where_threads_are_set():
    program = "from search.training.trainer import pin_threads; pin_threads(1)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout + ended.stderr == ""
