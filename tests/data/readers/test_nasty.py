"""Whatever lies in a data set: it is read right, or left out and said why; and what is beside it stays as it is."""

import json
import os
import pickle
import re
import socket
import stat
import subprocess
import sys
import time
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from nasty_images import (
    BLUE,
    EPS,
    GREEN,
    HTML,
    PSD,
    RED,
    SVG,
    WHITE,
    bmp,
    frames,
    gif,
    grey,
    noise,
    of_array,
    palette,
    png,
    png_chunk,
    quarters,
    solid,
    swelling,
    tiff_pages,
    turned,
    whole_bomb,
    ycck,
)
from PIL import Image

from search.data.dataset import Dataset
from search.data.decoding import MOST_PAGES, is_image
from search.data.groups import regrouped
from search.data.images import THUMBNAIL, decode_sizes
from search.data.readers.dispatch import read_dataset
from search.data.readers.packs import pack
from search.data.readers.paths import LARGEST
from search.study import Study
from search.system.errors import UserError

SIDE = 32
SOUND = {"cat/0 first.png": RED, "cat/~last.png": GREEN, "dog/0.png": BLUE, "dog/z.png": WHITE}
LEFT_OUT = ("cut off", "damaged, or of a rare kind", "an empty file", "not an image", "more than 100 megapixels")
LEFT_OUT += ("its whole numbers go from", "its floating-point values go from", "save it", "save its", "not downloaded")
HASTE = 5  # s; each of these takes minutes, or for ever, where nothing bounds it


@dataclass(frozen=True)
class Read:
    """A data set as a study sees it."""

    data: Dataset
    pixels: dict[str, np.ndarray]
    facts: dict
    unreadable: dict[str, str]


def read(data, cache):
    found = read_dataset(data, cache)
    decoded = decode_sizes(found.paths, found.contents, [SIDE, THUMBNAIL], cache)
    assert decoded[SIDE].unreadable == decoded[THUMBNAIL].unreadable
    whole = found.readable(decoded[SIDE])
    whole = regrouped(whole, Study("data"), np.arange(len(whole)))
    return Read(
        whole,
        dict(zip(whole.ids, decoded[SIDE].pixels, strict=True)),
        dict(zip(whole.ids, whole.facts, strict=True)),
        dict(whole.unreadable),
    )


def assert_sound(got):
    """Assert that the sound images are in their rows, with their classes and groups, whatever lies between them."""
    classes = got.data.classes
    rows = dict(zip(got.data.ids, zip(got.data.labels, got.data.groups, strict=True), strict=True))
    for id_, colour in SOUND.items():
        assert (got.pixels[id_] == colour).all(), id_
        assert classes[rows[id_][0]] == id_.split("/", maxsplit=1)[0]
        assert rows[id_][1] == id_


@pytest.fixture
def pets(tmp_path):
    for id_, colour in SOUND.items():
        put(tmp_path / "pets" / id_, solid(colour))
    return tmp_path / "pets"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def refusal(data, cache):
    with pytest.raises(UserError) as error:
        read_dataset(data, cache)
    message = str(error.value)
    assert len(message) > 30
    assert "Traceback" not in message
    return message


def folder(root, layout):
    """Write one image of its own for each class of each split: {"train": "ab"}."""
    for number, (split, classes) in enumerate(layout.items()):
        for at, name in enumerate(classes):
            put(root / split / name / "x.png", solid((number, at, 7)))
    return root


# --- images that are read


