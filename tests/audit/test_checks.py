"""Each oddity of a data set is found, named with its files, and not found where it is not."""

import dataclasses
import itertools

import numpy as np
import pytest
from kit.shapes import write_shapes
from PIL import Image

from search.audit.checks import CHECKS, audit
from search.audit.inspection import Inspection
from search.audit.shortcuts import shortcut_of_files
from search.data.decoding import Facts
from search.data.depth import Ranges
from search.data.duplicates import Pair, grouped
from search.data.finding import ERROR, LEVELS, NOTE, WARNING, Finding
from search.data.groups import regrouped
from search.data.images import THUMBNAIL, decode_sizes, extents
from search.data.readers.folders import read_class_folders
from search.data.readers.manifest import read_manifest
from search.data.reading import Reading
from search.study import Study

COUNTS = {"across": 30, "down": 30}


def inspect(found, tmp_path, pairs=(), **study):
    """Return what the checks see; ``pairs`` are (id, id) of near-duplicates."""
    cache = tmp_path / "cache"
    ranges = Ranges().of(extents(found.paths, found.contents, cache).values())
    found = dataclasses.replace(found, ranges=ranges)
    decoded = decode_sizes(found.paths, found.contents, [THUMBNAIL], cache, ranges=ranges)[THUMBNAIL]
    dataset = found.readable(decoded)
    row = {id_: number for number, id_ in enumerate(dataset.ids)}
    evidence = [Pair(row[first], row[second], 0.95, "mirrored") for first, second in pairs]
    near = grouped(len(dataset), evidence)
    made = Study("data", **study)
    return Inspection(regrouped(dataset, made, near), decoded.pixels, near, evidence, made, np.arange(len(dataset)))


def topics(inspection):
    return {finding.topic: finding for finding in audit(inspection).findings}


@pytest.fixture
def plain(tmp_path):
    return write_shapes(tmp_path / "plain", COUNTS)


def name(label, number):
    return f"{label}/{label}_{number:03d}.png"


def test_nothing_is_odd_about_plain_images(plain, tmp_path):
    assert topics(inspect(read_class_folders(plain), tmp_path)) == {}


def test_the_gravest_comes_first(plain, tmp_path):
    (plain / "notes.txt").write_text("x")
    (plain / "down" / "bad.png").write_bytes(b"x")
    inspection = inspect(read_class_folders(plain), tmp_path)
    levels = [finding.level for finding in audit(inspection, [Finding(ERROR, "plan", "x")]).findings]
    assert levels == [ERROR, WARNING, NOTE]
    assert [found.topic for found in audit(inspection, [Finding(ERROR, "plan", "x")]).errors] == ["plan"]


def test_unreadable_and_ignored_files_are_counted_and_named(plain, tmp_path):
    (plain / "notes.txt").write_text("x")
    (plain / "down" / ".DS_Store").write_text("x")
    (plain / "down" / "bad.png").write_bytes(b"x")
    found = topics(inspect(read_class_folders(plain), tmp_path))
    assert found["unreadable"].text == (
        "1 image cannot be read and was left out (not an image that Pillow can identify)"
    )
    assert found["unreadable"].files == ("down/bad.png",)
    assert found["ignored"].files == ("down/.DS_Store", "notes.txt")


def test_near_duplicates_are_a_note_where_groups_follow_them_and_a_warning_where_they_do_not(plain, tmp_path):
    pairs = [(name("down", 1), name("down", 2)), (name("down", 2), name("down", 5))]
    followed = topics(inspect(read_class_folders(plain), tmp_path, pairs))["near-duplicates"]
    assert followed.level == NOTE
    assert followed.text == (
        "3 images are copies of one another, in 1 set of near-duplicates; the images of a set always share a fold"
    )
    assert followed.files == (name("down", 1), name("down", 2), name("down", 5))
    for groups, way_out in ((None, '"auto"'), ((None, r"_(\d+)"), r'("auto", r"_(\d+)")')):
        found = topics(inspect(read_class_folders(plain), tmp_path, pairs, groups=groups))["near-duplicates"]
        assert found.level == WARNING
        assert found.way_out == f"Keep them together: Study(groups={way_out})."  # the pattern is not lost
    both = topics(inspect(read_class_folders(plain), tmp_path, pairs, groups=r"_(\d+)"))["near-duplicates"]
    assert both.level == NOTE


