"""The policy that is somebody's own Keras layer: made by a function of a module beside the space.

It is built before a recipe holds it, to try it and to know it by a digest of its code. Workers build it again and
compare the digest, so a layer that changed never draws in the place of another.
"""

import functools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from search.repertoire.augmentation.policy import Option, Policy
from search.repertoire.backbones.backbone import FUNCTION
from search.system.errors import UserError, first_line
from search.system.modules import Home, Made, beside_now, made_by

WHITE = 255
TRIED = 48  # px
LARGEST_SEED = 2**31
SECONDS_TO_CALL = 0.005  # a view of 160 px by some of Keras' layers
WAY_OUT = (
    "Draw from keras.random, with seed=self.seeds, where __init__ has self.seeds = keras.random.SeedGenerator(0): then "
    "each view has a seed of its own"
)


def found(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the digest of a layer's code as an option; it is built and tried for that once while a space is read.

    Raises UserError where it cannot be built, or is no layer that draws versions of images.
    """
    make, sha256 = settings["make"], settings["sha256"]
    if sha256:
        return {}
    beside = beside_now()
    if beside.is_early:
        raise UserError(f"{_where(make)} is built when the search begins. Make recipes with it inside space(hp).")
    key = ("layer", make)
    if key not in beside.memory:
        made = _made(make, beside.home())
        _try(_Drawing(made.value, _where(make)), _where(make))
        beside.adopt(made.texts, {})
        beside.memory[key] = made.sha256
    return {"sha256": beside.memory[key]}


def layer(
    image: Image.Image, _strength: float, rng: np.random.Generator, *, make: str, sha256: str, home: Home | None
) -> Image.Image:
    """Return what the layer makes of an image in training, with seeds that are drawn from ``rng``."""
    return Image.fromarray(prepared(make=make, sha256=sha256, home=home)(np.asarray(image), rng))


def prepared(*, make: str, sha256: str, home: Home | None) -> "_Drawing":
    """Return a layer ready to draw, built once in a process. Raises UserError where its code is another by now."""
    return _built(make, sha256, (home or beside_now().home()).modules)


@functools.lru_cache
def _built(make: str, sha256: str, modules: Path) -> "_Drawing":
    made = _made(make, Home(modules))
    if made.sha256 != sha256:
        raise UserError(
            f"{_where(make)} changed: it is another one than the search began with. Undo the change, or begin another "
            "search with --name or --fresh."
        )
    return _Drawing(made.value, _where(make))


def _made(make: str, home: Home) -> Made:
    from search.system.tf import keras, silenced

    with silenced():
        made = made_by(make, home, _where(make))
    if not isinstance(made.value, keras.layers.Layer):
        raise UserError(f"{_where(make)} gives {type(made.value).__name__}, where a Keras layer is wanted.")
    return made


class _Drawing:
    """A layer that is called for one image at a time, each time with seeds of its own.

    A layer keeps its seeds as state, so one thread waits for another.
    """

    def __init__(self, layer: Any, where: str) -> None:
        from search.system.tf import tf

        self._layer, self._where, self._lock = layer, where, threading.Lock()
        self._call = tf.function(lambda pixels: layer(pixels, training=True))

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from search.system.tf import tf

        images = tf.constant(pixels[None], tf.float32)
        with self._lock:
            try:
                if not self._layer.built:
                    self._layer(images, training=True)
                for seed in self._seeds:
                    seed.assign([int(rng.integers(LARGEST_SEED)), 0])
                outputs = self._call(images)
            except Exception as error:  # noqa: BLE001 it is anyone's code
                raise UserError(f"{self._where} fails: {type(error).__name__}: {first_line(error)}") from None
        if tuple(outputs.shape) != tuple(images.shape):
            raise UserError(
                f"{self._where} gives {tuple(outputs.shape[1:])} for an image of {tuple(images.shape[1:])}. It must "
                "keep the size of images and their three channels."
            )
        values = outputs.numpy()[0]
        if np.isnan(values).any():
            raise UserError(f"{self._where} gives values that are no numbers. Pixels go in as numbers from 0 to 255.")
        return np.asarray(np.rint(np.clip(values, 0, WHITE)), np.uint8)

    @property
    def _seeds(self) -> list[Any]:
        """The states of its generators of random numbers: what is neither a weight nor a metric."""
        others = {id(variable) for variable in self._layer.weights}
        return [each for each in self._layer.variables if id(each) not in others and tuple(each.shape) == (2,)]


def _try(drawing: _Drawing, where: str) -> None:
    """Raise UserError unless a layer draws the same from the same seeds."""
    pixels = np.random.default_rng(0).integers(0, WHITE + 1, (TRIED, TRIED, 3), np.uint8)
    once, again = (drawing(pixels, np.random.default_rng(1)) for _ in range(2))
    if not np.array_equal(once, again):
        raise UserError(f"{where} draws numbers that no seed decides, so that no view could be made again. {WAY_OUT}.")


def _where(make: str) -> str:
    return f"The layer {make}"


def _settle_make(name: str, value: Any) -> str:
    if not isinstance(value, str) or not FUNCTION.fullmatch(value):
        raise UserError(f"{name}={value!r} must be 'module:function', as in 'my_layers:noise'.")
    return value


def _settle_sha256(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UserError(f"{name}={value!r} is found by itself. Leave it out.")
    return value


LAYER = Policy(
    "layer",
    layer,
    takes_strength=False,
    words="layer",
    options={
        "make": Option("", _settle_make, words=lambda _name, value: str(value)),
        "sha256": Option("", _settle_sha256, words=lambda _name, _value: ""),
    },
    needs=("make",),
    seconds=SECONDS_TO_CALL,
    prepare=prepared,
)