GREY = (90, 90, 90)
PICTURES = {
    "a PNG named .jpg": ("x.jpg", solid(RED), RED, 0),
    "a JPEG named .png": ("x.png", solid(RED, kind="JPEG"), RED, 4),
    "a GIF named .tif": ("x.tif", palette("GIF"), [BLUE, RED], 0),
    "no extension": ("x", solid(RED), RED, 0),
    "jfif": ("x.jfif", solid(RED, kind="JPEG"), RED, 4),
    "an upper-case extension": ("X.TIFF", solid(RED, kind="TIFF"), RED, 0),
    "a text by its name": ("x.txt", solid(RED, kind="BMP"), RED, 0),
    "a directory by its name": ("x.jpg/y.png", solid(RED), RED, 0),
    "a palette": ("x.png", palette(), [BLUE, RED], 0),
    "a palette with a transparent colour": ("x.png", palette(transparent=0), [WHITE, RED], 0),
    "a palette with half a transparent colour": ("x.png", palette(transparent=b"\x80"), [(137, 147, 232), RED], 1),
    "grey": ("x.png", solid(90, "L"), GREY, 0),
    "grey with alpha": ("x.png", solid((90, 0), "LA"), WHITE, 0),
    "black and white": ("x.png", solid(1, "1"), WHITE, 0),
    "alpha": ("x.webp", solid((*RED, 0), "RGBA", "WEBP", lossless=True), WHITE, 0),
    "16-bit grey PNG": ("x.png", grey(90 * 257, np.uint16, "PNG"), GREY, 0),
    "16-bit grey TIFF": ("x.tif", grey(90 * 257, np.uint16), GREY, 0),
    "32-bit integer TIFF of 8 bits": ("x.tif", grey(90, np.int32), GREY, 0),
    "32-bit integer TIFF of 16 bits": ("x.tif", grey(90 * 257, np.int32), GREY, 0),
    "float TIFF of 0 to 1": ("x.tif", grey(90 / 255, np.float32), GREY, 0),
    "float TIFF of 0 to 255": ("x.tif", grey(90, np.float32), GREY, 0),
    "CMYK JPEG": ("x.jpg", solid((0, 255, 255, 0), "CMYK", "JPEG", quality=100), (255, 0, 0), 3),
    "YCCK JPEG": ("x.jpg", ycck(), (255, 0, 0), 4),
    "progressive JPEG": ("x.jpg", solid(RED, kind="JPEG", progressive=True, quality=95), RED, 4),
    "animated GIF": ("x.gif", frames("GIF"), RED, 0),
    "animated WebP": ("x.webp", frames("WEBP", lossless=True), RED, 0),
    "animated PNG": ("x.png", frames("PNG"), RED, 0),
    "MPO of a camera": ("x.jpg", frames("MPO", quality=95), RED, 4),
    "a TIFF of several pages": ("x.tif", frames("TIFF"), RED, 0),
    "1 x 1 px": ("x.png", of_array(np.full((1, 1, 3), RED, np.uint8)), RED, 0),
    "1 x 5000 px": ("x.png", of_array(np.full((5000, 1, 3), RED, np.uint8)), RED, 0),
    "5000 x 1 px": ("x.jpg", of_array(np.full((1, 5000, 3), RED, np.uint8), "JPEG", quality=95), RED, 4),
    "a profile that swells": ("x.png", swelling(b"iCCP"), RED, 0),
    "a compressed text that swells": ("x", swelling(b"zTXt"), RED, 0),
    "a text that swells": ("x.png", swelling(b"iTXt"), RED, 0),
    "a chunk that no one knows": ("x.png", png(extra=png_chunk(b"quXz", b"!")), RED, 0),
    "a wrong CRC of pixels that their own checksum proves right": ("x.png", png(crc=1), RED, 0),
    "a GIF of very many frames": ("x.gif", gif(count=50_000), (0, 0, 0), 0),
    "a TIFF of very many pages": ("x.tif", tiff_pages(20_000), WHITE, 0),
}


