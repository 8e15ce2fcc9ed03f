"""The spaces of the five original projects: their design, in numbers, without weights."""

import contextlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from search.data.dataset import Dataset
from search.data.folds import make_plan
from search.oracles import at_values, points, register
from search.oracles.networks import recipe_at
from search.repertoire.augmentation import Augment
from search.repertoire.backbones.hub import Downloads, allowing
from search.repertoire.sampling import Sampling
from search.repertoire.shape import shape_of
from search.space import Hand, read_space
from search.system.errors import UserError
from search.training.network import build

SPACES = Path(__file__).resolve().parents[1] / "spaces"
NAMES = ("real_estate", "butterflies", "very_little_data", "dogs_vs_cats", "good_bad")
ROOMS = {"Livingroom": 1273, "Bedroom": 1248, "Dinning": 1158, "Kitchen": 965, "Bathroom": 606}


def recipes_of(name, *, synthetic=False, backbones=()):
    """Return the recipe of each point of a space, with all backbones at hand, and what the file defines."""
    file = read_space(SPACES / f"{name}.py")

    def recipe(hp):
        return recipe_at(file, hp, Hand(synthetic=synthetic, backbones=backbones), 2, file.study.image_size or 160)

    hyperparameters = register(recipe, complete=False)
    every = [(values, recipe(at_values(hyperparameters, values))) for values in points(hyperparameters)]
    return file, every


def trained(recipe, classes):
    """Return how many parameters of the network of a recipe train, and its network."""
    network = build(shape_of(recipe), classes, pretrained=False)
    return sum(int(np.prod(variable.shape)) for variable in network.trained), network


def test_rooms_have_36_points_of_six_frozen_networks():
    file, every = recipes_of("real_estate")
    assert len(every) == file.study.max_trials == 36
    assert sorted(Counter(values["backbone"] for values, _ in every).values()) == [6] * 6
    assert all(recipe.head_only and recipe.side == 128 for _, recipe in every)
    assert len({recipe.digest for _, recipe in every}) == 36 - 8  # "first" and "middle" are one place in one layer
    assert {recipe.augment.policy for _, recipe in every} == {"none", "layer"}
    heads = {values["backbone"]: recipe for values, recipe in every}
    assert trained(heads["ResNet50"], 5)[0] == 10_245
    hidden = 512 * 4096 + 4096 + 4096 * 4096 + 4096
    assert trained(heads["VGG16"], 5)[0] == hidden + 4096 * 5 + 5
    assert len(recipes_of("real_estate", synthetic=True)[1]) == 180


def test_rooms_have_the_folds_and_amounts_of_the_project():
    file, every = recipes_of("real_estate", synthetic=True)
    labels = np.repeat(np.arange(5), list(ROOMS.values()))
    ids = [f"{row:05d}.png" for row in range(len(labels))]
    table = pd.DataFrame({"id": ids, "label": labels, "group": ids, "split": "", "content": ids})
    plan = make_plan(Dataset(Path("rooms"), table, tuple(ROOMS)), file.study)
    assert len(plan.holdout.validation) == 750
    sizes = Counter(len(fold.train) for fold in plan.folds)
    assert sizes == dict.fromkeys([3598, 2876, 2228, 1652, 1077, 717, 357], 5)
    assert {len(fold.validation) for fold in plan.folds} == {902}
    amounts = {values["synthetic"]: recipe.synthetic for values, recipe in every}
    real = dict.fromkeys(ROOMS, 10_000)
    counts = {name: 3598 + sum(amount.wanted(real).values()) for name, amount in amounts.items()}
    assert counts == {"none": 3598, "50": 3848, "250": 4848, "480": 5998, "weakest": 4328}


def test_butterflies_train_all_of_resnet50():
    _, every = recipes_of("butterflies")
    assert len(every) == 16
    recipe = next(recipe for _, recipe in every if recipe.whole)
    count, network = trained(recipe, 6)
    assert count == 23_546_886
    head = 2048 * 6 + 6
    assert network.body.count_params() + head == 23_600_006
    assert {recipe.sampling for _, recipe in every} == {Sampling("undersample", 120), Sampling()}


def test_dogs_and_cats_are_five_steps():
    _, every = recipes_of("dogs_vs_cats")
    steps = {values["step"]: recipe for values, recipe in every}
    assert len(every) == len(steps) == 5
    assert {recipe.side for recipe in steps.values()} == {150}
    assert trained(steps["from scratch"], 2)[0] == 3_453_121 + 512 + 1  # the book has one output
    count, network = trained(steps["fine-tuned"], 2)
    names = {variable.path.split("/")[-2] for variable in network.body.trainable_variables}
    assert names == {"block5_conv1", "block5_conv2", "block5_conv3"}
    assert count == 3 * (9 * 512 * 512 + 512) + 8192 * 256 + 256 + 256 * 2 + 2
    assert steps["features"].augment == Augment("none")
    assert [recipe.rate for recipe in steps.values()] == pytest.approx([1e-4, 1e-4, 2e-5, 2e-5, 1e-5])


def test_very_little_data_has_two_networks_and_support_vector_machines():
    _, every = recipes_of("very_little_data")
    models = {values["model"]: recipe for values, recipe in every}
    assert set(models) == {"dropout in the head", "dropout everywhere", "svm", "svm_rbf"}
    everywhere = models["dropout everywhere"]
    _, network = trained(everywhere, 2)
    rates = [layer.rate for layer in network.body.layers if type(layer).__name__ == "Dropout"]
    assert rates == [0.1] * 3
    assert (everywhere.dropout, everywhere.class_weight, everywhere.sampling) == (
        0.25,
        "max_ratio",
        Sampling("top_up", 250),
    )
    assert {recipe.optimizer for model, recipe in models.items() if "svm" not in model} == {"adadelta"}


def test_good_and_bad_see_pixels_as_weights_know_them_or_not(imagenet):
    _, every = recipes_of("good_bad", backbones=("EfficientNetLite0",))
    scaled, raw = (recipe for _, recipe in every if recipe.loss == "cross_entropy")
    assert sorted(recipe.loss for _, recipe in every) == ["binary_cross_entropy"] * 2 + ["cross_entropy"] * 2
    assert scaled.architecture.name == "EfficientNetLite0"
    assert (raw.architecture.name, raw.architecture.scaling) == ("EfficientNetLite0 unscaled", (1.0, 0.0))
    assert trained(scaled, 2)[0] == 1280 * 128 + 128 + 128 * 2 + 2
    assert scaled.schedule.level == raw.schedule.level
    assert (scaled.optimizer, scaled.rate) == ("sgd", 0.01)


def test_without_its_weights_an_unscaled_network_names_others(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for downloads in (Downloads(offline=True, announce=print), None):
        context = allowing(downloads) if downloads else contextlib.nullcontext()
        with (
            context,
            pytest.raises(UserError, match=r"not here.*backbones VGG16 says how.*--backbones EfficientNetLite0"),
        ):
            recipes_of("good_bad", backbones=("VGG16",))


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_reproduces_and_what_went_wrong(name):
    text = read_space(SPACES / f"{name}.py").text
    docstring = " ".join(text.split('"""')[1].split())
    assert "It reproduces" in docstring
    assert "What it found" in docstring
    assert "What it got wrong:" in docstring
    assert f"python -m search run spaces/{name}.py --data" in docstring
    assert "--backbones" in docstring