def test_a_pattern_that_keeps_near_duplicates_together_is_no_warning(plain, tmp_path):
    pairs = [(name("down", 1), name("across", 1))]
    found = topics(inspect(read_class_folders(plain), tmp_path, pairs, groups=(None, r"_(\d+)")))
    assert "near-duplicates" not in found
    assert found["conflicting labels"].files == (name("across", 1), name("down", 1))


def test_equal_files_are_named_and_conflict_where_their_labels_differ(plain, tmp_path):
    (plain / "across" / "copy.png").write_bytes((plain / "down" / "down_003.png").read_bytes())
    dataset = read_class_folders(plain)
    pairs = [("across/copy.png", name("down", 3))]
    inspection = inspect(dataset, tmp_path, pairs)
    found = topics(inspection)
    assert found["equal files"].files == ("across/copy.png", name("down", 3))
    assert found["conflicting labels"].level == WARNING
    assert "near-duplicates" not in found
    assert [group.equal for group in inspection.duplicates] == [True]


def test_duplicates_across_a_given_split_leak(tmp_path):
    for seed, part in enumerate(("train", "test")):
        write_shapes(tmp_path / "split" / part, COUNTS, seed=seed)
    pairs = [("test/down/down_001.png", "train/down/down_009.png")]
    found = topics(inspect(read_class_folders(tmp_path / "split"), tmp_path, pairs))["leaking split"]
    assert found.level == WARNING
    assert "(test 60, train 60)" in found.text
    assert found.text.startswith("1 set of copies lies in more than one part of the given split (test 60, train 60)")
    assert found.way_out.startswith("This search keeps copies in one fold.")
    alone = topics(inspect(read_class_folders(tmp_path / "split"), tmp_path, pairs, groups=None))["leaking split"]
    assert alone.way_out == 'This search would separate them too. Keep them together: Study(groups="auto").'
    within = [("test/down/down_001.png", "test/down/down_009.png")]
    assert "leaking split" not in topics(inspect(read_class_folders(tmp_path / "split"), tmp_path, within))


def test_a_group_of_a_fifth_of_all_images_is_told(plain, tmp_path):
    def chain(length):
        return [(name("down", at), name("down", at + 1)) for at in range(length - 1)]

    found = topics(inspect(read_class_folders(plain), tmp_path, chain(13)))["large group"]
    assert found.text.startswith("13 of 60 images form one group")
    assert len(found.files) == 13
    assert "large group" not in topics(inspect(read_class_folders(plain), tmp_path, chain(12)))


def test_imbalance_begins_at_three_to_one(tmp_path):
    found = topics(inspect(read_class_folders(write_shapes(tmp_path / "a", {"x": 60, "y": 20})), tmp_path))
    assert found["imbalance"].text == "class 'x' has 3.0 times as many images as class 'y' (60 and 20)"
    assert "imbalance" not in topics(
        inspect(read_class_folders(write_shapes(tmp_path / "b", {"x": 59, "y": 20})), tmp_path)
    )


def test_too_few_images_are_told_for_each_part_of_the_plan(plain, tmp_path):
    dataset = read_class_folders(plain)
    assert "too few images" not in topics(inspect(dataset, tmp_path))
    validation = topics(inspect(dataset, tmp_path, folds=7))["too few images"]
    assert "validation part" in validation.text
    assert "across: 4.3, down: 4.3" in validation.text
    training = topics(inspect(dataset, tmp_path, train_fractions=(1.0, 0.2)))["too few images"]
    assert "smallest training part" in training.text
    shuffled = topics(inspect(dataset, tmp_path, splits="shuffle", val=0.1))["too few images"]
    assert "across: 3, down: 3)" in shuffled.text


