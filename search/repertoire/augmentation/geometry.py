"""Policies that turn, shift, shear and zoom: by our own ranges, or by those of Keras' ImageDataGenerator, by its names.

``generator`` means what it means in Keras: the same ranges, the same order, the same pixels from the same numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from search.repertoire.augmentation.policy import Option, Policy, member, number, truth
from search.system.errors import UserError
from search.system.validation import real, whole

FILL_MODES = ("nearest", "constant", "reflect", "wrap")
LARGEST_SHIFT = 1024  # px
WHITE = 255
SECONDS_TO_WARP = 0.004  # a view of 160 px

# How to turn, shift, shear and zoom: what Keras calls theta, tx, ty, shear, zx, zy.
Motion = Mapping[str, float]


# DECISIONS: Images are warped as Keras warps them
def warped(pixels: np.ndarray, motion: Motion, fill_mode: str, cval: float = 0.0) -> np.ndarray:
    """Return an image (h, w, c), float32, after a motion about its centre; ``theta`` and ``shear`` are degrees.

    ``tx`` shifts rows and ``ty`` columns, in px. ``zx`` and ``zy`` above 1 show more than the image.
    """
    from scipy import ndimage

    if all(motion.get(name, rest) == rest for name, rest in _AT_REST.items()):
        return pixels
    theta, shear = np.deg2rad(motion.get("theta", 0)), np.deg2rad(motion.get("shear", 0))
    rotation = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    shift = np.array([[1, 0, motion.get("tx", 0)], [0, 1, motion.get("ty", 0)], [0, 0, 1]])
    sheared = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([motion.get("zx", 1), motion.get("zy", 1), 1])
    # Keras builds this for (x, y) with x along the rows' axis, and then swaps both.
    centre, back = np.eye(3), np.eye(3)
    centre[:2, 2] = np.array(pixels.shape[:2]) / 2 - 0.5
    back[:2, 2] = -centre[:2, 2]
    matrix = (centre @ (rotation @ shift @ sheared @ zoom) @ back)[[1, 0, 2]][:, [1, 0, 2]]
    channels = [
        ndimage.affine_transform(channel, matrix[:2, :2], matrix[:2, 2], order=1, mode=fill_mode, cval=cval)
        for channel in np.moveaxis(pixels, -1, 0)
    ]
    return np.stack(channels, axis=-1)


_AT_REST = {"theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1}


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(pixels).clip(0, WHITE).astype(np.uint8))


def geometric(
    image: Image.Image,
    _strength: float,
    rng: np.random.Generator,
    *,
    rotation: float,
    shift: float,
    shear: float,
    zoom: float,
    fill_mode: str,
) -> Image.Image:
    """Turn, shift, shear and zoom, each by an amount that is drawn evenly from its range; proportions stay."""
    motion = {
        "theta": rng.uniform(-rotation, rotation),
        "tx": rng.uniform(-shift, shift) * image.height,
        "ty": rng.uniform(-shift, shift) * image.width,
        "shear": rng.uniform(-shear, shear),
    }
    factor = rng.uniform(1 - zoom, 1 + zoom)
    return _image(warped(np.asarray(image, np.float32), {**motion, "zx": factor, "zy": factor}, fill_mode))


def drawn(rng: np.random.Generator, side: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers that make a version of an image with this side, by the names that Keras gives them."""
    low, high = _zooms(options["zoom_range"])
    numbers: dict[str, Any] = {
        "theta": rng.uniform(-options["rotation_range"], options["rotation_range"]),
        "tx": _shift(rng, options["height_shift_range"], side),
        "ty": _shift(rng, options["width_shift_range"], side),
        "shear": rng.uniform(-options["shear_range"], options["shear_range"]),
        "zx": rng.uniform(low, high),
        "zy": rng.uniform(low, high),
        "flip_horizontal": bool(rng.random() < 0.5) and options["horizontal_flip"],
        "flip_vertical": bool(rng.random() < 0.5) and options["vertical_flip"],
        "channel_shift_intensity": rng.uniform(-options["channel_shift_range"], options["channel_shift_range"]),
    }
    brightness = options["brightness_range"]
    return {**numbers, "brightness": rng.uniform(*brightness) if brightness else None}


def _zooms(zoom_range: Any) -> tuple[float, float]:
    return zoom_range if isinstance(zoom_range, tuple) else (1 - zoom_range, 1 + zoom_range)


