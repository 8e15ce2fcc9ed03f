"""A data set in one file becomes the images that it means, or is refused; a pickle never runs."""

import _codecs
import builtins
import csv
import io
import itertools
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from shapes import write_shapes

from search.data.arrays import _folder_name, pack, unpack
from search.data.folders import read_class_folders
from search.data.images import read_image
from search.data.packs import MARK
from search.errors import UserError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
X[0, 0, :2] = [[0], [255]]  # the whole range
Y = np.array([0, 1, 2, 0, 1, 2])
GREY = X[..., 0]


@pytest.fixture
def saved(tmp_path):
    """Save arrays as .npz or an object as .pkl, and unpack it: (rows of the manifest, its folder)."""
    number = itertools.count()

    def save(value=None, protocol=None, **arrays):
        name = next(number)
        file = tmp_path / (f"{name}.npz" if arrays else f"{name}.pkl")
        if arrays:
            np.savez_compressed(file, **arrays)
        else:
            file.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
        return unpacked(file, tmp_path / f"folder{name}")

    return save


def unpacked(file, folder):
    folder.mkdir()
    unpack(file, folder)
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"manifest.csv", *(row["image"] for row in rows)}
    return rows, folder


def pixels(rows, folder):
    return [np.asarray(Image.open(folder / row["image"])) for row in rows]


def labels(rows):
    return [row["label"] for row in rows]


def same(found, images):
    return all(np.array_equal(one, other) for one, other in zip(pixels(*found), images, strict=True))


# What npz files hold


@pytest.mark.parametrize(
    "names", ["x y", "X Y", "X y", "images labels", "data target", "images targets", "arr_0 arr_1", "x label"]
)
def test_the_usual_names_of_images_and_labels_are_known(saved, names):
    image, label = names.split()
    rows, folder = saved(**{image: X, label: Y})
    assert same((rows, folder), X)
    assert [tuple(row.values()) for row in rows[:2]] == [("0/00000.ppm", "0", "", ""), ("1/00001.ppm", "1", "", "")]


@pytest.mark.parametrize(
    "names",
    [
        "x_train y_train x_val y_val x_test y_test",
        "X_train y_train X_valid y_valid X_test y_test",
        "x_train Y_train x_validation y_validation x_test y_test",
        "train_images train_labels val_images val_labels test_images test_labels",
    ],
)
def test_splits_keep_their_names(saved, names):
    parts = [X[:3], Y[:3], X[3:5], Y[3:5], X[5:], Y[5:]]
    rows, folder = saved(**dict(zip(names.split(), parts, strict=True)))
    assert [row["split"] for row in rows] == ["train"] * 3 + ["validation"] * 2 + ["test"]
    assert rows[3]["image"] == "validation/0/00000.ppm"
    assert labels(rows) == [str(label) for label in Y]
    assert same((rows, folder), X)


