"""Data sets in one file of arrays -> images as files, and a manifest of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.data.dataset import SPLIT_WORDS
from search.data.readers.npz import MARK, Member, open_npz
from search.data.readers.packs import COLUMNS, KEPT, unpack_pack, write_manifest, write_new
from search.data.readers.paths import check_names
from search.data.readers.pickles import read_pickle
from search.data.readers.pixels import Stack, images
from search.system.errors import UserError

NPZ = frozenset({".npz"})
PICKLES = frozenset({".pkl", ".pickle", ".p"})

_ROLES = {
    **dict.fromkeys(("x", "images", "data", "arr_0"), "x"),
    **dict.fromkeys(("y", "labels", "label", "target", "targets", "arr_1"), "y"),
    **dict.fromkeys(("group", "groups"), "group"),
    **dict.fromkeys(("classes", "class_names", "label_names"), "names"),
}
_CIFAR = (3, 32, 32)
_LONGEST_CLASS = 200
_FEW = 2**16  # images that any file may hold, however small
_FEWEST_BYTES = 40  # that each image more takes in a file: a shared one takes 2, a digit of 28x28 pixels 100 and more
_EXPECTED = (
    "Expected are images and labels under one of these pairs of names: x and y, images and labels, data and target, "
    "arr_0 and arr_1, or x_train and y_train (with x_val and y_val, x_test and y_test), train_images and "
    "train_labels (likewise); class_names and groups may be there too"
)


@dataclass(frozen=True)
class _Part:
    """The images of one split; ``labels`` and ``groups`` are still in any form, groups perhaps None."""

    split: str
    stacks: list[Stack]
    labels: Any
    groups: Any = None

    def __len__(self) -> int:
        return sum(stack.shape[0] for stack in self.stacks if stack.shape)


def parts(file: Path) -> list[Path]:
    """Return the files that a data set consists of: itself, and ``y.pickle`` if it is ``X.pickle``."""
    if file.suffix.lower() not in PICKLES or file.stem.lower() != "x":
        return [file]
    return [
        file,
        *sorted({path for path in file.parent.iterdir() if path.name in {f"y{file.suffix}", f"Y{file.suffix}"}}),
    ]


def unpack(file: Path, folder: Path, deep: bool = True) -> None:
    """Write the images of ``file`` (.npz, .pkl, .pickle or .p) below the empty ``folder``, and ``manifest.csv``.

    The manifest has the columns image (path within the folder, with slashes), label (class name),
    split ("" where nothing is known) and, where there are any, group. A file that ``pack`` wrote
    gives the very files again, and all columns that went in. Other arrays become
    ``<split>/<class>/<row>.ppm`` (.pgm if grey), of 16 bits if they are and ``deep``; ``row`` counts
    within the split; integer labels without class names are named by their digits. Arrays under
    names that mean nothing here are passed over. Pickles are read without running anything in
    them. Raises UserError for arrays that cannot be understood, saying what was found, and for
    far more images than the file has room for.
    """
    suffix = file.suffix.lower()
    if suffix not in NPZ | PICKLES:
        raise UserError(f"{file} is none of {', '.join(sorted(NPZ | PICKLES))}. Save the arrays as .npz.")
    if not file.is_file():
        raise UserError(f"There is no file {file}.")
    if suffix in PICKLES:
        _write(*_understood(_with_sibling(file), str(file)), file, folder, deep)
        return
    with open_npz(file) as members:
        if MARK in members:
            unpack_pack(members, file, folder)
        else:
            _write(*_by_roles(members, str(file)), file, folder, deep)


def _write(content: list[_Part], classes: list[str] | None, file: Path, folder: Path, deep: bool) -> None:
    where = str(file)
    count, size = sum(map(len, content)), sum(part.stat().st_size for part in parts(file))
    if count > max(_FEW, size // _FEWEST_BYTES):
        raise UserError(
            f"{where} means {count} images in {size} bytes, which would fill the disk. Make it anew, with each image "
            "once."
        )
    encoded = images([stack for part in content for stack in part.stacks], deep)
    labels = [_label_names(part, classes, where) for part in content]
    groups = [_group_names(part, where) for part in content]
    rows = []
    for part, names, keys in zip(content, labels, groups, strict=True):
        # In this order: zip would take one image too many from the stream that the parts share.
        for row, (name, key, (suffix, data)) in enumerate(zip(names, keys, encoded, strict=False)):
            id_ = "/".join([*filter(None, [part.split]), _folder_name(name, where), f"{row:05d}{suffix}"])
            write_new(folder / id_, [data], where)
            rows.append((id_, name, part.split, key))
    columns = dict(zip((*COLUMNS, "group"), zip(*rows, strict=True), strict=True))
    if all(part.groups is None for part in content):
        del columns["group"]  # so that who asks for it is told that there is none
    write_manifest(folder, columns)


def _folder_name(label: str, where: str) -> str:
    """Return a folder name that belongs to this label alone: percent signs stand for what no folder may hold."""
    name = re.sub(r"[^\w \-.,+()&']", _percent, label)
    if name[0] in ". " or label.lower() in KEPT:
        name = _percent(name[0]) + name[1:]
    if name[-1] in ". ":
        name = name[:-1] + _percent(name[-1])
    if len(name.encode()) > _LONGEST_CLASS:
        raise UserError(f"{where}: the class name {label!r} is too long for a folder. Shorten it.")
    return name


def _percent(letters: str | re.Match[str]) -> str:
    text = letters if isinstance(letters, str) else letters[0]
    return "".join(f"%{byte:02X}" for byte in text.encode())


# What a file holds -> parts


def _understood(value: Any, where: str) -> tuple[list[_Part], list[str] | None]:
    """Return parts and class names of what a pickle held."""
    if isinstance(value, dict):
        return _of_dict({_text(key): item for key, item in value.items()}, where)
    if isinstance(value, (list, tuple)) and value:
        if all(_is_pair(item) and _is_scalar(item[1]) for item in value):
            return [_Part("", _stacks([image for image, _ in value], where), [label for _, label in value])], None
        if _is_pair(value):
            return [_Part("", _stacks(value[0], where), value[1])], None
    raise UserError(f"{where} holds {_described(value)}, which is no labelled images. {_EXPECTED}; or a pair (x, y).")


def _of_dict(fields: dict[str, Any], where: str) -> tuple[list[_Part], list[str] | None]:
    if fields and set(map(str.lower, fields)) <= set(SPLIT_WORDS) and all(map(_is_labelled, fields.values())):
        flat: dict[str, Any] = {}
        for split, value in fields.items():
            inner = value if isinstance(value, dict) else {"x": value[0], "y": value[1]}
            flat |= {f"{split}_{_text(key)}": item for key, item in inner.items()}
        return _by_roles(flat, where)
    if any(_role(key) for key in fields) or not all(isinstance(v, (list, tuple, np.ndarray)) for v in fields.values()):
        return _by_roles(fields, where)
    if not fields:
        raise UserError(f"{where} holds an empty dict. {_EXPECTED}.")
    stacks = [(name, stack) for name, value in fields.items() for stack in _stacks(value, f"{where}, class {name!r}")]
    labels = [name for name, stack in stacks for _ in range(stack.shape[0] if stack.shape else 0)]
    return [_Part("", [stack for _, stack in stacks], labels)], None


def _by_roles(fields: Mapping[str, Any], where: str) -> tuple[list[_Part], list[str] | None]:
    """Return parts and class names of arrays whose names say what they are."""
    keys: dict[tuple[str, str], str] = {}
    for key in fields:
        role = _role(key)
        if role and role in keys:
            raise UserError(f"{where} holds both {keys[role]!r} and {key!r}: leave one of them out.")
        if role:
            keys[role] = key
    splits = [split for split in ("", "train", "validation", "test") if (split, "x") in keys or (split, "y") in keys]
    whole = all((split, what) in keys for split in splits for what in "xy")
    if not splits or not whole or ("" in splits and len(splits) > 1):
        holds = ", ".join(f"{key!r}: {_described(value)}" for key, value in fields.items()) or "nothing"
        raise UserError(f"{where} is not understood. It holds {holds}. {_EXPECTED}.")
    parts = []
    for split in splits:
        key = keys[split, "x"]
        groups = keys.get((split, "group"))
        stacks = _stacks(_planes(key, fields), f"{where}, {key!r}")
        parts.append(
            _Part(split, stacks, _loaded(fields[keys[split, "y"]]), _loaded(fields[groups]) if groups else None)
        )
    orphans = [key for (split, what), key in keys.items() if what == "group" and split not in splits]
    if orphans:
        raise UserError(f"{where}: {orphans[0]!r} has no images of its split. Name it like them, such as group_train.")
    names = next((_loaded(fields[key]) for (_, what), key in keys.items() if what == "names"), None)
    return parts, None if names is None else _class_names(names, where)


def _role(key: str) -> tuple[str, str] | None:
    """Return (split, role) of the name of an array, or None if it means nothing here."""
    lower = key.lower()
    if lower in _ROLES:
        return "", _ROLES[lower]
    for split, meant in SPLIT_WORDS.items():
        for rest in (lower.removeprefix(f"{split}_"), lower.removesuffix(f"_{split}")):
            if rest != lower and rest in _ROLES:
                return meant, _ROLES[rest]
    return None


def _planes(key: str, fields: Mapping[str, Any]) -> Any:
    """Return the images under ``key``, those of a CIFAR batch in their shape."""
    value = fields[key]
    flat = isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == np.prod(_CIFAR)
    # Elsewhere a flat row could as well be pixels of three channels.
    return value.reshape(-1, *_CIFAR) if flat and key == "data" and "labels" in fields else value


def _with_sibling(file: Path) -> Any:
    """Return what ``file`` holds, and as (images, labels) if it is X.pickle beside y.pickle."""
    value = read_pickle(file)
    if file.stem.lower() != "x" or not _is_images(value):
        return value
    siblings = parts(file)[1:]
    if len(siblings) != 1:
        problem = "two siblings" if siblings else "no sibling"
        raise UserError(
            f"{file} holds images without labels and has {problem} y{file.suffix}. Put the labels there, in one file."
        )
    return value, read_pickle(siblings[0])


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, bytes, int, float)) or (isinstance(value, np.ndarray) and value.ndim == 0)


def _is_labelled(value: Any) -> bool:
    return _is_pair(value) or isinstance(value, dict)


def _is_images(value: Any) -> bool:
    """Return whether a value is images of one or several sizes, and neither (images, labels) nor pairs."""
    if isinstance(value, (list, tuple)):
        depths = {np.ndim(item) for item in value if isinstance(item, np.ndarray)}
        return bool(value) and all(isinstance(item, np.ndarray) for item in value) and depths <= {2, 3}
    return isinstance(value, np.ndarray)


def _stacks(value: Any, where: str) -> list[Stack]:
    if isinstance(value, Member):
        return [Stack(value.shape, value.dtype, value.rows, where)]
    if isinstance(value, np.ndarray):
        return [Stack.of(value, where)]
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{where} holds {_described(value)} for images. {_EXPECTED}.")
    return [Stack.of(_image(image, f"{where}, image {row}")[np.newaxis], where) for row, image in enumerate(value)]


def _image(value: Any, where: str) -> np.ndarray:
    """Return one image of a list, itself an array or nested lists; their total size the pickle's reader has bounded."""
    try:
        if isinstance(value, np.ndarray):
            return value
        if _is_numbers(value, 3):
            return np.asarray(value)
        problem = f"{_described(value)}, not of numbers"
    except ValueError as error:
        problem = str(error)
    raise UserError(f"{where} is no array ({problem}). Give each image as (h, w, channels).")


