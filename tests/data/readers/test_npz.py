"""A damaged or dishonest file is refused, wherever it is hurt."""

import io
import struct
import zipfile

import numpy as np
import pytest
from kit.unpacking import X, Y, unpacked

from search.data.readers.arrays import unpack
from search.system.errors import UserError

pytestmark = pytest.mark.quick


def npz(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(array, shape=None):
    buffer = io.BytesIO()
    if shape is None:
        np.save(buffer, array)
        return buffer.getvalue()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + array.tobytes()


@pytest.mark.parametrize("shape", [(10**12, 5, 7, 3), (6, 5, 7, 4), (5, 5, 7, 3), (-6, 5, 7, 3), (10**30, 0)])
def test_a_shape_that_its_bytes_do_not_fill_is_refused(tmp_path, shape):
    with pytest.raises(UserError, match=r"cannot be read|reshape"):
        unpacked(npz(tmp_path / "x.npz", x=npy(X, shape), y=npy(Y)), tmp_path / "folder")


def test_a_member_that_swells_absurdly_is_refused_unread(tmp_path):
    """The sizes in the directory are forged: to read the member would fail otherwise."""
    size = 2**31
    file = npz(tmp_path / "x.npz", x=npy(np.zeros(9, np.uint8), (size,)), y=npy(Y))
    data = bytearray(file.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", size + 128)
    file.write_bytes(data)
    with pytest.raises(UserError, match="would swell"):
        unpacked(file, tmp_path / "folder")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_cut_or_altered_npz_is_refused_wherever_it_is_hurt(tmp_path, compressed):
    file = tmp_path / "x.npz"
    (np.savez_compressed if compressed else np.savez)(file, x=X, y=Y)
    whole = file.read_bytes()
    middle = len(whole) // 4
    hurt = [whole[: len(whole) * part // 9] for part in range(9)]
    hurt += [whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :], b"no zip at all"]
    for number, data in enumerate(hurt):
        file.write_bytes(data)
        with pytest.raises(UserError, match=r"cannot be read|magic"):
            unpacked(file, tmp_path / f"folder{number}")


def test_members_that_are_no_arrays_are_refused(tmp_path):
    for number, content in enumerate([b"", b"hello", b"\x93NUMPY\x01\x00\x05\x00{'a'"]):
        with pytest.raises(UserError, match="cannot be read"):
            unpacked(npz(tmp_path / "x.npz", x=content, y=npy(Y)), tmp_path / f"folder{number}")


def test_files_of_other_kinds_or_none_are_refused(tmp_path):
    for name, message in (("x.npy", "none of .npz"), ("gone.npz", "no file"), ("gone.pkl", "no file")):
        with pytest.raises(UserError, match=message):
            unpack(tmp_path / name, tmp_path)
