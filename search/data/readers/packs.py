"""A data set as one file: the very bytes of its images and what is known of each, in one ``.npz``."""

import contextlib
import csv
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import IO

import numpy as np

from search.data.dataset import MANIFEST_COLUMN
from search.data.readers.manifest import MANIFEST
from search.data.readers.npz import MARK, Member
from search.data.readers.paths import check_names, check_outside
from search.system.cache import CHECKSUMS
from search.system.errors import UserError
from search.system.files import new_file

COLUMNS = ("image", "label", "split")
FORMAT = 1
_TEXTS = ("ids", "splits")
_KEYS = (MARK, *_TEXTS, "labels", "class_names", "ends", "bytes")
_CHUNK = 2**20
KEPT = {MANIFEST, CHECKSUMS}  # names beside the images of an entry of the cache
_LONGEST_NAME = 255


def pack(
    ids: Sequence[str],
    paths: Sequence[Path],
    labels: Sequence[str],
    splits: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    to: Path,
) -> None:
    """Write the images at ``paths`` as one file ``to``, which :func:`unpack_pack` turns back into the same files.

    One row an image: ``ids`` are paths with slashes, ``labels`` class names, ``splits`` may be "",
    ``columns`` are those of a manifest beside these, such as ``group``. The file is a plain
    ``.npz``: ``bytes`` holds the files one after another, ``ends`` where each ends, ``given_group``
    a column. Raises UserError for a file that is there already or is no ``.npz``, an image that is
    gone or changes meanwhile, and names that no table or folder could hold.
    """
    check_target(to)
    if not ids:
        raise UserError(f"There are no images to put into {to}.")
    if len({*map(len, (ids, paths, labels, splits, *columns.values()))}) != 1:
        raise ValueError("ids, paths, labels, splits and columns differ in length")
    _check_texts(ids, labels, splits, columns, "The data set")
    classes, numbers = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    arrays = {MARK: np.array(FORMAT), "class_names": classes, "labels": numbers.astype(np.int64)}
    more = {MANIFEST_COLUMN + name: texts for name, texts in columns.items()}
    for name, texts in {"ids": ids, "splits": splits, **more}.items():
        arrays[name] = np.array(texts, dtype=np.str_)
    with _new_pack(to) as handle, zipfile.ZipFile(handle, "w") as archive, _every_image_there():
        arrays["ends"] = np.cumsum([path.stat().st_size for path in paths], dtype=np.int64)
        for name, array in arrays.items():
            with _entry(archive, name) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
        with _entry(archive, "bytes") as entry:
            _write_images(entry, paths, arrays["ends"])


def unpack_pack(members: Mapping[str, Member], file: Path, folder: Path) -> None:
    """Write the images of the pack ``file`` and their manifest below ``folder``, byte for byte.

    Raises UserError for a pack of another format, a damaged one, and ids that lead elsewhere.
    """
    absent = [key for key in _KEYS if key not in members]
    number = members[MARK].whole()
    if number.shape or number.dtype.kind not in "iu" or number != FORMAT:
        raise UserError(f"{file} is a pack of another format than {FORMAT}. Use the version that wrote it.")
    if absent:
        raise UserError(f"{file} is damaged: the array {absent[0]!r} is missing. Pack the images anew.")
    ids, splits = (members[key].texts() for key in _TEXTS)
    more = [name for name in members if name.startswith(MANIFEST_COLUMN)]
    columns = {name.removeprefix(MANIFEST_COLUMN): members[name].texts() for name in more}
    labels = _named(members["labels"], members["class_names"].texts(), file)
    ends = members["ends"].whole()
    sizes = np.diff(ends, prepend=0) if ends.ndim == 1 and ends.dtype == np.int64 else np.array([-1])
    lengths = {*map(len, (ids, splits, labels, sizes, *columns.values()))}
    content = members["bytes"]
    if len(lengths) != 1 or (sizes < 0).any() or content.shape != (sizes.sum(),) or content.dtype != np.uint8:
        raise UserError(f"{file} is damaged: its arrays do not fit each other. Pack the images anew.")
    _check_texts(ids, labels, splits, columns, str(file))
    for id_, chunks in zip(ids, _chunked(content, sizes.tolist()), strict=True):
        write_new(folder / id_, chunks, str(file))
    write_manifest(folder, {**dict(zip(COLUMNS, (ids, labels, splits), strict=True)), **columns})