def test_classes_and_groups_are_taken_over(saved):
    rows, _ = saved(x=X, y=Y, class_names=["cat", "dog", "owl"], groups=[1, 1, 2, 2, 3, 3])
    assert labels(rows) == ["cat", "dog", "owl"] * 2
    assert [row["group"] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    rows, _ = saved(x_train=X, y_train=Y, group_train=list("abcdef"), x_test=X, y_test=Y)
    assert [row["group"] for row in rows] == [*"abcdef", *[""] * 6]


@pytest.mark.parametrize(
    "found",
    [
        [*"abcabc"],
        np.array([*"abcabc"])[:, None],
        np.array([b"a", b"b", b"c"] * 2),
        np.array(["a", "b", "c"] * 2, dtype="U7"),
    ],
    ids=["list", "column", "bytes", "wide"],
)
def test_labels_may_be_texts(saved, found):
    assert labels(saved(x=X, y=found)[0]) == [*"abcabc"]


@pytest.mark.parametrize(
    "found", [Y, Y[:, None], np.eye(3)[Y], np.eye(3, dtype=bool)[Y], Y.astype(float), Y.astype(">u2")]
)
def test_labels_may_be_numbers_or_one_hot(saved, found):
    assert labels(saved(x=X, y=found)[0]) == [*"012012"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y[:5]}, "6 images, but 5 labels"),
        ({"x": X, "y": Y, "groups": Y[:5]}, "6 images, but 5 groups"),
        ({"x": X, "y": Y + 0.5}, "float64"),
        ({"x": X, "y": np.ones((6, 3))}, "not one-hot"),
        ({"x": X, "y": Y, "classes": ["a", "b"]}, "label 2 has no name"),
        ({"x": X, "y": -Y, "classes": ["a", "b", "c"]}, "label -1 has no name"),
        ({"x": X, "y": Y, "classes": ["a", "a", "b"]}, "not all different"),
        ({"x": X, "y": Y, "classes": 3}, "Give a list"),
        ({"x": X, "y": [*"abcabd"], "classes": ["a", "b", "c"]}, "'d' is no class name"),
        ({"x": X, "y": ["a", "", "a", "b", "b", "b"]}, "empty label"),
        ({"x": X, "y": ["a\nb", "c"] * 3}, "control character"),
        ({"x": X, "images": X, "y": Y}, "both 'x' and 'images'"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y}, "not understood"),
        ({"x_train": X, "y_train": Y, "groups": Y}, "such as group_train"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "not understood"),
        ({"photos": X, "y": Y}, r"'photos': uint8 \(6, 5, 7, 3\), 'y': int64 \(6,\)\. Expected are"),
        ({"x": np.array([X, None], dtype=object), "y": Y}, "holds Python objects"),
        ({"x": np.zeros((6, 4), "f4,i4"), "y": Y}, "is of the type"),
    ],
)
def test_what_is_not_understood_is_refused(saved, arrays, message):
    with pytest.raises(UserError, match=message):
        saved(**arrays)


# Pixels


def test_all_layouts_of_images(saved):
    assert same(saved(x=GREY, y=Y), GREY)
    assert same(saved(x=GREY[..., None], y=Y), GREY)
    assert same(saved(x=GREY[:, None], y=Y), GREY)
    assert same(saved(x=X.transpose(0, 3, 1, 2), y=Y), X)
    assert same(saved(x=np.asfortranarray(X), y=Y), X)


@pytest.mark.parametrize("shape", [(6,), (6, 5), (6, 5, 4, 2), (6, 4, 5, 5), (6, 3, 5, 3), (6, 0, 5), (0, 5, 5), ()])
def test_other_shapes_are_refused(saved, shape):
    with pytest.raises(UserError, match="reshape the array"):
        saved(x=np.zeros(shape, np.uint8), y=Y[: shape[0] if shape else 0])


def test_a_flat_row_is_not_taken_for_a_picture_unless_in_a_cifar_batch(saved):
    flat = RNG.integers(0, 256, (6, 3072), dtype=np.uint8)
    with pytest.raises(UserError, match="reshape the array"):
        saved(x=flat, y=Y)
    batch = {b"data": flat, b"labels": Y.tolist(), b"batch_label": b"one", b"filenames": []}
    assert same(saved(batch), flat.reshape(6, 3, 32, 32).transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    "numbers",
    [
        GREY.astype(np.int64),
        GREY.astype(">i2"),
        GREY.astype(np.uint16),
        GREY.astype(np.uint16) << 8 | 7,
        GREY.astype(np.float32) / 255,
        GREY.astype(np.float64) + 0.3 * (GREY < 255),
        GREY.astype(np.float16),
    ],
    ids=["int", "big-endian", "small uint16", "uint16", "unit", "float", "half"],
)
def test_all_ranges_of_numbers_mean_the_same_image(saved, numbers):
    assert same(saved(x=numbers, y=Y), GREY)


def test_booleans_are_black_and_white(saved):
    assert same(saved(x=GREY > 99, y=Y), np.where(GREY > 99, 255, 0))


def test_one_range_holds_for_all_splits(saved):
    """Else a dark test set would be lit up."""
    train, dark = GREY.astype(np.float32), np.full((6, 5, 7), 1, np.float32)
    found = saved(x_train=train, y_train=Y, x_test=dark, y_test=Y)
    assert same(found, [*GREY, *dark])


