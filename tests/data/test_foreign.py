"""What is no image for us is named by its bytes, with what to do; and no library speaks to people by itself."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from kit.shapes import write_shapes
from PIL import Image, TiffImagePlugin, features

from search.data.decoding import FORMATS, is_foreign_picture, is_image, read_image
from search.data.foreign import KINDS
from search.data.readers.folders import read_class_folders

PICTURE = np.random.default_rng(2).integers(0, 256, (32, 48, 3), dtype=np.uint8)
HEIC = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(range(200))


def encoded(kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(**tags):
    """Return a TIFF of Pillow with these further tags (t254=1)."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[int(name[1:])] = value
    return encoded("TIFF", tiffinfo=info)


def bands(count, bits=8, numbers=1):
    """Return a TIFF of so many channels, which Pillow does not write."""
    pixels = bytes(8 * 8 * count * bits // 8)
    tags = [(256, 8), (257, 8), (258, bits), (259, 1), (262, 1), (273, 8), (277, count), (278, 8), (279, len(pixels))]
    tags.append((339, numbers))
    folder = struct.pack("<H", len(tags)) + b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + folder + bytes(4)


NUMPY = io.BytesIO()
np.save(NUMPY, PICTURE)
CASES = {  # name of the file, bytes, reason
    "LFS": ("x.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer"),
    "annex": ("x.jpg", b"/annex/objects/SHA256E-s48213--00.jpg\n", "a git-annex pointer"),
    "unlocked annex": ("x.jpg", b"../.git/annex/objects/a/b/c.jpg\n", "a git-annex pointer"),
    "HEIC": ("x.jpg", HEIC, "a HEIC image"),
    "JPEG XL": ("x.jxl", b"\xff\x0a" + bytes(99), "a JPEG XL image"),
    "JPEG 2000": ("x.jpg", encoded("JPEG2000"), "a JPEG 2000 image"),
    "DICOM": ("x", bytes(128) + b"DICM" + bytes(99), "a DICOM file"),
    "DICOM by its name": ("x.dcm", b"\x08\0\5\0" + bytes(99), "a DICOM file"),
    "NumPy": ("x.npy", NUMPY.getvalue(), "a NumPy array"),
    "NIfTI": ("x.nii", struct.pack("<I", 348) + bytes(340) + b"n+1\0" + bytes(9), "a NIfTI volume"),
    "FITS": ("x.fits", b"SIMPLE  =                    T", "a FITS image"),
    "CR2": ("x.CR2", b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "a raw photograph"),
    "CR3": ("x", struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + bytes(99), "a raw photograph"),
    "RAF": ("x", b"FUJIFILMCCD-RAW 0201" + bytes(99), "a raw photograph"),
    "ORF": ("x", b"IIRO\x08\0\0\0" + bytes(99), "a raw photograph"),
    "NEF": ("x.tif", tiff(t254=1, t330=8), "a raw photograph"),
    "DNG": ("x.tif", tiff(t50706=b"\1\4\0\0"), "a raw photograph"),
    "ARW": ("x.ARW", tiff(), "a raw photograph"),
    "13 bands": ("x.tif", bands(13), "a TIFF of 13 channels of 8-bit whole numbers"),
    "5 deep bands": ("x.tif", bands(5, 16), "a TIFF of 5 channels of 16-bit whole numbers"),
    "colour of floats": ("x.tif", bands(3, 32, 3), "a TIFF of 3 channels of 32-bit floating-point numbers"),
    "half floats": ("x.tif", bands(1, 16, 3), "a TIFF of 1 channel of 16-bit floating-point numbers"),
    "web page": ("x.png", b"\xef\xbb\xbf\n <HTML><title>404</title>", "a web page"),
    "video": ("x.jpg", struct.pack(">I", 24) + b"ftypisom" + bytes(99), "a video"),
    "archive": ("x.jpg", b"PK\3\4" + bytes(99), "an archive"),
}


@pytest.fixture
def shapes(tmp_path):
    return write_shapes(tmp_path / "shapes", {"across": 2, "down": 2})


def reasons(root, tmp_path):
    """Return why files below ``root`` are left out, when they are read as a search reads them."""
    from search.data.images import decode

    found = read_class_folders(root)
    decoded = decode(found.paths, found.contents, 16, tmp_path / "cache")
    return dict(found.readable(decoded).unreadable)


@pytest.mark.parametrize("case", CASES)
def test_a_foreign_file_is_left_out_and_named_with_what_to_do(shapes, tmp_path, case):
    name, data, words = CASES[case]
    (shapes / "down" / name).write_bytes(data)
    told = reasons(shapes, tmp_path)
    assert list(told) == [f"down/{name}"]
    assert told[f"down/{name}"].startswith(words)
    assert len(told[f"down/{name}"]) > len(words) + 10


def test_every_kind_is_one_of_its_own_and_says_what_to_do():
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(kind.way_out and not kind.way_out.endswith(".") for kind in KINDS)
    suffixes = [suffix for kind in KINDS for suffix in kind.suffixes]
    assert len(set(suffixes)) == len(suffixes)


def test_a_foreign_file_beside_an_image_of_its_name_is_not_missed(shapes, tmp_path):
    name = next(path.stem for path in sorted((shapes / "down").iterdir()))
    for suffix in (".CR2", ".npy", ".dcm"):
        (shapes / "down" / f"{name}{suffix}").write_bytes(CASES["NumPy"][1])
    assert reasons(shapes, tmp_path) == {}
    assert len(read_class_folders(shapes).ignored) == 3


def test_texts_and_icons_are_no_pictures(tmp_path):
    for name, data in (("notes.txt", b"words"), ("boxes.xml", b"<annotation/>"), ("x.pdf", b"%PDF-1.4"), ("x", b"")):
        (tmp_path / name).write_bytes(data)
        assert not is_image(tmp_path / name)
        assert not is_foreign_picture(tmp_path / name)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
@pytest.mark.parametrize("name", ["x.avif", "x.jpg", "x"])
def test_avif_is_read_whatever_its_name(shapes, tmp_path, name):
    (shapes / "down" / name).write_bytes(encoded("AVIF", quality=100, subsampling="4:4:4"))
    assert reasons(shapes, tmp_path) == {}
    assert f"down/{name}" in read_class_folders(shapes).ids
    pixels = read_image(shapes / "down" / name, 48).astype(int)
    expected = read_image(io.BytesIO(encoded("PNG")), 48)
    assert np.abs(pixels - expected).mean() < 3


@pytest.mark.skipif("HEIF" not in FORMATS, reason="pillow-heif is not installed")
def test_heic_is_read_where_pillow_heif_is_installed(shapes, tmp_path):
    data = encoded("HEIF", quality=100, chroma=444)
    for name in ("IMG_1.HEIC", "x.jpg"):
        (shapes / "down" / name).write_bytes(data)
    assert reasons(shapes, tmp_path) == {}
    assert {"down/IMG_1.HEIC", "down/x.jpg"} <= set(read_class_folders(shapes).ids)
    pixels = read_image(shapes / "down" / "IMG_1.HEIC", 48).astype(int)
    assert np.abs(pixels - read_image(io.BytesIO(encoded("PNG")), 48)).mean() < 3


LOOK = """
import sys
sys.modules[{missing!r}] = None
from pathlib import Path
from search.data.images import decode
from search.data.readers.folders import read_class_folders
found = read_class_folders(Path({root!r}))
decoded = decode(found.paths, found.contents, 16, Path({cache!r}))
for id_, why in found.readable(decoded).unreadable:
    print(id_, why, sep=": ")
"""


def look(root, tmp_path, missing="nothing"):
    code = LOOK.format(missing=missing, root=str(root), cache=str(tmp_path / "cache"))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not ended.returncode, ended.stderr
    return ended


def test_heic_without_pillow_heif_says_what_to_install(shapes, tmp_path):
    (shapes / "down" / "IMG_1.HEIC").write_bytes(HEIC)
    assert look(shapes, tmp_path, missing="pillow_heif").stdout == (
        "down/IMG_1.HEIC: a HEIC image: install what reads it (pip install pillow-heif), or save it as JPEG or PNG\n"
    )


def holed(data):
    """Return a file with a hole of ones in its middle."""
    at = len(data) // 3
    return data[:at] + b"\xff" * 200 + data[at + 200 :]


def test_no_library_prints_a_line_of_its_own(shapes, tmp_path):
    """Libtiff, Pillow's warnings and its logger, OpenCV."""
    odd = {
        "lzw.tif": holed(encoded("TIFF", compression="tiff_lzw")),
        "deflate.tif": holed(encoded("TIFF", compression="tiff_adobe_deflate")),
        "jpeg.tif": holed(encoded("TIFF", compression="jpeg")),
        "cut.tif": encoded("TIFF", compression="tiff_lzw")[:2000],
        "bands.tif": bands(13),
        "exif.jpg": encoded("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\0\0"),
        "heic.jpg": HEIC,
        **{f"{kind}.img.png": encoded(kind)[: len(encoded(kind)) // 2] for kind in ("PNG", "GIF", "WEBP", "BMP")},
    }
    for name, data in odd.items():
        (shapes / "down" / name).write_bytes(data)
    ended = look(shapes, tmp_path)
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) >= len(odd) - 3
