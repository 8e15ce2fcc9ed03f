"""Splits and classes are found on whatever level they are; where it is unclear which level it is, there is a doubt."""

import pytest

from search.data.readers.layout import class_nodes, doubt_of, layout_of, outline
from search.data.readers.splits import word_of
from search.data.readers.tree import tree_of

pytestmark = pytest.mark.quick

CLASSES = ("cat", "dog", "owl")


def images(*folders, each=6):
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(each)]


def within(*tops, below=CLASSES):
    return [f"{top}/{name}" for top in tops for name in below]


def seen(ids):
    """Return the classes that a tree has, its splits with images, what is unlabelled, its problem and its doubt."""
    tree = tree_of(ids)
    layout = layout_of(tree)
    classes = sorted(class_nodes(tree, layout))
    splits = {"/".join(part.prefix): part.split for part in layout.parts if part.labelled and part.split}
    unlabelled = ["/".join(part.prefix) for part in layout.parts if not part.labelled]
    doubt = doubt_of(tree, layout)
    return classes, splits, unlabelled, layout.problem, doubt.reason if doubt else ""


@pytest.mark.parametrize(
    ("name", "word"),
    [
        *((name, "train") for name in ("train", "Training", "training_set", "seg_train", "TRAIN", "trainA")),
        *((name, "train") for name in ("trainset", "Train-Images", "tr", "my train data", "train2017", "labeled")),
        *((name, "validation") for name in ("val", "valid", "valid_dir", "Validation Set", "dev", "valset", "x_val")),
        *((name, "test") for name in ("test", "Testing", "test_set", "seg_test", "testB", "test-images", "testdata")),
        *((name, "prediction") for name in ("seg_pred", "predictions", "to_predict")),
        *((name, "") for name in ("trains", "strain", "testament", "cat", "attest", "value", "valve", "device")),
        ("train_vs_test", ""),
    ],
)
def test_splits_are_known_by_the_common_ways_of_writing_them(name, word):
    assert word_of(name) == word


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("training_set", "test_set"), ("Train", "Valid"), ("tr", "te"), ("trainset", "testset")],
)
def test_two_splits_with_the_same_classes_are_splits(train, test):
    classes, splits, unlabelled, problem, doubt = seen(images(*within(train, test)))
    assert (classes, unlabelled, problem, doubt) == (sorted(CLASSES), [], "", "")
    assert splits == {train: "train", test: word_of(test)}


@pytest.mark.parametrize(
    ("unlabelled", "prefix"),
    [
        (["seg_pred/seg_pred"], "seg_pred/seg_pred"),
        (["test"], "test"),
        (["test/images"], "test/images"),
        (["test/unknown"], "test"),
        (["predictions"], "predictions"),
    ],
)
def test_a_split_without_class_folders_is_unlabelled(unlabelled, prefix):
    ids = images(*within("seg_train/seg_train"), *unlabelled)
    classes, splits, without, problem, doubt = seen(ids)
    assert (classes, splits, without) == (sorted(CLASSES), {"seg_train/seg_train": "train"}, [prefix])
    assert (problem, doubt) == ("", "")


def test_splits_within_a_folder_of_images_and_within_classes_are_found():
    classes, splits, *_ = seen(images(*within("images/train", "images/val")))
    assert (classes, splits) == (sorted(CLASSES), {"images/train": "train", "images/val": "validation"})
    tree = tree_of(images(*within(*CLASSES, below=("train", "test"))))
    layout = layout_of(tree)
    assert layout.split_below
    assert sorted(class_nodes(tree, layout)) == sorted(CLASSES)
    assert doubt_of(tree, layout) is None


@pytest.mark.parametrize(
    ("folders", "problem"),
    [
        (["train", "test"], "train holds no class folders"),
        (["train", *within("test")], "train holds no class folders"),
        ([*within("train", "training")], ""),
        ([*within("train", "training", "test")], "train and training both mean train"),
        ([*within("train", "test"), "other/cat"], "other lies beside them"),
        (["seg_train", "seg_test"], "seg_train holds no class folders"),
        (["test_images_1", "val_images_2"], "test_images_1 holds no class folders"),
        (["test_street", "val_street"], "test_street holds no class folders"),
        (["train_clean", "test_noisy"], "train_clean holds no class folders"),
        (
            ["trainA", "trainB", "testA", "testB"],
            "trainA and trainB both mean train (if A and B are classes, name the folders train/A and train/B)",
        ),
    ],
)
def test_what_looks_like_splits_and_cannot_be_used_is_a_problem(folders, problem):
    *_, found, _ = seen(images(*folders))
    assert found == problem


