"""Pickled arrays of all ages are read, and no pickle runs."""

import _codecs
import builtins
import contextlib
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.unpacking import GREY, X, Y, labels, same

from search.data.readers.arrays import unpack
from search.system.errors import UserError


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_every_protocol_are_read(saved, protocol, order):
    x = np.array(X, order=order)
    assert same(saved((x, Y), protocol), X)
    assert same(saved((x.astype(">f4"), [*"abcabc"]), protocol), X)
    assert labels(saved((x, np.array([*"abcabc"], dtype=object)), protocol)[0]) == [*"abcabc"]
    assert labels(saved((x, [np.int64(label) for label in Y]), protocol)[0]) == [*"012012"]


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_older_numpy_and_python_2_are_read(saved, protocol):
    data = pickle.dumps((X, Y), protocol)
    for new, old in ((b"numpy._core.", b"numpy.core."),):
        data = data.replace(new, old) if protocol < 4 else data
    assert same(saved(data), X)


def test_a_python_2_text_array_is_read(saved):
    """As cPickle wrote it: bytes as STRING in protocol 0, and as BINSTRING in protocol 2."""
    shape = b"(I6\nI5\nI7\ntp4\n"
    dtype = b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n"
    labels_ = b"(lp1\n" + b"".join(b"I%d\na" % label for label in Y)
    escaped = "".join(f"\\x{byte:02x}" for byte in GREY.tobytes()).encode()
    raw = b"T" + struct.pack("<I", GREY.nbytes) + GREY.tobytes()
    for content in (b"S'" + escaped + b"'\n", raw):
        assert same(saved(b"(" + array + shape + dtype + b"I00\n" + content + b"tb" + labels_ + b"t."), GREY)


def test_two_pickles_in_one_file_are_refused(saved):
    with pytest.raises(UserError, match="more than one"):
        saved(pickle.dumps(X) + pickle.dumps(Y))


def test_a_cut_pickle_is_refused_wherever_it_is_cut(saved):
    for protocol in (0, 2, 5):
        whole = pickle.dumps((X[:2], Y[:2]), protocol)
        for end in range(0, len(whole), 7):
            with pytest.raises(UserError):
                saved(whole[:end])


# Pickles that mean harm


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Texts(str):
    __slots__ = ()


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


MARKER = "was-run"
TOUCH = f"open({MARKER!r}, 'w').close()"


def harmful():
    system, evaluate = Calls(os.system, f"touch {MARKER}"), Calls(builtins.eval, TOUCH)
    yield "os.system", pickle.dumps(system)
    yield "eval", pickle.dumps(evaluate)
    yield "exec", pickle.dumps(Calls(builtins.exec, TOUCH))
    yield "in an array of objects", pickle.dumps((np.array([system, None], dtype=object), Y))
    yield "as a key", pickle.dumps({Texts("a"): 1, "x": evaluate})
    yield "in a class", pickle.dumps(Texts("a"))
    yield "object of copyreg", pickle.dumps(Texts("a"), 0)
    yield "getattr", pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system"))
    yield "global", b"cos\nsystem\n(S'touch " + MARKER.encode() + b"'\ntR."
    yield "inst", b"(S'touch " + MARKER.encode() + b"'\nios\nsystem\n."
    yield "obj", b"(cos\nsystem\nS'touch " + MARKER.encode() + b"'\no."
    yield "stack global", b"\x80\x04" + short("os") + short("system") + b"\x93" + short(f"touch {MARKER}") + b"\x85R."
    dotted = short("numpy") + short("ndarray.__class__.__subclasses__") + b"\x93"
    yield "dotted name", b"\x80\x04" + dotted + b")R."
    yield "newobj", b"\x80\x02cos\nsystem\nS'a'\n\x85\x81."
    yield "binpersid", b"\x80\x02S'a'\nQ."
    yield "persid", b"Pa\n."
    yield "extension", b"\x80\x02\x82\x01."
    yield "buffer", b"\x80\x05\x97."
    yield "codec", pickle.dumps(Calls(_codecs.encode, "a", "rot13"))
    yield "codec of objects", pickle.dumps(Calls(_codecs.encode, b"a", "base64"))
    yield "numpy function", b"cnumpy\nfromfile\n(S'/etc/passwd'\ntR."
    yield "numpy of pickles", b"cnumpy\nload\n(S'x'\nI01\nI01\ntR."
    yield "records", pickle.dumps((np.zeros(6, "u1,O"), Y))
    state = b"}S'_make'\ncos\nsystem\ns"
    yield "state of a name", b"\x80\x02cnumpy\nndarray\nN" + state + b"\x86b."
    yield "set of unhashables", pickle.dumps(Calls(set, [[]]))


