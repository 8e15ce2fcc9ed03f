"""The files that jobs read, images and weights, for machines that may not have them: listed, packed and unpacked."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import weights_file
from search.system.cache import claim, stored
from search.system.digests import digest, file_sha256
from search.system.errors import UserError
from search.system.machine import cores

if TYPE_CHECKING:
    from search.training.materials import Materials

CHUNK_BYTES = 64 * 2**20  # of a pack; a larger file is a chunk of its own


@dataclass(frozen=True)
class Item:
    """A file by its ``path`` on the driver's machine and its SHA-256; ``name`` is its path in an unpacked folder."""

    path: Path
    sha256: str
    name: str


@dataclass(frozen=True)
class Chunk:
    """Some files with their ``sizes`` in bytes, and their bytes one after another, ``data`` (n,)."""

    items: tuple[Item, ...]
    sizes: tuple[int, ...]
    data: np.ndarray


def items_of(materials: "Materials") -> tuple[Item, ...]:
    """Return the images of a search, real and synthetic, and those weights that lie in Keras' own folder."""
    pool = materials.pool
    images = dict(zip(materials.contents, materials.paths, strict=True))
    images |= dict(zip(pool.contents, pool.paths, strict=True)) if pool else {}
    items = [Item(path, content, f"images/{content}{path.suffix}") for content, path in images.items()]
    for name, sha256 in materials.weights.items():
        file = weights_file(BACKBONES[name]) if sha256 and name in BACKBONES else None
        if file is not None and file.resolve().is_relative_to(materials.keras_home):
            items.append(Item(file, sha256, f"models/{file.name}"))
    return tuple(items)


def are_here(items: Sequence[Item]) -> bool:
    """Return whether this machine sees all these files, the same to the last byte."""

    def is_here(item: Item) -> bool:
        try:
            return file_sha256(item.path) == item.sha256
        except OSError:
            return False

    first = items[:1]  # mostly enough to tell that there is nothing
    with ThreadPoolExecutor(cores()) as pool:
        return all(map(is_here, first)) and all(pool.map(is_here, items[1:]))


def packed(items: Sequence[Item]) -> Iterator[Chunk]:
    """Yield the files in chunks. Raises UserError for a file that is gone or no longer what it was."""
    parts: list[tuple[Item, bytes]] = []
    total = 0
    for item in items:
        data = _read(item)
        if parts and total + len(data) > CHUNK_BYTES:
            yield _chunk(parts)
            parts, total = [], 0
        parts.append((item, data))
        total += len(data)
    if parts:
        yield _chunk(parts)


def _chunk(parts: Sequence[tuple[Item, bytes]]) -> Chunk:
    items, files = zip(*parts, strict=True)
    return Chunk(items, tuple(map(len, files)), np.frombuffer(b"".join(files), np.uint8))


def _read(item: Item) -> bytes:
    try:
        data = item.path.read_bytes()
    except OSError as error:
        raise UserError(f"{item.path} cannot be sent to another machine: {error.strerror}.") from None
    if hashlib.sha256(data).hexdigest() != item.sha256:
        raise UserError(f"{item.path} changed while the search ran. Put the old file back, or begin anew.")
    return data


def unpacked(items: Sequence[Item], chunks: Callable[[], Iterable[Chunk]], cache: Path) -> Path:
    """Return the folder in ``cache`` that holds the files; ``chunks`` gives them where they are not there yet.

    Raises UserError for one that has not arrived as it was sent.
    """

    def fill(folder: Path) -> None:
        for place in {item.name.partition("/")[0] for item in items}:
            (folder / place).mkdir()
        for chunk in chunks():
            _write(folder, chunk)

    def load(folder: Path) -> Path:
        return folder

    claim(cache)
    return stored(cache / "unpacked" / digest(["parcel", [[item.name, item.sha256] for item in items]]), fill, load)


def _write(folder: Path, chunk: Chunk) -> None:
    ends = np.cumsum(chunk.sizes)
    for item, size, end in zip(chunk.items, chunk.sizes, ends, strict=True):
        content = chunk.data[end - size : end].tobytes()
        if hashlib.sha256(content).hexdigest() != item.sha256:
            raise UserError(f"{item.path} was damaged on its way to this machine. The same command sends it again.")
        (folder / item.name).write_bytes(content)


def moved(materials: "Materials", items: Sequence[Item], folder: Path) -> "Materials":
    """Return what jobs share, with the images and weights of the unpacked ``folder``."""
    names = {item.sha256: folder / item.name for item in items}
    pool = materials.pool
    if pool:
        pool = dataclasses.replace(pool, paths=_paths(pool.contents, names))
    home = folder if any(item.name.startswith("models/") for item in items) else materials.keras_home
    return dataclasses.replace(materials, paths=_paths(materials.contents, names), pool=pool, keras_home=home)


def _paths(contents: Iterable[str], names: Mapping[str, Path]) -> tuple[Path, ...]:
    return tuple(names[content] for content in contents)
