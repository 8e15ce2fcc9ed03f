"""Inputs of the trained part: activations at the border, one array for each view, kept by content.

What is stored is named by the images, the view, the weights, the border and the version of this
code, so it serves every fold, training size, epoch, trial and worker that means the same thing.
What is too large for the cache is computed for the rows that are asked for, by the same code.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from search.repertoire.augmentation import AS_IS, MIRRORED, Augment, batches_of
from search.repertoire.backbones.pooling import AVERAGE
from search.repertoire.shape import Shape
from search.system.cache import BusyError, stored, worth_keeping
from search.system.digests import digest
from search.system.files import write_rows
from search.system.heartbeat import beat
from search.system.modules import Home
from search.system.precision import FLOAT32, recorded
from search.system.tf import COMPUTED_BY
from search.training.compiled import CompiledNetwork

ACTIVATIONS_VERSION = 2
BATCH = 32
BATCH_PIXELS = BATCH * 160**2  # larger images come in smaller batches, or the first layers would fill the memory
PLAIN = Augment("none")


@dataclass(frozen=True)
class Images:
    """Decoded images to be shown to networks: pixels (n, size, size, 3) uint8, their contents and key."""

    pixels: np.ndarray
    contents: Sequence[str]
    key: str


@dataclass(frozen=True)
class Pixels:
    """What stands for a network that is shown the pixels themselves, as nothing of it is frozen, and is kept elsewhere.

    ``image_size`` is the side in px.
    """

    image_size: int
    frozen: ClassVar[bool] = False
    prefix: ClassVar[None] = None
    branches: ClassVar[tuple[()]] = ()

    @property
    def shape(self) -> Self:
        """Itself, as it has no more to say than its shape."""
        return self

    @property
    def network(self) -> Self:
        """Itself likewise."""
        return self

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return (self.image_size, self.image_size, 3)


AnyNetwork = CompiledNetwork | Pixels


@dataclass(frozen=True)
class Computed:
    """View ``view`` of the images as a network's trained part wants it, computed whenever rows are taken.

    It stands for an array of one row for each image: ``shape`` (n, …) and ``dtype`` are
    that array's, and ``computed[rows]`` is an array of the rows in their order.
    """

    compiled_network: AnyNetwork
    images: Images
    augment: Augment
    view: int
    seed: int
    home: Home | None = None

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """One row for each image, and the shape of a row."""
        return (len(self.images.pixels), *self.compiled_network.network.row_shape)

    @property
    def dtype(self) -> np.dtype:
        """Float32 activations, or uint8 pixels where nothing is frozen."""
        # DECISIONS: Activations are stored as float32
        return np.dtype(np.float32 if self.compiled_network.shape.frozen else np.uint8)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images.pixels)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return these rows: a slice, or numbers in any order."""
        numbers = np.arange(len(self))[rows]
        inputs = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        at = 0
        for batch in self.batches(numbers):
            inputs[at : at + len(batch)] = batch
            at += len(batch)
        return inputs

    def batches(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield these rows, some at a time: the next are drawn while the network computes."""
        pixels, contents = self.images.pixels, self.images.contents
        size = max(1, min(BATCH, BATCH_PIXELS // pixels.shape[1] ** 2))
        batches = batches_of(pixels, contents, self.augment, self.view, self.seed, rows, size, self.home)
        prefix = self.compiled_network.network.prefix if self.compiled_network.shape.frozen else None
        for batch in batches:
            yield batch if prefix is None else prefix(batch).numpy()
            beat()


@dataclass(frozen=True)
class Activations:
    """Where the inputs of a network's trained part come from.

    ``weights`` is the digest of the backbone's weights; ``seed`` that of the study. ``limit`` are
    the bytes that the cache may hold (None: any number) and ``views`` how many views the recipe
    shows: what would not fit is not stored but computed again for every batch. ``home`` is where the
    modules of the space lie, and ``precision`` that of frozen parts.
    """

    cache: Path
    weights: str
    seed: int
    limit: int | None = None
    views: int = 1
    home: Home | None = None
    precision: str = FLOAT32

    def of(self, compiled_network: AnyNetwork, images: Images, augment: Augment, view: int) -> np.ndarray | Computed:
        """Return one row for each image, (n, …): float32 activations, or uint8 pixels where nothing is frozen."""
        return self._of(compiled_network, images, augment, view, wait=True)

    def ensure(self, compiled_network: AnyNetwork, images: Images, augment: Augment, views: Iterable[int]) -> None:
        """Store those views that are worth it, sharing the work with the processes that want them too.

        Each makes what no other is making; what others make is waited for at the end.
        """
        busy = []
        for view in views:
            try:
                self._of(compiled_network, images, augment, view, wait=False)
            except BusyError:
                busy.append(view)
        for view in busy:
            self._of(compiled_network, images, augment, view, wait=True)

    def _of(
        self, compiled_network: AnyNetwork, images: Images, augment: Augment, view: int, *, wait: bool
    ) -> np.ndarray | Computed:
        rows = Computed(compiled_network, images, augment, view, self.seed, self.home)
        if not compiled_network.shape.frozen and augment.is_plain:
            return rows if view == MIRRORED else images.pixels
        folder = self.cache / "activations" / self._key(rows)
        views = 1 if augment.is_plain else self.views
        # What is there is used: to ask for the size of a row costs a second for each network.
        if not folder.is_dir() and not worth_keeping(len(rows), rows.row_bytes, views, self.limit):
            return rows
        return stored(
            folder,
            lambda to: write_rows(to / "rows.npy", rows.shape, rows.dtype, rows.batches(np.arange(len(rows)))),
            lambda at: np.load(at / "rows.npy", mmap_mode="r"),
            wait=wait,
        )

    def _key(self, rows: Computed) -> str:
        shape, augment = rows.compiled_network.shape, rows.augment
        frozen_part = None
        if isinstance(shape, Shape) and shape.frozen:
            frozen_part = [shape.architecture.to_json(), self.weights, shape.unfrozen_blocks, COMPUTED_BY]
            if shape.unfrozen_blocks == 0 and shape.pooling != AVERAGE:
                frozen_part.append(shape.pooling)
            frozen_part += recorded(self.precision).values()
        augmentation: list[Any] | None = [*augment.key, rows.view, self.seed]
        if augment.is_plain:
            augmentation = None if rows.view == AS_IS else [rows.view]
        return digest(["activations", ACTIVATIONS_VERSION, rows.images.key, frozen_part, augmentation])
