"""Tables as people have them are understood and it is said how; what names no single class is refused in a line."""

import numpy as np
import pytest
from kit.shapes import write_shapes
from PIL import Image

from search.data.readers.manifest import read_manifest
from search.data.reading import Reading
from search.system.errors import UserError

pytestmark = pytest.mark.quick

NAMES = ("boxer", "husky", "pug")
IDS = [f"{number * 7919:016x}" for number in range(12)]
LABELS = [NAMES[number % 3] for number in range(12)]
PAIRS = list(zip(IDS, LABELS, strict=True))


def draw(folder, ids=IDS, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(ids))
    for id_ in ids:
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(folder / f"{id_}{suffix}")


@pytest.fixture
def dogs(tmp_path):
    draw(tmp_path / "photos")
    return tmp_path


def written(folder, head, line, name="dogs.csv"):
    """Write a table; ``line`` is a pattern of an id and a label."""
    lines = [line.format(id=id_, label=label, folder=folder) for id_, label in PAIRS]
    (folder / name).write_text("\n".join([*filter(None, [head]), *lines]) + "\n", encoding="utf-8")
    return folder / name


def refusal(path, **reading):
    with pytest.raises(UserError) as error:
        read_manifest(path, Reading(**reading))
    assert len(str(error.value)) < 500 + 3 * len(str(path))
    return str(error.value)


def is_whole(dataset):
    """Return whether a data set holds the twelve images with their own labels."""
    pairs = sorted(zip([path.stem for path in dataset.paths], dataset.columns()[2], strict=True))
    return pairs == sorted(PAIRS) and all(path.is_file() for path in dataset.paths)


@pytest.mark.parametrize(
    ("head", "line", "name", "said"),
    [
        ("image,label", "photos/{id}.png,{label}", "dogs.csv", ""),
        ("image,label", "{id}.png,{label}", "dogs.csv", "is photos/"),
        ("image,label", "{id},{label}", "dogs.csv", "is photos/"),
        ("id,breed", "{id},{label}", "dogs.csv", "column 'id' names the images, 'breed' the labels"),
        ("id,kind", "{id},{label}", "dogs.csv", "column 'id' names the images, 'kind' the labels"),
        ("picked,kind", "{id},{label}", "dogs.csv", "column 'picked' names the images, 'kind' the labels"),
        ("filename,class", "{id}.png,{label}", "dogs.csv", "'filename' names the images, 'class' the labels"),
        ("image_id,dx,age", "{id},{label},50", "dogs.csv", "'image_id' names the images, 'dx' the labels"),
        ("lesion_id,image_id,dx,dx_type", "L1,{id},{label},x", "dogs.csv", "'image_id' names the images, 'dx' the"),
        ("Id,Target", "{id},{label}", "dogs.csv", "'Id' names the images, 'Target' the labels"),
        (
            ",file_name,category",
            "7,{id}.png,{label}",
            "dogs.csv",
            "'file_name' names the images, 'category' the",
        ),
        ("labels,file", "{label},{id}", "dogs.csv", "'file' names the images, 'labels' the labels"),
        ("id,file,label", "7,{id}.png,{label}", "dogs.csv", "'file' names the images, 'label' the labels"),
        ("image\tlabel", "photos/{id}.png\t{label}", "dogs.tsv", "separated by tabs"),
        ("image\tlabel", "photos/{id}.png\t{label}", "dogs.csv", "separated by tabs"),
        ("image;label", "photos/{id}.png;{label}", "dogs.csv", "separated by semicolons"),
        ("", "photos/{id}.png,{label}", "dogs.csv", "its first line is an image"),
        ("", "{label},{id}.png", "dogs.csv", "its first line is an image"),
        ("", "{id},{label}", "dogs.csv", "its first line is an image"),
        ("", "{id};{label}", "dogs.csv", "separated by semicolons; its first line is an image"),
        (
            "image,label",
            "{folder}/photos/{id}.png,{label}",
            "dogs.csv",
            "Absolute paths, and those with",
        ),
    ],
)
def test_a_table_is_understood_and_it_is_said_how(dogs, head, line, name, said):
    dataset = read_manifest(written(dogs, head, line, name))
    assert is_whole(dataset)
    assert dataset.ids[0] == f"photos/{IDS[0]}.png"
    assert said in " ".join(dataset.notes)
    assert bool(dataset.notes) is bool(said)


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_columns_of_zero_and_one_are_the_labels(dogs, yes, no):
    rows = [",".join(yes if label == name else no for name in NAMES) for label in LABELS]
    lines = [f"{id_},{row}" for id_, row in zip(IDS, rows, strict=True)]
    (dogs / "hot.csv").write_text("\n".join([f"image,{','.join(NAMES)}", *lines]))
    dataset = read_manifest(dogs / "hot.csv")
    assert is_whole(dataset)
    assert "3 columns of 0 and 1 are the labels" in dataset.notes[0]
    (dogs / "hot.csv").write_text("\n".join([f"image,{','.join(NAMES)}", *lines, f"x,{yes},{yes},{no}"]))
    assert "line 14: several labels in one line (1 in the columns boxer, husky)" in refusal(dogs / "hot.csv")
    (dogs / "hot.csv").write_text("\n".join([f"image,{','.join(NAMES)}", *lines, f"x,{no},{no},{no}"]))
    assert "line 14: none of the columns boxer, husky, pug is 1" in refusal(dogs / "hot.csv")