def test_classes_that_hold_folders_alone_may_be_one_level_too_high(tmp_path):
    for part in ("cat", "dog"):
        write_shapes(tmp_path / "within" / part, {"indoors": 20, f"{part}s": 20}, seed=len(part))
    found = topics(inspect(read_class_folders(tmp_path / "within"), tmp_path))["folders within classes"]
    assert found.level == NOTE
    assert "(cat holds cats, indoors; dog holds dogs, indoors)" in found.text
    assert "--label-level 2" in found.way_out
    told = read_class_folders(tmp_path / "within", Reading(label_level=1))
    assert "folders within classes" not in topics(inspect(told, tmp_path))
    write_shapes(tmp_path / "within", {"cat": 1})
    assert "folders within classes" not in topics(inspect(read_class_folders(tmp_path / "within"), tmp_path))


@pytest.mark.parametrize(
    ("train", "val", "named"),
    [
        (["Cat", "dog"], ["cat", "dog"], "'Cat' (train 5), 'cat' (validation 5)"),
        (["cat", "dog"], ["cat ", "dog"], "'cat' (train 5), 'cat ' (validation 5)"),
        (["cat", "dogs"], ["cat", "dog"], "'dog' (validation 5), 'dogs' (train 5)"),
        (["cherry", "fig"], ["cherries", "fig"], "'cherries' (validation 5), 'cherry' (train 5)"),
        (["sea_lion", "fig"], ["Sea Lion", "fig"], "'Sea Lion' (validation 5), 'sea_lion' (train 5)"),
        (["a", "b"], ["A", "b"], "'A' (validation 5), 'a' (train 5)"),
        (["caf\u00e9", "b"], ["cafe\u0301", "b"], r"'cafe\u0301' (validation 5), 'caf\xe9' (train 5)"),
    ],
)
def test_classes_that_are_probably_one_are_named(tmp_path, train, val, named):
    for seed, (split, names) in enumerate((("train", train), ("val", val))):
        write_shapes(tmp_path / "split" / split, dict.fromkeys(names, 5), seed=seed)
    found = topics(inspect(read_class_folders(tmp_path / "split"), tmp_path))["classes alike"]
    assert found.level == WARNING
    assert found.text == f"2 classes are probably one, as their names hardly differ: {named}"
    assert len(found.files) == 5


@pytest.mark.parametrize("names", [("a", "A"), ("1", "11"), ("bus", "bu"), ("grass", "gras"), ("cat", "cast")])
def test_classes_of_like_names_are_told_apart(tmp_path, names):
    write_shapes(tmp_path / "plain", dict.fromkeys((*names, "other"), 5))
    assert "classes alike" not in topics(inspect(read_class_folders(tmp_path / "plain"), tmp_path))


def save_stack(path, brightness):
    """Write a TIFF of a page for each brightness of one picture."""
    grey = np.random.default_rng(5).integers(0, 256, (32, 32))
    first, *others = [Image.fromarray((grey * part).astype(np.uint8)) for part in brightness]
    first.save(path, save_all=True, append_images=others)


def save_deep(path, low, high, seed=0):
    """Write a 16-bit picture of noise with these values as its ends."""
    values = np.random.default_rng(seed).integers(low, high + 1, (32, 32))
    values[0, :2] = low, high
    Image.fromarray(values.astype(np.uint16)).save(path)


