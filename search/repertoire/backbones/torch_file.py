"""Weights in torch's first kind of file, read without torch and without running anything that the file asks for.

Five pickles (a magic number, the version, the machine, the tensors, the keys of the storages), then each
storage as its length and its raw numbers. A tensor is a view of a storage: an offset, a shape and strides.
"""

import hashlib
import io
import math
import pickle
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from search.system.pickles import StandIn

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_MOST = 2**28  # bytes of a file; the largest that is read here has a tenth of that
_MOST_AXES = 32
_LENGTH = struct.Struct("<q")
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, TypeError, LookupError, AttributeError, ImportError),
    *(struct.error, OverflowError, MemoryError, RecursionError, UnicodeDecodeError),
)


class _Storage(NamedTuple):
    """The note of a row of numbers in the file: its key, their type and how many they are."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """The note of a tensor: a view of a storage, counted in numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Table(dict[Any, Any]):
    """An ordered dict, whose further state is passed over: torch keeps the versions of layers in it."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


def _rebuilt(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(type(number) is int and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("a tensor of no storage, or at no possible place in it")
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise pickle.UnpicklingError("a tensor of no possible shape")
    return _Tensor(storage, offset, shape, strides)


def _uncalled(*_: Any) -> Any:
    raise pickle.UnpicklingError("a storage that is made in place")


_FLOATS, _INTEGERS = StandIn(_uncalled), StandIn(_uncalled)
_DTYPES = {_FLOATS: "<f4", _INTEGERS: "<i8"}
_ADMITTED = {
    "collections.OrderedDict": StandIn(_Table),
    "torch._utils._rebuild_tensor_v2": StandIn(_rebuilt),
    "torch.FloatStorage": _FLOATS,
    "torch.LongStorage": _INTEGERS,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which was not run") from None

    def persistent_load(self, pid: Any) -> _Storage:
        what, kind, key, _place, length, _view = pid
        if what != "storage" or not isinstance(key, str) or type(length) is not int or length < 0:
            raise pickle.UnpicklingError("a thing outside the file")
        return _Storage(key, _DTYPES[kind], length)


def tensors(file: Path, sha256: str) -> dict[str, np.ndarray]:
    """Return the tensors in ``file`` by their names, as arrays of 32-bit floats or 64-bit integers.

    Raises ValueError where its SHA-256 is not ``sha256``, before anything of it is parsed, and where it
    holds anything but whole tensors of these two kinds; OSError where it cannot be read.
    """
    if file.stat().st_size > _MOST:
        raise ValueError(f"it has more than {_MOST} bytes")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("its SHA-256 is another")
    stream = io.BytesIO(content)
    try:
        return _parsed(stream, content)
    except _DAMAGE as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _parsed(stream: io.BytesIO, content: bytes) -> dict[str, np.ndarray]:
    magic, version, machine, notes, keys = (_Reader(stream).load() for _ in range(5))
    if magic != _MAGIC or version != _VERSION or machine["little_endian"] is not True:
        raise pickle.UnpicklingError("it is of another kind")
    if not isinstance(notes, dict) or not all(isinstance(note, _Tensor) for note in notes.values()):
        raise pickle.UnpicklingError("it holds more than tensors")
    storages = {note.storage.key: note.storage for note in notes.values()}
    if sorted(keys) != sorted(storages):
        raise pickle.UnpicklingError("its storages are not those of its tensors")
    numbers = {key: _numbers(storages[key], stream, content) for key in keys}
    if stream.read(1):
        raise pickle.UnpicklingError("more follows its storages")
    return {str(name): _array(note, numbers[note.storage.key]) for name, note in notes.items()}


def _numbers(storage: _Storage, stream: io.BytesIO, content: bytes) -> np.ndarray:
    """Return the numbers of the storage that comes next, as a view of the content."""
    (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
    dtype = np.dtype(storage.dtype)
    if length != storage.length or length * dtype.itemsize > len(content) - stream.tell():
        raise pickle.UnpicklingError("a storage of another length")
    start = stream.tell()
    stream.seek(length * dtype.itemsize, io.SEEK_CUR)
    return np.frombuffer(content, dtype, length, start)


def _array(note: _Tensor, numbers: np.ndarray) -> np.ndarray:
    """Return the tensor as an array of its own, in the usual order; it must lie in its storage, each number once."""
    last = note.offset + sum((n - 1) * stride for n, stride in zip(note.shape, note.strides, strict=True))
    if 0 in note.shape or last >= len(numbers) or math.prod(note.shape) > len(numbers):
        raise pickle.UnpicklingError("a tensor that lies outside its storage")
    steps = [stride * numbers.itemsize for stride in note.strides]
    return np.lib.stride_tricks.as_strided(numbers[note.offset :], note.shape, steps).copy()