def test_a_hundred_columns_of_zero_and_one_are_no_pixels(dogs):
    names = [*NAMES, *map(str, range(97))]
    rows = [f"{id_}," + ",".join(str(int(name == label)) for name in names) for id_, label in PAIRS]
    (dogs / "hot.csv").write_text("\n".join(["image," + ",".join(names), *rows]))
    assert is_whole(read_manifest(dogs / "hot.csv"))


@pytest.mark.parametrize(
    "label", ["boxer pug", "boxer|pug", "boxer;pug", "boxer/pug", '"boxer, pug"', "\"['a', 'b']\""]
)
def test_several_labels_in_a_field_are_refused(dogs, label):
    path = written(dogs, "image,label", "{id},{label}")
    path.write_text(path.read_text().replace(f"{IDS[4]},husky", f"{IDS[4]},{label}"))
    assert "line 6: several labels in one line" in refusal(path)


@pytest.mark.parametrize("label", ["husky dog", "husky/2", "pug (small)", "husky+", "Old English sheepdog"])
def test_a_name_of_several_words_is_one_class(dogs, label):
    path = written(dogs, "image,label", "{id},{label}")
    path.write_text(path.read_text().replace("husky", label))
    assert label in read_manifest(path).classes


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(["label," + ",".join(f"pixel{n}" for n in range(784)), *["3" + ",7" * 784] * 3]),
        "\n".join(["5" + ",0" * 784] * 3),
        "\n".join(["emotion,pixels,Usage", *["0," + "12 " * 99 + "3,Training"] * 3]),
    ],
)
def test_a_table_of_pixels_is_refused_with_the_way_out(tmp_path, text):
    (tmp_path / "digits.csv").write_text(text)
    message = refusal(tmp_path / "digits.csv")
    assert "is a table of pixels (" in message
    assert "np.savez" in message


def test_a_table_of_measurements_or_captions_is_no_table_of_classes(dogs):
    path = written(dogs, "image,caption", "{id},what {id} shows")
    assert "the column 'caption' has 12 values in 12 lines, and so names no classes" in refusal(path)
    path.write_text("image,target\n" + "".join(f"{id_},{at / 7:.4f}1\n" for at, id_ in enumerate(IDS)))
    assert "the column 'target' has 12 values in 12 lines" in refusal(path)


def test_columns_that_may_all_be_the_label_are_named(dogs):
    path = written(dogs, "image,one,two", "{id},{label},{label}")
    assert "lacks the column 'label'; it needs image, label, and has image, one, two" in refusal(path)
    path = written(dogs, "", "{id}.png,{label},x")
    assert "its first line must hold the names of its 3 columns" in refusal(path)


def test_images_in_several_folders_are_all_found(tmp_path):
    draw(tmp_path / "images_part_1", IDS[:7], ".jpg")
    draw(tmp_path / "images_part_2", IDS[7:], ".JPG")
    dataset = read_manifest(written(tmp_path, "image_id,dx", "{id},{label}"))
    assert is_whole(dataset)
    assert {id_.split("/")[0] for id_ in dataset.ids} == {"images_part_1", "images_part_2"}


