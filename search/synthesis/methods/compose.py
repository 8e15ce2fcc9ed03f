"""Compositions of real images of one class, by OpenCV and without anything that is fitted.

Each image is made in three steps, which are drawn: what it shows (the image as it is, its foreground on another image,
or a blend with another image), whose colours it has (its own, or those of another image), and how it is bent.
"""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from search.synthesis.methods.method import Material, Method, Picture, Request

CONTENTS = ("own", "pasted", "blended")
RECOLOURED = 0.5  # of the images
TILT, WAVES = 0.14, 0.02  # of the side, at strength 1
SHIFT, SCALE, TURN = 0.16, 0.35, 24.0  # of a foreground that is pasted, at strength 1: of the side, of 1, degrees
SHARE, MOST = (0.3, 1.0), 0.5  # of the other image in a blend: at strength 1, and at most


def make(material: Material, request: Request) -> Iterator[Picture]:
    """Yield compositions of the chosen images in turn, each with up to two other images of its class.

    Backgrounds and colours come from images of the same class: those of another one would teach what it looks like.
    ``strength`` says how far colours, blends and warps go. An image of
    160 px takes 0.03 s on one core; the most of it goes into finding foregrounds, once for each source.
    """
    from search.synthesis.editing import foreground, one_thread

    @cache
    def mask_of(row: int) -> np.ndarray:
        with one_thread():
            return foreground(material.pixels[row])

    for label, k in request.wanted():
        row, _ = request.first_source(material, label, k)
        others = material.members(label)
        picture = _composed(material, row, others[others != row], mask_of, request.strength, request.rng(label, k))
        yield Picture(picture[0], label, picture[1])


def _composed(
    material: Material,
    row: int,
    others: np.ndarray,
    mask_of: Callable[[int], np.ndarray],
    strength: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the pixels of a composition and its sources; without ``others`` of its class an image is only bent."""
    from search.synthesis.editing import bent, one_thread, recoloured

    image, sources = material.pixels[row], [row]
    partners = rng.permutation(others)[:2].tolist()
    content = CONTENTS[rng.integers(len(CONTENTS))]
    is_recoloured, amount = rng.random() < RECOLOURED, rng.uniform(0.5, 1)
    with one_thread():
        if content != "own" and partners:
            sources.append(partners.pop(0))
            other = material.pixels[sources[-1]]
            if content == "pasted":
                image = _on(other, image, mask_of(row), strength, rng)
            else:
                image = _with(other, image, strength, rng)
        if is_recoloured and partners:
            sources.append(partners.pop(0))
            image = recoloured(image, material.pixels[sources[-1]], amount * strength)
        return bent(image, TILT * strength, WAVES * strength, rng), tuple(sources)


def _on(
    background: np.ndarray, image: np.ndarray, mask: np.ndarray, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the foreground of an image on a background, moved, turned and scaled a little."""
    from search.synthesis.editing import pasted

    shift = rng.uniform(-SHIFT, SHIFT, 2) * strength * len(image)
    scale = 1 + rng.uniform(-SCALE, SCALE) * strength
    turn = rng.uniform(-TURN, TURN) * strength
    return pasted(image, mask, background, scale, turn, (float(shift[0]), float(shift[1])))


def _with(other: np.ndarray, image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return an image with a share of another one: evenly, or in soft patches."""
    from search.synthesis.editing import blended, patches

    share = min(rng.uniform(*SHARE) * strength, MOST)
    return blended(image, other, patches(len(image), share, rng) if rng.random() < 0.5 else share)


METHOD = Method("compose", "images of one class cut out, pasted, blended, recoloured and bent", make)
