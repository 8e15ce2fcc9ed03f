"""Materials: what all jobs of a search share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.data.folds import Fold
from search.data.synthetic import SyntheticPool


@dataclass(frozen=True)
class Materials:
    """What all jobs of a search share: the images by path and content, labels, folds, weights, seed.

    ``weights`` maps backbones to the SHA-256 of their weights, which lie in ``keras_home``.
    ``threads`` pins TensorFlow's thread count, on which the fourth decimal of a result depends.
    ``cache_bytes`` is what the cache may hold.
    """

    cache: Path
    seed: int
    classes: int
    paths: tuple[Path, ...]
    contents: tuple[str, ...]
    labels: np.ndarray
    pool: SyntheticPool | None
    folds: dict[str, Fold]
    weights: dict[str, str]
    keras_home: Path
    threads: int
    cache_bytes: int | None = None
