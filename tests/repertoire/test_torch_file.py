"""Files of weights in torch's first format: read whole and to the letter, or refused, and nothing in them is run."""

import collections
import hashlib
import io
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from search.repertoire.backbones.torch_file import tensors

pytestmark = pytest.mark.quick

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
MACHINE = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
RAN = []  # what a file that runs something would fill


class Storage:
    """What a tensor is a view of, as torch writes it: by a reference outside the pickle."""

    def __init__(self, key, numbers, length=None):
        self.key, self.numbers = key, numbers
        self.length = len(numbers) if length is None else length


class Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return Name("torch._utils", "_rebuild_tensor_v2"), self.arguments


class Name:
    """A name of a module that is not here."""

    def __init__(self, module, name):
        self.text = f"c{module}\n{name}\n".encode()

    def __call__(self):
        raise AssertionError


class Writer(pickle._Pickler):
    def save(self, thing, *args, **options):
        if isinstance(thing, Name):
            self.write(thing.text)
        else:
            super().save(thing, *args, **options)

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        kind = "FloatStorage" if thing.numbers.dtype == np.float32 else "LongStorage"
        return "storage", Name("torch", kind), thing.key, "cpu", thing.length, None


def pickled(thing):
    buffer = io.BytesIO()
    Writer(buffer, 2).dump(thing)
    return buffer.getvalue()


def written(folder, notes, storages, keys=None, magic=MAGIC, machine=MACHINE, more=b""):
    """Write a file, and return it with its digest."""
    keys = [storage.key for storage in storages] if keys is None else keys
    content = b"".join(map(pickled, (magic, VERSION, machine, notes, keys)))
    for storage in storages:
        content += struct.pack("<q", len(storage.numbers)) + storage.numbers.tobytes()
    return saved(folder, content + more)


def saved(folder, content):
    path = folder / "weights.pth"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


FLOATS = Storage("1", np.arange(24, dtype=np.float32))
COUNTS = Storage("2", np.array([7], dtype=np.int64))


def test_tensors_come_with_their_offsets_and_strides(tmp_path):
    notes = collections.OrderedDict(
        rows=Tensor(FLOATS, 0, (4, 3, 2), (6, 2, 1)),
        turned=Tensor(FLOATS, 12, (3, 4), (1, 3)),
        count=Tensor(COUNTS, 0, (), ()),
    )
    notes._metadata = collections.OrderedDict(version=1)  # as torch keeps it
    read = tensors(*written(tmp_path, notes, [FLOATS, COUNTS]))
    assert list(read) == ["rows", "turned", "count"]
    np.testing.assert_array_equal(read["rows"], np.arange(24, dtype=np.float32).reshape(4, 3, 2))
    np.testing.assert_array_equal(read["turned"], np.arange(12, 24, dtype=np.float32).reshape(4, 3).T)
    assert (read["count"].shape, read["count"].dtype, int(read["count"])) == ((), np.int64, 7)
    assert all(array.flags.c_contiguous and array.flags.owndata for array in read.values())


class Command:
    def __reduce__(self):
        return RAN.append, ("it ran",)


BOMB = b"\x80\x02Nr\xff\xff\xff\x1f."  # a place in the memo so far away that four gigabytes are taken for it


@pytest.mark.parametrize("content", [b"no pickle", BOMB, pickle.dumps(Command(), 2)])
def test_another_digest_is_refused_before_anything_is_parsed(tmp_path, content):
    path, _ = saved(tmp_path, content)
    tracemalloc.start()
    with pytest.raises(ValueError, match="SHA-256 is another"):
        tensors(path, "0" * 64)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert not RAN


def one(offset=0, shape=(24,), strides=(1,), storage=FLOATS):
    return {"one": Tensor(storage, offset, shape, strides)}


REFUSED = {
    "a command": ({"one": Command()}, {}, r"asks for .*builtin.*, which was not run"),
    "a number": ({"one": 1}, {}, "more than tensors"),
    "no table": ([1], {}, "more than tensors"),
    "a tensor that begins too late": (one(1), {}, "outside its storage"),
    "a tensor that begins before": (one(-1), {}, "no possible place"),
    "strides that lead outside": (one(0, (4, 6), (7, 1)), {}, "outside its storage"),
    "strides that turn back": (one(23, (24,), (-1,)), {}, "no possible place"),
    "numbers used again and again": (one(0, (10**12,), (0,)), {}, "outside its storage"),
    "a shape without strides": (one(0, (24,), ()), {}, "no possible shape"),
    "no numbers": (one(0, (0, 24), (24, 1)), {}, "outside its storage"),
    "a storage that is shorter": (one(storage=Storage("1", FLOATS.numbers, 25)), {}, "of another length"),
    "storages of nothing": (one(), {"keys": ["1", "2"]}, "not those of its tensors"),
    "another magic number": (one(), {"magic": 1}, "another kind"),
    "a machine that reads backwards": (one(), {"machine": {"little_endian": False}}, "another kind"),
    "something after the end": (one(), {"more": b"!"}, "more follows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_file_of_tensors_is_refused_and_not_run(tmp_path, name):
    notes, options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        tensors(*written(tmp_path, notes, [FLOATS], **options))
    assert not RAN


@pytest.mark.parametrize(
    "notes",
    [
        b"\x80\x02ctorch\nFloatStorage\n)R.",  # a storage is made
        b"\x80\x02ctorch\nFloatStorage\n}b.",  # a storage is given attributes
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00)))tR.",  # a tensor of no storage
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02X\x01\x00\x00\x001Q.",  # something outside the file
        b"\x80\x02U\x03\xff\xff\xff.",
    ],
)
def test_uses_of_the_names_that_torch_does_not_make_are_refused(tmp_path, notes):
    content = b"".join(map(pickled, (MAGIC, VERSION, MACHINE))) + notes + pickled([])
    with pytest.raises(ValueError, match=r"\w"):
        tensors(*saved(tmp_path, content))


def test_a_file_that_ends_anywhere_is_refused(tmp_path):
    path, _ = written(tmp_path, one(), [FLOATS])
    content = path.read_bytes()
    for end in range(len(content)):
        with pytest.raises(ValueError, match=r"\w"):
            tensors(*saved(tmp_path, content[:end]))


def test_a_file_that_is_far_too_long_is_not_read_whole(tmp_path):
    path = tmp_path / "weights.pth"
    with path.open("wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(ValueError, match="has more than"):
        tensors(path, "")
