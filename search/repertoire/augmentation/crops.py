"""Policies for photographs: they mirror and crop, and most of them go on to change colours or shapes."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from search.repertoire.augmentation.policy import GREY, Policy

SMALLEST_CROP = 0.6  # of the area
OPERATIONS_PER_IMAGE = 2
STRENGTHS = 30  # that TrivialAugment draws from, beside 0
ERASED, ASPECT = (0.02, 0.4), (0.3, 1 / 0.3)  # of a rectangle: part of the area, height / width
TRIES = 100  # of rectangles, until one fits

Operation = Callable[[Image.Image, float], Image.Image]  # of a signed strength in [-1, 1]


def flip_crop(image: Image.Image, _strength: float, rng: np.random.Generator) -> Image.Image:
    """Mirror half of the images; take a random part of 60 to 100 % of the area (Szegedy et al. 2015)."""
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    side = image.width
    area, stretch = rng.uniform(SMALLEST_CROP, 1), np.exp(rng.uniform(-0.15, 0.15))
    width, height = (min(side, side * np.sqrt(area) * factor) for factor in (stretch, 1 / stretch))
    left, top = rng.uniform(0, side - width), rng.uniform(0, side - height)
    return image.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + width, top + height))


def color(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """``flip_crop``, then brightness, contrast and saturation changed by up to ``strength`` / 2."""
    image = flip_crop(image, strength, rng)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(1 + rng.uniform(-0.5, 0.5) * strength)
    return image


def randaugment(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """``flip_crop``, then two random operations at ``strength`` (RandAugment, Cubuk et al. 2020)."""
    image = flip_crop(image, strength, rng)
    for operation in rng.choice(len(OPERATIONS), OPERATIONS_PER_IMAGE):
        sign = 1 if rng.random() < 0.5 else -1
        image = OPERATIONS[operation](image, sign * strength)
    return image


def trivialaugment(image: Image.Image, _strength: float, rng: np.random.Generator) -> Image.Image:
    """``flip_crop``, then one random operation, or none, at a random strength (TrivialAugment, Müller & Hutter 2021).

    The operations reach as far as in the wide space of the paper.
    """
    image = flip_crop(image, 0.0, rng)
    operation = rng.integers(len(WIDE) + 1)
    sign = 1 if rng.random() < 0.5 else -1
    strength = rng.integers(STRENGTHS + 1) / STRENGTHS
    return image if operation == len(WIDE) else WIDE[operation](image, sign * strength)


def random_erasing(image: Image.Image, _strength: float, rng: np.random.Generator) -> Image.Image:
    """``flip_crop``, then in half of the images a rectangle of 2 to 40 % becomes noise (Zhong et al. 2020)."""
    image = flip_crop(image, 0.0, rng)
    if rng.random() < 0.5:
        return image
    pixels = np.array(image)
    side = image.width
    for _ in range(TRIES):
        area, aspect = rng.uniform(*ERASED) * side**2, rng.uniform(*ASPECT)
        height, width = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < height < side and 0 < width < side:
            top, left = rng.integers(side - height + 1), rng.integers(side - width + 1)
            noise = rng.integers(0, 256, (height, width, 3), np.uint8)
            pixels[top : top + height, left : left + width] = noise
            break
    return Image.fromarray(pixels)


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR, fillcolor=GREY
    )


def _operations(
    degrees: float, shear: float, shift: float, change: float, bits: int, lightest: int
) -> tuple[Operation, ...]:
    """Return the operations of RandAugment with what each does at strength 1.

    They turn by ``degrees``, shear by a part of the side and shift by another, ``change`` brightness, contrast,
    saturation and sharpness by a part, and take ``bits`` of 8, and ``lightest`` of 256 levels to be inverted.
    """
    return (
        lambda image, s: image.rotate(degrees * s, Image.Resampling.BILINEAR, fillcolor=GREY),
        lambda image, s: _affine(image, (1, shear * s, -shear / 2 * s * image.width, 0, 1, 0)),
        lambda image, s: _affine(image, (1, 0, 0, shear * s, 1, -shear / 2 * s * image.height)),
        lambda image, s: _affine(image, (1, 0, shift * s * image.width, 0, 1, 0)),
        lambda image, s: _affine(image, (1, 0, 0, 0, 1, shift * s * image.height)),
        lambda image, s: ImageEnhance.Brightness(image).enhance(1 + change * s),
        lambda image, s: ImageEnhance.Contrast(image).enhance(1 + change * s),
        lambda image, s: ImageEnhance.Color(image).enhance(1 + change * s),
        lambda image, s: ImageEnhance.Sharpness(image).enhance(1 + change * s),
        lambda image, _: ImageOps.autocontrast(image),
        lambda image, _: ImageOps.equalize(image),
        lambda image, s: ImageOps.posterize(image, 8 - round(bits * abs(s))),
        lambda image, s: ImageOps.solarize(image, round(256 - lightest * abs(s))),
    )


OPERATIONS = _operations(degrees=30, shear=0.3, shift=0.3, change=0.8, bits=4, lightest=128)
WIDE = _operations(degrees=135, shear=0.99, shift=32 / 224, change=0.99, bits=6, lightest=256)

FLIP_CROP = Policy("flip_crop", flip_crop, takes_strength=False, words="flip_crop")
COLOR = Policy("color", color, takes_strength=True, words="color")
RANDAUGMENT = Policy("randaugment", randaugment, takes_strength=True, words="randaugment")
TRIVIALAUGMENT = Policy("trivialaugment", trivialaugment, takes_strength=False, words="trivialaugment")
RANDOM_ERASING = Policy("random_erasing", random_erasing, takes_strength=False, words="random_erasing")
