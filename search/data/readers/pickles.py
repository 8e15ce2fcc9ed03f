"""Read pickled arrays without running anything that a pickle asks for.

A pickle is a programme: it may call whatever it can name. Here it can name stand-ins only, which
note what they are given; arrays are made of the notes afterwards, once their sizes are checked.
"""

import math
import mmap
import pickle
import pickletools
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from search.system.errors import UserError
from search.system.pickles import StandIn

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|[US]\d{1,6}|O[48]?)")
_BYTES = (bytes, bytearray)
_SMALL = 2**26  # bytes that any file may come to, however small
_MOST_SWOLLEN = 50  # pixels as nested lists reach 9, images that are listed many times as often as that
_MOST_AXES = 32  # NumPy's own limit, until version 2
_NUMBER, _CONTAINER, _IMAGE = 8, 128, 4096  # bytes, about; an image becomes a file
_OPERATIONS = {operation.code: operation for operation in pickletools.opcodes}
_INTEGERS = frozenset({"INT", "LONG", "LONG1", "LONG4"})
_COMPOUND = frozenset({"EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"})
_IN_PLACE = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"})
_HASHING = {"SETITEM": 2, "SETITEMS": 2, "DICT": 2, "ADDITEMS": 1, "FROZENSET": 1}  # each how many-th thing is hashed
_SWELLS = "what it lists again and again would come to far more than the file holds"
_FOREIGN = frozenset({"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"})
_HASHED = (str, bytes, int, float, type(None))
_SIZED = (str, *_BYTES, list, tuple, dict, set, frozenset)
_NO_CODEC = "text in the encoding of something else than a name"
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, ImportError),
    *(struct.error, OverflowError, MemoryError, RecursionError),
)


def _effect(operation: pickletools.OpcodeInfo) -> tuple[bool, int, int]:
    """Return whether an operation takes all above a mark, and how many things it takes (below that) and makes."""
    below, stays = operation.stack_before, operation.name in _IN_PLACE
    has_mark = pickletools.markobject in below
    takes = below.index(pickletools.markobject) if has_mark else len(below)
    return has_mark, takes - stays, len(operation.stack_after) - stays


_EFFECTS = {operation.name: _effect(operation) for operation in pickletools.opcodes}
_PUSHING = frozenset(name for name, effect in _EFFECTS.items() if effect == (False, 0, 1)) - {
    *_COMPOUND,
    *("MARK", "GET", "BINGET", "LONG_BINGET"),
}


def read_pickle(file: Path) -> Any:
    """Return what ``file`` holds: NumPy arrays, lists, tuples, dicts, sets, texts, bytes and numbers.

    Arrays of objects come back as lists. Python 2 texts are taken for Latin-1. Raises UserError
    for anything else that the pickle names (without running it), for a damaged file, and for one
    that would swell: what comes back is no larger than the file allows, written out in full.
    """
    try:
        with file.open("rb") as handle:
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _check_operations(content, file)
            most = max(_SMALL, _MOST_SWOLLEN * file.stat().st_size)
            value = _finished(_Reader(handle, file, most).load(), {})
            if _weight(value, {}) > most:
                raise ValueError(_SWELLS)
            return value
    except _DAMAGE as error:
        problem = str(error) or type(error).__name__
        raise UserError(
            f"{file} cannot be read as pickled arrays ({problem}). Make it anew, or save the arrays with "
            "numpy.savez(file, x=images, y=labels)."
        ) from None


def _check_operations(handle: Any, file: Path) -> None:
    """Refuse what would allocate far more than the file holds, or come from outside it.

    Each reader raises ValueError where a declared length is not there; the C unpickler would
    allocate it first (as a plain file would, a map does not), and a memo as long as the largest
    place that a pickle names.
    """
    size, stack = len(handle), _Stack()
    while code := handle.read(1):
        operation = _OPERATIONS[code.decode("latin-1")]
        if operation.name in _FOREIGN:
            raise UserError(
                f"{file} refers to things outside the file ({operation.name}), which cannot be read. {_WAY_OUT}"
            )
        argument = None
        if operation.name == "STRING":  # whose reader takes ASCII only, while Python 2 wrote arrays so
            handle.readline()
        elif operation.arg is not None:
            argument = operation.arg.reader(handle)
            if operation.name.endswith("PUT") and argument > size:
                raise ValueError("a memo longer than the file")
            if operation.name in _INTEGERS and int(argument).bit_length() > 64:
                raise ValueError("a number of more than 64 bits")
        if operation.name == "STOP":
            break
        stack.follow(operation.name, argument)
    if handle.read(1):
        raise UserError(
            f"{file} holds more than one pickled object. Pickle one tuple of them: pickle.dump((images, labels), file)."
        )