def _is_numbers(value: Any, depth: int) -> bool:
    """Return whether a value is numbers in lists at most so deep; one long text would make each number as long."""
    if isinstance(value, (list, tuple)):
        return depth > 0 and all(_is_numbers(item, depth - 1) for item in value)
    if isinstance(value, np.ndarray):
        return value.ndim <= depth and value.dtype.kind in "biuf"
    return isinstance(value, (int, float))


def _loaded(value: Any) -> Any:
    return value.whole() if isinstance(value, Member) else value


def _text(key: Any) -> str:
    return key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else str(key)


def _described(value: Any) -> str:
    if isinstance(value, (Member, np.ndarray)):
        return f"{value.dtype} {value.shape}"
    sized = isinstance(value, (list, tuple, dict, set, str, bytes))
    return f"a {type(value).__name__}{f' of {len(value)}' if sized else ''}"


# Labels and groups -> texts


def _label_names(part: _Part, classes: list[str] | None, where: str) -> list[str]:
    """Return the class name of each image of a part."""
    values = _flat(part, part.labels, "labels", where)
    names = [_text(value) for value in values]
    numbers = [value for value in values if isinstance(value, int)]
    if classes is not None and len(numbers) == len(values):
        strange = next((number for number in numbers if not 0 <= number < len(classes)), None)
        if strange is not None:
            raise UserError(f"{where}: the label {strange} has no name among {classes}. Mend the class names.")
        names = [classes[number] for number in numbers]
    unknown = next((name for name in names if not name or (classes is not None and name not in classes)), None)
    if unknown is not None:
        problem = "an image has an empty label" if not unknown else f"the label {unknown!r} is no class name"
        raise UserError(f"{where}: {problem}. Mend the labels, or leave the image out.")
    check_names(set(names), where)
    return names


