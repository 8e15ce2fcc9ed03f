"""Class folders become one table; what is no data set is told with the way out."""

import os
import shutil

import numpy as np
import pytest
from kit.shapes import write_shapes
from PIL import Image

from search.data.images import decode
from search.data.readers.folders import read_class_folders
from search.data.readers.paths import no_file
from search.system.digests import file_sha256
from search.system.errors import UserError

pytestmark = pytest.mark.quick


def write(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), shade, np.uint8)).save(path)


@pytest.fixture
def pets(tmp_path):
    for shade, name in enumerate(["dog/7_b.png", "dog/7_a.png", "cat/3_x.png", "cat/deep/er/4_x.png", "ant/7_z.png"]):
        write(tmp_path / "pets" / name, shade)
    return tmp_path / "pets"


def refusal(root):
    with pytest.raises(UserError) as error:
        read_class_folders(root)
    return str(error.value)


def test_rows_are_sorted_by_id_and_labelled_by_top_folder(pets):
    dataset = read_class_folders(pets)
    assert dataset.ids == ["ant/7_z.png", "cat/3_x.png", "cat/deep/er/4_x.png", "dog/7_a.png", "dog/7_b.png"]
    assert dataset.classes == ("ant", "cat", "dog")
    assert dataset.labels.tolist() == [0, 1, 1, 2, 2]
    assert dataset.counts == {"ant": 1, "cat": 2, "dog": 2}
    assert len(dataset) == 5


def test_a_row_names_the_file_and_its_bytes(pets):
    dataset = read_class_folders(pets)
    assert dataset.paths == [pets / id_ for id_ in dataset.ids]
    assert dataset.contents == [file_sha256(path) for path in dataset.paths]


@pytest.mark.parametrize("suffix", ["jpg", "JPG", "jpeg", "png", "PNG", "bmp", "gif", "webp"])
def test_suffixes_of_images_are_known_in_any_case(pets, suffix):
    write(pets / "cat" / f"more.{suffix}")
    assert f"cat/more.{suffix}" in read_class_folders(pets).ids


def test_hidden_files_and_folders_are_passed_over_and_listed(pets):
    before = read_class_folders(pets)
    for name in (".git/x.png", "cat/.x.png", "cat/.thumbs/x.png", "cat/deep/.x/y/x.png"):
        write(pets / name)
    after = read_class_folders(pets)
    assert after.digest == before.digest
    assert after.ignored == (".git", "cat/.thumbs/", "cat/.x.png", "cat/deep/.x/")


def test_what_is_no_image_is_listed(pets):
    (pets / "cat" / "notes.txt").write_text("x")
    (pets / "dog" / "Thumbs.db").write_text("x")
    dataset = read_class_folders(pets)
    assert dataset.ignored == ("cat/notes.txt", "dog/Thumbs.db")
    assert len(dataset) == 5


def test_an_image_without_copies_is_its_own_group(pets):
    dataset = read_class_folders(pets)
    assert dataset.table["group"].tolist() == dataset.ids


def test_a_missing_folder_is_named(tmp_path):
    assert refusal(tmp_path / "none").startswith(f"There is no data folder {tmp_path / 'none'}. Name a folder that")


def test_a_folder_without_class_folders_is_told(tmp_path):
    assert refusal(tmp_path) == (
        f"The data folder {tmp_path} is empty. It must hold one folder of images for each class."
    )
    write(tmp_path / "a.png")
    write(tmp_path / "b.JPG")
    assert refusal(tmp_path) == (
        f"{tmp_path} holds 2 images but no class folders. Sort them into one folder for each class, "
        f"such as {tmp_path}/cat and {tmp_path}/dog; or name them in a CSV file (image,label) and give that."
    )


def test_a_class_without_images_is_named_with_the_way_out(pets):
    (pets / "bird").mkdir()
    (pets / "bird" / "notes.txt").write_text("x")
    message = refusal(pets)
    assert message.startswith(f"Class 'bird' of {pets} holds no images that can be read.")
    assert message.endswith("or move the folder away: every folder is a class.")


def test_one_class_is_too_few(pets):
    shutil.rmtree(pets / "ant")
    shutil.rmtree(pets / "dog")
    assert refusal(pets) == f"{pets} holds one class only (cat), which holds the folders deep. Did you mean {pets}/cat?"


def test_the_digest_stays_when_the_folder_moves(pets, tmp_path):
    before = read_class_folders(pets).digest
    assert read_class_folders(pets.rename(tmp_path / "moved")).digest == before


@pytest.mark.parametrize(
    "change",
    [
        lambda pets: write(pets / "cat/3_x.png", 99),
        lambda pets: (pets / "cat/3_x.png").rename(pets / "cat/3_y.png"),
        lambda pets: (pets / "cat/3_x.png").rename(pets / "dog/3_x.png"),
        lambda pets: (pets / "cat").rename(pets / "cow"),
        lambda pets: write(pets / "cat/5_x.png"),
    ],
    ids=["content", "name", "label", "class", "more"],
)
def test_the_digest_changes_with_the_data(pets, change):
    before = read_class_folders(pets).digest
    change(pets)
    assert read_class_folders(pets).digest != before


