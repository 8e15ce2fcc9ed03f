"""Which synthetic images may train which fold, and the draw of a given amount."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from search.data.dataset import Dataset
from search.data.folds import Fold
from search.data.images import Decoded
from search.digests import digest, file_sha256, seed_from
from search.errors import UserError

MANIFEST = "manifest.csv"
COLUMNS = ("image", "label", "sources")


@dataclass(frozen=True)
class SyntheticPool:
    """Generated images, each with the real images that it came from.

    ``labels`` are class numbers, shape (m,); ``sources`` the rows of the data set behind each
    image (never empty), ``paths`` and ``contents`` where each lies and its SHA-256.
    ``left_out`` counts the images of the manifest that cannot be used: a source, or the image
    itself, is unreadable.
    """

    root: Path
    paths: tuple[Path, ...]
    contents: tuple[str, ...]
    labels: np.ndarray
    sources: tuple[tuple[int, ...], ...]
    left_out: int = 0

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @property
    def digest(self) -> str:
        """Names contents, labels and sources."""
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
            left_out=self.left_out + len(decoded.unreadable),
        )

    def admissible(self, fold: Fold) -> np.ndarray:
        """Return the images all of whose sources are in the fold's training part."""
        train = set(fold.train.tolist())
        return np.array([row for row, sources in enumerate(self.sources) if train.issuperset(sources)], dtype=np.int64)

    def draw(self, fold: Fold, per_class: int, classes: int, seed: int) -> np.ndarray:
        """Return up to ``per_class`` admissible images of each class; a larger amount holds every smaller one."""
        admissible = self.admissible(fold)
        drawn = []
        for label in range(classes):
            members = admissible[self.labels[admissible] == label]
            order = np.random.default_rng(seed_from(seed, "synthetic", fold.id, label)).permutation(len(members))
            drawn.append(members[order[:per_class]])
        return np.sort(np.concatenate(drawn))


def read_pool(folder: Path, dataset: Dataset) -> SyntheticPool:
    """Return the pool that ``folder/manifest.csv`` describes.

    The manifest has the columns ``image`` (path within the folder), ``label`` (class name) and
    ``sources`` (ids of real images, separated by ``;``). Raises UserError for a missing file,
    an unknown class, and an image whose sources are unknown or not named.
    """
    table = _read_manifest(folder)
    rows_of = {id_: row for row, id_ in enumerate(dataset.ids)}
    lost = {id_ for id_, _ in dataset.unreadable}
    entries: dict[Path, tuple[int, tuple[int, ...]]] = {}
    left_out = 0
    for row, image, label, named in table[list(COLUMNS)].itertuples():
        where = f"{folder / MANIFEST}, line {row + 2}"
        ids = [name.strip() for name in named.split(";") if name.strip()]
        path = _inside(folder, image, where)
        if label not in dataset.classes:
            raise UserError(f"{where}: label {label!r} is no class of {dataset.root} ({', '.join(dataset.classes)}).")
        unknown = [name for name in ids if name not in rows_of and name not in lost]
        if unknown or not ids:
            problem = f"source {unknown[0]!r} is no image of {dataset.root}" if unknown else "no sources are named"
            raise UserError(f"{where}: {problem}. An image of unknown origin could leak validation images: remove it.")
        if path in entries:
            raise UserError(
                f"{where}: {image!r} is listed twice. Give it one line with all its sources, separated by ;."
            )
        if lost.intersection(ids):
            left_out += 1
        else:
            entries[path] = dataset.classes.index(label), tuple(sorted(rows_of[name] for name in ids))
    contents = tuple(file_sha256(path) for path in entries)
    return SyntheticPool(
        root=folder,
        paths=tuple(entries),
        contents=contents,
        labels=np.array([label for label, _ in entries.values()], dtype=np.int64),
        sources=_with_originals(contents, [sources for _, sources in entries.values()], dataset),
        left_out=left_out,
    )


def _with_originals(
    contents: tuple[str, ...], sources: list[tuple[int, ...]], dataset: Dataset
) -> tuple[tuple[int, ...], ...]:
    """Return the sources, with the real images that a "synthetic" one is a plain copy of, said or not."""
    originals: dict[str, list[int]] = {}
    for row, content in enumerate(dataset.contents):
        originals.setdefault(content, []).append(row)
    return tuple(
        tuple(sorted({*named, *originals.get(content, [])})) for content, named in zip(contents, sources, strict=True)
    )


def _inside(folder: Path, image: str, where: str) -> Path:
    try:
        path = (folder / image).resolve()
        found = path.is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        found = False
    if not found:
        raise UserError(f"{where}: there is no image {image!r} in {folder}.")
    return path


def _read_manifest(folder: Path) -> pd.DataFrame:
    path = folder / MANIFEST
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig")
        table = table[table.ne("").any(axis=1)]  # the index still counts the blank lines
    except FileNotFoundError:
        raise UserError(
            f"The synthetic images in {folder} have no {MANIFEST}. It must name each image, its label and the real "
            f"images that it came from (columns {', '.join(COLUMNS)})."
        ) from None
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as CSV: {error}") from None
    absent = [column for column in COLUMNS if column not in table.columns]
    if absent:
        raise UserError(f"{path} lacks the column {absent[0]!r}; it needs {', '.join(COLUMNS)}.")
    return table
