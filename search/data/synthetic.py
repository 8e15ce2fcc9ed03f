"""Synthetic images: which of them may train which fold, and the draw of a number of them."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from search.data.dataset import Dataset
from search.data.depth import OF_8_BITS, Ranges
from search.data.folds import Fold
from search.data.images import Decoded
from search.data.readers.manifest import MANIFEST
from search.data.readers.paths import inside
from search.data.readers.tables import read_table
from search.repertoire.synthetic import Synthetic
from search.system.digests import digest, file_sha256, seed_from
from search.system.errors import UserError
from search.system.validation import one_of

COLUMNS = ("image", "label", "sources")
SHA256 = re.compile("[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class SyntheticPool:
    """Generated images, each with the real images that it came from.

    ``labels`` are class numbers, shape (m,), and ``classes`` their names; ``sources`` the rows of
    the data set behind each image, ``paths`` and ``contents`` where each lies and its SHA-256.
    ``alike`` are further rows that an image resembles: they count like sources, but are no
    part of the digest, as they were found and not named. ``unsourced`` says of each image whether it came,
    wholly or in part, from who knows where: its ``sources`` may then be empty, and scores
    flattered. ``left_out`` counts the images of the manifest that cannot be used: a source, or the
    image itself, is unreadable. ``ranges`` say what is white in deep images.
    """

    root: Path
    paths: tuple[Path, ...]
    contents: tuple[str, ...]
    labels: np.ndarray
    sources: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]
    unsourced: tuple[bool, ...]
    left_out: int = 0
    alike: tuple[tuple[int, ...], ...] = ()
    ranges: Ranges = OF_8_BITS

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @property
    def digest(self) -> str:
        """A name for contents, labels and sources."""
        return digest([list(self.contents), self.labels.tolist(), [list(rows) for rows in self.sources]])

    def readable(self, decoded: Decoded) -> "SyntheticPool":
        """Return the pool without the images that could not be decoded."""
        rows = list(decoded.readable)
        return dataclasses.replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            contents=tuple(self.contents[row] for row in rows),
            labels=self.labels[rows],
            sources=tuple(self.sources[row] for row in rows),
            unsourced=tuple(self.unsourced[row] for row in rows),
            left_out=self.left_out + len(decoded.unreadable),
        )

    def linked(self, pairs: Iterable[tuple[int, int]]) -> "SyntheticPool":
        """Return the pool knowing what its images resemble: pairs of (row of the pool, row of the data set).

        An image stays ``unsourced``: that it resembles a real one does not tell all that it came from.
        """
        alike: list[set[int]] = [set() for _ in self.paths]
        for row, source in pairs:
            alike[row].add(int(source))
        further = (rows - set(sources) for rows, sources in zip(alike, self.sources, strict=True))
        return dataclasses.replace(self, alike=tuple(tuple(sorted(rows)) for rows in further))

    def table(self, ids: Sequence[str]) -> pd.DataFrame:
        """Return the images with the ids of their sources and of what they resemble, separated by ``;``."""
        alike = self.alike or ((),) * len(self)
        return pd.DataFrame(
            {
                "image": [path.relative_to(self.root).as_posix() for path in self.paths],
                "label": [self.classes[label] for label in self.labels],
                "content": list(self.contents),
                "sources": [";".join(ids[row] for row in rows) for rows in self.sources],
                "alike": [";".join(ids[row] for row in rows) for rows in alike],
            }
        )

    @cached_property
    def _links(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pool and of the data set: one pair for each source of each image, and for what it resembles."""
        sources = [(*own, *alike) for own, alike in zip(self.sources, self.alike or ((),) * len(self), strict=True)]
        owners = np.repeat(np.arange(len(self)), [len(rows) for rows in sources])
        return owners, np.array([source for rows in sources for source in rows], dtype=np.int64)

    def admissible(self, fold: Fold) -> np.ndarray:
        """Return the images all of whose sources, and all that they resemble, are in the fold's training part."""
        owners, sources = self._links
        return np.setdiff1d(np.arange(len(self)), owners[~np.isin(sources, fold.train)])

    def counts(self, fold: Fold) -> dict[str, int]:
        """Return how many images of each class are admissible."""
        return self._by_class(self.labels[self.admissible(fold)])

    def asked(self, amount: Synthetic, fold: Fold, labels: np.ndarray) -> dict[str, int]:
        """Return how many images of each class a recipe's amount asks for; ``labels`` are the real images' (n,)."""
        return amount.wanted(self._by_class(labels[fold.train]))

    def _by_class(self, labels: np.ndarray) -> dict[str, int]:
        counted = np.bincount(labels, minlength=len(self.classes))
        return dict(zip(self.classes, counted.tolist(), strict=True))

    def draw(self, fold: Fold, numbers: Mapping[str, int], seed: int) -> np.ndarray:
        """Return admissible images, up to ``numbers`` of each class; a larger number holds every smaller one."""
        admissible = self.admissible(fold)
        rows = [np.empty(0, np.int64)]
        for label, name in enumerate(self.classes):
            members = admissible[self.labels[admissible] == label]
            order = np.random.default_rng(seed_from(seed, "synthetic", fold.id, label)).permutation(len(members))
            rows.append(members[order[: numbers.get(name, 0)]])
        return np.sort(np.concatenate(rows))


