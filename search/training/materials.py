"""Materials: what all jobs of a search share."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from search.data.dataset import Dataset
from search.data.depth import OF_8_BITS, Ranges
from search.data.folds import Fold
from search.data.synthetic import SyntheticPool
from search.system.modules import Home
from search.system.precision import FLOAT32

if TYPE_CHECKING:
    from search.repertoire.networks import NetworkRecipe
    from search.training.networks import OwnNetwork


class Networks(Protocol):
    """What builds the networks of a space that compiles them itself; it can be sent to workers."""

    def build(self, recipe: "NetworkRecipe") -> "OwnNetwork":
        """Return the network of a recipe, built anew. Raises UserError where it is another than the recipe says."""
        ...


@dataclass(frozen=True)
class Materials:
    """What all jobs of a search share: the images by path and content, labels, folds, weights, seed.

    ``weights`` maps backbones to the SHA-256 of their weights, which lie in ``keras_home``.
    ``home`` is where the code and files of own backbones lie. ``threads`` pins TensorFlow's thread
    count, on which the fourth decimal of a result depends. ``gpus`` are those that workers use, by their names in
    CUDA_VISIBLE_DEVICES, and ``precision`` is that of backbones.
    ``cache_bytes`` is what the cache may hold. ``ranges`` say what is white in deep images. ``networks`` builds
    those of a space that compiles them itself; None where it gives recipes. ``class_names`` are in the order of the
    labels. ``groups`` has a number for the group of each image (n,); None where each is alone. ``run_timeout`` are the
    seconds without progress after which a worker is killed; None where nothing ends it.
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
    ranges: Ranges = OF_8_BITS
    home: Home | None = None
    networks: Networks | None = None
    class_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    run_timeout: float | None = None
    gpus: tuple[str, ...] = ()
    precision: str = FLOAT32


def materials_of(
    dataset: Dataset,
    pool: SyntheticPool | None,
    folds: Iterable[Fold],
    weights: dict[str, str],
    keras_home: Path,
    seed: int,
    threads: int,
    gpus: tuple[str, ...],
    precision: str,
    cache: Path,
    cache_bytes: int | None = None,
    home: Home | None = None,
    run_timeout: float | None = None,
) -> Materials:
    """Return what the jobs of a search share; paths are absolute, as workers may be elsewhere."""
    return Materials(
        cache=cache.resolve(),
        seed=seed,
        classes=len(dataset.classes),
        paths=tuple(path.resolve() for path in dataset.paths),
        contents=tuple(dataset.contents),
        labels=dataset.labels,
        pool=pool,
        folds={fold.id: fold for fold in folds},
        weights=dict(weights),
        keras_home=keras_home.resolve(),
        threads=threads,
        cache_bytes=cache_bytes,
        ranges=dataset.ranges,
        home=home,
        class_names=dataset.classes,
        groups=np.unique(dataset.groups, return_inverse=True)[1],
        run_timeout=run_timeout,
        gpus=gpus,
        precision=precision,
    )
