"""Class folders -> Dataset: one folder a class, on whatever level, perhaps below train/, val/ and test/."""

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from search.data.dataset import Dataset, as_dataset, canonical_split, masks_hint
from search.data.readers.companions import Companions, classes_of_masks, companions, same_stems, spared
from search.data.readers.layout import Doubt, Layout, Part, class_nodes, doubt_of, layout_of, outline
from search.data.readers.names import some
from search.data.readers.paths import contents_of
from search.data.readers.splits import word_of
from search.data.readers.tree import Node, Scan, scan, tree_of
from search.data.reading import AS_IT_IS, Reading
from search.system.errors import UserError

MOST_UNFIT = 0.1  # of the images, whose names a pattern for labels may not fit
TABLES = frozenset({".csv", ".tsv"})


@dataclass
class Labelled:
    """Images by id with their (label, split), the names of classes, and the (id, reason) of those without a label.

    ``bases`` are the folders that hold the class folders, where folders are the classes.
    """

    classes: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    omitted: dict[str, str] = field(default_factory=dict)
    bases: frozenset[str] = frozenset()


def read_class_folders(root: Path, reading: Reading = AS_IT_IS) -> Dataset:
    """Return the images below ``root``, labelled by the folders that they are in, at any depth below these.

    Folders that are splits by name are merged and the given split is kept; one of them without class folders is
    ``omitted``, and so are masks and previews of other images. Files that are no images, hidden ones and linked
    folders below a class are ``ignored``. ``reading`` can name the level of the classes, or take the labels from file
    names. Raises UserError for a missing folder, no class folders, fewer than two classes, a class without images,
    and where the classes may be on another level.
    """
    if not os.path.isdir(root):
        raise UserError(
            f"There is no data folder {root}. Name a folder that holds one folder of images for each class, "
            "a CSV manifest, or a .npz file."
        )
    reading.check_no_table(root)
    files = scan(root, reading.label_level or 1)
    by_name, labelled, ids = _without_masks(root, files, reading)
    labels = {id_: label for id_, (label, _) in labelled.places.items()}
    found = by_name if reading.keep_masks else by_name | same_stems(root, labels)
    places = {id_: place for id_, place in labelled.places.items() if id_ not in found.certain}
    rows = [{"id": id_, "label": label, "split": split} for id_, (label, split) in places.items()]
    rows, unreadable = contents_of(root, rows)
    loose = [id_ for id_ in ids if id_ not in labelled.places and id_ not in labelled.omitted]
    dataset = as_dataset(
        root,
        root,
        rows,
        sorted(labelled.classes),
        unreadable + files.closed,
        sorted(files.ignored + loose),
        len(found.certain),
        single=reading.single,
    )
    return dataclasses.replace(
        dataset,
        omitted=tuple(sorted({**labelled.omitted, **found.certain}.items())),
        doubtful=tuple(sorted(set(found.doubtful) & set(labels))),
        notes=tuple(labelled.notes),
        reading=reading,
    )


def _without_masks(root: Path, files: Scan, reading: Reading) -> tuple[Companions, Labelled, list[str]]:
    """Return the masks and previews by name, and the other images with their labels, and the ids of all of these."""
    by_name = Companions() if reading.keep_masks else companions(root, files.ids)
    labelled, ids = _without(by_name, root, files, reading)
    by_name, notes = spared(by_name, _whole_classes(by_name, labelled))
    if notes:
        labelled, ids = _without(by_name, root, files, reading)
        labelled.notes.extend(notes)
    return by_name, labelled, ids


def _without(left_out: Companions, root: Path, files: Scan, reading: Reading) -> tuple[Labelled, list[str]]:
    """Return the images but for those left out, with their labels, and the ids of all of them."""
    ids = [id_ for id_ in files.ids if id_ not in left_out.certain]
    return _labelled(root, ids, _still_there(files, ids), reading, len(left_out.certain)), ids


def _whole_classes(found: Companions, labelled: Labelled) -> dict[str, list[str]]:
    """Return the masks by class that are the whole of a class folder beside others."""
    labels = {id_: label for id_, (label, _) in labelled.places.items()}
    paths = {id_: PurePosixPath(id_).parent for id_ in found.certain}
    folders = {id_: path.name for id_, path in paths.items() if path.name and path.parent.as_posix() in labelled.bases}
    certain = {id_: reason for id_, reason in found.certain.items() if id_ in folders}
    return classes_of_masks(certain, {**folders, **labels})


def _still_there(files: Scan, ids: Sequence[str]) -> list[str]:
    """Return the folders but for those that held images of which none is left."""
    before, now = (
        {parent.as_posix() for id_ in some for parent in PurePosixPath(id_).parents} for some in (files.ids, ids)
    )
    return [folder for folder in files.folders if folder in now or folder not in before]