@pytest.mark.parametrize(
    ("number", "found"),
    [(np.nan, "NaN"), (-0.5, "from -0.5 to 1"), (np.inf, "to inf"), (255.5, "to 255.5"), (-np.inf, "from -inf")],
)
def test_floats_outside_the_ranges_are_refused(saved, number, found):
    numbers = np.ones((6, 5, 4))
    numbers[3, 2, 1] = number
    with pytest.raises(UserError, match=found):
        saved(x=numbers, y=Y)


@pytest.mark.parametrize(
    "numbers", [GREY.astype(np.int16) - 1, GREY.astype(np.int32) + 1, GREY * 1j, GREY.astype("U3")]
)
def test_other_numbers_are_refused(saved, numbers):
    with pytest.raises(UserError):
        saved(x=numbers, y=Y)


def test_transparency_is_laid_on_white(saved):
    clear = np.concatenate([X, np.tile(np.uint8([0, 255, 0, 255, 0, 255, 0]), (6, 5, 1))[..., None]], axis=3)
    found = pixels(*saved(x=clear, y=Y))
    assert all((image[:, ::2] == 255).all() for image in found)
    assert all(np.array_equal(image[:, 1::2], true[:, 1::2]) for image, true in zip(found, X, strict=True))


def test_the_bytes_of_an_image_are_its_header_and_its_pixels(saved):
    rows, folder = saved(x=X, y=Y)
    assert (folder / rows[2]["image"]).read_bytes() == b"P6\n7 5\n255\n" + X[2].tobytes()
    rows, folder = saved(x=GREY, y=Y)
    assert rows[2]["image"] == "2/00002.pgm"
    assert (folder / rows[2]["image"]).read_bytes() == b"P5\n7 5\n255\n" + GREY[2].tobytes()
    assert read_image(folder / rows[2]["image"], 8).shape == (8, 8, 3)


# Names of classes


def test_class_names_that_are_no_folders_stay_in_the_manifest_only(saved, tmp_path):
    names = ["../up", "/abs", "..", "a\\b", "manifest.csv", "Äpfel & (Birnen)"]
    rows, folder = saved(x=X, y=names)
    assert labels(rows) == names
    assert all((folder / row["image"]).resolve().is_relative_to(folder) for row in rows)
    assert rows[5]["image"] == "Äpfel & (Birnen)/00005.ppm"
    assert same((rows, folder), X)


NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12)


@given(NAMES, NAMES)
def test_folder_names_are_safe_and_never_collide(one, other):
    folders = _folder_name(one, ""), _folder_name(other, "")
    assert (folders[0] == folders[1]) == (one == other)
    for name in folders:
        assert not set('/\\:*?"<>|').intersection(name)
        assert name[0] not in ". "
        assert name[-1] not in ". "


def test_a_class_name_too_long_for_a_folder_is_refused(saved):
    with pytest.raises(UserError, match="too long"):
        saved(x=X, y=["a" * 201] * 6)


# Damage


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


# Packs


@pytest.fixture
def packed(tmp_path):
    """Give a data set, a pack of it, and the rows that went in."""
    data = read_class_folders(write_shapes(tmp_path / "shapes", {"across": 3, "down": 2}))
    names = [data.classes[label] for label in data.labels]
    groups, splits = ["g", "g", "", "", "h"], ["train", "train", "", "", "test"]
    pack(data.ids, data.paths, names, groups, splits, tmp_path / "a.npz")
    return data, tmp_path / "a.npz", list(zip(data.ids, names, groups, splits, strict=True))


def test_a_pack_gives_the_very_files_and_rows_again(packed, tmp_path):
    data, file, expected = packed
    rows, folder = unpacked(file, tmp_path / "folder")
    assert [tuple(row.values()) for row in rows] == expected
    assert [(folder / row["image"]).read_bytes() for row in rows] == [path.read_bytes() for path in data.paths]