@pytest.mark.parametrize("kind", ["JPEG XL", "a web page", "cut off"])
def test_a_tenth_that_is_left_out_is_told_with_its_cause_in_the_first_line(plain, tmp_path, kind):
    data = {
        "JPEG XL": b"\xff\x0a" + bytes(900),
        "a web page": b"<!DOCTYPE html><title>404</title>",
        "cut off": (plain / "down" / "down_001.png").read_bytes()[:400],
    }[kind]
    cause = {"JPEG XL": "a JPEG XL image: ", "a web page": "a web page: ", "cut off": "cut off: "}[kind]
    for number in range(6):
        (plain / "down" / f"new{number}.jpg").write_bytes(data + bytes(number))
    few = topics(inspect(read_class_folders(plain), tmp_path))["unreadable"]
    assert few.text.startswith(f"6 images cannot be read and were left out ({cause}")
    (plain / "down" / "new6.jpg").write_bytes(data + bytes(6))
    many = topics(inspect(read_class_folders(plain), tmp_path))["unreadable"]
    assert many.level == WARNING
    assert many.text.startswith(f"7 of 67 images (10%) cannot be read and were left out ({cause}")
    assert "--strict" in many.way_out
    assert len(many.files) == 7


def test_several_causes_are_counted(plain, tmp_path):
    for number, data in enumerate((b"\x93NUMPY\1\0", b"\x93NUMPY\1\0", b"", b"<html>")):
        (plain / "down" / f"{number}.jpg").write_bytes(data)
    text = topics(inspect(read_class_folders(plain), tmp_path))["unreadable"].text
    assert "(2 × a NumPy array: save it as PNG" in text
    assert "; 1 × an empty file; 1 × a web page: " in text


def test_hidden_folders_are_told_apart_from_files(plain, tmp_path):
    source = (plain / "down" / "down_001.png").read_bytes()
    for folder, images in ((plain / ".thumbnails", 10), (plain / "down" / "@eaDir", 2), (plain / ".git", 0)):
        folder.mkdir()
        (folder / "notes").write_text("x")
        for number in range(images):
            (folder / f"{number}.png").write_bytes(source)
    (plain / "notes.txt").write_text("x")
    found = topics(inspect(read_class_folders(plain), tmp_path))
    assert found["hidden folders"].text == "3 hidden folders were passed over, with 12 images in them"
    assert found["hidden folders"].files == (".git", ".thumbnails", "down/@eaDir/")
    assert found["ignored"].files == ("notes.txt",)


def test_images_where_none_are_looked_for_are_no_mere_note(plain, tmp_path):
    source = (plain / "down" / "down_001.png").read_bytes()
    for number in range(7):
        (plain / f"loose{number}.png").write_bytes(source)
    write_shapes(tmp_path / "far", {"more": 3})
    (plain / "across" / "linked").symlink_to(tmp_path / "far" / "more")
    found = topics(inspect(read_class_folders(plain), tmp_path))
    assert found["outside"].level == WARNING
    assert found["outside"].text == "7 images lie outside of the class folders and were left out"
    assert found["linked folders"].level == WARNING
    assert found["linked folders"].files == ("across/linked/",)
    assert "ignored" not in found
    (plain / "loose6.png").unlink()
    assert topics(inspect(read_class_folders(plain), tmp_path))["outside"].level == NOTE


def test_one_file_is_spoken_of_in_the_singular(plain, tmp_path):
    source = (plain / "down" / "down_001.png").read_bytes()
    (plain / "loose.png").write_bytes(source)
    (plain / "down" / "again.png").write_bytes(source)
    write_shapes(tmp_path / "far", {"more": 3})
    (plain / "across" / "linked").symlink_to(tmp_path / "far" / "more")
    found = topics(inspect(read_class_folders(plain), tmp_path))
    assert found["outside"].text == "1 image lies outside of the class folders and was left out"
    assert found["linked folders"].text.startswith("1 linked folder below classes was not followed: what is in it ")
    assert found["equal files"].text.startswith("1 image is byte-identical to another; ")
    assert found["equal files"].way_out == "Remove the copy: it adds no information."