def test_unreadable_images_leave_the_table_and_are_listed(pets, tmp_path):
    (pets / "cat" / "3_x.png").write_bytes(b"garbage")
    dataset = read_class_folders(pets)
    readable = dataset.readable(decode(dataset.paths, dataset.contents, 4, tmp_path / "cache"))
    assert readable.unreadable == (("cat/3_x.png", "not an image that Pillow can identify"),)
    assert readable.ids == ["ant/7_z.png", "cat/deep/er/4_x.png", "dog/7_a.png", "dog/7_b.png"]
    assert readable.table.index.tolist() == [0, 1, 2, 3]
    assert readable.labels.tolist() == [0, 1, 2, 2]
    assert readable.digest != dataset.digest


def test_loose_files_beside_class_folders_are_listed(tmp_path):
    root = write_shapes(tmp_path / "loose", {"a": 2, "b": 2})
    (root / "loose.png").write_bytes((root / "a" / "a_000.png").read_bytes())
    dataset = read_class_folders(root)
    assert dataset.ignored == ("loose.png",)
    assert len(dataset) == 4


def test_a_name_that_is_not_utf8_is_refused_and_not_a_crash(tmp_path):
    root = write_shapes(tmp_path / "odd", {"a": 2, "b": 2})
    try:
        os.rename(root / "a" / "a_000.png", os.fsencode(root / "a") + b"/\xff.png")  # noqa: PTH104 a Path has no such names
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    with pytest.raises(UserError, match="not valid UTF-8"):
        read_class_folders(root)


def test_class_folders_that_are_all_empty_are_told(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "hole" / name).mkdir(parents=True)
    with pytest.raises(UserError, match="holds no images"):
        read_class_folders(tmp_path / "hole")


def test_every_split_is_told_where_one_is_called_otherwise(tmp_path):
    for folder in ("dev/a", "dev/b", "eval/a", "eval/b"):
        write(tmp_path / folder / "x.png")
    notes = read_class_folders(tmp_path).notes
    assert notes == ("Folders are read as a given split: dev (2 images) as validation, eval (2 images) as evaluation",)


def test_a_given_split_is_merged_and_kept(tmp_path):
    for number, name in enumerate(["training/a", "training/b", "Val/a", "Val/b", "test/b"]):
        write_shapes(tmp_path / name, {"deep": 2}, seed=number)
    (tmp_path / "README.txt").write_text("x")
    (tmp_path / "test" / ".DS_Store").write_text("x")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("a", "b")
    assert dataset.splits == {"test": 2, "train": 4, "validation": 4}
    assert dataset.ids[0] == "Val/a/deep/deep_000.png"
    assert dataset.ignored == ("README.txt", "test/.DS_Store")
    assert dataset.counts == {"a": 4, "b": 6}


@pytest.mark.parametrize(
    ("folders", "problem"),
    [
        (["train/a", "train/b", "test/a", "other/a"], "other lies beside them"),
        (["train/a", "train/b", "val/a", "validation/a"], "val and validation both mean validation"),
    ],
)
def test_what_may_be_splits_or_classes_is_not_guessed(tmp_path, folders, problem):
    for name in folders:
        write_shapes(tmp_path / name, {"x": 1})
    message = refusal(tmp_path)
    assert "looks like a data set that is already split" in message
    assert problem in message


def test_a_flat_test_folder_of_an_unlabelled_competition_is_left_out_and_said(tmp_path):
    write_shapes(tmp_path / "train", {"a": 2, "b": 2})
    write(tmp_path / "test" / "1.png")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("a", "b")
    assert dataset.splits == {"train": 4}
    assert dataset.omitted == (("test/1.png", "test/ has no class folders and so no labels"),)


def test_images_are_known_by_their_bytes_where_the_name_tells_nothing(pets):
    (pets / "cat" / "x.jfif").write_bytes((pets / "cat" / "3_x.png").read_bytes())
    (pets / "cat" / "noname").write_bytes((pets / "cat" / "3_x.png").read_bytes())
    (pets / "cat" / "drawing.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    dataset = read_class_folders(pets)
    assert {"cat/x.jfif", "cat/noname"} <= set(dataset.ids)
    assert dataset.ignored == ("cat/drawing.eps",)


def test_links_cannot_make_a_loop(pets, tmp_path):
    (pets / "cat" / "again").symlink_to(pets)
    (pets / "all").symlink_to(pets)
    (pets / "cat" / "self.png").symlink_to("self.png")
    (pets / "cat" / "gone.png").symlink_to("nothing.png")
    shutil.move(pets / "dog", tmp_path / "elsewhere")
    (pets / "dog").symlink_to(tmp_path / "elsewhere")
    dataset = read_class_folders(pets)
    assert dataset.counts == {"ant": 1, "cat": 2, "dog": 2}
    assert dataset.ignored == ("all", "cat/again/")
    assert dict(dataset.unreadable) == {
        "cat/gone.png": no_file(pets / "cat" / "gone.png"),
        "cat/self.png": "cannot be opened: Too many levels of symbolic links",
    }


def test_what_is_neither_file_nor_folder_is_passed_over(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    assert read_class_folders(pets).ignored == ("cat/pipe.png",)


def test_a_file_that_cannot_be_opened_is_listed_with_the_reason(pets, monkeypatch):
    def refuse(path):
        if path.name == "3_x.png":
            raise PermissionError(13, "Permission denied")
        return file_sha256(path)

    monkeypatch.setattr("search.data.readers.paths.file_sha256", refuse)
    dataset = read_class_folders(pets)
    assert dataset.unreadable == (("cat/3_x.png", "cannot be opened: Permission denied"),)
    assert dataset.counts["cat"] == 1