def _group_names(part: _Part, where: str) -> list[str]:
    if part.groups is None:
        return [""] * len(part)
    names = [_text(value) for value in _flat(part, part.groups, "groups", where)]
    check_names(set(names), where)
    return names


def _class_names(value: Any, where: str) -> list[str]:
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(listed, (list, tuple)) or not all(map(_is_scalar, listed)):
        raise UserError(f"{where}: the class names are {_described(value)}. Give a list, in the order of the labels.")
    names = [_text(name) for name in listed]
    if len(set(names)) != len(names) or "" in names:
        raise UserError(f"{where}: the class names {names} are empty or not all different. Mend them.")
    return names


def _flat(part: _Part, values: Any, what: str, where: str) -> list[int | str | bytes]:
    """Return one value for each image. Raises UserError for other lengths and types."""
    if isinstance(values, (list, tuple)):
        values = [_bare(value) for value in values]
        if values and all(isinstance(value, (str, bytes)) for value in values):
            _check_count(part, len(values), what, where)
            return values
    array = _array(values, what, where)
    if array.ndim:
        _check_count(part, len(array), what, where)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and what == "labels" and array.dtype.kind in "biuf":
        array = _from_one_hot(array, where)
    if array.ndim != 1:
        raise UserError(f"{where}: the {what} have the shape {array.shape}. Give one for each image, or one-hot rows.")
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array % 1 == 0).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "biuUS":
        raise UserError(f"{where}: the {what} are of the type {array.dtype}. Give whole numbers or names.")
    return (array.astype(np.int64) if array.dtype.kind == "b" else array).tolist()