class _Stack:
    """The unpickler's stack and memo, as far as to know what is a tuple or frozen set.

    No key and no member of a set may be one: to hash a tuple that holds another one twice, which
    does so too, takes time exponential in the depth, and the unpickler does it while it reads.
    """

    def __init__(self) -> None:
        self._compound: list[bool] = []
        self._marks: list[int] = []
        self._memo: dict[int, bool] = {}

    def follow(self, name: str, argument: Any) -> None:
        if name in _PUSHING:
            self._compound.append(False)
        elif name == "MARK":
            self._marks.append(len(self._compound))
        elif name == "POP" and self._marks and self._marks[-1] == len(self._compound):
            self._marks.pop()
        elif name == "MEMOIZE" or name.endswith("PUT"):
            self._memo[len(self._memo) if argument is None else argument] = self._compound[-1]
        elif name.endswith("GET"):
            self._compound.append(self._memo.get(argument, False))
        elif name == "DUP":
            self._compound.append(self._compound[-1])
        else:
            self._change(name)

    def _change(self, name: str) -> None:
        """Take from the stack what the operation takes, and put on it what it makes."""
        has_mark, takes, makes = _EFFECTS[name]
        start = (self._marks.pop() if has_mark else len(self._compound)) - takes
        if start < 0:
            raise ValueError("more is taken than is there")
        if name in _HASHING and any(self._compound[start :: _HASHING[name]]):
            raise ValueError("a tuple or set as a key")
        self._compound[start:] = [name in _COMPOUND] * makes


_WAY_OUT = (
    "Only arrays, lists, tuples, dicts, texts and numbers are read, because a pickle can run any code. "
    "Save the arrays with numpy.savez(file, x=images, y=labels)."
)


class _Type:
    """The note of a ``numpy.dtype``."""

    __slots__ = ("dtype",)

    def __init__(self, name: Any, *_: Any) -> None:
        text = name.decode("ascii") if isinstance(name, bytes) else name
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise ValueError(f"an array of the type {text[:20]!r}" if isinstance(text, str) else "an array of no type")
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
        shape, type_, fortran, data = state[-4:]
        self.state = (shape, type_, "F" if fortran else "C", data)


