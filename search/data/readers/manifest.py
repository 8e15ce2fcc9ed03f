"""A CSV manifest -> Dataset: a line an image, with its label, and perhaps its group and split."""

import dataclasses
import os
from pathlib import Path

import pandas as pd

from search.data.dataset import MANIFEST_COLUMN, Dataset, as_dataset, canonical_split
from search.data.readers.paths import contents_of, inside
from search.system.errors import UserError

MANIFEST = "manifest.csv"  # in a folder of synthetic or unpacked images
COLUMNS = ("image", "label")
KNOWN = frozenset({*COLUMNS, "split", "group", "sources"})  # in any case of letters
SAMPLE = 200


def read_manifest(path: Path, source: Path | None = None) -> Dataset:
    """Return the images that a CSV file lists in its columns ``image`` and ``label``.

    Paths are relative to the folder beside the file that bears its name (``pets/`` for
    ``pets.csv``) or to the file's own folder, wherever the images are. A column ``split`` gives
    each image's split; ``group`` and all other columns can name groups. An image that is not
    there is listed as unreadable, one listed twice alike as ``repeated``. Raises UserError for what
    is no such table, paths that lead elsewhere, and an image listed twice with other values.
    """
    table = read_table(path, COLUMNS)
    rows: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    repeated: list[str] = []
    extra = [name for name in table.columns if name not in {*COLUMNS, "split"}]
    for number, row in zip(table.index + 2, table.to_dict("records"), strict=True):
        where = f"{path}, line {number}"
        id_, label = inside(row["image"].strip(), where), row["label"].strip()
        if not label:
            raise UserError(f"{where}: {id_} has no label. Give it one, or remove the line.")
        check_fields(row, where)
        more = {MANIFEST_COLUMN + name: row[name].strip() for name in extra}
        fields = {"id": id_, "label": label, "split": canonical_split(row.get("split", "")), **more}
        if rows.setdefault(id_, fields) != fields:
            raise UserError(
                f"{where}: {id_} is listed in line {lines[id_]} with other values. Keep one of these lines."
            )
        if lines.setdefault(id_, number) != number:
            repeated.append(id_)
    root = _root(path, list(rows))
    readable, unreadable = contents_of(root, list(rows.values()))
    classes = sorted({row["label"] for row in rows.values()})
    dataset = as_dataset(source or path, root, readable, classes, unreadable)
    return dataclasses.replace(dataset, repeated=tuple(repeated))


def check_fields(row: dict[str, str], where: str) -> None:
    """Raise UserError for a label, group or split that no table can hold, such as a stray quote makes of two lines."""
    for column in ("label", "group", "split"):
        if any(letter < " " for letter in row.get(column, "")):
            raise UserError(
                f"{where}: the {column} {row[column]!r} holds a line break or a control character. Mend it."
            )


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a CSV file as text columns; its index still counts the blank lines that are left out.

    Raises UserError for what is no CSV file or lacks one of ``columns``.
    """
    try:
        # With its own header pandas renames a second column of one name, and takes the first for an index where
        # lines are longer than the header.
        table = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except ValueError as error:  # pandas' own errors are ValueErrors, and so is UnicodeDecodeError
        raise UserError(
            f"{path} cannot be read as CSV: {str(error).strip()}. Save it anew as CSV with commas, in UTF-8."
        ) from None
    table = _headed(table, path)
    absent = [column for column in columns if column not in table.columns]
    if absent:
        one = len(table.columns) == 1 and ";" in table.columns[0]
        way_out = "Save it with commas instead of semicolons" if one else "Name its columns so in the first line"
        raise UserError(
            f"{path} lacks the column {absent[0]!r}; it needs {', '.join(columns)}, and has "
            f"{', '.join(table.columns)}. {way_out}."
        )
    table = table.fillna("")  # lines that end early
    return table[table.ne("").any(axis=1)]


def _headed(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the table with its first line as names of the columns. Raises UserError for a name that is there twice."""
    names = ["" if pd.isna(name) else name.strip() for name in table.iloc[0]]
    names = [name.lower() if name.lower() in KNOWN else name for name in names]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has two columns {twice!r}. Remove or rename one of them.")
    table = table.iloc[1:].reset_index(drop=True)
    table.columns = pd.Index([name or f"Unnamed: {at}" for at, name in enumerate(names)])
    return table


def _root(path: Path, ids: list[str]) -> Path:
    """Return the folder to which most of the paths lead, judged by a sample of them if any of it is there."""
    folders = [path.with_suffix(""), path.parent]
    for some in (ids[:: max(1, len(ids) // SAMPLE)], ids):
        hits = [sum(os.path.isfile(folder / id_) for id_ in some) for folder in folders]
        if any(hits):
            break
    else:
        first = f", such as {ids[0]!r}," if ids else ""
        raise UserError(
            f"None of the images that {path} lists{first} is in {folders[0]} or {folders[1]}. Paths are relative "
            "to one of these: move the file, or mend the paths."
        )
    return folders[hits.index(max(hits))]
