"""Method: one way to make synthetic images, as a row of the table of methods; what it is given, and what it gives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from search.system.digests import seed_from
from search.system.progress import Progress, Say, silent


@dataclass(frozen=True)
class Material:
    """Real images, all of the training part of one fold, of which a method makes new ones.

    ``pixels`` (n, side, side, 3) uint8, ``contents`` (n,) their SHA-256, ``labels`` (n,) class numbers, and ``classes``
    the names of these. ``is_chosen`` (n,) bool marks those of which images are wanted, as the hard ones: the first
    source of a new image is one of them; further sources may be any image of its class.
    ``features()`` (n, D) are those of a frozen backbone, each row of length 1; asking for them takes time.
    ``features_of(pixels)`` are those of other images (m, side, side, 3) uint8, by the same backbone.
    """

    pixels: np.ndarray
    contents: Sequence[str]
    labels: np.ndarray
    classes: tuple[str, ...]
    is_chosen: np.ndarray
    features: Callable[[], np.ndarray]
    features_of: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)

    def members(self, label: int) -> np.ndarray:
        """Return the rows of a class."""
        return np.flatnonzero(self.labels == label)

    def first_sources(self, label: int) -> np.ndarray:
        """Return the chosen rows of a class."""
        return np.flatnonzero((self.labels == label) & self.is_chosen)


@dataclass(frozen=True)
class Picture:
    """A synthetic image: ``pixels`` (side, side, 3) uint8, its class number, and what it was made of.

    ``sources`` are rows of the material. They are empty where a generator made the image that was fitted on all of it.
    """

    pixels: np.ndarray
    label: int
    sources: tuple[int, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is wanted of a method: ``numbers`` of images by class number, at a ``strength`` above 0 and at most 1.

    ``part`` names the fold whose training part the material is. Image ``k`` of a class is the same for every number
    of images wanted: its draws come from ``rng(label, k)`` alone, and ``first`` is the number at which to begin, by
    class. ``folder`` is where a method that takes long keeps what it needs to go on after an interruption.
    ``prompts`` are texts by the names of classes, and ``options`` the method's own settings by their names.
    """

    numbers: Mapping[int, int]
    strength: float
    seed: int
    part: str
    folder: Path
    first: Mapping[int, int] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    say: Say = print
    progress: Progress = silent

    def wanted(self) -> Iterator[tuple[int, int]]:
        """Yield the class number and the number of each image that is wanted."""
        for label, number in self.numbers.items():
            start = self.first.get(label, 0)
            yield from ((label, k) for k in range(start, start + number))

    def rng(self, label: int, k: int) -> np.random.Generator:
        """Return the generator of the draws of one image."""
        return np.random.default_rng(seed_from(self.seed, "picture", self.part, label, k))

    def first_source(self, material: Material, label: int, k: int) -> tuple[int, int]:
        """Return the row of the first source of an image, and how many turns it had before; all have equally many."""
        rows = material.first_sources(label)
        order = np.random.default_rng(seed_from(self.seed, "turns", self.part, label)).permutation(rows)
        return int(order[k % len(order)]), k // len(order)


Make = Callable[[Material, Request], Iterator[Picture]]


@dataclass(frozen=True)
class Method:
    """One way to make synthetic images: a row of the table of methods.

    ``words`` say what it does. ``make`` yields the pictures in the order in which they are wanted; ``strength`` is the
    one that it has by default. A method that is ``fitted`` learns from all of its material: it is fitted once for each
    fold, and its images may train that fold alone. ``extra`` names the extra of this package that it needs, if any.
    ``options`` are the settings that only this method has: what each means, by its name.
    """

    name: str
    words: str
    make: Make
    strength: float = 0.5
    fitted: bool = False
    extra: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