@pytest.mark.parametrize(("name", "data"), list(harmful()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_harmful_pickle_is_refused_and_not_run(saved, tmp_path, monkeypatch, name, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        saved(data)
    assert not (tmp_path / MARKER).exists()


def test_harm_would_be_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(dict(harmful())["os.system"])
    assert (tmp_path / MARKER).exists()


def test_the_class_that_was_asked_for_is_named(saved):
    with pytest.raises(UserError, match=r"posix\.system, which was not run"):
        saved(dict(harmful())["os.system"])


@pytest.mark.parametrize("name", ["codec", "codec of objects"])
def test_other_codecs_are_refused(saved, name):
    with pytest.raises(UserError, match="text in the encoding"):
        saved(dict(harmful())[name])


def test_the_state_of_what_a_pickle_names_cannot_be_changed(saved):
    """Else one file could change how the next one is read."""
    for state in (b"}S'_make'\nI1\ns", b"N}S'_make'\nI1\ns\x86"):
        with pytest.raises(UserError, match="a state for what has none"):
            saved(b"\x80\x02cnumpy\nndarray\n" + state + b"b.")
    assert same(saved((X, Y)), X)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.", "only 4 remain"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.", "only 4 remain"),
        (b"\x80\x02Nr" + struct.pack("<I", 2**24) + b".", "a memo longer"),
        (b"Np16777216\n.", "a memo longer"),
    ],
    ids=["bytes", "bytearray", "memo", "text memo"],
)
def test_a_size_that_the_file_does_not_hold_is_refused_before_it_is_claimed(saved, data, message):
    with pytest.raises(UserError, match=message):
        saved(data)


@pytest.mark.parametrize("shape", [(2**40,), (-1,), (6, -1), (2**70, 0), ("a",), (True,)], ids=str)
def test_an_array_of_another_size_than_its_bytes_is_refused(saved, shape):
    good = pickle.dumps(np.zeros(3, np.uint8), 2)
    pushed = pickle.dumps(shape, 2)[2:-1]
    at = good.rindex(b"K\x03\x85")
    with pytest.raises(UserError):
        saved(good[:at] + pushed + good[at + 3 :])


def test_an_object_that_holds_itself_is_refused(saved):
    value = [X, Y]
    value.append(value)
    with pytest.raises(UserError, match="holds itself"):
        saved(value)


# Pickles that swell


@contextlib.contextmanager
def memory_below(most):
    tracemalloc.start()
    try:
        yield
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < most


def nested(leaf, levels=26):
    """Return what holds itself twice, so many levels deep: hundreds of bytes, and sixty million leaves."""
    for _ in range(levels):
        leaf = [leaf, leaf]
    return leaf


FEW = np.zeros((1, 1, 1), np.uint8)


def swelling():
    yield "images", (nested(1), [0, 1])
    yield "texts", (nested("a"), [0, 1])
    yield "labels", (X, nested(1))
    yield "groups", {"x": X, "y": Y, "groups": nested(1)}
    yield "class names", {"x": X, "y": Y, "class_names": nested("a")}
    yield "empty lists", (X, nested([]))
    yield "arrays", (nested(X), Y)
    yield "pairs", [(nested(1), "a"), (nested(1), "b")]
    yield "a class", {"a": nested(X[0]), "b": X}
    yield "passed over", {"x": X, "y": Y, "notes": nested(1)}
    yield "one array very often", ([FEW[0]] * 2**14, [0] * 2**14)
    yield "one list very often", ([[[1]]] * 2**14, [0] * 2**14)
    yield "one large array", ([np.zeros((2**10, 2**10), np.uint8)] * 2**10, [0] * 2**10)


@pytest.mark.parametrize(("name", "value"), list(swelling()), ids=lambda value: value if isinstance(value, str) else "")
def test_what_would_swell_is_refused_before_it_does(saved, monkeypatch, name, value):
    monkeypatch.setattr("search.data.readers.pickles._SMALL", 2**22)  # so that small files show it
    data = pickle.dumps(value)
    with pytest.raises(UserError, match="far more than the file holds"), memory_below(2**26):
        saved(data)


def test_many_rows_of_no_bytes_are_refused(saved):
    good = pickle.dumps({"a": np.zeros((2, 0), np.uint8), "b": X}, 2)
    assert good.count(b"K\x02K\x00\x86") == 1
    with pytest.raises(UserError, match="far more than the file holds"):
        saved(good.replace(b"K\x02K\x00\x86", b"\x8a\6\0\0\0\0\0\1K\x00\x86"))


def test_what_is_listed_often_but_honestly_is_read(saved):
    rows, folder = saved(([X[0]] * 300 + [X[1]] * 300, ["a"] * 300 + ["b"] * 300))
    assert len(rows) == 600
    assert same((rows[299:301], folder), X[:2])


