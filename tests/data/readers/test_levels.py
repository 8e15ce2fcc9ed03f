"""Labels come from the level of folders, or the pattern, that a person names; where that is needed, it is said."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.groups import regrouped
from search.data.readers.dispatch import read_dataset
from search.data.readers.folders import read_class_folders
from search.data.reading import Reading, as_before
from search.options import Options, check_command, overridden
from search.study import Study
from search.system.errors import UserError

pytestmark = pytest.mark.quick


def draw(root, *folders, each=3, name="{n}.png"):
    rng = np.random.default_rng(len(folders))
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for n in range(each):
            pixels = rng.integers(0, 256, (6, 6, 3), np.uint8)
            Image.fromarray(pixels).save(root / folder / name.format(n=n))
    return root


@pytest.fixture
def folds(tmp_path):
    return draw(tmp_path / "data", *(f"fold{n}/{name}" for n in range(1, 7) for name in ("cat", "dog")))


def refusal(data, **reading):
    with pytest.raises(UserError) as error:
        read_class_folders(data, Reading(**reading))
    return str(error.value)


def test_where_the_level_is_unclear_the_tree_and_the_ways_out_are_shown(folds):
    first, *tree, last = refusal(folds).splitlines()
    some = "fold1, fold2, fold3, fold4 and 2 more"
    assert first == (
        f"{folds} may have its classes on another level of folders: the same folders (cat, dog) lie in {some}."
    )
    assert tree == [*(f"  fold{n}/: 6 images in cat/ 3, dog/ 3" for n in range(1, 5)), "  … and 2 more folders"]
    assert last == (
        "Say which are the classes: --label-level 2 takes cat, dog (with --groups folder1 each of "
        f"{some} stays in one fold); --label-level 1 goes on with {some}; --labels-from PATTERN takes what a pattern "
        "finds in file names, or in paths if it has a slash. In a space file: Study(label_level=…)."
    )


def test_below_folds_that_hold_splits_the_classes_are_found(tmp_path):
    parts = [f"{top}/{part}/{name}" for top in ("a", "b") for part in ("train", "val") for name in ("cat", "dog")]
    root = draw(tmp_path, *parts)
    assert "--label-level 3 takes cat, dog (with --groups folder1 each of a, b stays in one fold)" in refusal(root)
    assert read_class_folders(root, Reading(label_level=3)).counts == {"cat": 12, "dog": 12}


def test_a_level_is_taken_as_named(folds):
    assert read_class_folders(folds, Reading(label_level=2)).counts == {"cat": 18, "dog": 18}
    assert read_class_folders(folds, Reading(label_level=1)).counts == {f"fold{n}": 6 for n in range(1, 7)}
    assert "label_level=3: no folder of" in refusal(folds, label_level=3)


def test_folders_above_the_classes_can_be_groups(folds):
    dataset = read_class_folders(folds, Reading(label_level=2))
    grouped = regrouped(dataset, Study("data", groups="folder1"), range(len(dataset)))
    assert sorted(set(grouped.groups)) == [f"fold{n}" for n in range(1, 7)]
    deeper = regrouped(dataset, Study("data", groups="folder2"), range(len(dataset)))
    assert len(set(deeper.groups)) == 12
    with pytest.raises(UserError, match="lies in a folder of level 3"):
        regrouped(dataset, Study("data", groups="folder3"), range(len(dataset)))


def test_images_above_the_level_are_left_out_and_splits_above_it_are_kept(tmp_path):
    root = draw(tmp_path, "train/p1/cat", "train/p2/dog", "val/p3/cat", "val/p4/dog")
    draw(root, "train/p1", each=1, name="loose.png")
    dataset = read_class_folders(root, Reading(label_level=3))
    assert dataset.splits == {"train": 6, "validation": 6}
    assert dataset.classes == ("cat", "dog")
    assert dataset.omitted == (("train/p1/loose.png", "there is no folder of level 3 above them, and so no label"),)


def test_labels_in_the_names_of_a_flat_folder(tmp_path):
    root = draw(tmp_path, ".", name="cat_{n}.png")
    draw(root, ".", name="dog_{n}.png")
    message = refusal(root)
    assert "If their names hold the labels (cat, dog), give --labels-from '^([A-Za-z]+)[\\W_]*\\d'." in message
    pattern = re.search(r"--labels-from '(.+?)'", message)[1]
    for named in (pattern, "^([a-z]+)_"):
        dataset = read_class_folders(root, Reading(labels_from=named))
        assert dataset.counts == {"cat": 3, "dog": 3}
        assert dataset.columns()[2] == ["cat"] * 3 + ["dog"] * 3
        assert named in dataset.notes[0]


def test_names_that_say_no_class_bring_no_hint(tmp_path):
    assert "--labels-from" not in refusal(draw(tmp_path, ".", name="IMG_{n}.png"))


def test_a_pattern_with_a_slash_finds_labels_in_paths(folds):
    dataset = read_class_folders(folds, Reading(labels_from=r"^[^/]+/([^/]+)/"))
    assert dataset.counts == {"cat": 18, "dog": 18}


def test_a_part_whose_names_hold_no_label_is_left_out(tmp_path):
    root = draw(draw(tmp_path, "train", name="cat.{n}.png"), "train", name="dog.{n}.png")
    draw(root, "test", each=5)
    dataset = read_class_folders(root, Reading(labels_from=r"^([a-z]+)\."))
    assert dataset.counts == {"cat": 3, "dog": 3}
    assert dataset.splits == {"train": 6}
    assert len(dataset.omitted) == 5


def test_a_pattern_that_misses_many_names_is_refused_and_one_that_misses_few_is_said(tmp_path):
    root = draw(draw(tmp_path, ".", each=12, name="cat_{n}.png"), ".", each=12, name="dog_{n}.png")
    draw(root, ".", each=1, name="7{n}.png")
    dataset = read_class_folders(root, Reading(labels_from="^([a-z]+)_"))
    assert [id_ for id_, _ in dataset.omitted] == ["70.png"]
    draw(root, ".", each=9, name="8{n}.png")
    assert "finds no label in 10 of the 34 images" in refusal(root, labels_from="^([a-z]+)_")
    assert "finds no label in 34 of the 34 images" in refusal(root, labels_from="(nothing)")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"labels_from": "^[a-z]+_"}, "must hold one (group) in brackets"),
        ({"labels_from": "("}, "is not a regular expression"),
        ({"label_level": 0}, "label_level=0"),
        ({"keep_masks": 1}, "keep_masks=1 must be True or False"),
        ({"root": 3}, "Study(root=3) must be a folder"),
    ],
)
def test_a_field_that_cannot_be_is_refused(fields, words):
    with pytest.raises(UserError) as error:
        Study("data", **fields)
    assert words in str(error.value)


def test_a_level_and_a_pattern_are_too_much():
    with pytest.raises(UserError, match="give label_level or labels_from"):
        Reading(label_level=1, labels_from="(a)")


def test_what_makes_no_sense_for_the_data_is_refused(folds, tmp_path):
    assert "is no table. Leave it out" in refusal(folds, root=tmp_path)
    (tmp_path / "a.csv").write_text("image,label\n")
    for fields in ({"label_level": 2}, {"labels_from": "(a)"}):
        with pytest.raises(UserError, match="is a file that has labels of its own"):
            read_dataset(tmp_path / "a.csv", tmp_path, Reading(**fields))


def test_a_table_in_a_folder_that_is_no_data_set_is_pointed_to(tmp_path):
    root = draw(tmp_path, "photos")
    (root / "labels.csv").write_text("id,label\n")
    assert refusal(root).endswith(f"If the labels are in labels.csv, name that as the data: {root / 'labels.csv'}.")


def test_the_options_say_of_other_data_what_the_study_said_of_its_own():
    study = Study("own", label_level=2, keep_masks=True)
    kept = overridden(study, Options(root="x"))
    assert (kept.label_level, kept.keep_masks, kept.root) == (2, True, "x")
    other = overridden(study, Options(data="other", labels_from="^(a)"))
    assert (other.label_level, other.labels_from, other.keep_masks) == (None, "^(a)", False)
    options = Options(data="d", label_level=2, root="a b", keep_masks=True, groups="folder1")
    line = check_command(Path("s.py"), study, overridden(study, options), options)
    assert all(said in line for said in (" --label-level 2", " --root 'a b'", " --groups folder1", " --keep-masks"))
    assert "--labels-from" not in line


def test_an_older_search_is_read_as_it_was_then(tmp_path):
    root = draw(tmp_path, "fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog")
    dataset = read_class_folders(root, Reading(label_level=1))
    images = dataset.table.assign(label=[dataset.classes[label] for label in dataset.labels])
    assert as_before(images, root) == {"keep_masks": True, "label_level": 1}
    assert as_before(None, root) == {"keep_masks": True}
    split = draw(tmp_path / "split", "train/cat", "train/dog", "test/cat", "test/dog")
    dataset = read_class_folders(split)
    images = dataset.table.assign(label=[dataset.classes[label] for label in dataset.labels])
    assert as_before(images, split) == {"keep_masks": True}