def _labelled(root: Path, ids: Sequence[str], folders: Sequence[str], reading: Reading, masks: int) -> Labelled:
    if reading.labels_from is not None:
        return by_pattern(root, ids, reading.labels_from)
    tree = tree_of(ids, folders)
    if not tree.folders:
        raise UserError(_without_folders(root, ids))
    if reading.label_level is not None:
        return by_level(root, ids, folders, reading.label_level)
    layout = layout_of(tree)
    if layout.problem:
        raise UserError(_looks_split(root, tree, layout.problem))
    if doubt := doubt_of(tree, layout):
        raise UserError(_in_doubt(root, tree, layout, doubt))
    return by_layout(root, ids, tree, layout, masks, single=reading.single)


def by_layout(
    root: Path, ids: Sequence[str], tree: Node, layout: Layout, masks: int = 0, *, single: bool = False
) -> Labelled:
    """Return the images with the labels and splits of a layout. Raises UserError for one class that holds others.

    ``masks`` counts the masks and previews that are not among the images, and ``single`` is as in Reading.
    """
    classes = {name for part in layout.parts if part.labelled for name in _at(tree, part.prefix).folders}
    if len(classes) == 1 and not layout.has_splits:
        hints = "" if single else f"{_labels_in_names(ids)}{_table_hint(root)}"
        _check_single(root, tree, (*layout.parts[0].prefix, *classes), masks, hints)
    bases = frozenset("/".join(part.prefix) or "." for part in layout.parts if part.labelled)
    result = Labelled(classes, _in_words(layout, tree), bases=bases)
    for id_ in ids:
        names = id_.split("/")
        part = next((part for part in layout.parts if tuple(names[: part.level]) == part.prefix), None)
        if part is not None and not part.labelled:
            result.omitted[id_] = f"{'/'.join(part.prefix)}/ has no class folders and so no labels"
        elif part is not None and len(names) > part.level + 1:
            split = word_of(names[part.level + 1]) if layout.split_below else part.split
            result.places[id_] = names[part.level], split
    return result


def _at(tree: Node, path: Sequence[str]) -> Node:
    for name in path:
        tree = tree.folders[name]
    return tree


def _check_single(root: Path, tree: Node, path: tuple[str, ...], masks: int, hints: str) -> None:
    """Raise UserError, with what may be meant, where one class is all there is and that may be mended by a word."""
    deeper = sorted(_at(tree, path).folders)
    if deeper or hints:
        holds = f", which holds the folders {some(deeper)}. Did you mean {root}/{'/'.join(path)}?" if deeper else "."
        raise UserError(f"{root} holds one class only ({path[-1]}){holds}{hints}{masks_hint(masks)}")


def _in_words(layout: Layout, tree: Node) -> list[str]:
    """Return what is not plain of a layout, in words."""
    if layout.split_below:
        return ["The folders within the classes are read as a given split"]
    named = [part for part in layout.parts if part.split and part.labelled]
    if all(map(_is_plain, named)):
        return []
    words = [f"{'/'.join(part.prefix)} ({_at(tree, part.prefix).total} images) as {part.split}" for part in named]
    return [f"Folders are read as a given split: {', '.join(words)}"]


def _is_plain(part: Part) -> bool:
    """Return whether a split is called by its word."""
    return len(part.prefix) == 1 and canonical_split(part.prefix[0]) == part.split


def by_level(root: Path, ids: Sequence[str], folders: Sequence[str], level: int) -> Labelled:
    """Return the images with the names of the folders on this level as labels; level 1 is that of the first folders.

    Folders above it are splits if all are called so. Raises UserError where there are no folders on this level.
    """
    depth = level - 1
    tops = {id_.split("/")[0] for id_ in ids if "/" in id_}
    words = {name: word_of(name) for name in tops} if level > 1 and all(map(word_of, tops)) else {}
    result = Labelled()
    for id_ in ids:
        names = id_.split("/")
        if len(names) > level:
            result.classes.add(names[depth])
            result.places[id_] = names[depth], words.get(names[0], "")
            result.bases |= {"/".join(names[:depth]) or "."}
        else:
            result.omitted[id_] = f"there is no folder of level {level} above them, and so no label"
    if not result.places:
        deepest = max((id_.count("/") for id_ in ids), default=0)
        has = f"levels 1 to {deepest} do" if deepest > 1 else "level 1 does" if deepest else "none does"
        raise UserError(f"label_level={level}: no folder of {root} on that level holds images; {has}.")
    if level == 1:
        result.classes |= {name for name in folders if "/" not in name}  # one without images is a mistake to be told
    return result