def _check_count(part: _Part, count: int, what: str, where: str) -> None:
    if count != len(part):
        of = f" of {part.split}" if part.split else ""
        raise UserError(f"{where}: there are {len(part)} images{of}, but {count} {what}. Give one for each image.")


def _bare(value: Any) -> Any:
    """Return the only item of an array or list of one; anything else as it is."""
    if isinstance(value, np.ndarray) and value.size == 1:
        return value.item()
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


def _array(values: Any, what: str, where: str) -> np.ndarray:
    if isinstance(values, list):
        if any(isinstance(value, (str, bytes)) for value in values):
            raise UserError(f"{where}: the {what} are numbers and texts mixed. Give one kind.")
        if not _is_numbers(values, 2):
            raise UserError(f"{where}: the {what} are no plain list of numbers or names. Give one for each image.")
    elif not isinstance(values, np.ndarray):
        raise UserError(f"{where}: the {what} are {_described(values)}. Give one for each image.")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise UserError(f"{where}: the {what} are no plain list ({error}). Give one for each image.") from None


def _from_one_hot(array: np.ndarray, where: str) -> np.ndarray:
    if not (np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all()):
        raise UserError(
            f"{where}: the labels have the shape {array.shape} and are not one-hot (one 1 in each row, else 0). Give "
            "one class for each image."
        )
    return array.argmax(axis=1)
