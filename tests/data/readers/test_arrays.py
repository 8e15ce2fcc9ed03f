"""A data set in one file of arrays becomes the images that it means, or is refused."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.unpacking import GREY, X, Y, labels, same, unpacked

from search.data.readers.arrays import _folder_name
from search.system.errors import UserError

pytestmark = pytest.mark.quick

# What npz files hold


@pytest.mark.parametrize(
    "names", ["x y", "X Y", "X y", "images labels", "data target", "images targets", "arr_0 arr_1", "x label"]
)
def test_the_usual_names_of_images_and_labels_are_known(saved, names):
    image, label = names.split()
    rows, folder = saved(**{image: X, label: Y})
    assert same((rows, folder), X)
    assert [tuple(row.values()) for row in rows[:2]] == [("0/00000.ppm", "0", ""), ("1/00001.ppm", "1", "")]


@pytest.mark.parametrize(
    "names",
    [
        "x_train y_train x_val y_val x_test y_test",
        "X_train y_train X_valid y_valid X_test y_test",
        "x_train Y_train x_validation y_validation x_test y_test",
        "train_images train_labels val_images val_labels test_images test_labels",
        "x_training y_training x_dev y_dev x_testing y_testing",
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
    assert "group" not in saved(x=X, y=Y)[0][0]


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


# What pickles hold


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