def by_pattern(root: Path, ids: Sequence[str], pattern: str) -> Labelled:
    """Return the images with what a pattern finds in their names, or in their paths if it has a slash, as labels.

    First folders that are splits by name give the split; a part in which it fits no name has no labels. Raises
    UserError where it does not fit a tenth of the other names.
    """
    compiled = re.compile(pattern)
    tops = {id_.split("/")[0] if "/" in id_ else "" for id_ in ids}
    words = {name: word_of(name) for name in tops}
    words = words if all(words.values()) and len(set(words.values())) == len(words) > 1 else {}
    matches = {id_: compiled.search(id_ if "/" in pattern else PurePosixPath(id_).name) for id_ in ids}
    fitting = {id_: match[1].strip() for id_, match in matches.items() if match and (match[1] or "").strip()}
    parts = {id_.split("/")[0] for id_ in fitting}
    in_parts = [id_ for id_ in ids if not words or id_.split("/")[0] in parts]
    unfit = [id_ for id_ in in_parts if id_ not in fitting]
    if not fitting or len(unfit) > MOST_UNFIT * len(in_parts):
        raise UserError(
            f"labels_from={pattern!r} finds no label in {len(unfit) or len(ids)} of the {len(in_parts) or len(ids)} "
            f"images of {root}, such as {(unfit or [*ids, 'none'])[0]}. Mend the pattern. It is searched for in the "
            "name of each file, or, where it has a slash, in its path below the data."
        )
    places = {id_: (label, words.get(id_.split("/")[0], "")) for id_, label in fitting.items()}
    omitted = {id_: f"labels_from={pattern!r} finds no label in their names" for id_ in ids if id_ not in fitting}
    counts = f"Labels are what {pattern} finds in {'paths' if '/' in pattern else 'file names'}"
    return Labelled(set(fitting.values()), [counts], places, omitted)


def tables_in(folder: Path) -> list[str]:
    """Return the names of the tables in a folder."""
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in TABLES and path.is_file())


def _table_hint(root: Path) -> str:
    tables = tables_in(root)
    return f" If the labels are in {tables[0]}, name that as the data: {root / tables[0]}." if tables else ""


def _without_folders(root: Path, ids: Sequence[str]) -> str:
    if not ids:
        problem = "holds no class folders" if any(root.iterdir()) else "is empty"
        return f"The data folder {root} {problem}. It must hold one folder of images for each class.{_table_hint(root)}"
    return (
        f"{root} holds {len(ids)} images but no class folders. Sort them into one folder for each class, such as "
        f"{root}/cat and {root}/dog; or name them in a CSV file (image,label) and give that."
        f"{_labels_in_names(ids)}{_table_hint(root)}"
    )


def _labels_in_names(ids: Sequence[str]) -> str:
    """Return a hint where the file names of a flat folder begin with a few words, each of them often."""
    for pattern in (r"^([A-Za-z]+)[\W_]*\d", r"^([A-Za-z]+)_", r"_([A-Za-z]+)\.\w+$"):
        matches = [re.search(pattern, PurePosixPath(id_).name) for id_ in ids]
        labels = [match[1] for match in matches if match]
        names = sorted(set(labels))
        if len(labels) == len(ids) and 2 <= len(names) <= len(ids) / 2:
            return f" If their names hold the labels ({some(names)}), give --labels-from '{pattern}'."
    return ""


def _looks_split(root: Path, tree: Node, problem: str) -> str:
    names = ", ".join(name for name in sorted(tree.folders) if word_of(name))
    return (
        f"{root} looks like a data set that is already split ({names}), but {problem}. Each of them must hold one "
        "folder for each class and nothing else may lie beside them; if they are classes, rename them or give "
        f"--label-level 1.{_table_hint(root)}"
    )


def _in_doubt(root: Path, tree: Node, layout: Layout, doubt: Doubt) -> str:
    level = layout.parts[0].level + 1
    firsts = class_nodes(tree, layout)
    nodes = list(firsts.values())
    for _ in range(doubt.deeper - 1):
        nodes = [inner for node in nodes for inner in node.filled().values()]
    below = sorted({name for node in nodes for name in node.filled()}) if doubt.deeper else []
    lines = "".join(f"\n  {line}" for line in outline(tree))
    ways = [f"--label-level {level} goes on with {some(list(firsts))}"]
    if below:
        grouped = f"with --groups folder{level} each of {some(list(firsts))} stays in one fold"
        ways = [f"--label-level {level + doubt.deeper} takes {some(below)} ({grouped})", *ways]
    return (
        f"{root} may have its classes on another level of folders: {doubt.reason}.{lines}\nSay which are the classes: "
        f"{'; '.join(ways)}; --labels-from PATTERN takes what a pattern finds in file names, or in paths if it has a "
        f"slash. In a space file: Study(label_level=…).{_table_hint(root)}"
    )
