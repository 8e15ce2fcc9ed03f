"""A CSV manifest -> Dataset: a line an image, with its label, and perhaps its group and split."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from search.data.dataset import MANIFEST_COLUMN, Dataset, as_dataset
from search.data.readers.beside import Beside
from search.data.readers.columns import IMAGE, LABEL, SPLIT, Columns, hot_labels
from search.data.readers.companions import Companions, classes_of_masks, companions, same_stems, spared
from search.data.readers.paths import contents_of, nearest_folder, other_suffix, slashed, within
from search.data.readers.tables import read_columns, read_table
from search.data.reading import AS_IT_IS, Reading
from search.system.errors import UserError

MANIFEST = "manifest.csv"  # in a folder of synthetic or unpacked images


def read_manifest(path: Path, reading: Reading = AS_IT_IS, source: Path | None = None) -> Dataset:
    """Return the images that a table lists, a line an image, with their labels.

    Columns are separated by commas, tabs or semicolons; those of image and label are known by their names (``image``,
    ``label`` and the like) or by what is in them, and each class can have a column of 0 and 1. Paths are relative to
    the folder beside the file that bears its name (``pets/`` for ``pets.csv``) or to the file's own folder; where
    neither holds them, they are looked for in the folders there, with or without their suffix. ``reading`` can name
    another folder. A column ``split`` gives each image's split; ``group`` and all other columns can name groups.
    Masks and previews of other images are ``omitted``. An image that is not there is listed as unreadable, one listed
    twice alike as ``repeated``. ``source`` is what the table was unpacked from. Raises UserError for what is no such
    table, paths that lead elsewhere, and an image listed twice with other values.
    """
    beside = Beside(path, reading.root)
    if reading.root is not None and not reading.root.is_dir():
        raise UserError(f"root={str(reading.root)!r} is no folder. Name the folder that holds the images of {path}.")
    table, columns, notes = _unpacked(path) if source else read_columns(path, beside)
    listed = _listed(path, table, columns, beside)
    root, places = _places(path, listed, beside)
    if listed.is_fixed:
        notes.append(f"Absolute paths, and those with '..', lead into {root}")
    if any(place != id_ for id_, place in places.items()):
        first, place = next((id_, place) for id_, place in places.items() if place != id_)
        where = "the folder of the table" if root == path.parent else root
        notes.append(f"The table names images otherwise than they lie in {where}: {first} is {place}")
    rows = [{**fields, "id": places[id_]} for id_, fields in listed.rows.items()]
    found = Companions() if reading.keep_masks or source else _companions(root, rows)
    found, amiss = spared(found, classes_of_masks(found.certain, {row["id"]: row["label"] for row in rows}))
    readable, unreadable = contents_of(root, [row for row in rows if row["id"] not in found.certain])
    classes = sorted({row["label"] for row in rows if row["id"] not in found.certain})
    masks = len(found.certain)
    dataset = as_dataset(source or path, root, readable, classes, unreadable, masks=masks, single=reading.single)
    return dataclasses.replace(
        dataset,
        repeated=tuple(places[id_] for id_ in listed.repeated),
        omitted=tuple(sorted(found.certain.items())),
        doubtful=tuple(sorted(found.doubtful)),
        notes=(*notes, *amiss),
        reading=reading,
    )


@dataclass
class _Listed:
    """The lines of a table: the fields of each image by id, ids listed again, whether ids lead from one base alone."""

    rows: dict[str, dict[str, str]]
    repeated: list[str]
    is_fixed: bool = False


def _unpacked(path: Path) -> tuple[pd.DataFrame, Columns, list[str]]:
    """Return a table that this program wrote, whose labels may look like anything."""
    table = read_table(path, (IMAGE, LABEL))
    return table, Columns(IMAGE, LABEL, SPLIT if SPLIT in table.columns else ""), []


def _listed(path: Path, table: pd.DataFrame, columns: Columns, beside: Beside) -> _Listed:
    listed = _Listed({}, [])
    lines: dict[str, int] = {}
    labels = hot_labels(table, columns.hot) if columns.hot else table[columns.label]
    used = {columns.image, columns.label, columns.split, *columns.hot}
    extra = [name for name in table.columns if name not in used]
    names = table[columns.image].str.strip().tolist()
    prefix, nearest = beside.former([slashed(name) for name in names]), nearest_folder(names, path.parent)
    for (number, row), label in zip(zip(table.index, table.to_dict("records"), strict=True), labels, strict=True):
        where = f"{path}, line {number}"
        name = row[columns.image].strip()
        name = slashed(name).removeprefix(prefix) if prefix else name
        id_, is_fixed = within(name, where, path.parent, beside.base, nearest)
        listed.is_fixed |= is_fixed
        split = columns.split_of(row[columns.split]) if columns.split else ""
        more = {MANIFEST_COLUMN + name: row[name].strip() for name in extra}
        fields = {"id": id_, "label": label.strip(), "split": split, **more}
        if not fields["label"]:
            raise UserError(f"{where}: {id_} has no label. Give it one, or remove the line.")
        check_fields(fields | {"group": row.get("group", "")}, where)
        if listed.rows.setdefault(id_, fields) != fields:
            raise UserError(
                f"{where}: {id_} is listed in line {lines[id_]} with other values. Keep one of these lines."
            )
        if lines.setdefault(id_, number) != number:
            listed.repeated.append(id_)
    return listed


def _places(path: Path, listed: _Listed, beside: Beside) -> tuple[Path, dict[str, str]]:
    """Return the folder that holds the images, and the path of each below it, by its id in the table."""
    ids = list(listed.rows)
    root = beside.base if listed.is_fixed else beside.exact(ids)
    if root is not None:
        return root, {id_: id_ for id_ in ids}
    found = beside.search(ids)
    if not found:
        if not ids:
            raise UserError(f"{path} lists no images: no line is below the names of its columns. Add some.")
        places = " or ".join(map(str, beside.first))
        near = next(filter(None, (other_suffix(folder / ids[0]) for folder in beside.first)), "")
        raise UserError(
            f"None of the images that {path} lists, such as {ids[0]!r}, is in {places}, nor in a folder there{near}. "
            "Paths are relative to one of these: move the file, mend the paths, or name the folder of the images with "
            "--root."
        )
    first_of: dict[str, str] = {}
    for id_, place in found.items():
        if first_of.setdefault(place, id_) != id_:
            raise UserError(
                f"{path}: {first_of[place]!r} and {id_!r} are the same image, {place}. Keep one line of it."
            )
    return beside.base, {id_: found.get(id_, id_) for id_ in ids}


def _companions(root: Path, rows: list[dict[str, str]]) -> Companions:
    by_name = companions(root, [row["id"] for row in rows])
    return by_name | same_stems(root, {row["id"]: row["label"] for row in rows if row["id"] not in by_name.certain})


def check_fields(row: dict[str, str], where: str) -> None:
    """Raise UserError for a label, group or split that no table can hold, such as a stray quote makes of two lines."""
    for column in ("label", "group", "split"):
        if any(letter < " " for letter in row.get(column, "")):
            raise UserError(
                f"{where}: the {column} {row[column]!r} holds a line break or a control character. Mend it."
            )