def tally(numbers: Mapping[str, int], admissible: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return what was asked for, what was admissible and what is drawn, by class, of the classes asked for."""
    return {
        "asked": dict(numbers),
        "admissible": {name: admissible[name] for name in numbers},
        "drawn": {name: min(number, admissible[name]) for name, number in numbers.items()},
    }


def check_amounts(amount: Synthetic, classes: tuple[str, ...], pool: SyntheticPool | None, source: Path) -> None:
    """Raise UserError where a recipe asks for synthetic images of an unknown class, or where there are none."""
    for name in amount.classes:
        one_of(f"{source}: a class in synthetic_per_class", name, classes)
    if amount and pool is None:
        raise UserError(
            f"{source} asks for synthetic images where the study has none. Take the amounts from "
            "amounts_at_hand([0, …]), whose first one is none, or give the images with Study(synthetic=…)."
        )


class _Finder:
    """A look-up of the real images that a manifest names as sources."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.source, self.root = dataset.source, dataset.root.resolve()
        self.bases = (self.root, self.root.parent, folder.resolve())
        self.rows = {id_: (row,) for row, id_ in enumerate(dataset.ids)}
        self.originals: dict[str, tuple[int, ...]] = {}
        for row, content in enumerate(dataset.contents):
            self.originals[content] = (*self.originals.get(content, ()), row)
        self.unreadable = {id_ for id_, _ in dataset.unreadable}
        for id_ in list(self.unreadable):
            with contextlib.suppress(OSError, ValueError):
                if (dataset.root / id_).is_file():  # to read a pipe would wait for ever
                    self.unreadable.add(file_sha256(dataset.root / id_))

    def find(self, name: str) -> tuple[int, ...] | None:
        """Return the rows that a source means, () for an unreadable image, None where it means none."""
        is_content = SHA256.fullmatch(name) and name not in self.rows
        rows = self.originals if is_content else self.rows
        for means in [name.lower()] if is_content else [name, *self._ids(name)]:
            if means in rows:
                return rows[means]
            if means in self.unreadable:
                return ()
        return None

    def _ids(self, path: str) -> list[str]:
        """Return the ids that a path would have, from the data, from the folder above it, or from the manifest."""
        whole = [Path(os.path.normpath(base / path)) for base in self.bases]
        return [one.relative_to(self.root).as_posix() for one in whole if one.is_relative_to(self.root)]


@dataclass(frozen=True)
class _Entry:
    """One line of a manifest: a class number, the rows of its sources, and what is wrong with them."""

    label: int
    sources: tuple[int, ...]
    unknown: str  # why its origin is not (wholly) known, "" if it is
    unreadable: bool


def read_pool(folder: Path, dataset: Dataset, *, trust_unsourced: bool = False) -> SyntheticPool:
    """Return the pool that ``folder/manifest.csv`` describes.

    The manifest has the columns ``image`` (path within the folder), ``label`` (class name) and
    ``sources``, separated by ``;``: real images by id, by path from the folder that holds the data
    or from the manifest's, or by SHA-256 of their content, which stands for all images of that
    content. Raises UserError for a missing file, an unknown class, and, unless
    ``trust_unsourced``, an image whose sources are unknown or not named.
    """
    if not (folder / MANIFEST).is_file():
        raise UserError(
            f"The synthetic images in {folder} have no {MANIFEST}. It must name each image, its label and the real "
            f"images that it came from (columns {', '.join(COLUMNS)})."
        )
    finder = _Finder(dataset, folder)
    entries: dict[Path, _Entry] = {}
    for row, image, label, sources in read_table(folder / MANIFEST, COLUMNS)[list(COLUMNS)].itertuples():
        where = f"{folder / MANIFEST}, line {row}"
        path = folder / inside(image.strip(), where)
        if not path.is_file():
            raise UserError(f"{where}: there is no image {image!r} in {folder}.")
        if label not in dataset.classes:
            raise UserError(f"{where}: label {label!r} is no class of {dataset.source} ({', '.join(dataset.classes)}).")
        entry = _entry(finder, dataset.classes.index(label), sources)
        if entry.unknown and not trust_unsourced:
            raise UserError(f"{where}: {entry.unknown} {_ways_out(dataset)}")
        if path in entries:
            raise UserError(
                f"{where}: {image!r} is listed twice. Give it one line with all its sources, separated by ;."
            )
        entries[path] = entry
    return _pool(folder, entries, finder, dataset)


def _ways_out(dataset: Dataset) -> str:
    return (
        "An image of unknown origin could leak validation images: name all that it came from (ids, or the SHA-256 of "
        f"images, of {dataset.source}, separated by ;), remove the line, or admit it with Study(trust_unsourced=True), "
        "which counts it and warns in the report."
    )


def _entry(finder: _Finder, label: int, sources: str) -> _Entry:
    names = [name.strip() for name in sources.split(";") if name.strip()]
    rows_of = {name: finder.find(name) for name in names}
    unknown = [name for name in names if rows_of[name] is None]
    problem = "" if names else "no sources are named."
    if unknown:
        problem = f"source {unknown[0]!r} is no image of {finder.source}."
    rows = {row for rows in rows_of.values() for row in rows or ()}
    return _Entry(label, tuple(sorted(rows)), problem, () in rows_of.values())


def _pool(folder: Path, listed: dict[Path, _Entry], finder: _Finder, dataset: Dataset) -> SyntheticPool:
    """Return the pool of these entries; equal files share their sources, and have real images that they equal."""
    entries = {path: listed[path] for path in sorted(listed) if not listed[path].unreadable}
    contents = tuple(file_sha256(path) for path in entries)
    sources: dict[str, set[int]] = {}
    for content, entry in zip(contents, entries.values(), strict=True):
        sources.setdefault(content, set(finder.originals.get(content, ()))).update(entry.sources)
    return SyntheticPool(
        root=folder,
        paths=tuple(entries),
        contents=contents,
        labels=np.array([entry.label for entry in entries.values()], dtype=np.int64),
        sources=tuple(tuple(sorted(sources[content])) for content in contents),
        classes=dataset.classes,
        unsourced=tuple(
            bool(entry.unknown) and content not in finder.originals
            for content, entry in zip(contents, entries.values(), strict=True)
        ),
        left_out=len(listed) - len(entries),
    )