def test_a_pack_is_a_plain_npz_and_the_same_every_time(packed, tmp_path):
    data, file, expected = packed
    with np.load(file, allow_pickle=False) as arrays:
        assert arrays[MARK] == 1
        assert arrays["ids"].tolist() == data.ids
        assert arrays["bytes"][: arrays["ends"][0]].tobytes() == data.paths[0].read_bytes()
    ids, names, groups, splits = map(list, zip(*expected, strict=True))
    pack(ids, data.paths, names, groups, splits, tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == file.read_bytes()
    assert (file.stat().st_mode & 0o777) == 0o644


def test_files_larger_than_a_chunk_and_empty_ones_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("search.data.packs._CHUNK", 7)
    contents = [b"", b"1234567", b"12345678", bytes(100), b""]
    paths = [tmp_path / str(number) for number in range(5)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    ids = [f"{number}.png" for number in range(5)]
    pack(ids, paths, ["a"] * 5, [""] * 5, [""] * 5, tmp_path / "a.npz")
    rows, folder = unpacked(tmp_path / "a.npz", tmp_path / "folder")
    assert [(folder / row["image"]).read_bytes() for row in rows] == contents


BAD_IDS = [
    "",
    "/etc/x",
    "../x",
    "a/../x",
    "a\\x",
    "a//x",
    "./x",
    "a/",
    "C:x",
    "a\nb",
    "manifest.csv",
    "\ud800",
    "x" * 256,
]


@pytest.mark.parametrize("bad", [*BAD_IDS, "same.png"], ids=repr)
def test_ids_that_lead_elsewhere_are_refused_on_both_ways(packed, tmp_path, bad):
    data, file, _ = packed
    some = ["a"] * 2
    with pytest.raises(UserError):
        pack(["same.png", bad], data.paths[:2], some, some, some, tmp_path / "b.npz")
    with np.load(file) as arrays:
        ids = arrays["ids"].astype("U300")
        ids[:2] = ["same.png", bad]
        np.savez(tmp_path / "b.npz", **{**arrays, "ids": ids})
    with pytest.raises(UserError):
        unpacked(tmp_path / "b.npz", tmp_path / "folder")
    assert not list((tmp_path / "folder").iterdir())


def test_a_name_that_is_both_file_and_folder_is_refused(packed, tmp_path):
    data, _, _ = packed
    some = ["a"] * 2
    pack(["a", "a/b"], data.paths[:2], some, some, some, tmp_path / "b.npz")
    with pytest.raises(UserError, match="the same file"):
        unpacked(tmp_path / "b.npz", tmp_path / "folder")


@pytest.mark.parametrize(
    "change",
    [
        {MARK: np.array(2)},
        {MARK: np.array("1")},
        {"ends": np.array([9, 3, 12, 13, 14])},
        {"ends": np.array([-1, 3, 12, 13, 14])},
        {"ends": np.arange(5)},
        {"ends": np.arange(4)},
        {"bytes": np.zeros((1, 9), np.uint8)},
        {"labels": np.array([0, 0, 0, 1, 2])},
        {"labels": np.array([0, 0, 0, 1, -1])},
        {"labels": np.array([0, 0, 0, 1])},
        {"ids": np.arange(5)},
        {"groups": np.array(["a\tb"] * 5)},
        {"ids": None},
        {"bytes": None},
    ],
    ids=lambda change: " ".join(map(str, change.items())),
)
def test_a_pack_that_contradicts_itself_is_refused(packed, tmp_path, change):
    with np.load(packed[1]) as arrays:
        changed = {key: array for key, array in {**arrays, **change}.items() if array is not None}
    np.savez(tmp_path / "b.npz", **changed)
    with pytest.raises(UserError):
        unpacked(tmp_path / "b.npz", tmp_path / "folder")


def test_images_pass_one_at_a_time(tmp_path):
    big = RNG.integers(0, 256, (60, 500, 500), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=big, y=np.arange(60))
    paths = [tmp_path / str(number) for number in range(60)]
    for path, image in zip(paths, big, strict=True):
        path.write_bytes(image.tobytes())
    tracemalloc.start()
    unpacked(tmp_path / "x.npz", tmp_path / "folder")
    pack([path.name for path in paths], paths, ["a"] * 60, [""] * 60, [""] * 60, tmp_path / "a.npz")
    unpacked(tmp_path / "a.npz", tmp_path / "again")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < big.nbytes / 2


def test_nothing_is_overwritten_and_a_failed_pack_leaves_nothing(packed, tmp_path):
    data, file, _ = packed
    before = file.read_bytes()
    some = ["a"] * 5
    with pytest.raises(UserError, match="is there already"):
        pack(data.ids, data.paths, some, some, some, file)
    assert file.read_bytes() == before
    data.paths[3].unlink()
    with pytest.raises(UserError, match="is gone"):
        pack(data.ids, data.paths, some, some, some, tmp_path / "b.npz")
    with pytest.raises(UserError, match="no folder"):
        pack(data.ids, data.paths, some, some, some, tmp_path / "none" / "b.npz")
    with pytest.raises(UserError, match="no images"):
        pack([], [], [], [], [], tmp_path / "b.npz")
    assert {path.name for path in tmp_path.iterdir()} == {"shapes", "a.npz"}


# What pickles hold


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


@pytest.mark.parametrize(
    "value",
    [
        (X, Y),
        [X, Y.tolist()],
        {"x": X, "y": Y},
        {b"images": list(X), b"labels": Y},
        list(zip(X, Y.tolist(), strict=True)),
        [[image, np.int32(label)] for image, label in zip(X, Y, strict=True)],
        (X.tolist(), Y),
    ],
    ids=["tuple", "list", "dict", "dict of lists", "pairs", "pairs of scalars", "nested lists"],
)
def test_structures_of_labelled_images(saved, value):
    rows, folder = saved(value)
    assert same((rows, folder), X)
    assert labels(rows) == [*"012012"]


def test_images_of_several_sizes(saved):
    sizes = [X[0], X[1, :2], GREY[2]]
    rows, folder = saved([(sizes[0], "a"), (sizes[1], "b"), (sizes[2], "a")])
    assert [row["image"] for row in rows] == ["a/00000.ppm", "b/00001.ppm", "a/00002.pgm"]
    assert same((rows, folder), sizes)


@pytest.mark.parametrize("test", [(X[4:], Y[4:]), {"images": X[4:], "labels": Y[4:]}])
def test_a_dict_of_splits(saved, test):
    rows, folder = saved({"train": (X[:4], Y[:4]), "test": test})
    assert [row["split"] for row in rows] == ["train"] * 4 + ["test"] * 2
    assert same((rows, folder), X)


def test_a_dict_of_classes(saved):
    rows, folder = saved({"cat": X[:4], "dog": [X[4], X[5, :2]], 7: GREY[:1]})
    assert labels(rows) == ["cat"] * 4 + ["dog"] * 2 + ["7"]
    assert same((rows, folder), [*X[:5], X[5, :2], GREY[0]])


@pytest.mark.parametrize("names", [("X", "y"), ("x", "Y"), ("X", "Y")])
def test_labels_may_lie_beside_the_images(tmp_path, names):
    for name, value in zip(names, (X, Y.tolist()), strict=True):
        (tmp_path / f"{name}.pickle").write_bytes(pickle.dumps(value))
    rows, folder = unpacked(tmp_path / f"{names[0]}.pickle", tmp_path / "folder")
    assert same((rows, folder), X)
    assert labels(rows) == [*"012012"]


def test_images_without_labels_are_refused(tmp_path):
    (tmp_path / "X.p").write_bytes(pickle.dumps(X))
    with pytest.raises(UserError, match=r"no sibling y\.p"):
        unpacked(tmp_path / "X.p", tmp_path / "folder")


@pytest.mark.parametrize(
    "value", [None, 3, "text", [], {}, X, [X], {"x": X}, {1, 2}, ((X, Y), (X, Y)), {"a": 1}], ids=str
)
def test_other_structures_are_refused(saved, value):
    with pytest.raises(UserError, match=r"Expected are|labels|reshape"):
        saved(value)


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


def test_the_state_of_what_a_pickle_names_cannot_be_changed(saved):
    """Else one file could change how the next one is read."""
    for state in (b"}S'_make'\nI1\ns", b"N}S'_make'\nI1\ns\x86"):
        with pytest.raises(UserError, match="a state for what has none"):
            saved(b"\x80\x02cnumpy\nndarray\n" + state + b"b.")
    assert same(saved((X, Y)), X)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
        b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".",
        b"Np4294967295\n.",
    ],
    ids=["bytes", "bytearray", "frame", "memo", "text memo"],
)
def test_a_size_that_the_file_does_not_hold_is_refused_before_it_is_claimed(saved, data):
    with pytest.raises(UserError):
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
