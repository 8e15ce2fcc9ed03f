"""Teachers of a pretraining: networks with ImageNet weights, and their feature maps in fewer numbers.

Matching feature maps of several layers goes back to Romero et al. 2015 ("FitNets"); that a network
can learn most of what another knows from pictures which that one never saw, to Asano & Saeed 2021.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.graph import graph_of
from search.repertoire.backbones.table import BACKBONES
from search.system.files import npz_bytes, write_bytes
from search.system.tf import keras, tf

SIDE = 192  # px, of the pictures for teachers: they see more in enlarged ones (see the model card)
BATCH = 50
GRID = 6  # the side of the maps that are learnt, on a picture of 96 px
DEEP, MIDDLE = 256, 64  # numbers kept at each place of a map, of each teacher
SAMPLED = 40_000


@dataclass(frozen=True)
class Basis:
    """The main directions of a map's channels: what to subtract (c,), and the directions (c, k) by importance.

    They are scaled together, so that the numbers in a map have a mean square of 1.
    """

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, maps: np.ndarray, most: int, seed: int) -> "Basis":
        """Return the basis of maps (n, h, w, c) with at most ``most`` directions."""
        rows = maps.reshape(-1, maps.shape[-1])
        rows = rows[np.random.default_rng(seed).permutation(len(rows))[:SAMPLED]]
        components = PCA(min(most, rows.shape[1]), random_state=seed).fit(rows)
        scale = np.sqrt(components.explained_variance_.mean())
        return cls(components.mean_.astype(np.float32), (components.components_.T / scale).astype(np.float32))

    def of_maps(self, maps: np.ndarray) -> np.ndarray:
        """Return maps (n, h, w, c) in this basis, (n, h, w, k)."""
        return (maps - self.mean) @ self.directions


class Teachers:
    """Networks with ImageNet weights, by the names of their backbones; each is asked at two depths.

    They are asked for their last map and for that at the border of their last block.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Load the networks. Raises UserError where weights are not at hand."""
        eyes = [_two_depths(BACKBONES[name]) for name in names]

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])  # type: ignore[untyped-decorator]
        def maps(pictures: tf.Tensor) -> list[tf.Tensor]:
            enlarged = tf.image.resize(tf.cast(pictures, tf.float32), (SIDE, SIDE))
            tensors = [tensor for eye in eyes for tensor in eye(enlarged)]
            return [tf.image.resize(tensor, (GRID, GRID), antialias=True) for tensor in tensors]

        self._maps = maps

    def maps(self, pictures: np.ndarray) -> list[np.ndarray]:
        """Return the maps of pictures (n, side, side, 3) uint8: for each teacher the middle and the last one."""
        batches = [self._maps(pictures[at : at + BATCH]) for at in range(0, len(pictures), BATCH)]
        return [np.concatenate([one.numpy() for one in column]) for column in zip(*batches, strict=True)]


def _two_depths(backbone: Backbone) -> Callable[[Any], list[Any]]:
    """Return what maps images, uint8 or as such, to the maps of a backbone: before its last block, and its last one."""
    graph = graph_of(construct(backbone, pretrained=True))
    both = keras.Model(graph.input, [graph.tensors[str(backbone.border(1))], graph.output])
    return lambda images: both(backbone.scaled(images), training=False)


@dataclass(frozen=True)
class Bases:
    """One basis for each map of the teachers."""

    bases: tuple[Basis, ...]

    @classmethod
    def of(cls, maps: Iterable[np.ndarray], seed: int) -> "Bases":
        """Return the bases of ``maps``, the middle and the last ones of each teacher, of some pictures."""
        return cls(tuple(Basis.of(one, DEEP if place % 2 else MIDDLE, seed) for place, one in enumerate(maps)))

    def lessons(self, maps: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the lessons in maps: their middle and their last ones in the bases, (n, GRID, GRID, k) float16."""
        coordinates = [basis.of_maps(one).astype(np.float16) for basis, one in zip(self.bases, maps, strict=True)]
        return np.concatenate(coordinates[0::2], -1), np.concatenate(coordinates[1::2], -1)

    def save(self, file: Path) -> None:
        """Write the bases to a file, in one step."""
        pairs = {
            f"{part}_{at}": getattr(one, part) for at, one in enumerate(self.bases) for part in ("mean", "directions")
        }
        write_bytes(file, npz_bytes(pairs))

    @classmethod
    def load(cls, file: Path) -> "Bases":
        """Return the bases that ``save`` wrote."""
        with np.load(file) as arrays:
            return cls(
                tuple(Basis(arrays[f"mean_{at}"], arrays[f"directions_{at}"]) for at in range(len(arrays.files) // 2))
            )
