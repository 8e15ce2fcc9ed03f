"""Write planned folds as folders of images, for tools that read folders.

<to>/f0/train/<class>/…   <to>/f0/validation/<class>/…   <to>/holdout/<class>/…   <to>/plan.csv
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from search.data.dataset import Dataset
from search.data.folds import Fold, Plan
from search.data.holdout import HOLDOUT
from search.data.readers.paths import check_outside
from search.system.errors import UserError
from search.system.files import new_folder
from search.system.progress import Steps
from search.system.texts import csv_text

PLAN = "plan.csv"
LONGEST_NAME = 200  # bytes; most file systems stop at 255
EVERY = 100  # files between two reports of progress


def materialise(dataset: Dataset, plan: Plan, to: Path, *, copy: bool = False, progress: Steps | None = None) -> int:
    """Write the plan's folds into ``to`` and return the number of files.

    Files are symbolic links to the images, with absolute targets, or copies. ``plan.csv`` says
    which is which: fold, part, class, id, and file (within ``to``). An image has one name
    everywhere: its sub-folders below the class joined with ``__``, and a number where two would
    have the same. Everything is written, or nothing.

    Raises UserError where ``to`` is not an empty or new folder, or lies among the images, or
    cannot be written.
    """
    to = to.resolve()
    check_place(to, dataset.source)
    table = _table(dataset, plan)
    sources = dict(zip(dataset.ids, dataset.paths, strict=True))
    try:
        with new_folder(to) as folder:
            for done, (id_, file) in enumerate(zip(table["id"], table["file"], strict=True), start=1):
                put(sources[id_].resolve(), folder / file, copy)
                if progress and (done % EVERY == 0 or done == len(table)):
                    progress(done, len(table))
            (folder / PLAN).write_text(csv_text(table), encoding="utf-8")
            inode = folder.stat().st_ino
    except OSError as error:
        hint = "" if copy else " Where links cannot be made, --copy copies the images."
        raise UserError(f"The folds cannot be written to {to}: {error.strerror or error}.{hint}") from None
    if to.stat().st_ino != inode:
        raise UserError(f"{to} was filled by something else meanwhile: nothing was written. Name another folder.")
    return len(table)


def check_place(to: Path, data: Path | None = None) -> None:
    """Raise UserError unless ``to`` is an empty folder, or nothing yet, and not within ``data``."""
    if data:
        check_outside(to, data, "Name a folder elsewhere")
    if to.exists() and not to.is_dir():
        raise UserError(f"{to} is a file. Name a new folder.")
    if to.is_dir() and any(to.iterdir()):
        raise UserError(f"{to} is not empty. Name a new folder, or empty it: nothing is mixed with other files.")


def class_folders(classes: Sequence[str]) -> list[str]:
    """Return a name for the folder of each class, all distinct, also where a class is called like a path."""
    return _distinct([_plain(name) for name in classes])


def put(source: Path, file: Path, copy: bool) -> None:
    """Make ``file``, and the folders that it lies in, a copy of ``source`` or a link to it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if copy:
        shutil.copyfile(source, file)
    else:
        file.symlink_to(source)


def _table(dataset: Dataset, plan: Plan) -> pd.DataFrame:
    labels, ids = [dataset.classes[label] for label in dataset.labels], dataset.ids
    files = class_files(ids, labels, dataset.paths, dataset.classes)
    rows = [
        (fold.id, part, labels[row], ids[row], f"{place}/{files[row]}")
        for fold in plan.every
        for part, place, members in _parts(fold)
        for row in members.tolist()
    ]
    return pd.DataFrame(rows, columns=["fold", "part", "class", "id", "file"])


def _parts(fold: Fold) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield (part, folder, rows); the hold-out stands alone, as its training part is everything else."""
    if fold.id == HOLDOUT:
        yield HOLDOUT, HOLDOUT, fold.validation
    else:
        yield "train", f"{fold.id}/train", fold.train
        yield "validation", f"{fold.id}/validation", fold.validation


def class_files(ids: Sequence[str], labels: Sequence[str], paths: Sequence[Path], classes: Sequence[str]) -> list[str]:
    """Return where each image lies in class folders, as ``<class>/<name>``, no two alike.

    ``labels`` are names of ``classes``, all of which there are: a class has the same folder whichever images are there.
    """
    folders = dict(zip(classes, class_folders(classes), strict=True))
    names = [_name(id_, label, path) for id_, label, path in zip(ids, labels, paths, strict=True)]
    files = [""] * len(names)
    for label in set(labels):
        members = [row for row in range(len(names)) if labels[row] == label]
        members.sort(key=lambda row: ids[row])  # the same names whatever the order of the rows
        for row, name in zip(members, _distinct([names[row] for row in members]), strict=True):
            files[row] = f"{folders[label]}/{name}"
    return files


def _name(id_: str, class_name: str, path: Path) -> str:
    parts = list(PurePosixPath(id_).parts)
    below = parts[parts.index(class_name) + 1 :] if class_name in parts[:-1] else parts
    name = _plain("__".join(below))
    if not name.lower().endswith(path.suffix.lower()):
        name += path.suffix
    return name if len(name.encode()) <= LONGEST_NAME else _plain(parts[-1])


def _plain(name: str) -> str:
    """Return the name without what would make it a path, or hide it."""
    name = name.replace("/", "_").replace("\\", "_")
    return f"_{name}" if not name or name.startswith(".") else name


def _distinct(names: list[str]) -> list[str]:
    """Return the names, numbered where two are equal, also to file systems that do not tell a from A."""
    folded_names = set()
    distinct = []
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        number, unique = 1, name
        while unique.casefold() in folded_names:
            number += 1
            unique = f"{stem}-{number}{dot}{suffix}" if stem else f"{name}-{number}"
        folded_names.add(unique.casefold())
        distinct.append(unique)
    return distinct