@pytest.mark.parametrize(
    "folders",
    [
        ["freight_train", "test_tube", "bus"],
        ["train_station", "platform", "crossing"],
        ["en", "tr", "te", "va"],
        ["passenger_train", "freight_train"],
        ["test_strip", "dev_board"],
        ["test_tube", "eval_board", "dev_kit"],
    ],
)
def test_classes_that_hold_a_word_of_a_split_are_classes(folders):
    assert seen(images(*folders)) == (sorted(folders), {}, [], "", "")


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        (within("fold1", "fold2", "fold3"), "the same folders (cat, dog, owl) lie in fold1, fold2, fold3"),
        (within("2019", "2020"), "the same folders (cat, dog, owl) lie in 2019, 2020"),
        (within("p01", "p02", "p03", below=("benign", "malignant")), "the same folders (benign, malignant) lie in"),
        (within("8863", "9022", "9181", below=("0", "1")), "the same folders (0, 1) lie in 8863, 9022, 9181"),
        (
            [f"p{n}/{'sick' if n % 2 else 'well'}" for n in range(8)],
            "the same folders (sick, well) lie in p0",
        ),
        (within("Greek", "Latin", below=("character01", "character02")), "the same folders (character01, character02)"),
        (within("kitchen", "garden", below=("day", "night")), "the same folders (day, night) lie in kitchen, garden"),
        (["a/airport", "a/alley", "b/bar", "c/castle"], "a, b, c are the first letters of the folders in them"),
        ([f"patient_{n:03d}" for n in range(7)], "patient_002, patient_003 and 3 more look like cases"),
        (
            ["HAM10000_images_part_1", "HAM10000_images_part_2"],
            "HAM10000_images_part_1, HAM10000_images_part_2 look like",
        ),
        (["2021-03-05", "2021-03-06", "2021-03-09"], "look like cases and not like classes"),
        (
            [f"{top}/{name}" for top in within("A", "B", below=("p01", "p02")) for name in CLASSES],
            "lie in A/p01, A/p02",
        ),
        (
            ["amazon/images/bag", "amazon/images/mug", "webcam/images/bag", "webcam/images/mug"],
            "(bag, mug) lie in",
        ),
        (
            [f"a/{part}/{name}" for part in ("train", "val") for name in CLASSES] + ["b/val/cat"],
            "lie in a/train",
        ),
        ([*within("train"), "sample"], "train is called like a split and holds cat, dog, owl"),
        (within("train/p1", "train/p2", "test/p3", "test/p4"), "the same folders (cat, dog, owl) lie in p1"),
    ],
)
def test_a_level_of_cases_is_doubted(folders, reason):
    assert reason in seen(images(*folders))[-1]


@pytest.mark.parametrize(
    ("folders", "each"),
    [
        (["case1", "case2"], 19),
        (["day1", "day2", "day3", "day4"], 40),
        (["patient1", "patient2"], 40),
        (["fold1", "fold2", "fold3"], 40),
        (["part1", "part2"], 400),
        (["day1/a", "day2/b"], 40),
    ],
)
def test_cases_that_are_many_or_hardly_filled_or_no_stages_are_doubted(folders, each):
    assert "look like cases and not like classes" in seen(images(*folders, each=each))[-1]


@pytest.mark.parametrize(
    ("folders", "each"),
    [
        ([f"{n:04d}" for n in range(60)], 3),
        ([f"IMG{n:04d}" for n in range(25)], 2),
        ([f"name {chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(400)], 2),
    ],
)
def test_very_many_folders_with_hardly_any_images_are_doubted(folders, each):
    assert "like cases" in seen(images(*folders, each=each))[-1]


@pytest.mark.parametrize(
    ("folders", "each"),
    [
        (list(CLASSES), 6),
        ([f"bird {n}" for n in range(300)], 20),
        ([f"{n:03d}" for n in range(300)], 20),
        ([str(n) for n in range(10)], 2),
        ([f"{n}" for n in range(1, 103)], 10),
        ([f"digit_{n}" for n in range(10)], 5),
        ([f"n{1440764 + n:08d}" for n in range(1000)], 4),
        ([f"s{n}" for n in range(1, 41)], 10),
        ([f"subject{n:02d}" for n in range(1, 16)], 11),
        (["1920", "1930", "1940"], 8),
        (list("abcdefghij"), 4),
        ([f"{n:03d}.Black_footed_Albatross_{n}" for n in range(200)], 3),
        (["with_mask", "without_mask"], 9),
        (within(*CLASSES, below=("images",)), 5),
        (within(*CLASSES, below=("1", "2", "3")), 5),
        (within(*CLASSES, below=("patient1", "patient2")), 5),
        (within("sick", "well", below=("2019", "2020")), 5),
        (["cat/tabby", "cat/siamese", "dog/pug", "dog/husky"], 5),
        (within("good", "bad", below=("original", "augmented")), 5),
        ([f"{name}/SOB/{n}/{size}" for name in ("sick", "well") for n in range(3) for size in ("40X", "100X")], 5),
        (["cat", "dog", "dog/deep", "cat/deep", "cat/er", "dog/er"], 5),
        (["image1", "image2"], 5),
        (["case1", "case2"], 20),
        (["day1", "day2", "day3"], 20),
        (["week 1", "week 2"], 40),
    ],
)
def test_classes_of_any_number_and_name_raise_no_doubt(folders, each):
    classes, splits, unlabelled, problem, doubt = seen(images(*folders, each=each))
    assert classes == sorted({folder.split("/")[0] for folder in folders})
    assert (splits, unlabelled, problem, doubt) == ({}, [], "", "")


def test_an_outline_has_five_lines_with_the_images_of_each_folder():
    lines = outline(tree_of(images(*within(*(f"fold{n}" for n in range(9))))))
    assert lines == [
        *(f"fold{n}/: 18 images in cat/ 6, dog/ 6, owl/ 6" for n in range(4)),
        "… and 5 more folders",
    ]
    assert outline(tree_of(images("a", "b", each=2))) == ["a/: 2 images", "b/: 2 images"]
    assert outline(tree_of(images("a", each=1))) == ["a/: 1 image"]