@pytest.mark.parametrize("case", PICTURES)
def test_a_strange_image_gives_its_picture(pets, cache, case):
    name, data, colours, tolerance = PICTURES[case]
    put(pets / "cat" / name, data)
    began = time.monotonic()
    got = read(pets, cache)
    assert time.monotonic() - began < HASTE
    assert_sound(got)
    assert got.unreadable == {}
    assert got.data.ignored == ()
    top, bottom = colours if isinstance(colours, list) else (colours, colours)
    pixels = got.pixels[f"cat/{name}"]
    np.testing.assert_allclose(pixels[: SIDE // 4], np.broadcast_to(top, (SIDE // 4, SIDE, 3)), atol=tolerance)
    np.testing.assert_allclose(pixels[-SIDE // 4 :], np.broadcast_to(bottom, (SIDE // 4, SIDE, 3)), atol=tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("JPEG", 60), ("WEBP", 60), ("TIFF", 0)])
def test_all_orientations_come_out_upright(pets, cache, kind, tolerance):
    for orientation in range(10):  # 0 and 9 mean nothing, and cameras write 0
        put(pets / "cat" / f"{orientation}.img", turned(orientation, kind))
    got = read(pets, cache)
    assert_sound(got)
    for orientation in range(10):
        pixels = got.pixels[f"cat/{orientation}.img"].astype(int)
        assert np.abs(pixels - quarters()).max(axis=2)[4:12, 4:12].max() <= tolerance, orientation
        assert np.abs(pixels - quarters()).max(axis=2)[-12:-4, 4:12].max() <= tolerance, orientation
        assert got.facts[f"cat/{orientation}.img"].turned == (orientation in range(2, 9)), orientation


@pytest.mark.parametrize(
    ("name", "data", "count"),
    [("x.gif", gif(count=300), 300), ("x.tif", tiff_pages(3), 3), ("x.tif", tiff_pages(300), MOST_PAGES)],
)
def test_frames_are_counted_as_far_as_that_is_cheap(pets, cache, name, data, count):
    put(pets / "dog" / name, data)
    assert read(pets, cache).facts[f"dog/{name}"].frames == count


# --- images that are left out


def cut(kind, part, **options):
    data = noise(kind, **options)
    return data[: int(len(data) * part)]


ADLER = zlib.compress((b"\0" + bytes(RED) * 8) * 8)[-4:]
DAMAGED = {
    "zero bytes": (b"", "an empty file"),
    "random bytes": (np.random.default_rng(1).bytes(5000), "not an image"),
    "a web page": (HTML, "a web page: the image was not downloaded"),
    "a drawing": (SVG, "a drawing (SVG): save it as JPEG or PNG"),
    "PostScript": (EPS, "a PostScript file: save it as JPEG or PNG"),
    "PDF": (solid(RED, kind="PDF"), "a PDF: save its pages as images"),
    "Photoshop": (PSD, "a Photoshop document: save it as JPEG or PNG"),
    "an icon": (solid(RED, kind="ICO"), "not an image"),
    "JPEG 2000": (solid(RED, kind="JPEG2000"), "a JPEG 2000 image: save it as JPEG or PNG"),
    "a wrong CRC of the header": (png(head_crc=1), "not an image"),
    "pixels with a wrong checksum": (png().replace(ADLER, b"\0\0\0\0"), "damaged, or of a rare kind"),
    "no pixels across": (png(width=0), "."),
    "PNG of 50000 x 50000": (png(50_000, 50_000), "more than 100 megapixels, as in a decompression bomb"),
    "PNG of 12000 x 12000": (png(12_000, 12_000), "12000 × 12000 px is more than 100 megapixels"),
    "GIF of 65535 x 65535": (gif(65535, 65535), "more than 100 megapixels"),
    "BMP of 2 gigapixels": (bmp(60_000, 40_000), "more than 100 megapixels"),
    "a float TIFF with NaN": (grey(np.nan, np.float32), "its floating-point values go from nan to nan, not from 0"),
    "a float TIFF of millions": (grey(3e6, np.float32), "its floating-point values go from 3e"),
    "an integer TIFF below zero": (grey(-5, np.int32), "its whole numbers go from -5 to -5, not from 0"),
    "an integer TIFF of millions": (grey(70_000, np.int32), "its whole numbers go from 70000 to 70000"),
    **{
        f"{kind} cut at {part}": (cut(kind, part), ".")
        for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")
        for part in (0.002, 0.05, 0.5, 0.98)
    },
    "progressive JPEG cut": (cut("JPEG", 0.7, progressive=True), "cut off: its end is missing"),
    "a pixel map of words": (b"P6\n8 eight\n255\n" + bytes(192), "."),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_image_is_left_out_and_said_why(pets, cache, case):
    data, words = DAMAGED[case]
    put(pets / "cat" / "x.jpg", data)
    began = time.monotonic()
    got = read(pets, cache)
    assert time.monotonic() - began < HASTE
    assert_sound(got)
    assert list(got.unreadable) == ["cat/x.jpg"]
    reason = got.unreadable["cat/x.jpg"]
    assert words in reason or words == "."
    assert any(told in reason for told in LEFT_OUT), reason


def test_many_damaged_images_among_sound_ones_move_no_row(pets, cache):
    for number, (data, _) in enumerate(DAMAGED.values()):
        put(pets / "dog" / f"{number:03d}.png", data + b"\0" * number)
        put(pets / "dog" / f"{number:03d} sound.png", solid((number, 1, 2)))
    got = read(pets, cache)
    assert_sound(got)
    assert len(got.unreadable) >= len(DAMAGED) - 3  # an end of zeros completes some of those that are cut
    for number in range(len(DAMAGED)):
        assert (got.pixels[f"dog/{number:03d} sound.png"] == (number, 1, 2)).all()


def test_memory_stays_bounded_for_bombs(pets, cache):
    for name, data in (("a", whole_bomb()), ("b", swelling(b"iCCP")), ("c", swelling(b"zTXt"))):
        put(pets / "cat" / f"{name}.png", data)
    put(pets / "cat" / "d.gif", gif(60_000, 60_000))
    code = """
import resource, sys
from pathlib import Path
from search.data.images import decode
from search.data.readers.dispatch import read_dataset
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
found, before = read_dataset(Path("pets"), Path("cache")), peak()
print(len(decode(found.paths, found.contents, 32, Path("cache")).unreadable), peak() - before)
"""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=pets.parent, capture_output=True, text=True, check=False)
    lost, grown = ended.stdout.split()
    assert int(lost) == 2  # what swells beside the pixels of the others is not unpacked
    assert float(grown) < 150  # MB; the first alone would be 400


def test_a_file_without_end_is_not_read(pets, cache):
    with (pets / "cat" / "huge.jpg").open("wb") as file:
        file.truncate(100 * LARGEST)  # a hole, which takes no room on the disk
    began = time.monotonic()
    got = read(pets, cache)
    assert time.monotonic() - began < HASTE
    assert_sound(got)
    assert got.unreadable == {"cat/huge.jpg": "larger than 1 GiB"}


# --- files that are no images


OTHERS = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "desktop.ini": b"[.ShellClassInfo]\r\n",
    "._x.jpg": b"\0\5\x16\7\0\2\0\0Mac OS X",
    "x.svg": SVG,
    "x.eps": EPS,
    "x.pdf": solid(RED, kind="PDF"),
    "x.ico": solid(RED, kind="ICO"),
    "x.html": HTML,
    "x": b"",
    "Icon\r": b"",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_image_is_ignored_and_listed(pets, cache, name):
    put(pets / "cat" / name, OTHERS[name])
    put(pets / name, OTHERS[name])
    got = read(pets, cache)
    assert_sound(got)
    assert len(got.data) == len(SOUND)
    shown = name.replace("\r", r"\r")
    assert got.data.ignored == tuple(sorted([f"cat/{shown}", shown]))


def test_nothing_is_given_to_a_programme_or_to_another_decoder(pets, cache, monkeypatch):
    def started(*_, **__):
        raise AssertionError("a programme was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(os, "system", started)
    for name, data in OTHERS.items():
        put(pets / "cat" / f"{name}.png".replace("\r", "").lstrip("."), data)
    got = read(pets, cache)
    assert_sound(got)
    assert len(got.data) == len(SOUND)
    with pytest.raises(AssertionError, match="programme"):  # which is what Pillow does, left to itself
        Image.open(put(pets.parent / "x.eps", EPS)).load()


def test_folders_of_operating_systems_are_passed_over(pets, cache):
    for name in ("__MACOSX/._x.jpg", "cat/__MACOSX/x.png", "cat/@eaDir/x.png", ".Trash/x.png"):
        put(pets / name, solid(RED))
    got = read(pets, cache)
    assert_sound(got)
    assert got.data.ignored == (".Trash", "__MACOSX", "cat/@eaDir/", "cat/__MACOSX/")


def test_what_is_neither_file_nor_folder_is_not_opened(pets, cache):
    os.mkfifo(pets / "cat" / "pipe.jpg")
    os.mkfifo(pets / "cat" / "pipe")
    (pets / "cat" / "zero.png").symlink_to("/dev/zero")
    here = Path.cwd()
    os.chdir(pets / "cat")  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as plug:
            plug.bind("socket.png")
    finally:
        os.chdir(here)
    got = read(pets, cache)
    assert_sound(got)
    assert got.data.ignored == ("cat/pipe", "cat/pipe.jpg", "cat/socket.png", "cat/zero.png")


@pytest.mark.parametrize("suffix", ["", ".csv", ".npz", ".pkl"])
def test_a_pipe_is_no_data_set(tmp_path, cache, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    assert "is a pipe, device or socket" in refusal(tmp_path / f"pipe{suffix}", cache)


# --- names


NFC, NFD = (unicodedata.normalize(form, "größe é") for form in ("NFC", "NFD"))
NAMES = [
    "🐈‍⬛ 猫",
    NFC,
    NFD,
    " leading",
    "trailing ",
    "x" * 251,
    "-rf",
    "%00%2e%2e",
    "*?[a]",
    "a;b,'c'\"d\"",
    "שלום",
    "\u202egpj",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_is_a_name_is_kept_to_the_letter(pets, cache, name):
    put(pets / "cat" / f"{name}.png", solid((1, 2, 3)))
    put(pets / name / "x.png", solid((3, 2, 1)))
    got = read(pets, cache)
    assert_sound(got)
    assert (got.pixels[f"cat/{name}.png"] == (1, 2, 3)).all()
    assert (got.pixels[f"{name}/x.png"] == (3, 2, 1)).all()
    assert name in got.data.classes
    assert got.data.ignored == ()


def test_names_that_only_look_alike_are_different_classes(tmp_path, cache):
    for shade, name in enumerate((NFC, NFD, "Cat", "cat", "cat ")):
        put(tmp_path / "alike" / name / "x.png", solid((shade, 0, 0)))
    got = read(tmp_path / "alike", cache)
    assert len(got.data.classes) == 5
    assert set(got.data.counts.values()) == {1}


@pytest.mark.parametrize("name", ["a\nb.png", "tab\t.png", "bell\7.png", "\udcff.png"])
def test_a_name_that_no_table_can_hold_is_refused(pets, cache, name):
    put(pets / "cat" / name, solid(RED))
    message = refusal(pets, cache)
    assert repr(f"cat/{name}") in message
    assert "Rename it" in message


def test_what_is_left_out_may_have_any_name(pets, cache):
    put(pets / "cat" / "a\nb.txt", b"x")
    put(pets / "cat" / "\udcff.txt", b"x")
    got = read(pets, cache)
    assert_sound(got)
    assert got.data.ignored == (r"cat/\udcff.txt", r"cat/a\nb.txt")


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".csv", "x/" * 3000, "nul\0nul", ""])
def test_a_data_set_that_no_disk_can_hold_is_not_there(tmp_path, cache, name):
    refusal(tmp_path / "hollow" / name, cache)


# --- folders


def test_folders_nested_deep_are_read_to_the_end(pets, cache):
    deep = "/".join(["cat", *["d"] * 300, "x.png"])
    put(pets / deep, solid((1, 2, 3)))
    got = read(pets, cache)
    assert_sound(got)
    assert (got.pixels[deep] == (1, 2, 3)).all()


def test_links_are_followed_to_files_and_classes_and_never_round(pets, cache, tmp_path):
    (pets / "cat" / "outside.png").symlink_to(put(tmp_path / "elsewhere" / "x.png", solid((1, 2, 3))))
    (pets / "bird").symlink_to(tmp_path / "elsewhere")
    for name, target in (("round", "."), ("up", ".."), ("self.png", "self.png"), ("gone.png", "nothing")):
        (pets / "cat" / name).symlink_to(target)
    for name, target in (("loop", "loop"), ("back", "."), ("broken", "nothing")):
        (pets / name).symlink_to(target)
    got = read(pets, cache)
    assert_sound(got)
    assert (got.pixels["cat/outside.png"] == (1, 2, 3)).all()
    assert got.data.counts == {"bird": 1, "cat": 3, "dog": 2}
    assert got.data.ignored == ("back", "broken", "cat/round/", "cat/up/", "loop")
    assert set(got.unreadable) == {"cat/gone.png", "cat/self.png"}
    assert got.unreadable["cat/gone.png"].startswith("a link to a file that is not there")
    assert len(set(got.data.table.groupby("content")["group"].nunique())) == 1  # the copy shares a group


def test_an_empty_class_folder_is_refused(pets, cache):
    (pets / "bird").mkdir()
    assert "Class 'bird'" in refusal(pets, cache)


@pytest.fixture
def locked(pets):
    """Lock a path, and open it when the test has ended."""
    paths = []

    def lock(path):
        paths.append((path, stat.S_IMODE(path.stat().st_mode)))
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")

    yield lock
    for path, mode in paths:
        path.chmod(mode)


def test_a_file_without_permission_is_said(pets, cache, locked):
    locked(put(pets / "cat" / "x.png", solid(RED)))
    got = read(pets, cache)
    assert_sound(got)
    assert got.unreadable == {"cat/x.png": "cannot be opened: Permission denied"}


def test_a_folder_without_permission_is_said(pets, cache, locked):
    locked(put(pets / "cat" / "secret" / "x.png", solid(RED)).parent)
    got = read(pets, cache)
    assert_sound(got)
    assert got.unreadable == {"cat/secret/": "cannot be opened: Permission denied"}


def test_a_folder_that_cannot_be_listed_is_said(pets, cache, monkeypatch):
    def listed(folder):
        if folder.name == "secret":
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    put(pets / "cat" / "secret" / "x.png", solid(RED))
    real = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", listed)
    got = read(pets, cache)
    assert_sound(got)
    assert got.unreadable == {"cat/secret/": "cannot be opened: Permission denied"}


def test_a_data_folder_without_permission_is_an_error_for_people(pets, cache, locked):
    locked(pets)
    assert f"{pets} cannot be opened: Permission denied" in refusal(pets, cache)


def test_a_class_of_which_nothing_can_be_opened_is_refused_with_the_reason(pets, cache):
    lines = [f"{id_},cat" for id_ in SOUND]
    assert "\n  dog/none.png: there is no such file" in refusal(manifest(pets, [*lines, "dog/none.png,dog"]), cache)


def test_a_table_that_may_not_be_opened_is_an_error_for_people(pets, cache, monkeypatch):
    def denied(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pandas.read_csv", denied)
    assert "pets.csv cannot be opened: Permission denied" in refusal(manifest(pets, LISTED), cache)


@pytest.mark.parametrize(
    ("layout", "splits"),
    [
        ({"train": "ab", "val": "ab", "test": "ab"}, {"train": 2, "validation": 2, "test": 2}),
        ({"Training": "ab", "Testing": "ab"}, {"train": 2, "test": 2}),
        ({"TRAIN": "abc", "valid": "ab"}, {"train": 3, "validation": 2}),
        ({"train": "ab", "dev": "bc", "test": "a"}, {"train": 2, "validation": 2, "test": 1}),
        ({"Train ": "ab", " Validation": "ab"}, {"train": 2, "validation": 2}),
    ],
)
def test_splits_are_known_in_many_spellings_and_need_not_hold_every_class(tmp_path, cache, layout, splits):
    got = read(folder(tmp_path / "split", layout), cache)
    assert got.data.splits == splits
    assert got.data.classes == tuple(sorted(set("".join(layout.values()))))
    assert len(got.data) == sum(splits.values())


def test_an_unlabelled_test_folder_is_left_out(tmp_path, cache):
    root = folder(tmp_path / "split", {"train": "ab", "val": "ab"})
    put(root / "Test" / "1.png", solid(RED))
    got = read(root, cache)
    assert [id_ for id_, _ in got.data.omitted] == ["Test/1.png"]
    assert set(got.data.splits) == {"train", "validation"}


def test_one_folder_of_classes_too_deep_names_the_right_one(tmp_path, cache):
    root = folder(tmp_path / "split", {"train": "ab"})
    assert f"Did you mean {root / 'train'}?" in refusal(root, cache)


# --- manifests


LISTED = [f"{id_},{id_.split('/')[0]}" for id_ in SOUND]


def manifest(pets, lines, head="image,label", end="\n", encoding="utf-8"):
    text = end.join([head, *lines]) + end
    return put(pets.parent / "pets.csv", text if isinstance(text, bytes) else text.encode(encoding))


@pytest.mark.parametrize(
    "path",
    [
        *("../pets/dog/0.png", "/etc/passwd", "cat/../../x.png", "..", ".", "", "C:\\x.png", "c:x.png"),
        *("\\\\host\\share\\x.png", "..\\..\\x.png", "cat\\..\\..\\x.png", "//host/x.png", "\\x.png"),
        *("a\0b.png", "a\x01b.png", "cat/\0"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_with_its_line(pets, cache, path):
    message = refusal(manifest(pets, [*LISTED, f"{path},cat"]), cache)
    assert message.startswith(f"{pets.parent / 'pets.csv'}, line 6: the ")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("cat/none.png", "there is no such file"),
        ("cat/" + "x" * 300 + ".png", "cannot be opened: File name too long"),
        ("cat/" * 2000 + "x.png", "cannot be opened: File name too long"),
        ("cat", "a folder, not a file"),
        ("dog/0.png/x.png", "cannot be opened: Not a directory"),
        ("cat/loop", "cannot be opened: Too many levels of symbolic links"),
        ("cat/pipe", "no ordinary file (a pipe, device or socket)"),
        ("cat/endless", "no ordinary file (a pipe, device or socket)"),
        ("cat/notes.txt", "not an image that Pillow can identify"),
        ("~/x.png", "there is no such file"),
        ("$HOME/x.png", "there is no such file"),
        ("http://host/x.png", "there is no such file"),
    ],
)
def test_a_listed_file_that_is_none_is_left_out_and_said_why(pets, cache, path, reason):
    (pets / "cat" / "loop").symlink_to("loop")
    (pets / "cat" / "endless").symlink_to("/dev/zero")
    os.mkfifo(pets / "cat" / "pipe")
    put(pets / "cat" / "notes.txt", b"notes")
    got = read(manifest(pets, [*LISTED, f"{path},cat"]), cache)
    assert_sound(got)
    assert list(got.unreadable.values()) == [reason]


@pytest.mark.parametrize(
    "change",
    [
        {"encoding": "utf-8-sig"},
        {"end": "\r\n"},
        {"end": "\r\n", "encoding": "utf-8-sig"},
        {"end": "\n\n"},
        {"head": '"image" , label '},
    ],
)
def test_other_ways_to_write_a_table_are_read(pets, cache, change):
    got = read(manifest(pets, LISTED, **change), cache)
    assert_sound(got)
    assert len(got.data) == len(SOUND)


def test_quotes_backslashes_and_an_index_are_read(pets, cache):
    lines = [f'{at},"{row.split(",")[0]}",{row.split(",")[1]}'.replace("/", "\\") for at, row in enumerate(LISTED)]
    got = read(manifest(pets, lines, ",image,label"), cache)
    assert_sound(got)


def test_labels_that_pandas_would_take_for_nothing_are_labels(pets, cache):
    lines = [f"{id_},{label}" for id_, label in zip(SOUND, ("NA", "nan", "None", "01"), strict=True)]
    assert read(manifest(pets, lines), cache).data.classes == ("01", "NA", "None", "nan")


@pytest.mark.parametrize(
    ("head", "lines", "words"),
    [
        ("image,label,label", [f"{row},x" for row in LISTED], "two columns 'label'"),
        ("image,label, label", [f"{row},x" for row in LISTED], "two columns 'label'"),
        ("image,label", [f"{row}," for row in LISTED], "Expected 2 fields in line 2, saw 3"),
        ("image,label", [f"{row},more,fields" for row in LISTED], "Expected 2 fields in line 2, saw 4"),
        ("image,label", [*LISTED, "cat/x.png,cat,more"], "Expected 2 fields in line 6, saw 3"),
        ("image,label", [*LISTED, "cat/x.png"], "line 6: cat/x.png has no label"),
        ("image,label", [LISTED[0], LISTED[1].replace(",", ',"'), LISTED[2] + '"', LISTED[3]], "line 3: the label"),
        ("image,label,group", [f'{row},"{row}' + '\n"' for row in LISTED], "line 2: the group"),
        ("image,label,split", [f"{row},\7" for row in LISTED], "line 2: the split"),
        ("image,label", ['"' + LISTED[0], *LISTED[1:]], "cannot be read as CSV"),
        ("image,label", [], "lists no images"),
    ],
)
def test_a_table_that_could_be_misread_is_refused(pets, cache, head, lines, words):
    assert words in refusal(manifest(pets, lines, head), cache)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le"])
def test_a_table_in_another_encoding_is_refused_with_the_way_out(pets, cache, encoding):
    message = refusal(manifest(pets, [*LISTED, "cat/é.png,cat"], encoding=encoding), cache)
    assert "cannot be read as CSV: line 6 is not in UTF-8 but perhaps in Latin-1" in message or encoding == "utf-16-le"
    assert "UTF-8" in message
    assert "codec" not in message


def test_a_hundred_thousand_lines_that_lead_nowhere_are_refused_in_a_moment(pets, cache):
    nowhere = [f"no/{number}.png,cat" for number in range(100_000)]
    began = time.process_time()
    assert "None of the images that" in refusal(manifest(pets, nowhere), cache)
    assert time.process_time() - began < 4 * HASTE


def test_a_few_images_among_very_many_lines_that_lead_nowhere_are_found(pets, cache):
    nowhere = [f"no/{number}.png,cat" for number in range(5_000)]
    got = read(manifest(pets, [*nowhere[:2_501], *LISTED, *nowhere[2_501:]]), cache)
    assert_sound(got)
    assert len(got.unreadable) == 5_000


# --- one file


def written(pets, to):
    found = read_dataset(pets, to.parent / "cache")
    pack(*found.columns(), to)
    return to.read_bytes()


def test_a_pack_holds_images_as_they_are_damaged_ones_too(pets, cache, tmp_path):
    put(pets / "cat" / "torn.png", cut("PNG", 0.5))
    written(pets, tmp_path / "pets.npz")
    got = read(tmp_path / "pets.npz", cache)
    assert_sound(got)
    assert list(got.unreadable) == ["cat/torn.png"]


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.999])
def test_a_pack_that_is_cut_is_refused(pets, cache, tmp_path, part):
    data = written(pets, tmp_path / "pets.npz")
    put(tmp_path / "torn.npz", data[: int(len(data) * part)])
    assert "cannot be read as a whole .npz file" in refusal(tmp_path / "torn.npz", cache)
    assert not list((cache / "unpacked").glob("*"))


def test_arrays_of_objects_are_refused(tmp_path, cache):
    np.savez(tmp_path / "x.npz", x=np.array([{}, {}], dtype=object), y=np.arange(2))
    assert "holds Python objects" in refusal(tmp_path / "x.npz", cache)


def test_a_pickle_that_would_run_something_is_refused_and_not_run(tmp_path, cache):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    put(tmp_path / "x.pkl", pickle.dumps((Evil(), [0, 1])))
    assert "which was not run" in refusal(tmp_path / "x.pkl", cache)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.parquet", "x.jpg", "x"])
def test_another_file_is_no_data_set(tmp_path, cache, name):
    assert "is no data set that can be read" in refusal(put(tmp_path / name, solid(RED)), cache)


def test_a_data_set_of_nothing_but_damage_is_refused_with_the_reasons(tmp_path, cache):
    for name in ("a/x.jpg", "b/y.jpg"):
        put(tmp_path / "bad" / name, HTML)
    with pytest.raises(UserError, match=re.escape("a/x.jpg: a web page: the image was not downloaded")):
        read(tmp_path / "bad", cache)


def test_whether_a_bomb_is_an_image_is_told_without_decoding_it(tmp_path):
    began = time.monotonic()
    assert not is_image(put(tmp_path / "huge", png(50_000, 50_000)))
    assert time.monotonic() - began < HASTE


# --- the command line


SPACE = """
from search import Recipe, Study

study = Study(
    data="pets", folds=2, train_fractions=(1.0,), max_trials=1,
    oracle="random", image_size=32, baselines=False,
)

def space(hp):
    return Recipe("SmallCNN", None, epochs=1, batch_size=hp.Choice("batch_size", [8, 16]))
"""


def checked(data, cwd):
    put(cwd / "space.py", SPACE.encode())
    options = ("--data", data, "--json", "--offline", "--cache", "cache")
    command = [sys.executable, "-m", "search", "check", "space.py", *options]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def finding(report, topic):
    (found,) = [one for one in report["findings"] if one["topic"] == topic]
    return found


def test_check_tells_everything_that_was_left_out(pets, tmp_path):
    for number, (data, _) in enumerate(DAMAGED.values()):
        put(pets / "dog" / f"{number:03d}.png", data)
    for name, data in OTHERS.items():
        put(pets / "cat" / name, data)
    os.mkfifo(pets / "cat" / "pipe")
    ended = checked("pets", tmp_path)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["classes"] == {"cat": 2, "dog": 2}
    assert len(finding(report, "unreadable")["files"]) == len(DAMAGED)
    assert len(finding(report, "ignored")["files"]) == len(OTHERS) + 1
    assert "Traceback" not in ended.stderr


def test_check_of_two_classes_that_are_the_same_folder_says_that_every_label_is_doubtful(tmp_path):
    for shade in range(6):
        put(tmp_path / "same" / f"{shade}.png", noise(seed=shade))
    (tmp_path / "pets").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).symlink_to(tmp_path / "same")
    ended = checked("pets", tmp_path)
    report = json.loads(ended.stdout)
    assert len(finding(report, "conflicting labels")["files"]) == 12
    assert "Traceback" not in ended.stderr


def test_a_folder_whose_name_is_no_text_is_refused(pets, cache):
    message = refusal(pets.rename(pets.parent / "p\udcfft"), cache)
    assert "is not valid UTF-8" in message
    message.encode()  # which everything that is printed or written must bear


def test_check_of_a_folder_of_a_strange_name_is_like_any_other(pets, tmp_path):
    name = "🐈 é\n" + NFD
    pets.rename(tmp_path / name)
    ended = checked(name, tmp_path)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["images"] == len(SOUND)


def test_check_of_a_manifest_with_a_trick_ends_in_one_error(pets, tmp_path):
    manifest(pets, [*LISTED, "../../etc/passwd,cat"])
    ended = checked("pets.csv", tmp_path)
    assert ended.returncode == 1
    assert "'../../etc/passwd' must be relative" in json.loads(ended.stdout)["error"]
    assert [line.startswith("Error: ") for line in ended.stderr.splitlines()].count(True) == 1
    assert "Traceback" not in ended.stderr