def test_stacks_are_told_and_are_not_blank(plain, tmp_path):
    for number in range(3):
        save_stack(plain / "down" / f"bright{number}.tif", (1, 0.5, 1 - 0.1 * number))
    found = topics(inspect(read_class_folders(plain), tmp_path))
    assert found["pages"].level == NOTE
    assert found["pages"].text == "3 images hold several pages or frames, of which only the first is read"
    save_stack(plain / "down" / "dark.tif", (0.01, 0.5, 1, 0.5, 0.01))
    found = topics(inspect(read_class_folders(plain), tmp_path))
    assert found["pages"].level == WARNING
    assert found["pages"].text.endswith("only the first is read; that of 1 shows a single colour")
    assert found["pages"].files == ("down/dark.tif",)
    assert "blank" not in found


def test_deep_images_of_a_small_range_are_named_and_not_to_be_removed(plain, tmp_path):
    for number in range(4):
        save_deep(plain / "down" / f"scan{number}.png", 300, 3800, seed=number)
    assert "small range" not in topics(inspect(read_class_folders(plain), tmp_path))
    save_deep(plain / "across" / "bright.png", 0, 65535)
    found = topics(inspect(read_class_folders(plain), tmp_path))
    assert found["small range"].level == WARNING
    assert found["small range"].text == (
        "4 16-bit grey images have values in less than an eighth of the range from 0 to 65535, and so show few "
        "shades. The highest value of all images of this kind is 65535, in across/bright.png"
    )
    assert found["small range"].files == tuple(f"down/scan{number}.png" for number in range(4))
    assert "emove" not in found["small range"].way_out
    assert found["small range"].way_out.startswith("If across/bright.png alone has such high values, mend it")
    assert "blank" not in found
    save_deep(plain / "across" / "flat.png", 500, 500)
    assert topics(inspect(read_class_folders(plain), tmp_path))["blank"].files == ("across/flat.png",)


def test_deep_images_that_are_nearly_black_but_for_a_few_pixels_are_named(plain, tmp_path):
    for number in range(3):
        scan = plain / "down" / f"scan{number}.png"
        save_deep(scan, 300, 3800, seed=number)
        values = np.array(Image.open(scan))
        values[0, 0] = 65535  # a dead pixel, or the mark that radiographs carry
        Image.fromarray(values).save(scan)
    found = topics(inspect(read_class_folders(plain), tmp_path))
    assert found["nearly black"].level == WARNING
    assert found["nearly black"].text == (
        "3 16-bit grey images have all but a hundredth of their pixels in the darkest eighth of the range from 0 to "
        "65535, and so look nearly black"
    )
    assert found["nearly black"].files == tuple(f"down/scan{number}.png" for number in range(3))
    assert {"small range", "blank"}.isdisjoint(found)


def test_images_of_one_colour_are_named(plain, tmp_path):
    Image.new("RGB", (32, 32), "grey").save(plain / "down" / "blank.png")
    assert topics(inspect(read_class_folders(plain), tmp_path))["blank"].files == ("down/blank.png",)


@pytest.mark.parametrize("change", ["format", "size", "mode"])
def test_a_class_that_its_files_give_away_is_a_shortcut(plain, tmp_path, change):
    for path in sorted((plain / "down").iterdir()):
        with Image.open(path) as image:
            picture = image.copy()
        path.unlink()
        if change == "format":
            picture.save(path.with_suffix(".jpg"))
        elif change == "size":
            picture.resize((40, 32)).save(path)
        else:
            picture.convert("L").save(path)
    found = topics(inspect(read_class_folders(plain), tmp_path))["shortcut"]
    assert "100% balanced accuracy where guessing gives 50%" in found.text
    assert {"format": "down: JPEG in 100%", "size": "down: 40×32 in 100%", "mode": "down: L in 100%"}[
        change
    ] in found.text


