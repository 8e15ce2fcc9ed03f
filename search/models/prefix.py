"""Inputs of the trained part: activations at the border, one array for each view, kept by content.

What is stored is named by the images, the view, the weights, the border and the version of this
code, so it serves every fold, training size, epoch, trial and worker that means the same thing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.cache import stored
from search.digests import digest
from search.models.augment import augmented
from search.models.engine import Engine
from search.recipe import Augment

ACTIVATIONS_VERSION = 1
BATCH = 32
PLAIN = Augment("none")


@dataclass(frozen=True)
class Images:
    """Decoded images to be shown to networks: pixels (n, size, size, 3) uint8, their contents and key."""

    pixels: np.ndarray
    contents: Sequence[str]
    key: str


@dataclass(frozen=True)
class Activations:
    """Where the inputs of a network's trained part come from.

    ``weights`` is the digest of the backbone's weights; ``seed`` that of the study.
    """

    cache: Path
    weights: str
    seed: int

    def of(self, network: Engine, images: Images, augment: Augment, view: int) -> np.ndarray:
        """Return one row for each image, (n, …): float32 activations, or uint8 pixels where nothing is frozen."""
        if not network.shape.frozen and augment.policy == "none":
            return images.pixels
        key = self._key(network, images, augment, view)
        return stored(
            self.cache / "activations" / key,
            lambda folder: np.save(folder / "rows.npy", self._compute(network, images, augment, view)),
            lambda folder: np.load(folder / "rows.npy", mmap_mode="r"),
        )

    def _key(self, network: Engine, images: Images, augment: Augment, view: int) -> str:
        shape = network.shape
        part = [shape.backbone, self.weights, shape.unfrozen_blocks] if shape.frozen else None
        drawn = [augment.policy, augment.strength, view, self.seed] if augment.policy != "none" else None
        return digest(["activations", ACTIVATIONS_VERSION, images.key, part, drawn])

    def _compute(self, network: Engine, images: Images, augment: Augment, view: int) -> np.ndarray:
        pixels = augmented(images.pixels, images.contents, augment, view, self.seed)
        if network.prefix is None:
            return pixels
        batches = [network.prefix(pixels[at : at + BATCH]).numpy() for at in range(0, len(pixels), BATCH)]
        return np.concatenate(batches)
