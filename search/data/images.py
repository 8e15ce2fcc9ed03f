"""Images as numbers: each file is decoded once, into memory-mapped uint8 arrays named by their content."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np

from search.data.decoding import DRAFT, Facts, extent_of, read_or_reason
from search.data.depth import BY_FILE, HEAD, Extent, Ranges, may_be_deep
from search.system.cache import lock_of, new_entry, stored
from search.system.digests import digest
from search.system.errors import UserError
from search.system.files import locked
from search.system.machine import cores, release
from search.system.progress import Steps

DECODING_VERSION = 4
THUMBNAIL = 96
CHUNK = 256  # images that wait to be written, and the most bytes that they may take
CHUNK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Decoded:
    """Images as numbers: ``pixels`` (n, size, size, 3) uint8 RGB, one row for each readable image.

    ``readable`` are the positions of those rows in the list that was asked for, ``unreadable``
    maps the other positions to the reason. ``facts`` are in the order of ``readable``; ``key`` names the content.
    """

    pixels: np.ndarray
    readable: tuple[int, ...]
    unreadable: dict[int, str]
    facts: tuple[Facts, ...]
    key: str


def extents(paths: Sequence[Path], contents: Sequence[str], cache: Path) -> dict[int, Extent]:
    """Return the kind and the values of the deep images among these, by position; of others there is nothing to know.

    Found in ``cache``, or looked up now in the files of these ``contents`` (SHA-256).
    """

    def fill(folder: Path) -> None:
        with ThreadPoolExecutor(cores()) as pool:
            found = {row: extent for row, extent in enumerate(pool.map(_extent_in, paths)) if extent}
        text = json.dumps({row: astuple(extent) for row, extent in found.items()})
        (folder / "extents.json").write_text(text, encoding="utf-8")

    def load(folder: Path) -> dict[int, Extent]:
        told = json.loads((folder / "extents.json").read_text(encoding="utf-8"))
        return {int(row): Extent(*fields) for row, fields in told.items()}

    return stored(cache / "extents" / digest(["extents", DECODING_VERSION, list(contents)]), fill, load)


def _extent_in(path: Path) -> Extent | None:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            return extent_of(head + file.read()) if may_be_deep(head) else None
    except OSError:  # said where it is decoded
        return None


def decode(
    paths: Sequence[Path],
    contents: Sequence[str],
    size: int,
    cache: Path,
    progress: Steps | None = None,
    ranges: Ranges = BY_FILE,
) -> Decoded:
    """Return the images at ``paths`` at ``size`` px, decoded now or found in ``cache``.

    ``contents`` are the SHA-256 of the files, and ``ranges`` say what is white in deep ones: they, the size and the
    version of this code name the entry, so renamed files are found and changed ones are decoded anew. Raises UserError
    for a file that is gone or no longer what ``contents`` says.
    """
    key = _key(size, contents, ranges)

    def load(folder: Path) -> Decoded:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        unreadable = {int(row): why for row, why in about["unreadable"].items()}
        readable = tuple(row for row in range(len(paths)) if row not in unreadable)
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        return Decoded(pixels[: len(readable)], readable, unreadable, tuple(Facts(*row) for row in about["facts"]), key)

    def fill(folder: Path) -> None:
        _fill({size: folder}, paths, contents, progress, ranges)

    return stored(cache / "decoded" / key, fill, load)


def decode_sizes(
    paths: Sequence[Path],
    contents: Sequence[str],
    sizes: Iterable[int],
    cache: Path,
    progress: Steps | None = None,
    ranges: Ranges = BY_FILE,
) -> dict[int, Decoded]:
    """Return the images at several sizes; those that are not in ``cache`` are all made in one pass over the files."""
    sizes = sorted(set(sizes))
    for group in ([size for size in sizes if size <= DRAFT], [size for size in sizes if size > DRAFT]):
        entries = {size: cache / "decoded" / _key(size, contents, ranges) for size in group}
        with contextlib.ExitStack() as stack:
            missing = [to for to in entries.values() if not to.is_dir()]
            for to in missing:  # from the smallest up in every process, so that no two wait for each other
                to.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(lock_of(to)))
            new = {size: stack.enter_context(new_entry(to)) for size, to in entries.items() if not to.is_dir()}
            if new:
                _fill(new, paths, contents, progress, ranges)
    return {size: decode(paths, contents, size, cache, ranges=ranges) for size in sizes}


def read_known(path: Path, content: str, size: int, ranges: Ranges) -> tuple[Facts, np.ndarray] | str:
    """Return an image whose content is ``content`` (SHA-256), decoded now, or why it cannot be read.

    Raises UserError where it is gone or another image than it was.
    """
    read = _try_read(path, content, [size], ranges)
    return read if isinstance(read, str) else (read[0], read[1][0])


def _key(size: int, contents: Sequence[str], ranges: Ranges) -> str:
    return digest(["decoded", DECODING_VERSION, size, list(contents), *ranges.key])


def _fill(
    folders: dict[int, Path],
    paths: Sequence[Path],
    contents: Sequence[str],
    progress: Steps | None,
    ranges: Ranges,
) -> None:
    """Write the pixels of the readable images in order at each size, and what is known of all of them."""
    sizes = list(folders)
    arrays = [_new_array(folders[size] / "pixels.npy", len(paths), size) for size in sizes]
    unreadable: dict[int, str] = {}
    facts: list[Facts] = []
    chunk = max(1, min(CHUNK, CHUNK_BYTES // sum(3 * size**2 for size in sizes)))
    with ThreadPoolExecutor(cores()) as pool:
        for at in range(0, len(paths), chunk):  # a whole data set of decoded images may not fit into memory
            part = slice(at, at + chunk)
            read = pool.map(lambda path, content: _try_read(path, content, sizes, ranges), paths[part], contents[part])
            for row, image in enumerate(read, start=at):
                if isinstance(image, str):
                    unreadable[row] = image
                else:
                    for array, square in zip(arrays, image[1], strict=True):
                        array[len(facts)] = square
                    facts.append(image[0])
                if progress:
                    progress(row + 1, len(paths))
            for array in arrays:
                release(array)
    about = {"unreadable": unreadable, "facts": [list(asdict(fact).values()) for fact in facts]}
    for array, folder in zip(arrays, folders.values(), strict=True):
        array.flush()
        (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _new_array(path: Path, rows: int, size: int) -> np.memmap:
    shape = (max(rows, 1), size, size, 3)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    _claim_space(path)
    return array


def _claim_space(path: Path) -> None:
    """Raise OSError now if the disk cannot hold the file: writing to a map of it would kill the process."""
    if hasattr(os, "posix_fallocate"):
        try:
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


def _try_read(path: Path, content: str, sizes: Sequence[int], ranges: Ranges) -> tuple[Facts, list[np.ndarray]] | str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"The image {path} is gone. Put it back; the same command then resumes.") from None
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    if hashlib.sha256(data).hexdigest() != content:
        raise UserError(f"The image {path} changed while the search ran. Put the old one back, or begin anew.")
    return read_or_reason(data, sizes, ranges, path.name)
