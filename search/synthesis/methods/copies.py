"""Copies: real images, augmented. They show what a synthetic image must be better than."""

from collections.abc import Iterator

import numpy as np

from search.repertoire.augmentation import Augment, batches_of
from search.synthesis.methods.method import Material, Method, Picture, Request

POLICY = "color"  # flips and crops too


def make(material: Material, request: Request) -> Iterator[Picture]:
    """Yield copies of the chosen images in turn; each copy is flipped, cropped and coloured in its own way."""
    augment = Augment(POLICY, request.strength)
    for label, k in request.wanted():
        row, turn = request.first_source(material, label, k)
        (batch,) = batches_of(material.pixels, material.contents, augment, turn, request.seed, np.array([row]), 1)
        yield Picture(batch[0], label, (row,))


METHOD = Method("copies", "single real images, flipped, cropped and coloured", make)
