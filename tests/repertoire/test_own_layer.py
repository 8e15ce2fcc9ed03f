"""Somebody's own Keras layer as augmentation: each view has seeds of its own, and a changed layer is refused."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from kit.runs import materials, run, small
from kit.shapes import write_shapes

from search import Augment, KFoldTuner, Recipe, UserError
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.repertoire.augmentation import batches_of
from search.system.machine import cores
from search.system.modules import Home
from search.training.trainer import Trainer, set_up

set_up(cores())
LAYERS = """
import keras

def noise():
    return keras.layers.GaussianDropout(0.3)

def several():
    layers = keras.layers
    return keras.Sequential([
        layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomContrast(0.1),
        layers.RandomTranslation((-0.2, 0.3), (-0.2, 0.3)),
    ])

class Shade(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, images, training=False):
        return images * keras.random.uniform((1, 1, 1, 3), seed=self.seeds) if training else images

def shade():
    return Shade()

class Loose(keras.layers.Layer):
    def call(self, images):
        return images * keras.random.uniform(keras.ops.shape(images))

def loose():
    return Loose()

def smaller():
    return keras.layers.MaxPooling2D()

def broken():
    return keras.layers.Dense(3, kernel_initializer="nonsense")

class Root(keras.layers.Layer):
    def call(self, images):
        return keras.ops.sqrt(images - 128)

def root():
    return Root()

def text():
    return "noise"
"""
SPACE = """
from search import Augment, Recipe, Study

study = Study("shapes", folds=2, train_fractions=(1.0,), max_trials=2, oracle="grid", image_size=32, baselines=False)
OWN = Augment("layer", make="my_layers:shade")

def space(hp):
    augment = hp.Choice("augment", [Augment("none"), OWN])
    return Recipe("SmallCNN", None, augment=augment, views=2, epochs=2)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the module, where we are."""
    (tmp_path / "my_layers.py").write_text(LAYERS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settled(name):
    return Recipe("SmallCNN", None, augment=Augment("layer", make=f"my_layers:{name}")).augment


def pixels(images=3):
    return np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), dtype=np.uint8)


def views(place, augment, rows=range(3), view=1, seed=7, names="abc"):
    shown = batches_of(pixels(), names, augment, view, seed, np.array(rows), 2, Home(place))
    return np.concatenate(list(shown))


@pytest.mark.parametrize("name", ["noise", "several", "shade"])
def test_a_view_follows_from_image_view_and_seed_whatever_was_drawn_before(name, place):
    augment = settled(name)
    whole = views(place, augment)
    assert (whole.shape, whole.dtype) == ((3, 32, 32, 3), np.uint8)
    for row in (2, 0, 1):
        np.testing.assert_array_equal(views(place, augment, [row])[0], whole[row])
    others = [
        views(place, augment, view=2),
        views(place, augment, seed=8),
        views(place, augment, names="xyz"),
        pixels(),
    ]
    for other in others:
        assert all((one != another).any() for one, another in zip(whole, other, strict=True))


def test_another_process_draws_the_same_and_finds_the_same_digest(place):
    code = """
import hashlib, sys
from pathlib import Path
import numpy as np
from search import Augment, Recipe
from search.repertoire.augmentation import batches_of
from search.system.modules import Home
augment = Recipe("SmallCNN", None, augment=Augment("layer", make="my_layers:several")).augment
pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
shown = np.concatenate(list(batches_of(pixels, "abc", augment, 1, 7, np.arange(3), 2, Home(Path.cwd()))))
print(augment.settings["sha256"], hashlib.sha256(shown.tobytes()).hexdigest())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    augment = settled("several")
    assert told == [augment.settings["sha256"], hashlib.sha256(views(place, augment).tobytes()).hexdigest()]


def test_it_is_named_by_its_function_and_comes_back_from_json_without_its_code(place):
    recipe = Recipe("SmallCNN", None, augment=Augment("layer", make="my_layers:noise"))
    assert recipe.augment.level == "layer my_layers:noise"
    assert "layer my_layers:noise" in recipe.summary()
    (place / "my_layers.py").unlink()
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_code_that_changed_gives_another_digest_and_is_not_drawn_with(place):
    augment = settled("noise")
    (place / "my_layers.py").write_text(LAYERS.replace("(0.3)", "(0.4)"))
    assert settled("noise").settings["sha256"] != augment.settings["sha256"]
    with pytest.raises(UserError, match=r"The layer my_layers:noise changed: it is another one than the search began"):
        views(place, augment)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loose", "draws numbers that no seed decides, so that no view could be made again. Draw from keras.random"),
        ("smaller", r"gives \(24, 24, 3\) for an image of \(48, 48, 3\). It must keep the size"),
        ("root", "root gives values that are no numbers. Pixels go in as numbers from 0 to 255"),
        ("text", "gives str, where a Keras layer is wanted"),
        ("broken", r"broken\(\) fails: ValueError"),
        ("nois", "the module my_layers has no function 'nois'. Did you mean 'noise'?"),
    ],
)
def test_what_is_no_layer_that_draws_versions_is_refused(name, message, place):
    with pytest.raises(UserError, match=message):
        settled(name)


def test_training_shows_what_the_layer_makes_of_images(place, monkeypatch):
    monkeypatch.setattr("search.training.loop.seed_from", lambda *_: 5)
    write_shapes(place / "shapes", {"across": 6, "down": 6})
    data = materials(place / "shapes", place / "cache", folds=2, train_fractions=(1.0,))
    trainer = Trainer(type(data)(**{**vars(data), "home": Home(place)}))
    plain, own, again = (
        run(trainer, small(augment=augment, views=2, epochs=2), "f0")[0]
        for augment in (Augment("none"), settled("shade"), settled("shade"))
    )
    assert not np.array_equal(plain.curve, own.curve)
    np.testing.assert_array_equal(own.probabilities, again.probabilities)


def test_a_search_keeps_the_code_of_a_layer(place):
    write_shapes(place / "shapes", {"across": 6, "down": 6})
    (place / "space.py").write_text(SPACE)
    tuner = KFoldTuner("space.py", screen=Lines(wide_console()), executor="inline", offline=True, cache="cache")
    tuner.search()
    levels = {trial.recipe.augment.level for trial in tuner.record.history.trials.values()}
    assert levels == {"none", "layer my_layers:shade"}
    assert any(path.name == "my_layers.py" for path in tuner.record.folder.rglob("*.py"))
