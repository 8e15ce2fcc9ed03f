"""Pickled arrays of all ages are read, and no pickle runs."""

import _codecs
import builtins
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unpacking import GREY, X, Y, labels, same

from search.errors import UserError
from search.readers.arrays import unpack


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


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_read_without_another_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.pkl").write_bytes(b"\x80\x04" + data + b".")
    with pytest.raises(UserError):
        unpack(folder / "a.pkl", folder)
