"""A CSV of images becomes one table; paths lead nowhere else; every line that is wrong is named."""

import pytest
from kit.shapes import write_shapes

from search.data.readers.manifest import read_manifest
from search.system.errors import UserError

pytestmark = pytest.mark.quick


@pytest.fixture
def pets(tmp_path):
    write_shapes(tmp_path / "pets", {"cat": 2, "größe n": 2})
    return tmp_path


IMAGES = ["cat/cat_000.png", "cat/cat_001.png", "größe n/größe n_000.png", "größe n/größe n_001.png"]


def write(folder, text, name="pets.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def table(rows, head="image,label"):
    return "\n".join([head, *rows]) + "\n"


GOOD = [f"{id_},{id_.split('/')[0]}" for id_ in IMAGES]


def refusal(path):
    with pytest.raises(UserError) as error:
        read_manifest(path)
    return str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_images_are_found_in_the_folder_that_bears_the_files_name(pets, encoding, end):
    dataset = read_manifest(write(pets, table(GOOD).replace("\n", end), encoding=encoding))
    assert dataset.ids == IMAGES
    assert dataset.root == pets / "pets"
    assert dataset.source == pets / "pets.csv"
    assert dataset.classes == ("cat", "größe n")
    assert dataset.splits == {}


def test_images_are_found_beside_the_file(pets):
    dataset = read_manifest(write(pets, table(f"pets/{row}" for row in GOOD), "other.csv"))
    assert dataset.ids == [f"pets/{id_}" for id_ in IMAGES]
    assert dataset.root == pets


def test_paths_of_windows_are_understood(pets):
    assert read_manifest(write(pets, table(row.replace("/", "\\") for row in GOOD))).ids == IMAGES


def test_splits_get_their_usual_names_and_other_columns_are_kept(pets):
    rows = [f"{row},{split},{room}" for row, split, room in zip(GOOD, ["TRAIN", "val", "x", ""], "abcd", strict=True)]
    dataset = read_manifest(write(pets, table(rows, "image,label,split,room")))
    assert dataset.splits == {"train": 1, "validation": 1, "x": 1}
    assert dataset.table["given_room"].tolist() == list("abcd")


def test_labels_need_not_be_folders(pets):
    dataset = read_manifest(write(pets, table(f"{id_},{at % 2}" for at, id_ in enumerate(IMAGES))))
    assert dataset.classes == ("0", "1")
    assert dataset.labels.tolist() == [0, 1, 0, 1]


def test_images_that_are_not_there_are_listed_not_fatal(pets):
    dataset = read_manifest(write(pets, table([*GOOD, "cat/none.png,cat"])))
    assert dataset.unreadable == (("cat/none.png", "there is no such file"),)
    assert dataset.ids == IMAGES


def test_an_image_that_is_there_with_another_suffix_is_told_from_one_that_is_not(pets):
    other = GOOD[0].replace(".png", ".PNG")
    dataset = read_manifest(write(pets, table([other, *GOOD[1:]])))
    assert dataset.unreadable == (
        (IMAGES[0].replace(".png", ".PNG"), "there is no such file; it is there with the suffix .png"),
    )
    message = refusal(write(pets, table(row.replace(".png", ".jpg") for row in GOOD)))
    assert "nor in a folder there; it is there with the suffix .png." in message


def test_where_none_is_there_both_folders_are_named(pets):
    message = refusal(write(pets, table(f"elsewhere/{row}" for row in GOOD)))
    assert f"is in {pets / 'pets'} or {pets}" in message


@pytest.mark.parametrize(
    "path",
    ["../secret.png", "cat/../../secret.png", "/etc/passwd", "C:\\x.png", "..\\secret.png", "\\\\host\\x.png", "."],
)
def test_paths_that_lead_elsewhere_are_refused_with_their_line(pets, path):
    message = refusal(write(pets, table([*GOOD, f"{path},cat"])))
    assert ", line 6: the path " in message
    assert repr(path) in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,one,two\nx,y,z\n", "lacks the column 'label'; it needs image, label, and has image, one, two"),
        ("", "cannot be read as CSV"),
        ("\0\1\2", "lacks the column"),
        (table([*GOOD, "cat/cat_000.png,"]), "line 6: cat/cat_000.png has no label"),
        (table([*GOOD, "", "./cat/cat_000.png,dog"]), "line 7: cat/cat_000.png is listed in line 2 with other values"),
        (table([*GOOD, ",cat"]), "line 6: the path '' must be relative"),
        (table([GOOD[0], GOOD[1]]), "one class only (cat)"),
        ('image,label\n"x,y\n', "cannot be read as CSV"),
    ],
)
def test_what_is_wrong_is_named(pets, text, words):
    assert words in refusal(write(pets, text))


def test_a_line_that_is_repeated_alike_counts_once_and_is_said(pets):
    dataset = read_manifest(write(pets, table([*GOOD, "", "./cat/cat_000.png,cat"])))
    assert dataset.ids == IMAGES
    assert dataset.repeated == ("cat/cat_000.png",)


def test_a_file_of_another_encoding_is_told(pets):
    assert "cannot be read as CSV" in refusal(write(pets, table(GOOD), encoding="latin-1"))


def test_the_shared_tables_of_photographs_are_read(photographs):
    dataset = read_manifest(photographs / "hymenoptera.csv")
    assert dataset.counts == {"ants": 194, "bees": 204}
    assert set(dataset.splits) == {"train", "validation"}
    assert len(read_manifest(photographs / "brain_mri.csv")) == 252
    leaky = read_manifest(photographs / "brain_mri_augmented_leaky.csv")
    assert len(leaky) == 2065
    assert leaky.table["given_group"].nunique() == 252
