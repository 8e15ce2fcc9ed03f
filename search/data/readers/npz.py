"""Read the arrays of an ``.npz`` file piece by piece, believing nothing that it says of itself."""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from search.system.errors import UserError

MARK = "finetune_search_pack"  # the array that tells a pack from other people's files; it holds its format
_LARGE = 2**30
_MOST_SHRUNK = 1000  # deflate reaches 1032 on zeros, no photograph 10
_KINDS = "biufUS"
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """One array in an open ``.npz``: numbers or texts, never objects; its size is what the header says."""

    archive: zipfile.ZipFile
    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    def rows(self) -> Iterator[np.ndarray]:
        """Yield the array row by row, each of shape ``shape[1:]``, reading as it goes."""
        if self.fortran:
            yield from self.whole()
            return
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        for piece in self.pieces([size] * self.shape[0]):
            yield np.frombuffer(piece, self.dtype).reshape(self.shape[1:])

    def pieces(self, sizes: list[int]) -> Iterator[bytes]:
        """Yield the bytes of the array in pieces of these sizes. Raises UserError where they end early."""
        with damage_named(self.file, self.name), self.archive.open(f"{self.name}.npy") as handle:
            _header(handle)
            for size in sizes:
                piece = handle.read(size)
                if len(piece) != size:
                    raise EOFError("it ends early")
                yield piece

    def whole(self) -> np.ndarray:
        """Return the array."""
        (data,) = self.pieces([math.prod(self.shape) * self.dtype.itemsize])
        if not data:
            return np.zeros(self.shape, self.dtype)
        return np.frombuffer(data, self.dtype).reshape(self.shape, order="F" if self.fortran else "C")

    def texts(self) -> list[str]:
        """Return the texts of a flat array. Raises UserError for any other array."""
        if len(self.shape) != 1 or self.dtype.kind != "U":
            raise UserError(f"{self.file} is damaged: {self.name!r} holds no list of texts. Make it anew.")
        with damage_named(self.file, self.name):
            return [str(text) for text in self.whole().tolist()]


@contextlib.contextmanager
def open_npz(file: Path) -> Iterator[dict[str, Member]]:
    """Give the arrays of ``file`` by name, to be read while the block lasts.

    Raises UserError for a file that is no ``.npz`` or damaged, for arrays of objects (reading them
    would run code), and for sizes that the file cannot mean.
    """
    with contextlib.ExitStack() as stack:
        with damage_named(file):
            archive = stack.enter_context(zipfile.ZipFile(file))
            members = [_member(archive, info, file) for info in archive.infolist()]
        if len({member.name for member in members}) != len(members):
            raise UserError(f"{file} holds two arrays of one name. Make it anew.")
        yield {member.name: member for member in members}


@contextlib.contextmanager
def damage_named(file: Path, name: str = "") -> Iterator[None]:
    """Turn the errors that a damaged file raises into a UserError."""
    try:
        yield
    except _DAMAGE as error:
        where = f"{file}, array {name!r}," if name else f"{file}"
        if is_pack(file):
            raise UserError(
                f"{where} cannot be read as a whole pack ({error}). Copy it anew, or pack the images anew."
            ) from None
        raise UserError(
            f"{where} cannot be read as a whole .npz file ({error}). Copy or make it anew, with "
            "numpy.savez(file, x=images, y=labels)."
        ) from None


def is_pack(file: Path) -> bool:
    """Return whether a file, perhaps a damaged one, has the array that tells a pack from other people's files."""
    try:
        with zipfile.ZipFile(file) as archive:
            return f"{MARK}.npy" in archive.namelist()
    except _DAMAGE:
        return False


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path) -> Member:
    name = info.filename.removesuffix(".npy")
    if name == info.filename or info.compress_type not in _METHODS:
        raise ValueError(f"{info.filename!r} is no array that NumPy wrote")
    if info.file_size > _LARGE and info.file_size > _MOST_SHRUNK * info.compress_size:
        raise ValueError(f"{name!r} would swell from {info.compress_size} to {info.file_size} bytes")
    with archive.open(info) as handle:
        shape, fortran, dtype = _header(handle)
        begin = handle.tell()
    if dtype.hasobject:
        raise UserError(
            f"{file}: the array {name!r} holds Python objects, and to read them could run any code. Images of one "
            "size make a plain array (numpy.stack), texts one of dtype str; else give a folder for each class."
        )
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise UserError(f"{file}: the array {name!r} is of the type {dtype}. Save plain numbers or texts.")
    if math.prod(shape) * dtype.itemsize + begin != info.file_size:
        raise ValueError(f"{name!r} of shape {shape} and type {dtype} has {info.file_size - begin} bytes")
    return Member(archive, file, name, shape, dtype, fortran and len(shape) > 1)


def _header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(handle)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array in the format {version}")
    shape, fortran, dtype = readers[version](handle)
    if any(length < 0 for length in shape):
        raise ValueError(f"an array of shape {shape}")
    return shape, fortran, dtype
