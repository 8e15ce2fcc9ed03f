"""Class folders -> one table of examples."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from search.data.images import SUFFIXES, Decoded
from search.digests import digest, file_sha256
from search.errors import UserError


@dataclass(frozen=True)
class Dataset:
    """Labelled images as a table, sorted by id.

    ``table`` has the columns ``id`` (path within ``root``, with slashes), ``label`` (class
    number), ``group`` (images that must share a fold carry the same text; equal files always do),
    ``split`` (train, validation, test, or what someone called it; "" where none was given) and
    ``content`` (SHA-256 of the file). ``classes`` are the names, in the order of the labels. ``unreadable``
    lists the (id, reason) of files that were left out; ``ignored`` the files that are no images.
    """

    root: Path
    table: pd.DataFrame
    classes: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.table)

    @property
    def labels(self) -> np.ndarray:
        """Class numbers, shape (n,)."""
        return self.table["label"].to_numpy()

    @property
    def ids(self) -> list[str]:
        """Ids, in the order of the rows."""
        return self.table["id"].tolist()

    @property
    def contents(self) -> list[str]:
        """SHA-256 of each file."""
        return self.table["content"].tolist()

    @property
    def paths(self) -> list[Path]:
        """Where each image lies."""
        return [self.root / id_ for id_ in self.table["id"]]

    @property
    def counts(self) -> dict[str, int]:
        """Images of each class."""
        numbers = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, numbers.tolist(), strict=True))

    @property
    def copies(self) -> int:
        """How many images are byte-identical copies of another one."""
        return len(self) - self.table["content"].nunique()

    @property
    def digest(self) -> str:
        """Names ids, labels, groups and contents: what a fold plan and a score depend on."""
        return digest([list(self.classes), self.table[["id", "label", "group", "content"]].to_numpy().tolist()])

    def readable(self, decoded: Decoded) -> "Dataset":
        """Return the data set without the images that could not be decoded."""
        lost = tuple((self.ids[row], reason) for row, reason in decoded.unreadable.items())
        table = self.table.iloc[list(decoded.readable)].reset_index(drop=True)
        return dataclasses.replace(self, table=table, unreadable=lost)


def read_class_folders(root: Path, groups: str | None = None) -> Dataset:
    """Return the images below ``root``: one folder a class, any depth below it.

    ``groups`` is a pattern on the file name (see Study). Hidden files and folders are passed
    over; files beside the class folders are ``ignored``. Raises UserError for a missing folder, no
    class folders, fewer than two classes, a class without images, and a name that the pattern
    does not fit.
    """
    if not root.is_dir():
        raise UserError(
            f"There is no data folder {root}. Name a folder that holds one folder of images for each class."
        )
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    _check_folders(root, folders)
    rows = []
    ignored = [_id(path, root) for path in sorted(root.iterdir()) if path.is_file() and not path.name.startswith(".")]
    for label, folder in enumerate(folders):
        for path in sorted(_files(folder)):
            id_ = _id(path, root)
            if path.suffix.lower() in SUFFIXES:
                rows.append((id_, label, _group(id_, groups), "", file_sha256(path)))
            else:
                ignored.append(id_)
    table = pd.DataFrame(rows, columns=["id", "label", "group", "split", "content"])
    table = table.astype({"label": np.int64})  # also where there are no rows
    table["group"] = _joined(table["group"], table["content"])
    dataset = Dataset(root, table, tuple(folder.name for folder in folders), ignored=tuple(ignored))
    _check_classes(dataset)
    return dataset


def _id(path: Path, root: Path) -> str:
    id_ = path.relative_to(root).as_posix()
    if any("\udc80" <= letter <= "\udcff" or letter < " " for letter in id_):
        raise UserError(
            f"The name {id_!r} is not valid UTF-8 or holds a control character: no table could hold it. Rename it."
        )
    return id_


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _group(id_: str, pattern: str | None) -> str:
    if pattern is None:
        return id_
    match = re.search(pattern, Path(id_).name)
    if match is None or match[1] is None:
        raise UserError(
            f"groups={pattern!r} does not fit the file name of {id_}. Mend the pattern, or give groups=None."
        )
    return match[1]


def _joined(groups: pd.Series, contents: pd.Series) -> list[str]:
    """Return the groups, joined where they hold equal files: a copy must never validate its original."""
    n = len(groups)
    names, group = np.unique(groups.to_numpy(dtype=str), return_inverse=True)
    _, content = np.unique(contents.to_numpy(dtype=str), return_inverse=True)
    nodes = len(names) + n
    links = coo_array((np.ones(n), (group, len(names) + content)), shape=(nodes, nodes))
    _, component = connected_components(links, directed=False)
    first: dict[int, str] = {}
    return [first.setdefault(component[at], name) for at, name in zip(group, groups, strict=True)]


def _check_folders(root: Path, folders: list[Path]) -> None:
    if folders:
        return
    loose = [path for path in root.iterdir() if path.suffix.lower() in SUFFIXES]
    if loose:
        raise UserError(
            f"{root} holds {len(loose)} images but no class folders. Sort them into one folder for each class, "
            f"such as {root}/cat and {root}/dog."
        )
    problem = "holds no class folders" if any(root.iterdir()) else "is empty"
    raise UserError(f"The data folder {root} {problem}. It must hold one folder of images for each class.")


def _check_classes(dataset: Dataset) -> None:
    empty = [name for name, count in dataset.counts.items() if not count]
    if empty:
        kinds = ", ".join(sorted(SUFFIXES))
        raise UserError(
            f"{dataset.root / empty[0]} holds no images ({kinds}). "
            f"Every folder in {dataset.root} is a class: add images, or move the folder away."
        )
    if len(dataset.classes) < 2:
        raise UserError(
            f"{dataset.root} holds one class only ({dataset.classes[0]}). A classifier needs two or more class folders."
        )
