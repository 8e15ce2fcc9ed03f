"""Synthetic images: which of them may train which fold, and the draw of a number of them."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
METHOD, TRAINED_ON, MADE_FOR = "method", "trained_on", "made_for"  # further columns, which a manifest may have
FOLDS = "folds.csv"  # beside a manifest: which images are in the training parts of the folds that it names
SHA256 = re.compile("[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class SyntheticPool:
    """Generated images, each with the real images that it came from.

    ``labels`` are class numbers, shape (m,), and ``classes`` their names; ``sources`` the rows of
    the data set behind each image, ``paths`` and ``contents`` where each lies and its SHA-256.
    ``methods`` say how each was made, "" where that is not known. ``trained_on`` names for each what its generator was
    fitted on, "" for nothing, and ``fitted`` are the rows of the data set behind these names. ``made_for`` names the
    fold from whose training part each was made, "" where it was made for none: a fold takes its own first.
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
    methods: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    fitted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    made_for: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @property
    def digest(self) -> str:
        """A name for contents, labels and origins."""
        further = [list(texts) for texts in self._further.values()]
        fitted = sorted((name, list(rows)) for name, rows in self.fitted.items())
        origins = [[list(rows) for rows in self.sources], *([further, fitted] if any(further) else [])]
        return digest([list(self.contents), self.labels.tolist(), *origins])

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
            methods=tuple(self.methods[row] for row in rows if self.methods),
            trained_on=tuple(self.trained_on[row] for row in rows if self.trained_on),
            made_for=tuple(self.made_for[row] for row in rows if self.made_for),
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
                **{name: list(texts) for name, texts in self._further.items() if texts},
            }
        )

    @property
    def linked_rows(self) -> list[tuple[int, ...]]:
        """The rows of the data set behind each image, and after them those that it resembles."""
        return [(*own, *alike) for own, alike in zip(self.sources, self.alike or ((),) * len(self), strict=True)]

    @property
    def _further(self) -> dict[str, tuple[str, ...]]:
        """What further columns of the manifest say of each image; () where they say nothing of any."""
        columns = {METHOD: self.methods, TRAINED_ON: self.trained_on, MADE_FOR: self.made_for}
        return {name: texts if any(texts) else () for name, texts in columns.items()}

    @cached_property
    def _links(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pool and of the data set: one pair for each source of each image, and for what it resembles."""
        sources = self.linked_rows
        owners = np.repeat(np.arange(len(self)), [len(rows) for rows in sources])
        return owners, np.array([source for rows in sources for source in rows], dtype=np.int64)

    def admissible(self, fold: Fold) -> np.ndarray:
        """Return the images of which everything behind them is in the fold's training part.

        That is all their sources, all that they resemble, and all that their generators were fitted on.
        """
        owners, sources = self._links
        leaking = [name for name, rows in self.fitted.items() if not np.isin(rows, fold.train).all()]
        refused = [owners[~np.isin(sources, fold.train)], np.flatnonzero(np.isin(self.trained_on, leaking))]
        return np.setdiff1d(np.arange(len(self)), np.concatenate(refused))

    def _of_method(self, fold: Fold, method: str | None) -> np.ndarray:
        """Return the admissible images, those of one method if it is named."""
        rows = self.admissible(fold)
        return rows if method is None else rows[np.array(self.methods, dtype=object)[rows] == method]

    def counts(self, fold: Fold, method: str | None = None) -> dict[str, int]:
        """Return how many images of each class are admissible, those of one method if it is named."""
        return self._by_class(self.labels[self._of_method(fold, method)])

    def asked(self, amount: Synthetic, fold: Fold, labels: np.ndarray) -> dict[str, int]:
        """Return how many images of each class a recipe's amount asks for; ``labels`` are the real images' (n,)."""
        return amount.wanted(self._by_class(labels[fold.train]))

    def _by_class(self, labels: np.ndarray) -> dict[str, int]:
        counted = np.bincount(labels, minlength=len(self.classes))
        return dict(zip(self.classes, counted.tolist(), strict=True))

    def draw(self, fold: Fold, numbers: Mapping[str, int], seed: int, method: str | None = None) -> np.ndarray:
        """Return admissible images, up to ``numbers`` of each class; a larger number holds every smaller one.

        All are of one method if it is named, and those that were made for this fold come before others.
        """
        admissible = self._of_method(fold, method)
        is_other = np.array(self.made_for, dtype=object) != fold.id if self.made_for else np.zeros(len(self), bool)
        rows = [np.empty(0, np.int64)]
        for label, name in enumerate(self.classes):
            members = admissible[self.labels[admissible] == label]
            order = np.random.default_rng(seed_from(seed, "synthetic", fold.id, label)).permutation(len(members))
            order = order[np.argsort(is_other[members[order]], kind="stable")]
            rows.append(members[order[: numbers.get(name, 0)]])
        return np.sort(np.concatenate(rows))


def tally(numbers: Mapping[str, int], admissible: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return what was asked for, what was admissible and what is drawn, by class, of the classes asked for."""
    return {
        "asked": dict(numbers),
        "admissible": {name: admissible[name] for name in numbers},
        "drawn": {name: min(number, admissible[name]) for name, number in numbers.items()},
    }


def check_amounts(
    amount: Synthetic, classes: tuple[str, ...], pool: SyntheticPool | None, source: Path, method: str | None = None
) -> None:
    """Raise UserError where a recipe asks for synthetic images of an unknown class or method, or there are none."""
    for name in amount.classes:
        one_of(f"{source}: a class in synthetic_per_class", name, classes)
    if amount and pool is None:
        raise UserError(
            f"{source} asks for synthetic images where the study has none. Take the amounts from "
            "amounts_at_hand([0, …]), whose first one is none, or give the images with Study(synthetic=…)."
        )
    if amount and pool is not None and method is not None and method not in pool.methods:
        if not any(pool.methods):
            raise UserError(
                f"{source}: synthetic_method={method!r}, and {pool.root / MANIFEST} names no methods. Add the column "
                f"{METHOD}, or leave synthetic_method out."
            )
        one_of(f"{source}: synthetic_method", method, sorted(set(filter(None, pool.methods))))


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


class _TrainingParts:
    """A look-up of what a generator was fitted on: real images, or the training part of a fold that is listed."""

    def __init__(self, folder: Path, finder: _Finder) -> None:
        self.file, self._finder = folder / FOLDS, finder

    def find(self, name: str) -> tuple[int, ...] | None:
        """Return the rows behind a name, None where it means nothing."""
        return self._parts[name] if name in self._parts else self._finder.find(name)

    def rows(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the rows behind several names."""
        return tuple(sorted({row for name in names for row in self.find(name) or ()}))

    @cached_property
    def _parts(self) -> dict[str, tuple[int, ...]]:
        """The training part of each fold of the table, by its name. Raises UserError for images that are not there."""
        if not self.file.is_file():
            return {}
        table = read_table(self.file, ("fold", "part", "id"))
        parts = table[table["part"] == "train"]
        rows_of = {name: self._finder.find(name) for name in parts["id"].unique()}
        if unknown := [name for name, rows in rows_of.items() if rows is None]:
            raise UserError(
                f"{self.file} names {unknown[0]!r}, which is no image of {self._finder.source}"
                f"{f', and {len(unknown) - 1} more' if unknown[1:] else ''}. It must be the table of the folds on "
                "which the generators were fitted, and of these images."
            )
        return {
            fold: tuple(sorted({row for name in names for row in rows_of[name] or ()}))
            for fold, names in parts.groupby("fold")["id"]
        }


@dataclass(frozen=True)
class _Entry:
    """One line of a manifest: a class number, the rows of its sources, and what is wrong with them."""

    label: int
    sources: tuple[int, ...]
    unknown: str  # why its origin is not (wholly) known, "" if it is
    unreadable: bool
    trained_on: frozenset[str]
    method: str
    made_for: str


def read_pool(folder: Path, dataset: Dataset, *, trust_unsourced: bool = False) -> SyntheticPool:
    """Return the pool that ``folder/manifest.csv`` describes.

    The manifest has the columns ``image`` (path within the folder), ``label`` (class name) and
    ``sources``, separated by ``;``: real images by id, by path from the folder that holds the data
    or from the manifest's, or by SHA-256 of their content, which stands for all images of that
    content. It may have the columns ``method`` (any name) and ``trained_on``: what the generator of the image was
    fitted on, as real images like the sources, or as the names of folds whose training parts ``folder/folds.csv``
    lists (columns fold, part, id, as in the folder of a search). An image needs sources, or these, or both. A column
    ``made_for`` may name the fold that takes an image before others.

    Raises UserError for a missing file, an unknown class, and, unless
    ``trust_unsourced``, an image whose origin is unknown or not named.
    """
    finder = _Finder(dataset, folder)
    training = _TrainingParts(folder, finder)
    entries: dict[Path, _Entry] = {}
    for row, image, label, sources, method, trained_on, made_for in read_manifest(folder).itertuples():
        where = f"{folder / MANIFEST}, line {row}"
        path = folder / inside(image.strip(), where)
        if not path.is_file():
            raise UserError(f"{where}: there is no image {image!r} in {folder}.")
        if label not in dataset.classes:
            raise UserError(f"{where}: label {label!r} is no class of {dataset.source} ({', '.join(dataset.classes)}).")
        names = _names(sources), _names(trained_on)
        entry = _entry(finder, training, dataset.classes.index(label), *names, (method.strip(), made_for.strip()))
        if entry.unknown and not trust_unsourced:
            raise UserError(f"{where}: {entry.unknown} {_ways_out(dataset)}")
        if path in entries:
            raise UserError(
                f"{where}: {image!r} is listed twice. Give it one line with all its sources, separated by ;."
            )
        entries[path] = entry
    return _pool(folder, entries, finder, training, dataset)


def read_manifest(folder: Path) -> pd.DataFrame:
    """Return the manifest of a pool as texts; columns that it lacks, and need not have, are empty.

    Raises UserError where there is none, or it lacks a column that it must have.
    """
    if not (folder / MANIFEST).is_file():
        raise UserError(
            f"The synthetic images in {folder} have no {MANIFEST}. It must name each image, its label and the real "
            f"images that it came from (columns {', '.join(COLUMNS)})."
        )
    columns = [*COLUMNS, METHOD, TRAINED_ON, MADE_FOR]
    return read_table(folder / MANIFEST, COLUMNS).reindex(columns=columns, fill_value="")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(";") if name.strip()]


def _ways_out(dataset: Dataset) -> str:
    return (
        "An image of unknown origin could leak validation images: name all that it came from (ids, or the SHA-256 of "
        f"images, of {dataset.source}, separated by ;), remove the line, or admit it with Study(trust_unsourced=True), "
        "which counts it and warns in the report."
    )


def _entry(
    finder: _Finder,
    training: _TrainingParts,
    label: int,
    sources: list[str],
    trained_on: list[str],
    method_and_fold: tuple[str, str],
) -> _Entry:
    rows_of = {name: finder.find(name) for name in sources}
    problem = "" if sources or trained_on else "no sources are named."
    if unknown := [name for name in sources if rows_of[name] is None]:
        problem = f"source {unknown[0]!r} is no image of {finder.source}."
    elif unknown := [name for name in trained_on if training.find(name) is None]:
        problem = f"{TRAINED_ON} {unknown[0]!r} is neither an image of {finder.source} nor a fold of {training.file}."
    rows = {row for rows in rows_of.values() for row in rows or ()}
    known = frozenset(name for name in trained_on if training.find(name) is not None)
    return _Entry(label, tuple(sorted(rows)), problem, () in rows_of.values(), known, *method_and_fold)


def _pool(
    folder: Path, listed: dict[Path, _Entry], finder: _Finder, training: _TrainingParts, dataset: Dataset
) -> SyntheticPool:
    """Return the pool of these entries; equal files share their origin, and have real images that they equal."""
    entries = {path: listed[path] for path in sorted(listed) if not listed[path].unreadable}
    contents = tuple(file_sha256(path) for path in entries)
    sources: dict[str, set[int]] = {}
    generators: dict[str, set[str]] = {}
    for content, entry in zip(contents, entries.values(), strict=True):
        sources.setdefault(content, set(finder.originals.get(content, ()))).update(entry.sources)
        generators.setdefault(content, set()).update(entry.trained_on)
    names = {content: ";".join(sorted(some)) for content, some in generators.items()}
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
        methods=tuple(entry.method for entry in entries.values()),
        made_for=tuple(entry.made_for for entry in entries.values()),
        trained_on=tuple(names[content] for content in contents),
        fitted={names[content]: training.rows(some) for content, some in sorted(generators.items()) if some},
    )