def test_copies_of_one_original_that_share_a_size_do_not_make_the_size_telling(tmp_path):
    root = write_shapes(tmp_path / "sized", {"across": 40, "down": 40})
    found = read_class_folders(root)
    rows = [(label, int(id_[-7:-4]) // 8) for label, id_ in zip(found.labels, found.ids, strict=True)]
    facts = tuple(Facts("PNG", "RGB", 40 + 2 * number + label, 32, 99) for label, number in rows)
    dataset = dataclasses.replace(found, facts=facts)
    alone, whole = (shortcut_of_files(dataset, groups) for groups in (found.ids, [f"{row}" for row in rows]))
    assert alone.score > whole.score + 0.15
    assert whole.score < 0.6


def test_formats_that_tell_nothing_are_no_shortcut(plain, tmp_path):
    for path in sorted(plain.rglob("*_00[0-9].png")):
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"))
        path.unlink()
    assert "shortcut" not in topics(inspect(read_class_folders(plain), tmp_path))


def test_names_that_tell_copies_are_proposed(tmp_path):
    root = write_shapes(tmp_path / "named", {"x": 48, "y": 48})
    for path in sorted(root.rglob("*.png")):
        number = int(path.stem.split("_")[1])
        path.rename(path.with_name(f"house{number // 4:02d}_{number:03d}.png"))
    ids = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    pairs = [(first, second) for first, second in itertools.pairwise(ids) if first[:9] == second[:9]]
    found = topics(inspect(read_class_folders(root), tmp_path, pairs[::2]))["telling names"]
    assert "Study(groups=r" in found.way_out
    pattern = found.way_out.split('groups=r"')[1].split('")')[0]
    assert "telling names" not in topics(inspect(read_class_folders(root), tmp_path, pairs[::2], groups=pattern))


def test_names_that_number_the_same_things_in_every_class_are_told_until_the_groups_follow_them(tmp_path):
    root = write_shapes(tmp_path / "rooms", {"bathroom": 30, "kitchen": 30})
    for path in sorted(root.rglob("*.png")):
        path.rename(path.with_name(f"{path.stem[-3:]}_{path.parent.name}.png"))
    found = topics(inspect(read_class_folders(root), tmp_path))["numbered names"]
    assert found.level == WARNING
    assert found.text == (
        "file names seem to number the same things in several classes: bathroom/000_bathroom.png and "
        "kitchen/000_kitchen.png share 000. 30 numbers are in more than one class"
    )
    assert r'Study(groups=r"^(\d+)_")' in found.way_out
    assert len(found.files) == 60
    assert "numbered names" not in topics(inspect(read_class_folders(root), tmp_path, groups=r"^(\d+)_"))


def test_repeated_lines_of_a_manifest_are_told(plain, tmp_path):
    rows = [f"{path.relative_to(plain).as_posix()},{path.parent.name}" for path in sorted(plain.rglob("*.png"))]
    (tmp_path / "plain.csv").write_text("\n".join(["image,label", *rows, rows[0]]))
    found = topics(inspect(read_manifest(tmp_path / "plain.csv"), tmp_path))
    assert found["repeated"].files == (name("across", 0),)


def test_as_json_types_every_duplicate_is_named(plain, tmp_path):
    inspection = inspect(read_class_folders(plain), tmp_path, [(name("down", 1), name("down", 2))])
    told = audit(inspection).to_dict(inspection.dataset.ids)
    assert told["duplicates"] == [{"files": [name("down", 1), name("down", 2)], "equal": False, "how": ["mirrored"]}]
    assert told["formats"] == {"PNG": 60}
    assert told["findings"][0]["topic"] == "near-duplicates"


def test_checks_change_nothing(plain, tmp_path):
    inspection = inspect(read_class_folders(plain), tmp_path, [(name("down", 1), name("down", 2))])
    before = inspection.dataset.digest
    audit(inspection)
    assert inspection.dataset.digest == before
    assert np.array_equal(inspection.near, dataclasses.replace(inspection).near)


# --- what holds of every check of the table


def with_odd_files(root):
    """Images in a split that cannot be read, show little, or are equal to one of another class."""
    for seed, part in enumerate(("train", "test")):
        write_shapes(root / part, COUNTS, seed=seed)
    (root / "notes.txt").write_text("x")
    (root / "train" / "down" / "bad.png").write_bytes(b"x")
    Image.new("RGB", (32, 32), "grey").save(root / "train" / "down" / "blank.png")
    write_shapes(root / "test", {"Down": 3})
    Image.new("RGB", (32, 32), "white").save(root / "train" / "across" / "across_001_mask.png")
    Image.new("RGB", (16, 16), "white").save(root / "train" / "across" / "across_001_thumb.png")
    save_stack(root / "train" / "down" / "stack.tif", (0.01, 1))
    for number, (low, high) in enumerate(((100, 900), (0, 60_000))):
        save_deep(root / "train" / "down" / f"deep{number}.png", low, high, seed=number)
    first = root / "test" / "across" / "across_001.png"
    (root / "train" / "down" / "copy.png").write_bytes(first.read_bytes())
    return read_class_folders(root), [("test/across/across_001.png", "train/down/copy.png")]


def with_telling_names(root):
    """Images of which many are copies of each other, as their names say."""
    write_shapes(root, {"x": 48, "y": 48})
    for path in sorted(root.rglob("*.png")):
        number = int(path.stem.split("_")[1])
        path.rename(path.with_name(f"house{number // 4:02d}_{number:03d}.png"))
    ids = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    copies = [(first, second) for first, second in itertools.pairwise(ids) if first[:9] == second[:9]]
    return read_class_folders(root), [*copies, *itertools.pairwise(ids[:30])]


def with_odd_classes(root):
    """A manifest with a line twice, and a small class of other formats; each class has folders within."""
    for part in ("a", "b"):
        write_shapes(root / part, {"one": 80 if part == "a" else 10, "two": 80 if part == "a" else 10}, seed=len(part))
    for path in sorted((root / "b").rglob("*.png")):
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"))
        path.unlink()
    paths = sorted([*root.rglob("*.png"), *root.rglob("*.jpg")])
    rows = [f"{path.relative_to(root).as_posix()},{path.relative_to(root).parts[0]}" for path in paths]
    (root / "all.csv").write_text("\n".join(["image,label", *rows, rows[0]]))
    return read_manifest(root / "all.csv"), []


@pytest.fixture(scope="module")
def odd_inspections(tmp_path_factory):
    inspections = []
    for make in (with_odd_files, with_telling_names, with_odd_classes):
        place = tmp_path_factory.mktemp("odd")
        dataset, pairs = make(place / "images")
        inspections.append(inspect(dataset, place, pairs))
    return inspections


def everything_in(inspection):
    """Return all that a check could change."""
    data = inspection.dataset
    return data.digest, data.ids, data.unreadable, data.ignored, inspection.near.tolist(), inspection.thumbnails.sum()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_names_what_it_finds_and_changes_nothing(check, odd_inspections):
    assert check.__doc__
    findings = []
    for inspection in odd_inspections:
        before, data = everything_in(inspection), inspection.dataset
        own = list(check(inspection))
        assert own == list(check(inspection))
        assert everything_in(inspection) == before
        files = {*data.ids, *data.ignored, *(id_ for id_, _ in (*data.unreadable, *data.omitted))}
        assert all(set(finding.files) <= files for finding in own)
        findings += own
    assert findings, "no odd data set of these tests has what it looks for"
    for finding in findings:
        assert finding.level in LEVELS
        assert finding.topic
        assert finding.text[-1] not in ".:"  # a full stop is put after it
        assert finding.way_out == "" or finding.way_out.endswith(".")
        assert isinstance(finding.files, tuple)


def test_no_two_checks_share_a_topic(odd_inspections):
    topics_of = [{finding.topic for inspection in odd_inspections for finding in check(inspection)} for check in CHECKS]
    assert sum(map(len, topics_of)) == len(set().union(*topics_of))