def test_the_likelier_of_two_folders_holds_the_images(tmp_path):
    draw(tmp_path / "masks")
    draw(tmp_path / "images")
    path = written(tmp_path, "image,label", "{id},{label}", "labels.csv")
    assert {id_.split("/")[0] for id_ in read_manifest(path).ids} == {"images"}
    draw(tmp_path / "train")
    path = written(tmp_path, "image,label", "{id},{label}", "train.csv")
    (tmp_path / "train").rename(tmp_path / "train_images")
    assert {id_.split("/")[0] for id_ in read_manifest(path).ids} == {"train_images"}


def test_of_two_folders_that_are_equally_likely_one_must_be_named(tmp_path):
    draw(tmp_path / "one")
    draw(tmp_path / "two")
    path = written(tmp_path, "image,label", "{id},{label}")
    assert f"--root {tmp_path / 'one'}" in refusal(path)
    assert is_whole(read_manifest(path, Reading(root=tmp_path / "two")))


def test_an_image_that_is_in_no_folder_is_listed(dogs):
    path = written(dogs, "image,label", "{id},{label}")
    path.write_text(path.read_text() + "lost,pug\n")
    dataset = read_manifest(path)
    assert is_whole(dataset)
    assert dataset.unreadable == (("lost", "there is no such file"),)


def test_an_image_that_is_listed_with_and_without_suffix_is_refused(dogs):
    path = written(dogs, "image,label", "{id},{label}")
    path.write_text(path.read_text() + f"{IDS[0]}.png,pug\n")
    assert f"'{IDS[0]}' and '{IDS[0]}.png' are the same image, photos/{IDS[0]}.png" in refusal(path)


