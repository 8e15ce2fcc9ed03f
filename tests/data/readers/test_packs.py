"""A pack gives the very files again, and leads nowhere else."""

import tracemalloc
import zipfile

import numpy as np
import pytest
from kit.shapes import write_shapes
from kit.unpacking import RNG, unpacked

from search.data.readers import packs
from search.data.readers.folders import read_class_folders
from search.data.readers.manifest import read_manifest
from search.data.readers.npz import MARK
from search.data.readers.packs import check_target, pack
from search.system.errors import UserError

pytestmark = pytest.mark.quick


@pytest.fixture
def packed(tmp_path):
    """Give a data set, a pack of it, and the rows that went in."""
    data = read_class_folders(write_shapes(tmp_path / "shapes", {"across": 3, "down": 2}))
    names = [data.classes[label] for label in data.labels]
    groups, splits = ["g", "g", "", "", "h"], ["train", "train", "", "", "test"]
    pack(data.ids, data.paths, names, splits, {"group": groups}, tmp_path / "a.npz")
    return data, tmp_path / "a.npz", list(zip(data.ids, names, splits, groups, strict=True))


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
    ids, names, splits, groups = map(list, zip(*expected, strict=True))
    pack(ids, data.paths, names, splits, {"group": groups}, tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == file.read_bytes()
    assert (file.stat().st_mode & 0o777) == 0o644


def test_files_larger_than_a_chunk_and_empty_ones_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("search.data.readers.packs._CHUNK", 7)
    contents = [b"", b"1234567", b"12345678", bytes(100), b""]
    paths = [tmp_path / str(number) for number in range(5)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    ids = [f"{number}.png" for number in range(5)]
    pack(ids, paths, ["a"] * 5, [""] * 5, {}, tmp_path / "a.npz")
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
    "checksums.json",
    "checksums.json/a.png",
    "\ud800",
    "x" * 256,
]


@pytest.mark.parametrize("bad", [*BAD_IDS, "same.png"], ids=repr)
def test_ids_that_lead_elsewhere_are_refused_on_both_ways(packed, tmp_path, bad):
    data, file, _ = packed
    some = ["a"] * 2
    with pytest.raises(UserError):
        pack(["same.png", bad], data.paths[:2], some, some, {}, tmp_path / "b.npz")
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
    pack(["a", "a/b"], data.paths[:2], some, some, {}, tmp_path / "b.npz")
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
        {"given_group": np.array(["a\tb"] * 5)},
        {"given_group": np.array(["a"] * 4)},
        {"given_room": np.array(["a\0b"] * 5)},
        {"given_room": np.array(["\ud800"] * 5)},
        {"given_room": np.arange(5)},
        {"given_": np.array(["a"] * 5)},
        {"given_label": np.array(["a"] * 5)},
        {"given_ group": np.array(["a"] * 5)},
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


@pytest.mark.parametrize("member", ["checksums.json", "readme.txt"])
def test_a_pack_with_a_file_that_is_no_array_is_spoken_of_as_a_pack(packed, tmp_path, member):
    with zipfile.ZipFile(packed[1], "a") as archive:
        archive.writestr(member, "{}")
    with pytest.raises(UserError, match="cannot be read as a whole pack") as error:
        unpacked(packed[1], tmp_path / "folder")
    assert member in str(error.value)
    assert "pack the images anew" in str(error.value)
    assert "numpy.savez" not in str(error.value)


def test_images_pass_one_at_a_time(tmp_path):
    big = RNG.integers(0, 256, (60, 500, 500), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=big, y=np.arange(60))
    paths = [tmp_path / str(number) for number in range(60)]
    for path, image in zip(paths, big, strict=True):
        path.write_bytes(image.tobytes())
    tracemalloc.start()
    unpacked(tmp_path / "x.npz", tmp_path / "folder")
    pack([path.name for path in paths], paths, ["a"] * 60, [""] * 60, {}, tmp_path / "a.npz")
    unpacked(tmp_path / "a.npz", tmp_path / "again")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < big.nbytes / 2


def test_an_image_that_changes_meanwhile_is_noticed(packed, tmp_path, monkeypatch):
    data, _, _ = packed
    entry = packs._entry

    def late(archive, name):
        if name == "bytes":
            data.paths[2].write_bytes(b"other")
        return entry(archive, name)

    monkeypatch.setattr(packs, "_entry", late)
    some = ["a"] * 5
    with pytest.raises(UserError, match="changed while"):
        pack(data.ids, data.paths, some, some, {}, tmp_path / "b.npz")
    assert not (tmp_path / "b.npz").exists()


def test_nothing_is_overwritten_and_a_failed_pack_leaves_nothing(packed, tmp_path):
    data, file, _ = packed
    before = file.read_bytes()
    some = ["a"] * 5
    with pytest.raises(UserError, match="is there already"):
        pack(data.ids, data.paths, some, some, {}, file)
    assert file.read_bytes() == before
    data.paths[3].unlink()
    with pytest.raises(UserError, match="is gone"):
        pack(data.ids, data.paths, some, some, {}, tmp_path / "b.npz")
    with pytest.raises(UserError, match="no folder"):
        pack(data.ids, data.paths, some, some, {}, tmp_path / "none" / "b.npz")
    with pytest.raises(UserError, match="no images"):
        pack([], [], [], [], {}, tmp_path / "b.npz")
    assert {path.name for path in tmp_path.iterdir()} == {"shapes", "a.npz"}


def test_all_columns_of_a_manifest_travel(packed, tmp_path):
    data, _, _ = packed
    columns = {
        "patient": ["p1", "p1", "p2", "", "p2"],
        'a, "note"/of': ["1,2", 'say "a"', "two\nlines", "two\rlines", "ä"],
        "Unnamed: 3": ["", "", "", "", ""],
    }
    names, none = [data.classes[label] for label in data.labels], [""] * 5
    pack(data.ids, data.paths, names, none, columns, tmp_path / "b.npz")
    _, folder = unpacked(tmp_path / "b.npz", tmp_path / "folder")
    again = read_manifest(folder / "manifest.csv")
    assert again.columns() == (data.ids, again.paths, names, none, columns)


def test_a_data_set_without_columns_gets_none(packed, tmp_path):
    data, _, _ = packed
    pack(*data.columns(), tmp_path / "b.npz")
    rows, _ = unpacked(tmp_path / "b.npz", tmp_path / "folder")
    assert list(rows[0]) == ["image", "label", "split"]


@pytest.mark.parametrize("name", ["image", "label", "split", "", " a", "a\nb"])
def test_a_column_that_no_manifest_could_have_is_refused(packed, tmp_path, name):
    data, _, _ = packed
    some = ["a"] * 5
    with pytest.raises(UserError, match="Rename it"):
        pack(data.ids, data.paths, some, some, {name: some}, tmp_path / "b.npz")


def test_a_pack_is_an_npz_outside_the_images(tmp_path):
    images = tmp_path / "images"
    (images / "cat").mkdir(parents=True)
    (tmp_path / "link").symlink_to(images)
    check_target(tmp_path / "a.NPZ", images)
    for name in ("a", "a.zip", "a.npz.gz"):
        with pytest.raises(UserError, match=r"must end in \.npz"):
            check_target(tmp_path / name)
    for place in (images, images / "cat", tmp_path / "link"):
        with pytest.raises(UserError, match="within the images"):
            check_target(place / "a.npz", tmp_path / "elsewhere", images)