def test_far_more_images_than_bytes_are_refused(saved, monkeypatch):
    monkeypatch.setattr("search.data.readers.arrays._FEW", 5)
    assert same(saved((X, Y)), X)
    with pytest.raises(UserError, match="means 99 images in"):
        saved(([[[1]]] * 99, [0] * 99))
    with pytest.raises(UserError, match="means 999 images in"):
        saved(x=np.zeros((999, 1, 1), np.uint8), y=np.zeros(999, np.uint8))


@pytest.mark.parametrize("value", [([[["a"]]], [0]), ([[["a", 1]]], [0]), ([[[[[1]]]]], [0]), ([np.array("a")], [0])])
def test_images_in_lists_are_numbers(saved, value):
    with pytest.raises(UserError, match=r"not of numbers|are no images"):
        saved(value)


@pytest.mark.parametrize("labels_", [[["a" * 10**6], *[["b"]] * 5], [[1, "a"]] * 6, [1, "a"] * 3, [[[1], [0]]] * 6])
def test_labels_in_lists_are_numbers_or_names(saved, labels_):
    with pytest.raises(UserError, match=r"too long|no plain list|mixed|shape"), memory_below(10**7):
        saved((X, labels_))


KNOT = b")" + b"2\x86" * 20  # a tuple that holds itself twice, and so on: hashed, a million of them
MEMO = b"q\x07"


@pytest.mark.parametrize(
    "data",
    [
        b"}" + KNOT + b"Ns.",
        b"}(NN" + KNOT + b"Nu.",
        b"(" + KNOT + b"Nd.",
        b"\x8f(" + KNOT + b"\x90.",
        b"(" + KNOT + b"\x91.",
        KNOT + MEMO + b"0}h\x07Ns.",
        KNOT + b"\x940}h\x00Ns.",
        b"((0" + KNOT + b"Nd.",
        b"}" + KNOT + b"NbNs.",
        b"}((N" + KNOT + b"ttNs.",
        b"}(" + b"N\x91" + b"Ns.",
    ],
    ids=["setitem", "setitems", "dict", "set", "frozenset", "memo", "memoize", "pop mark", "build", "tuple", "set key"],
)
def test_a_key_that_takes_long_to_hash_is_refused_before_it_is_hashed(saved, data):
    with pytest.raises(UserError, match="a tuple or set as a key"):
        saved(b"\x80\x04" + data)


def test_members_of_sets_by_call_are_looked_at_before_they_are_hashed(saved):
    for kind in (b"set", b"frozenset"):
        with pytest.raises(UserError, match="a set of more than"):
            saved(b"\x80\x02cbuiltins\n" + kind + b"\n](" + KNOT + b"e\x85R.")


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\ndtype\n" + KNOT + b"\x85R.",
        b"c_codecs\nencode\nX\1\0\0\0a" + KNOT + b"\x86R.",
        pickle.dumps(np.zeros(3, np.uint8), 2)[2:].replace(b"K\x03\x85", KNOT),
    ],
    ids=["type", "codec", "shape"],
)
def test_what_is_wrong_is_not_printed_as_a_whole(saved, data):
    with pytest.raises(UserError) as caught:
        saved(b"\x80\x02" + data)
    assert len(str(caught.value)) < 500


def test_a_call_that_is_made_again_and_again_is_refused(saved, monkeypatch):
    monkeypatch.setattr("search.data.readers.pickles._SMALL", 2**12)
    arguments = b"X\xd0\x07\0\0" + b"a" * 2000 + b"X\6\0\0\0latin1\x86q\0"
    call = b"h\1h\0R0"
    once = b"\x80\x02c_codecs\nencode\nq\1" + arguments
    with pytest.raises(UserError, match="far more than the file holds"):
        saved(once + call * 100 + b".")
    with pytest.raises(UserError, match="Expected are"):
        saved(once + call * 3 + b".")


def test_a_python_2_text_that_many_arrays_share_is_taken_once(saved):
    start = b"\x80\x02cnumpy\ndtype\nU\2u1\x85Rq\1cnumpy\nndarray\nq\2"
    state = b"(K\1J\x40\x42\x0f\0\x85h\1I00\nT" + struct.pack("<I", 10**6) + bytes(10**6) + b"tq\3"
    with pytest.raises(UserError, match="Expected are"), memory_below(10**7):
        saved(start + state + b"(" + b"h\2)Rh\3b" * 40 + b"t.")


def test_a_number_beyond_all_types_is_refused(saved):
    with pytest.raises(UserError, match="64 bits"):
        saved((X, [2**64] * 6))
    assert len(saved((X, [2**40] * 6))[0]) == 6


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_read_without_another_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.pkl").write_bytes(b"\x80\x04" + data + b".")
    with pytest.raises(UserError):
        unpack(folder / "a.pkl", folder)