def _shift(rng: np.random.Generator, span: Any, side: int) -> float:
    """Return how far to shift, in px: up to a float, by less than a whole number of px, or by one of several."""
    if isinstance(span, float):
        shift = rng.uniform(-span, span)
    else:
        choices = np.arange(span) if isinstance(span, int) else np.array(span)
        shift = float(rng.choice(choices) * rng.choice([-1, 1])) if len(choices) else 0.0
    return float(shift * side if np.max(span) < 1 else shift)


def applied(pixels: np.ndarray, numbers: Mapping[str, Any], fill_mode: str, cval: float) -> Image.Image:
    """Return the version of an image (side, side, 3), uint8, that these numbers make."""
    moved = warped(pixels.astype(np.float32), {name: numbers[name] for name in _AT_REST}, fill_mode, cval)
    if shift := numbers["channel_shift_intensity"]:
        moved = np.clip(moved + shift, moved.min(), moved.max())
    moved = moved[:, ::-1] if numbers["flip_horizontal"] else moved
    moved = moved[::-1] if numbers["flip_vertical"] else moved
    brightness = numbers["brightness"]
    return _image(moved) if brightness is None else ImageEnhance.Brightness(_image(moved)).enhance(brightness)


def generator(image: Image.Image, _strength: float, rng: np.random.Generator, **options: Any) -> Image.Image:
    """Change an image as Keras' ImageDataGenerator does with these ranges."""
    numbers = drawn(rng, image.width, options)
    return applied(np.asarray(image), numbers, options["fill_mode"], options["cval"])


def _settle_shift(name: str, value: Any) -> Any:
    """Return a range of shifts as Keras takes it: a part of the side below 1, px from 1 on, or several choices."""
    if isinstance(value, list | tuple):
        numbers = tuple(real(name, each, -LARGEST_SHIFT, LARGEST_SHIFT) for each in value)
        if not numbers:
            raise UserError(f"{name}={value!r} has no shifts. Give some, or leave it out.")
        return numbers
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if value == 0 else whole(name, value, 0, LARGEST_SHIFT)
    return real(name, value, 0, LARGEST_SHIFT)


def _settle_pair(name: str, value: Any, low: float, high: float) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise UserError(f"{name}={value!r} must be two numbers, the lowest and the highest, as in (0.8, 1.2).")
    lowest, highest = (real(name, each, low, high) for each in value)
    if lowest > highest:
        raise UserError(f"{name}={value!r} has its highest number first. Swap them.")
    return lowest, highest


def _settle_zoom(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return _settle_pair(name, value, 0.05, 20)
    return real(name, value, 0, 0.95)


GEOMETRIC = Policy(
    "geometric",
    geometric,
    takes_strength=False,
    words="geometric",
    options={
        "rotation": Option(15.0, number(0, 180)),
        "shift": Option(0.1, number(0, 1)),
        "shear": Option(10.0, number(0, 80)),
        "zoom": Option(0.1, number(0, 0.95)),
        "fill_mode": Option("reflect", member(FILL_MODES)),
    },
    seconds=SECONDS_TO_WARP,
)
RANGES: Mapping[str, Option] = {
    "rotation_range": Option(0.0, number(0, 360)),
    "width_shift_range": Option(0.0, _settle_shift),
    "height_shift_range": Option(0.0, _settle_shift),
    "brightness_range": Option(None, lambda name, value: _settle_pair(name, value, 0, 100)),
    "shear_range": Option(0.0, number(0, 360)),
    "zoom_range": Option(0.0, _settle_zoom),
    "channel_shift_range": Option(0.0, number(0, WHITE)),
    "fill_mode": Option("nearest", member(FILL_MODES)),
    "cval": Option(0.0, number(0, WHITE)),
    "horizontal_flip": Option(False, truth),
    "vertical_flip": Option(False, truth),
}
ABOUT_SCALING = "Each backbone scales its pixels as it was trained"
ABOUT_STATISTICS = "Images are not brought to a mean or a spread of their own"
FILLING: Sequence[str] = ("fill_mode", "cval")  # change nothing by themselves
GENERATOR = Policy(
    "generator",
    generator,
    takes_strength=False,
    words="generator",
    options=RANGES,
    needs=tuple(name for name in RANGES if name not in FILLING),
    refused={
        "rescale": ABOUT_SCALING,
        "preprocessing_function": f'{ABOUT_SCALING}; a layer of your own is Augment("layer", make="module:function")',
        "validation_split": "The study plans its folds",
        "zca_whitening": ABOUT_STATISTICS,
        **{
            f"{of}_{what}": ABOUT_STATISTICS
            for of in ("featurewise", "samplewise")
            for what in ("center", "std_normalization")
        },
    },
    seconds=SECONDS_TO_WARP,
)
