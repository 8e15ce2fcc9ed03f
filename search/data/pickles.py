"""Read pickled arrays without running anything that a pickle asks for.

A pickle is a programme: it may call whatever it can name. Here it can name stand-ins only, which
note what they are given; arrays are made of the notes afterwards, once their sizes are checked.
"""

import math
import pickle
import pickletools
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from search.errors import UserError

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|[US]\d{1,6}|O[48]?)")
_BYTES = (bytes, bytearray)
_OPERATIONS = {operation.code: operation for operation in pickletools.opcodes}
_FOREIGN = frozenset({"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"})
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, ImportError),
    *(struct.error, OverflowError, MemoryError, RecursionError),
)


def read_pickle(file: Path) -> Any:
    """Return what ``file`` holds: NumPy arrays, lists, tuples, dicts, sets, texts, bytes and numbers.

    Arrays of objects come back as lists. Python 2 texts are taken for Latin-1. Raises UserError
    for anything else that the pickle names (without running it), and for a damaged file.
    """
    try:
        with file.open("rb") as handle:
            _check_operations(handle, file)
            handle.seek(0)
            value = _Reader(handle, file).load()
        return _finished(value, {})
    except _DAMAGE as error:
        problem = str(error) or type(error).__name__
        raise UserError(
            f"{file} cannot be read as pickled arrays ({problem}). Make it anew, or save the arrays with "
            "numpy.savez(file, x=images, y=labels)."
        ) from None


def _check_operations(handle: BinaryIO, file: Path) -> None:
    """Refuse what would allocate far more than the file holds, or come from outside it.

    Each reader raises ValueError where a declared length is not there; the C unpickler would
    allocate it first, and a memo as long as the largest place that a pickle names.
    """
    size = file.stat().st_size
    while code := handle.read(1):
        operation = _OPERATIONS[code.decode("latin-1")]
        if operation.name in _FOREIGN:
            raise UserError(
                f"{file} refers to things outside the file ({operation.name}), which cannot be read. {_WAY_OUT}"
            )
        if operation.name == "STRING":  # whose reader takes ASCII only, while Python 2 wrote arrays so
            handle.readline()
        elif operation.arg is not None:
            argument = operation.arg.reader(handle)
            if operation.name.endswith("PUT") and argument > size:
                raise ValueError("a memo longer than the file")
        if operation.name == "STOP":
            break
    if handle.read(1):
        raise UserError(
            f"{file} holds more than one pickled object. Pickle one tuple of them: pickle.dump((images, labels), file)."
        )


_WAY_OUT = (
    "Only arrays, lists, tuples, dicts, texts and numbers are read, because a pickle can run any code. "
    "Save the arrays with numpy.savez(file, x=images, y=labels)."
)


class _Named:
    """What a pickle may name: it can be called, and nothing else can be done to it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        # Without this method a pickle could set the attributes of the object, for good.
        raise pickle.UnpicklingError("a state for what has none")


class _Type:
    """The note of a ``numpy.dtype``."""

    __slots__ = ("dtype",)

    def __init__(self, name: Any, *_: Any) -> None:
        text = name.decode("ascii") if isinstance(name, bytes) else name
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise ValueError(f"an array of the type {text!r}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        _, order, *compound = state[:5]
        if any(part is not None for part in compound):
            raise ValueError("an array of records")
        if order == ">":
            self.dtype = self.dtype.newbyteorder(">")
        elif order == "<":
            self.dtype = self.dtype.newbyteorder("<")


class _Array:
    """The note of a ``numpy.ndarray``: its state, unchecked."""

    __slots__ = ("state",)

    def __init__(self, state: Any = None) -> None:
        self.state = state

    def __setstate__(self, state: Any) -> None:
        *_, shape, type_, fortran, data = state
        self.state = (shape, type_, "F" if fortran else "C", data)


def _from_buffer(data: Any, type_: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
    if order == "K" or axes is not None:
        raise ValueError("an array whose axes are in an order of its own; numpy.ascontiguousarray mends it")
    return _Array((shape, type_, order, data))


def _scalar(type_: Any, data: Any) -> Any:
    return _numbers((), type_, "C", data)[()].item()


def _encoded(text: Any, codec: Any = None) -> bytes:
    if not isinstance(text, str) or codec not in {"latin1", "latin-1"}:
        raise pickle.UnpicklingError(f"text in the encoding {codec!r}")
    return text.encode("latin-1")


_ARRAYS = {"_reconstruct": _Named(lambda *_: _Array()), "scalar": _Named(_scalar)}
_PYTHON = {"set": _Named(set), "frozenset": _Named(frozenset), "bytes": _Named(lambda: b"")}
_ADMITTED: dict[str, dict[str, _Named]] = {
    "numpy": {"ndarray": _Named(lambda *_: _Array()), "dtype": _Named(_Type)},
    "numpy.core.multiarray": _ARRAYS,
    "numpy._core.multiarray": _ARRAYS,
    "numpy.core.numeric": {"_frombuffer": _Named(_from_buffer)},
    "numpy._core.numeric": {"_frombuffer": _Named(_from_buffer)},
    "_codecs": {"encode": _Named(_encoded)},
    "builtins": _PYTHON,
    "__builtin__": _PYTHON,
}


class _Reader(pickle.Unpickler):
    def __init__(self, handle: BinaryIO, file: Path) -> None:
        super().__init__(handle, encoding="latin-1")
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module][name]
        except KeyError:
            raise UserError(f"{self._file} asks for {module}.{name}, which was not run. {_WAY_OUT}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise UserError(f"{self._file} refers to {pid!r} outside the file, which cannot be read. {_WAY_OUT}")


def _finished(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """Return ``value`` with arrays for their notes; ``done`` keeps shared parts shared."""
    if not isinstance(value, (list, tuple, dict, _Array, _Named, _Type)):
        return value
    if id(value) not in done:
        done[id(value)] = value, _Array  # until it is finished: to meet it again means that it holds itself
        done[id(value)] = value, _remade(value, done)
    _, result = done[id(value)]
    if result is _Array:
        raise ValueError("an object that holds itself")
    return result


def _remade(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_finished(item, done) for item in value)
    if isinstance(value, dict):
        return {key: _finished(item, done) for key, item in value.items()}
    if not isinstance(value, _Array) or value.state is None:
        raise ValueError("an array without content")
    shape, type_, order, data = value.state
    if isinstance(data, list):
        if tuple(shape) != (len(data),):
            raise ValueError(f"an array of objects of shape {shape}")
        return _finished(data, done)
    return _numbers(shape, type_, order, data)


def _numbers(shape: Any, type_: Any, order: Any, data: Any) -> np.ndarray:
    if isinstance(data, str):  # Python 2
        data = data.encode("latin-1")
    if not isinstance(type_, _Type) or type_.dtype.hasobject or not isinstance(data, _BYTES):
        raise ValueError("an array of unknown content")
    lengths = tuple(shape)
    if not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise ValueError(f"an array of shape {lengths}")
    if math.prod(lengths) * type_.dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {lengths} and {len(data)} bytes")
    return np.frombuffer(data, type_.dtype).reshape(lengths, order=order)