def write_manifest(folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """Write ``folder/manifest.csv`` of its columns by name."""
    with (folder / MANIFEST).open("x", encoding="utf-8", newline="") as file:
        # All is quoted, as this module would leave a lone carriage return bare, where readers see a new line.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_new(path: Path, chunks: Iterable[bytes], where: str) -> None:
    """Write a file that is not there yet, and its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{where}: two images would be the same file {path.name!r}. Rename one of them.") from None


def check_target(to: Path, *places: Path) -> None:
    """Raise UserError unless ``to`` can be a new pack that lies outside ``places``, where the images are."""
    if to.suffix.lower() != ".npz":
        raise UserError(f"{to} must end in .npz, as no data set of another name would be read as a pack. Rename it.")
    for place in places:
        check_outside(to, place, "Name a file elsewhere")
    if to.exists():
        raise UserError(f"{to} is there already. Name another file, or move that one away.")
    if not to.parent.is_dir():
        raise UserError(f"There is no folder {to.parent} to put {to.name} into. Make it first.")


def _check_texts(
    ids: Sequence[str], labels: Sequence[str], splits: Sequence[str], columns: Mapping[str, Sequence[str]], where: str
) -> None:
    """Raise UserError for what the manifest of a pack could not hold."""
    _check_ids(ids, where)
    for texts in (labels, splits, columns, columns.get("group", ())):
        check_names(texts, where)
    for name, texts in columns.items():
        if name in COLUMNS or name != name.strip() or not name:
            raise UserError(f"{where}: a column cannot be called {name!r}. Rename it.")
        # Other columns may hold line breaks.
        bad = next((text for text in texts if re.search("[\0\ud800-\udfff]", text)), None)
        if bad is not None:
            raise UserError(f"{where}: the column {name!r} holds {bad!r}, which is not valid UTF-8. Mend it.")


def _check_ids(ids: Sequence[str], where: str) -> None:
    """Raise UserError unless every id names a file of its own inside a folder."""
    check_names(ids, where)
    earlier: set[str] = set()
    for id_ in ids:
        parts = id_.split("/")
        if {"", ".", ".."}.intersection(parts) or "\\" in id_ or PureWindowsPath(id_).drive:
            raise UserError(f"{where}: {id_!r} is no path of an image within a folder. Rename it.")
        if max(len(part.encode()) for part in parts) > _LONGEST_NAME:
            raise UserError(f"{where}: the name {id_!r} is too long for a file. Rename it.")
        if id_ in earlier or parts[0].lower() in KEPT:
            problem = "is there twice" if id_ in earlier else "is kept for a list of the images"
            raise UserError(f"{where}: the name {id_!r} {problem}. Rename the image.")
        earlier.add(id_)


def _named(labels: Member, classes: list[str], file: Path) -> list[str]:
    numbers = labels.whole()
    whole = numbers.ndim == 1 and numbers.dtype == np.int64
    if not whole or (numbers < 0).any() or (numbers >= len(classes)).any():
        raise UserError(f"{file} is damaged: its labels name no classes. Pack the images anew.")
    return [classes[number] for number in numbers]


def _chunked(content: Member, sizes: list[int]) -> Iterator[Iterator[bytes]]:
    """Yield the chunks of each file; they must be taken in order."""
    cuts = [[min(_CHUNK, size - at) for at in range(0, size, _CHUNK)] for size in sizes]
    pieces = content.pieces([cut for file in cuts for cut in file])
    for file in cuts:
        yield (next(pieces) for _ in file)
    next(pieces, None)


def _write_images(entry: IO[bytes], paths: Sequence[Path], ends: np.ndarray) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (int(ends[-1]),)}
    np.lib.format.write_array_header_2_0(entry, header)
    for path, size in zip(paths, np.diff(ends, prepend=0).tolist(), strict=True):
        with path.open("rb") as image:
            written = 0
            while chunk := image.read(_CHUNK):
                written += entry.write(chunk)
        if written != size:
            raise UserError(f"The image {path} changed while it was packed. Pack again.")


def _entry(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(f"{name}.npy")  # of 1980, so that equal images make equal packs
    return archive.open(info, "w", force_zip64=True)


@contextlib.contextmanager
def _every_image_there() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"The image {error.filename} is gone. Put it back, and pack again.") from None


@contextlib.contextmanager
def _new_pack(to: Path) -> Iterator[IO[bytes]]:
    with new_file(to) as file:
        yield file
        check_target(to)  # again: packing takes its time
