"""What synthetic images come from: the manifest of a pool, and the real images that it names."""

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from search.data.dataset import Dataset
from search.data.readers.manifest import MANIFEST
from search.data.readers.paths import inside
from search.data.readers.tables import read_table
from search.data.synthetic import MADE_FOR, METHOD, TRAINED_ON, SyntheticPool
from search.system.digests import file_sha256
from search.system.errors import UserError

COLUMNS = ("image", "label", "sources")
FURTHER = (METHOD, TRAINED_ON, MADE_FOR)
CONTENT = "content"
FOLDS = "folds.csv"  # beside a manifest: which images are in the training parts of the folds that it names
SHA256 = re.compile("[0-9a-fA-F]{64}")


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
    check_contents(folder, dataset)
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


def check_contents(folder: Path, dataset: Dataset) -> None:
    """Raise UserError where an image is another one than ``folder/folds.csv`` says by its SHA-256, as after a renaming.

    The sources of synthetic images, which are named by ids, would then be other images than those that are behind them.
    """
    if not (folder / FOLDS).is_file():
        return
    table = read_table(folder / FOLDS, ())
    if not {"id", CONTENT} <= set(table):
        return
    contents = dict(zip(dataset.ids, dataset.contents, strict=True))
    named = table.drop_duplicates("id")
    changed = [
        id_ for id_, content in zip(named["id"], named[CONTENT], strict=True) if contents.get(id_, content) != content
    ]
    if changed:
        more = f" (and {len(changed) - 1} more)" if changed[1:] else ""
        raise UserError(
            f"{changed[0]!r}{more} is another image than when {folder} was made. What is behind its synthetic images "
            "cannot be told, and they could leak validation images. Give the images their names back, or make the pool "
            "anew."
        )


def read_manifest(folder: Path) -> pd.DataFrame:
    """Return the manifest of a pool as texts; columns that it lacks, and need not have, are empty.

    Raises UserError where there is none, or it lacks a column that it must have.
    """
    if not (folder / MANIFEST).is_file():
        raise UserError(
            f"The synthetic images in {folder} have no {MANIFEST}. It must name each image, its label and the real "
            f"images that it came from (columns {', '.join(COLUMNS)})."
        )
    table = read_table(folder / MANIFEST, COLUMNS)
    table.columns = pd.Index([_known(name) for name in table.columns])
    if twice := next((name for name in FURTHER if list(table.columns).count(name) > 1), None):
        raise UserError(f"{folder / MANIFEST} has two columns {twice!r}. Remove or rename one of them.")
    return table.reindex(columns=[*COLUMNS, *FURTHER], fill_value="")


def _known(column: str) -> str:
    """Return the further column that a name means, whatever its case and marks; any other name as it is."""
    plain = re.sub(r"[\W_]", "", column).lower()
    return next((name for name in FURTHER if name.replace("_", "") == plain), column)


def source_name(id_: str, content: str) -> str:
    """Return how a manifest names a real image as a source: by its id, or by its SHA-256 where lists would cut the id.

    The latter stands for all images of that content.
    """
    return id_ if _names(id_) == [id_] else content


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
