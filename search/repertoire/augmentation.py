"""Augmentation policies: view ``v`` of an image is one fixed version of it.

A draw depends on (seed, policy, strength, content of the image, view) and on nothing else, so a
view is the same in every fold, trial, worker and session, whether stored or drawn again.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from search.repertoire.catalog import AUGMENT_POLICIES
from search.repertoire.recipe import Augment
from search.system.digests import seed_from
from search.system.machine import cores

SMALLEST_CROP = 0.6  # of the area
OPERATIONS_PER_IMAGE = 2
AHEAD = 2  # batches
THREADS = 4  # draw faster than a network computes
GREY = (128, 128, 128)

Policy = Callable[[Image.Image, float, np.random.Generator], Image.Image]


def batches_of(
    pixels: np.ndarray, contents: Sequence[str], augment: Augment, view: int, seed: int, rows: np.ndarray, size: int
) -> Iterator[np.ndarray]:
    """Yield view ``view`` of these rows of ``pixels`` (n, side, side, 3), uint8, ``size`` at a time.

    ``contents`` are the digests of the images. Threads draw the next batches meanwhile.
    """
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    if augment.policy == "none":
        yield from (pixels[part] for part in parts)
        return
    policy = POLICIES[augment.policy]

    def one(row: int) -> np.ndarray:
        rng = np.random.default_rng(seed_from(seed, augment.policy, augment.strength, contents[row], view))
        return np.asarray(policy(Image.fromarray(pixels[row]), augment.strength or 0.0, rng))

    drawing: deque[list[Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(min(THREADS, cores())) as pool:
        for part in parts:
            drawing.append([pool.submit(one, row) for row in part.tolist()])
            if len(drawing) > AHEAD:
                yield np.stack([image.result() for image in drawing.popleft()])
        for batch in drawing:
            yield np.stack([image.result() for image in batch])


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


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR, fillcolor=GREY
    )


OPERATIONS: tuple[Callable[[Image.Image, float], Image.Image], ...] = (  # of a signed strength in [-1, 1]
    lambda image, s: image.rotate(30 * s, Image.Resampling.BILINEAR, fillcolor=GREY),
    lambda image, s: _affine(image, (1, 0.3 * s, -0.15 * s * image.width, 0, 1, 0)),
    lambda image, s: _affine(image, (1, 0, 0, 0.3 * s, 1, -0.15 * s * image.height)),
    lambda image, s: _affine(image, (1, 0, 0.3 * s * image.width, 0, 1, 0)),
    lambda image, s: _affine(image, (1, 0, 0, 0, 1, 0.3 * s * image.height)),
    lambda image, s: ImageEnhance.Brightness(image).enhance(1 + 0.8 * s),
    lambda image, s: ImageEnhance.Contrast(image).enhance(1 + 0.8 * s),
    lambda image, s: ImageEnhance.Color(image).enhance(1 + 0.8 * s),
    lambda image, s: ImageEnhance.Sharpness(image).enhance(1 + 0.8 * s),
    lambda image, _: ImageOps.autocontrast(image),
    lambda image, _: ImageOps.equalize(image),
    lambda image, s: ImageOps.posterize(image, 8 - round(4 * abs(s))),
    lambda image, s: ImageOps.solarize(image, round(256 - 128 * abs(s))),
)

POLICIES: dict[str, Policy] = {"flip_crop": flip_crop, "color": color, "randaugment": randaugment}

assert set(POLICIES) | {"none"} == set(AUGMENT_POLICIES), "catalog and policies name different augmentations"
