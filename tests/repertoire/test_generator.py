"""The policy ``generator`` is Keras' ImageDataGenerator: the same pixels from the same numbers, and the same ranges."""

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from search.repertoire.augmentation import Augment
from search.repertoire.augmentation.geometry import RANGES, applied, drawn
from search.system.tf import tf

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator
SIDE = 40
EACH = {
    "rotation_range": 40,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "brightness_range": (0.5, 1.5),
    "shear_range": 20,
    "zoom_range": 0.3,
    "channel_shift_range": 60,
    "horizontal_flip": True,
    "vertical_flip": True,
}
ALONE = [
    *({name: value} for name, value in EACH.items()),
    {"width_shift_range": 5},
    {"height_shift_range": 3.5},
    {"width_shift_range": [-6, 2, 3]},
    {"height_shift_range": (0.1, 0.3)},
    {"zoom_range": (0.5, 0.9)},
]
FILLED = [{**EACH, "fill_mode": mode, "cval": 90} for mode in ("nearest", "constant", "reflect", "wrap")]


@pytest.fixture
def pixels():
    ramp = np.linspace(20, 230, SIDE * SIDE).reshape(SIDE, SIDE)
    return np.stack([ramp, ramp.T, 250 - ramp], axis=-1).astype(np.uint8)


@pytest.fixture(autouse=True)
def interpolation(monkeypatch):
    """Keras still calls SciPy by a name that warns."""
    monkeypatch.setattr(scipy.ndimage, "interpolation", scipy.ndimage, raising=False)


@pytest.mark.parametrize("options", [*ALONE, *FILLED], ids=str)
def test_pixels_are_those_that_keras_makes_of_the_same_numbers(options, pixels):
    settings, keras_generator = Augment("generator", **options).settings, ImageDataGenerator(**options)
    for seed in range(6):
        numbers = drawn(np.random.default_rng(seed), SIDE, settings)
        ours = np.asarray(applied(pixels, numbers, settings["fill_mode"], settings["cval"])).astype(float)
        theirs = keras_generator.apply_transform(pixels.astype(np.float32), numbers)
        largest = 2 if settings["brightness_range"] else 0.51  # Keras cuts fractions off before it changes brightness
        assert np.abs(ours - theirs).max() <= largest


NUMBERS = {
    "rotation_range": ("theta",),
    "width_shift_range": ("ty",),
    "height_shift_range": ("tx",),
    "brightness_range": ("brightness",),
    "shear_range": ("shear",),
    "zoom_range": ("zx", "zy"),
    "channel_shift_range": ("channel_shift_intensity",),
    "horizontal_flip": ("flip_horizontal",),
    "vertical_flip": ("flip_vertical",),
}


@pytest.mark.parametrize("options", ALONE, ids=str)
def test_numbers_have_the_range_and_the_spread_of_keras(options):
    settings, keras_generator = Augment("generator", **options).settings, ImageDataGenerator(**options)
    (name,) = options
    np.random.seed(1)  # noqa: NPY002 Keras draws from it
    for number in NUMBERS[name]:
        ours = np.array([drawn(np.random.default_rng(seed), SIDE, settings)[number] for seed in range(800)], float)
        theirs = np.array([keras_generator.get_random_transform((SIDE, SIDE, 3))[number] for _ in range(800)], float)
        width = np.ptp(theirs)
        assert width > 0
        for of in (np.min, np.max, np.mean, np.std, lambda values: np.quantile(values, 0.25)):
            assert of(ours) == pytest.approx(of(theirs), abs=0.12 * width)
    rest = drawn(np.random.default_rng(0), SIDE, settings)
    others = {number: value for number, value in rest.items() if number not in NUMBERS[name]}
    assert {value for value in others.values() if value} <= {1.0}, "what is not asked for does not move"


def test_every_range_is_compared():
    assert {name for options in ALONE for name in options} == set(NUMBERS)
    assert set(RANGES) == set(NUMBERS) | {"fill_mode", "cval"}


def test_a_version_is_drawn_and_applied(pixels):
    augment = Augment("generator", **EACH)
    view = augment.row.draw(Image.fromarray(pixels), 0.0, np.random.default_rng(3), **augment.settings)
    numbers = drawn(np.random.default_rng(3), SIDE, augment.settings)
    assert view.tobytes() == applied(pixels, numbers, "nearest", 0.0).tobytes()
