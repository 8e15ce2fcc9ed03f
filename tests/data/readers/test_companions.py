"""Masks and previews of other images are left out where name and content agree, and only named where they do not."""

import numpy as np
import pytest
from PIL import Image

from search.data.readers.companions import MASK, PREVIEW, is_flat
from search.data.readers.folders import read_class_folders
from search.data.readers.manifest import read_manifest
from search.data.reading import Reading
from search.system.errors import UserError

pytestmark = pytest.mark.quick

CLASSES = ("cat", "dog")


def photo(seed, side=32):
    """Return a smooth picture of many colours, (side, side, 3) uint8: other seeds show other things."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def mask(seed, side=32, values=(0, 255)):
    pixels = np.full((side, side), values[0], np.uint8)
    pixels[4 + seed % 9 : 20, 5 : 15 + seed % 11] = values[1]
    return pixels


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def draw(root, picture, other, make=mask, each=4):
    """Write photos and what belongs to them; the names are patterns of class ``c`` and number ``n``."""
    for c, label in enumerate(CLASSES):
        for n in range(each):
            number = 10 * c + n
            save(root / picture.format(c=label, n=number), photo(number))
            save(root / other.format(c=label, n=number), make(number))
    return root


def left_out(dataset):
    return {reason for _, reason in dataset.omitted}, len(dataset.omitted), len(dataset.doubtful)


@pytest.mark.parametrize(
    ("picture", "other"),
    [
        ("{c}/images/{n}.png", "{c}/masks/{n}.png"),
        ("{c}/{n}.png", "{c}/{n}_mask.png"),
        ("{c}/{n}.jpg", "{c}/{n}_mask.gif"),
        ("{c}/{c} ({n}).png", "{c}/{c} ({n})_mask.png"),
        ("{c}/{n}.jpg", "{c}/{n}_segmentation.png"),
        ("{c}/{n}.jpg", "{c}/mask_{n}.png"),
        ("{c}/img_{n}.jpg", "{c}/mask_{n}.png"),
        ("{c}/img_{n}.jpg", "{c}/gt/{n}.png"),
        ("{c}/{n}.jpg", "{c}/Ground_Truth/{n}.png"),
        ("images/{c}/{n}.jpg", "masks/{c}/{n}.png"),
        ("images/{c}/{n}.jpg", "annotations/trimaps/{c}/{n}.png"),
        ("train/{c}/{n}.jpg", "train_masks/{c}/{n}.png"),
        ("{c}/{n}.jpg", "{c}/{n}.png"),
        ("{c}/rgb/{n}.png", "{c}/other/{n}.png"),
        ("{c}/{n}.jpg", "{c}/other/{n}.png"),
        ("{c}/{n}_image.png", "{c}/{n}_labelIds.png"),
        ("{c}/{n}.jpg", "{c}/{n}_mask.jpg"),
        ("{c}/{n}_rgb.png", "{c}/{n}_labels.png"),
        ("{c}/i{n}.jpg", "{c}/i{n}_color_mask.png"),
        ("{c}/i{n}.jpg", "{c}/i{n}-mask-coloured.png"),
        ("{c}/i{n}.jpg", "{c}/i{n}_colormask.png"),
        ("{c}/i{n}.jpg", "{c}/color_mask_i{n}.png"),
        ("{c}/i{n}.jpg", "{c}/i{n}mask.png"),
        ("{c}/images/i{n}.jpg", "{c}/lung masks/i{n}.png"),
        ("images/{c}/i{n}.jpg", "lung masks/{c}/i{n}.png"),
    ],
)
def test_masks_beside_their_images_are_left_out(tmp_path, picture, other):
    root = draw(tmp_path / "data", picture, other)
    if picture.startswith("train/"):
        (root / "val" / "cat").mkdir(parents=True)
        save(root / "val" / "cat" / "99.jpg", photo(99))
        save(root / "val" / "dog" / "98.jpg", photo(98))
    dataset = read_class_folders(root)
    assert left_out(dataset) == ({MASK}, 8, 0)
    assert dataset.classes == CLASSES
    assert {id_ for id_, _ in dataset.omitted} == {
        other.format(c=label, n=10 * c + n) for c, label in enumerate(CLASSES) for n in range(4)
    }


def test_label_maps_of_a_few_near_values_are_masks(tmp_path):
    root = draw(tmp_path, "{c}/{n}.jpg", "{c}/{n}_label.png", lambda seed: mask(seed, values=(1, 3)))
    assert left_out(read_class_folders(root)) == ({MASK}, 8, 0)


@pytest.mark.parametrize(
    ("picture", "other"),
    [
        ("{c}/{n}.jpg", "{c}/{n}_thumb.jpg"),
        ("{c}/{n}.jpg", "{c}/thumb_{n}.jpg"),
        ("{c}/{n}.jpg", "{c}/th_{n}.jpg"),
        ("{c}/{n}.jpg", "{c}/thumbnails/{n}.jpg"),
        ("{c}/images/{n}.png", "{c}/previews/{n}.png"),
        ("{c}/i{n}.jpg", "{c}/i{n}-16x16.jpg"),
        ("{c}/i{n}.jpg", "{c}/i{n}_150X150.jpg"),
        ("{c}/i{n}.jpg", "{c}/i{n}-scaled.jpg"),
    ],
)
def test_previews_of_images_are_left_out(tmp_path, picture, other):
    root = draw(tmp_path, picture, other, lambda seed: photo(seed)[::2, ::2])
    assert left_out(read_class_folders(root)) == ({PREVIEW}, 8, 0)


def test_of_an_image_at_several_scales_the_largest_is_kept(tmp_path):
    for name, side in (("i{n}@2x.jpg", 24), ("i{n}.jpg", 16)):
        smaller = lambda seed, side=side: np.asarray(Image.fromarray(photo(seed)).resize((side, side)))  # noqa: E731
        root = draw(tmp_path, "{c}/i{n}@3x.jpg", f"{{c}}/{name}", smaller)
    dataset = read_class_folders(root)
    assert left_out(dataset) == ({PREVIEW}, 16, 0)
    assert all("@3x" in id_ for id_ in dataset.ids)


def test_square_previews_of_the_middle_are_left_out(tmp_path):
    for c, label in enumerate(CLASSES):
        for n in range(4):
            wide = np.concatenate([photo(seed + 20 * c + n) for seed in (100, 200, 300)], axis=1)
            save(tmp_path / label / f"i{n}.png", wide)
            save(tmp_path / label / f"i{n}-16x16.png", wide[::2, 32:64:2])
    assert left_out(read_class_folders(tmp_path)) == ({PREVIEW}, 8, 0)


def test_flat_images_called_masks_without_a_picture_are_only_named(tmp_path):
    root = draw(tmp_path, "{c}/i{n}.jpg", "{c}/other{n}_color_mask.png")
    assert left_out(read_class_folders(root)) == (set(), 0, 8)


def test_photographs_called_masks_without_a_picture_are_not_named(tmp_path):
    root = draw(tmp_path, "{c}/i{n}.jpg", "{c}/person{n}_with_mask.jpg", lambda seed: photo(seed + 500))
    assert left_out(read_class_folders(root)) == (set(), 0, 0)


def test_a_small_image_of_something_else_is_only_named(tmp_path):
    root = draw(tmp_path, "{c}/{n}.jpg", "{c}/{n}_small.jpg", lambda seed: photo(seed + 500, 16))
    dataset = read_class_folders(root)
    assert left_out(dataset) == (set(), 0, 8)
    assert len(dataset) == 16


def test_photographs_called_masks_are_only_named(tmp_path):
    root = draw(tmp_path, "{c}/person{n}.jpg", "{c}/person{n}_mask.jpg", lambda seed: photo(seed + 500))
    dataset = read_class_folders(root)
    assert left_out(dataset) == (set(), 0, 8)
    assert "cat/person0_mask.jpg" in dataset.doubtful
    assert left_out(read_class_folders(root, Reading(keep_masks=True))) == (set(), 0, 0)


def test_masks_of_other_names_than_their_images_are_only_named(tmp_path):
    root = draw(tmp_path, "{c}/images/a{n}.png", "{c}/masks/b{n}.png")
    assert left_out(read_class_folders(root)) == (set(), 0, 8)


def test_masks_are_kept_where_a_person_says_so(tmp_path):
    dataset = read_class_folders(draw(tmp_path, "{c}/{n}.png", "{c}/{n}_mask.png"), Reading(keep_masks=True))
    assert dataset.counts == {"cat": 8, "dog": 8}
    assert left_out(dataset) == (set(), 0, 0)


@pytest.mark.parametrize(
    ("picture", "other", "make"),
    [
        ("with_mask/{c}{n}.jpg", "without_mask/{c}{n}.jpg", lambda seed: photo(seed + 500)),
        ("mask/{c}{n}.jpg", "no_mask/{c}{n}.jpg", lambda seed: photo(seed + 500)),
        ("mask/{c}{n}.png", "other/{c}{n}.png", mask),
        ("{c}/{n}.jpg", "{c}/1{n}.png", mask),
        ("{c}/day1/{n}.jpg", "{c}/day2/{n}.jpg", lambda seed: photo(seed + 500)),
        ("{c}/{n}.jpg", "{c}/day2/{n}.jpg", lambda seed: photo(seed + 500)),
        ("photos/{c}{n}.png", "drawings/{c}{n}.png", mask),
        ("mask/{c}{n}.png", "other/mask{c}{n}.png", mask),
        ("bare/{c}{n}.png", "mask/mask_{c}{n}.png", mask),
        ("{c}/{n}.jpg", "{c}/{n}-2x4.jpg", lambda seed: photo(seed + 500)),
    ],
)
def test_classes_and_drawings_are_no_masks(tmp_path, picture, other, make):
    dataset = read_class_folders(draw(tmp_path, picture, other, make), Reading(label_level=1))
    assert left_out(dataset) == (set(), 0, 0)
    assert len(dataset) == 16


def test_drawings_beside_drawings_are_no_masks(tmp_path):
    for c, label in enumerate(CLASSES):
        for n in range(4):
            save(tmp_path / label / f"{n}.png", mask(n + c))
            save(tmp_path / label / f"{n}.bmp", mask(n + c + 3))
    assert left_out(read_class_folders(tmp_path)) == (set(), 0, 0)


def test_masks_in_a_table_are_left_out(tmp_path):
    draw(tmp_path / "all", "{c}/{n}.png", "{c}/{n}_mask.png")
    ids = sorted(path.relative_to(tmp_path / "all") for path in (tmp_path / "all").rglob("*.png"))
    (tmp_path / "all.csv").write_text("image,label\n" + "".join(f"{id_},{id_.parent}\n" for id_ in ids))
    assert left_out(read_manifest(tmp_path / "all.csv")) == ({MASK}, 8, 0)
    assert len(read_manifest(tmp_path / "all.csv", Reading(keep_masks=True))) == 16


def test_a_class_that_holds_masks_alone_beside_their_images_is_no_class(tmp_path):
    root = draw(tmp_path, "{c}/{n}.png", "masks/{c}/{n}.png")
    dataset = read_class_folders(root)
    assert dataset.classes == CLASSES
    assert left_out(dataset) == ({MASK}, 8, 0)


def flat_classes(root, *photos, masks):
    """Write six photos of each class, and six masks of the same names in each folder of ``masks``."""
    for at, folder in enumerate((*photos, *masks)):
        for n in range(6):
            save(root / folder / f"{n:03d}.png", mask(n + at) if folder in masks else photo(10 * at + n))
    return root


@pytest.mark.parametrize(
    ("photos", "drawn"),
    [
        (("photo", "sketch"), "label"),
        (("photo", "sketch"), "binary"),
        (("leaf", "stem"), "leaf_binary"),
        (("images", "edges"), "contour"),
        (("train/leaf", "train/stem", "test/leaf", "test/stem"), "train/leaf_mask"),
    ],
)
@pytest.mark.parametrize("level", [None, "named"])
def test_a_whole_class_that_looks_like_masks_is_kept_and_named(tmp_path, photos, drawn, level):
    root, name = flat_classes(tmp_path, *photos, masks=[drawn]), drawn.split("/")[-1]
    reading = Reading(label_level=drawn.count("/") + 1 if level else None)
    dataset = read_class_folders(root, reading)
    assert dataset.counts[name] == 6
    assert set(dataset.classes) == {folder.split("/")[-1] for folder in (*photos, drawn)}
    assert (dataset.omitted, dataset.doubtful) == ((), tuple(f"{drawn}/{n:03d}.png" for n in range(6)))
    assert dataset.notes[-1].startswith(f"Class {name!r} is kept, though its 6 images look like masks")


def test_masks_of_every_class_are_no_classes(tmp_path):
    root = flat_classes(tmp_path, "cat", "dog", masks=["cat_mask", "dog_mask"])
    dataset = read_class_folders(root)
    assert dataset.counts == {"cat": 6, "dog": 6}
    assert left_out(dataset) == ({MASK}, 12, 0)


def test_masks_within_a_class_beside_two_folders_of_it_are_left_out(tmp_path):
    folders = [f"{c}/{part}" for c in CLASSES for part in ("images", "more")]
    root = flat_classes(tmp_path, *folders, masks=[f"{c}/masks" for c in CLASSES])
    assert left_out(read_class_folders(root, Reading(label_level=1))) == ({MASK}, 12, 0)


@pytest.mark.parametrize("names", ["{n:03d}.png", "x_{n}.png"])
def test_one_class_beside_masks_alone_is_told_of_them(tmp_path, names):
    for n in range(6):
        save(tmp_path / "photo" / names.format(n=n), photo(n))
        save(tmp_path / "label" / names.format(n=n), mask(n))
    with pytest.raises(UserError, match=r"one class only \(photo\).* 6 images were left out as masks.*--keep-masks"):
        read_class_folders(tmp_path)
    assert read_class_folders(tmp_path, Reading(keep_masks=True)).counts == {"label": 6, "photo": 6}


def test_a_whole_class_of_a_table_that_looks_like_masks_is_kept_and_named(tmp_path):
    flat_classes(tmp_path, "photo", "sketch", masks=["label"])
    rows = {name: "".join(f"{name}/{n:03d}.png,{name}\n" for n in range(6)) for name in ("photo", "label", "sketch")}
    (tmp_path / "all.csv").write_text("image,label\n" + "".join(rows.values()))
    dataset = read_manifest(tmp_path / "all.csv")
    assert dataset.counts == {"label": 6, "photo": 6, "sketch": 6}
    assert len(dataset.doubtful) == 6
    (tmp_path / "two.csv").write_text("image,label\n" + rows["photo"] + rows["label"])
    with pytest.raises(UserError, match=r"6 images were left out as masks .*--keep-masks"):
        read_manifest(tmp_path / "two.csv")


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.zeros((40, 40, 3), np.uint8), True),
        (np.repeat(mask(3)[..., None], 3, 2), True),
        (photo(1), False),
        (np.repeat(photo(1)[..., :1], 3, 2), False),
        (np.full((8, 8, 3), 3, np.uint8), True),
    ],
)
def test_few_colours_are_told_from_many(pixels, expected):
    assert is_flat(pixels) is expected
