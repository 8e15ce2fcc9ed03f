"""A material of two classes, of which methods make images, and a request for some."""

import numpy as np

from search.synthesis.methods.method import Material, Request

SIDE = 48


def material(images=8, chosen=None):
    """Return images of two classes: squares of random colours on noise."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, SIDE, SIDE, 3)).astype(np.uint8)
    for image in pixels:
        image[12:36, 12:36] = rng.integers(0, 256, 3)
    return Material(
        pixels,
        [f"{n:064x}" for n in range(images)],
        np.arange(images) % 2,
        ("cat", "dog"),
        np.ones(images, bool) if chosen is None else np.isin(np.arange(images), chosen),
        lambda: features_of(pixels),
        features_of,
    )


def features_of(pixels):
    """Return the means of parts of images, each row of length 1."""
    parts = pixels.reshape(len(pixels), 4, SIDE // 4, 4, SIDE // 4, 3).mean((2, 4)).reshape(len(pixels), -1) - 127
    return parts / np.linalg.norm(parts, axis=1, keepdims=True)


def request(folder, numbers, **changes):
    return Request(**{"numbers": numbers, "strength": 0.5, "seed": 7, "part": "f0", "folder": folder, **changes})