def test_paths_below_a_named_root_are_taken(dogs, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("tables")
    (elsewhere / "dogs.csv").write_text(written(dogs, "image,label", "{folder}/photos/{id}.png,{label}").read_text())
    message = refusal(elsewhere / "dogs.csv")
    assert f"line 2: the path '{dogs}/photos/{IDS[0]}.png' must be relative" in message
    assert f"--root {dogs}/photos" in message
    for root in (dogs, dogs / "photos"):
        dataset = read_manifest(elsewhere / "dogs.csv", Reading(root=root))
        assert is_whole(dataset)
        assert dataset.root == root
    (elsewhere / "ids.csv").write_text(written(dogs, "id,breed", "{id},{label}").read_text())
    assert is_whole(read_manifest(elsewhere / "ids.csv", Reading(root=dogs)))
    assert "is no folder" in refusal(elsewhere / "dogs.csv", root=dogs / "none")


def test_paths_to_a_sibling_folder_need_a_root(dogs):
    (dogs / "tables").mkdir()
    path = written(dogs / "tables", "image,label", "../photos/{id}.png,{label}")
    assert f"--root {dogs}/photos" in refusal(path)
    dataset = read_manifest(path, Reading(root=dogs))
    assert is_whole(dataset)
    assert dataset.ids[0] == f"photos/{IDS[0]}.png"


@pytest.mark.parametrize("before", ["/kaggle/input/dogs/photos/", "C:\\Users\\ann\\photos\\", "D:/photos/"])
def test_paths_of_another_machine_are_looked_for_below_the_root(dogs, before):
    path = written(dogs, "image,label", before + "{id}.png,{label}")
    assert "line 2: the path" in refusal(path)
    assert "--root FOLDER" in refusal(path)
    assert is_whole(read_manifest(path, Reading(root=dogs)))


@pytest.mark.parametrize("odd", ["/etc/passwd", "../secret.png", "photos/../../secret.png", "C:\\x.png"])
def test_a_path_out_of_the_root_is_refused(dogs, odd):
    path = written(dogs, "image,label", "photos/{id}.png,{label}")
    path.write_text(path.read_text() + f"{odd},pug\n")
    assert "line 14: the path" in refusal(path, root=dogs)


def test_usual_names_of_splits_are_read_as_the_split(dogs):
    lines = [f"{id_},{label},{'Training' if at % 2 else 'Val'}" for at, (id_, label) in enumerate(PAIRS)]
    (dogs / "dogs.csv").write_text("\n".join(["image,label,usage", *lines]))
    dataset = read_manifest(dogs / "dogs.csv")
    assert dataset.splits == {"train": 6, "validation": 6}
    assert "'usage' the given split" in dataset.notes[0]


def test_class_folders_of_the_same_names_as_ids_do_not_mislead(tmp_path):
    write_shapes(tmp_path / "dogs", {"boxer": 3, "pug": 3})
    ids = sorted(path.relative_to(tmp_path / "dogs").as_posix() for path in (tmp_path / "dogs").rglob("*.png"))
    (tmp_path / "dogs.csv").write_text("image,label\n" + "".join(f"{id_},{id_.split('/')[0]}\n" for id_ in ids))
    dataset = read_manifest(tmp_path / "dogs.csv")
    assert (dataset.ids, dataset.root, dataset.notes) == (ids, tmp_path / "dogs", ())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_table_that_names_its_encoding_is_read(dogs, encoding, separator):
    lines = [
        separator.join(pair) for pair in [("image", "label"), *((f"photos/{id_}.png", name) for id_, name in PAIRS)]
    ]
    (dogs / "dogs.csv").write_bytes("\r\n".join(lines).encode(encoding))
    assert is_whole(read_manifest(dogs / "dogs.csv"))


def columns(folder, head, *more):
    """Write a table of image, label and further columns, each a list of twelve texts."""
    lines = [f"photos/{id_}.png,{label},{','.join(fields)}" for (id_, label), *fields in zip(PAIRS, *more, strict=True)]
    (folder / "dogs.csv").write_text("\n".join([head, *lines]) + "\n")
    return read_manifest(folder / "dogs.csv")


def test_a_column_that_sorts_the_images_otherwise_than_the_labels_is_named(dogs):
    other, same = [str(number % 4) for number in range(12)], [str(number % 3) for number in range(12)]
    unused = "column 'class' says otherwise than the labels in 'label' and is not used"
    dataset = columns(dogs, "image,label,class", other)
    assert is_whole(dataset)
    assert dataset.notes == (f"Table dogs.csv: {unused}",)
    assert columns(dogs, "image,label,class,label_id", other, same).notes == (f"Table dogs.csv: {unused}",)
    assert columns(dogs, "image,label,label_id", same).notes == ()


@pytest.mark.parametrize(
    ("name", "values", "splits", "words"),
    [
        ("is_test", "01", {"test": 4, "train": 8}, "'is_test' the given split (1 is test, 0 is train)"),
        ("IsTest", ("False", "True"), {"test": 4, "train": 8}, "'IsTest' the given split (1 is test, 0 is train)"),
        ("is_training_image", "10", {"test": 4, "train": 8}, "the given split (1 is train, 0 is test)"),
        ("is_val", "01", {"train": 8, "validation": 4}, "(1 is validation, 0 is train)"),
        ("is_test", "0?", {}, "column 'is_test' is not used as the split"),
    ],
)
def test_a_column_that_says_of_a_split_who_is_in_it_gives_the_split(dogs, name, values, splits, words):
    dataset = columns(dogs, f"image,label,{name}", [values[number >= 8] for number in range(12)])
    assert is_whole(dataset)
    assert dataset.splits == splits
    assert words in dataset.notes[0]


def test_several_columns_of_splits_are_named_and_not_used(dogs):
    zeros, split = ["0"] * 12, ["train", "test"] * 6
    dataset = columns(dogs, "image,label,is_test,is_val", zeros, zeros)
    assert (dataset.splits, dataset.notes[0].count("is not used as the split")) == ({}, 2)
    dataset = columns(dogs, "image,label,split,is_test", split, zeros)
    assert dataset.splits == {"test": 6, "train": 6}
    assert "column 'is_test' is not used as the split: another column is the split" in dataset.notes[0]


def test_links_in_the_folder_of_the_images_are_followed_as_in_class_folders(dogs, tmp_path):
    (dogs / "photos").rename(tmp_path / "elsewhere")
    (dogs / "here").mkdir()
    (dogs / "here" / "photos").symlink_to(tmp_path / "elsewhere")
    assert is_whole(read_manifest(written(dogs, "image,label", "photos/{id}.png,{label}"), Reading(root=dogs / "here")))