def _from_buffer(data: Any, type_: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
    if order == "K" or axes is not None:
        raise ValueError("an array whose axes are in an order of its own; numpy.ascontiguousarray mends it")
    return _Array((shape, type_, order, data))


def _scalar(type_: Any, data: Any) -> Any:
    return _numbers((), type_, "C", data)[()].item()


def _encoded(text: Any, codec: Any = None) -> bytes:
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text in the encoding {codec[:20]!r}" if isinstance(codec, str) else _NO_CODEC)
    return text.encode("latin-1")


def _members(items: Any = ()) -> Any:
    if not all(isinstance(item, _HASHED) for item in items):
        raise ValueError("a set of more than texts and numbers")
    return items


_ARRAYS = {"_reconstruct": StandIn(lambda *_: _Array()), "scalar": StandIn(_scalar)}
_PYTHON = {
    "set": StandIn(lambda *items: set(_members(*items))),
    "frozenset": StandIn(lambda *items: frozenset(_members(*items))),
    "bytes": StandIn(lambda: b""),
}
_ADMITTED: dict[str, dict[str, StandIn]] = {
    "numpy": {"ndarray": StandIn(lambda *_: _Array()), "dtype": StandIn(_Type)},
    "numpy.core.multiarray": _ARRAYS,
    "numpy._core.multiarray": _ARRAYS,
    "numpy.core.numeric": {"_frombuffer": StandIn(_from_buffer)},
    "numpy._core.numeric": {"_frombuffer": StandIn(_from_buffer)},
    "_codecs": {"encode": StandIn(_encoded)},
    "builtins": _PYTHON,
    "__builtin__": _PYTHON,
}


class _Reader(pickle.Unpickler):
    def __init__(self, handle: BinaryIO, file: Path, most: int) -> None:
        super().__init__(handle, encoding="latin-1")
        self._file = file
        self._allowance = most

    def find_class(self, module: str, name: str) -> Any:
        try:
            make = _ADMITTED[module][name]
        except KeyError:
            raise UserError(f"{self._file} asks for {module}.{name}, which was not run. {_WAY_OUT}") from None
        return StandIn(lambda *arguments: make(*self._counted(arguments)))

    def _counted(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments of a call; a few bytes ask for the same call again, and each may copy them."""
        self._allowance -= sum(len(argument) for argument in arguments if isinstance(argument, _SIZED))
        if self._allowance < 0:
            raise ValueError(_SWELLS)
        return arguments

    def persistent_load(self, pid: Any) -> Any:
        raise UserError(f"{self._file} refers to {pid!r} outside the file, which cannot be read. {_WAY_OUT}")


def _finished(value: Any, memo: dict[int, tuple[Any, Any]]) -> Any:
    """Return ``value`` with arrays for their notes; ``memo`` keeps shared parts shared."""
    if not isinstance(value, (list, tuple, dict, _Array, StandIn, _Type)):
        return value
    if id(value) not in memo:
        memo[id(value)] = value, _Array  # until it is finished: to meet it again means that it holds itself
        memo[id(value)] = value, _remade(value, memo)
    _, result = memo[id(value)]
    if result is _Array:
        raise ValueError("an object that holds itself")
    return result


def _remade(value: Any, memo: dict[int, tuple[Any, Any]]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_finished(item, memo) for item in value)
    if isinstance(value, dict):
        return {key: _finished(item, memo) for key, item in value.items()}
    if not isinstance(value, _Array) or value.state is None:
        raise ValueError("an array without content")
    shape, type_, order, data = value.state
    if isinstance(data, list):
        if len(shape) != 1 or shape[0] != len(data):
            raise ValueError(f"an array of {len(data)} objects in another shape")
        return _finished(data, memo)
    if isinstance(data, str):  # Python 2
        if id(data) not in memo:  # many arrays can share one text
            memo[id(data)] = data, data.encode("latin-1")
        _, data = memo[id(data)]
    return _numbers(shape, type_, order, data)


def _numbers(shape: Any, type_: Any, order: Any, data: Any) -> np.ndarray:
    if isinstance(data, str):  # Python 2
        data = data.encode("latin-1")
    if not isinstance(type_, _Type) or type_.dtype.hasobject or not isinstance(data, _BYTES):
        raise ValueError("an array of unknown content")
    lengths = tuple(shape[: _MOST_AXES + 1])
    if len(lengths) > _MOST_AXES or not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise ValueError("an array of no possible shape")
    if math.prod(lengths) * type_.dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {lengths} and {len(data)} bytes")
    return np.frombuffer(data, type_.dtype).reshape(lengths, order=order)


def _weight(value: Any, sums: dict[int, int]) -> int:
    """Return about how many bytes a value comes to where nothing is shared; ``sums`` keeps those of its parts."""
    if isinstance(value, np.ndarray):
        # Of no bytes at all there can be very many rows.
        size = math.prod(max(1, length) for length in value.shape) * value.itemsize
        return max(_CONTAINER if value.ndim < 2 else _IMAGE, size)
    if isinstance(value, (str, *_BYTES)):
        return _NUMBER + len(value)
    if not isinstance(value, (list, tuple, dict, set, frozenset)):
        return _NUMBER
    if id(value) not in sums:
        items = [*value, *value.values()] if isinstance(value, dict) else value
        sums[id(value)] = _CONTAINER + sum(_NUMBER if type(item) is int else _weight(item, sums) for item in items)
    return sums[id(value)]
