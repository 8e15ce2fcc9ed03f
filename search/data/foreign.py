"""Files that are no image for us, told by their bytes: what each of them is, and what to do with it.

``KINDS`` is the table; a kind of file is a row. The libraries that tell file types by their bytes know neither Git LFS
nor raw photographs, and no way out.
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from PIL import TiffImagePlugin

from search.system.errors import UserError

HEAD = 1024  # bytes of a file that are looked at
SUBTYPE, BITS, PHOTOMETRIC, SAMPLES, SUB_FOLDERS, NUMBERS, DNG = 254, 258, 262, 277, 330, 339, 50706  # tags of a TIFF
REDUCED = 1  # bit of SUBTYPE: the first page is a smaller copy of what lies elsewhere in the file
SENSOR = frozenset({32803, 34892})  # values of PHOTOMETRIC: one colour a pixel, as a sensor sees it
NUMBER_WORDS = {1: "whole numbers", 2: "signed whole numbers", 3: "floating-point numbers"}
TIFF = (b"II*\0", b"MM\0*")
AS_PNG = "save it as JPEG or PNG"
DEVELOP = "develop it to JPEG or PNG, with the program of the camera or a converter of raw photographs"


@dataclass(frozen=True)
class Foreign:
    """A kind of file: its name with an article, what to do, and whether it holds a picture, so that it is missed.

    ``begins`` tells it by the first HEAD bytes. ``suffixes`` are the usual ones, in small letters. ``format`` is what
    Pillow calls it, where a Pillow with the right libraries reads it.
    """

    name: str
    way_out: str
    begins: Callable[[bytes], bool]
    suffixes: tuple[str, ...] = ()
    picture: bool = True
    format: str = ""

    def __str__(self) -> str:
        """Return its name and what to do."""
        return f"{self.name}: {self.way_out}"


def _one_of(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _brand(*brands: bytes) -> Callable[[bytes], bool]:
    """Return what tells a file of the ISO base media format by its major brand."""
    return lambda head: head[4:8] == b"ftyp" and head[8:12] in brands


def _text(*words: bytes) -> Callable[[bytes], bool]:
    """Return what tells a text that begins with one of some words, in letters of any case, after blanks."""
    return lambda head: head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(words)


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in {b"n+1\0", b"ni1\0"}


_JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
KINDS = (
    Foreign(
        "a Git LFS pointer",
        "the image was not downloaded; run git lfs pull",
        _text(b"version https://git-lfs"),
        picture=False,
    ),
    Foreign(
        "a git-annex pointer",
        "the image was not downloaded; run git annex get, or datalad get",
        lambda head: re.match(rb"\S*/annex/objects/", head) is not None,
        picture=False,
    ),
    Foreign(
        "a HEIC image",
        f"install what reads it (pip install pillow-heif), or {AS_PNG}",
        _brand(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
        (".heic", ".heif", ".hif"),
        format="HEIF",
    ),
    Foreign(
        "an AVIF image",
        f"update Pillow to 11.3 or later, or {AS_PNG}",
        _brand(b"avif", b"avis"),
        (".avif",),
        format="AVIF",
    ),
    Foreign("a JPEG XL image", AS_PNG, _one_of(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), (".jxl",)),
    Foreign("a JPEG 2000 image", AS_PNG, _one_of(*_JPEG_2000), (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc")),
    Foreign("a Photoshop document", AS_PNG, _one_of(b"8BPS"), (".psd", ".psb")),
    Foreign("an OpenEXR image", AS_PNG, _one_of(b"v/1\x01"), (".exr",)),
    Foreign("a Radiance HDR image", AS_PNG, _one_of(b"#?RADIANCE", b"#?RGBE")),
    Foreign("a QOI image", AS_PNG, _one_of(b"qoif"), (".qoi",)),
    Foreign("a DDS texture", AS_PNG, _one_of(b"DDS "), (".dds",)),
    Foreign("a FITS image", "save it as PNG of 16 bits", _one_of(b"SIMPLE  ="), (".fits", ".fts")),
    Foreign(
        "a DICOM file",
        "save its picture as PNG, all with the same window (pydicom reads it)",
        lambda head: head[128:132] == b"DICM",
        (".dcm", ".dicom"),
    ),
    Foreign("a NIfTI volume", "save the slices that matter as PNG (nibabel reads it)", _is_nifti, (".nii",)),
    Foreign(
        "a NumPy array",
        "save it as PNG, or all arrays with their labels as one .npz (numpy.savez(file, x=images, y=labels))",
        _one_of(b"\x93NUMPY"),
        (".npy",),
    ),
    Foreign(
        "a MATLAB file", "save its picture as PNG (scipy.io.loadmat reads it)", _one_of(b"MATLAB 5.0"), picture=False
    ),
    Foreign("an HDF5 file", "save its pictures as PNG (h5py reads it)", _one_of(b"\x89HDF\r\n"), picture=False),
    Foreign(
        "a raw photograph",
        DEVELOP,
        lambda head: (
            head.startswith((b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM"))
            or _brand(b"crx ")(head)
            or (head.startswith(TIFF) and head[8:10] == b"CR")
        ),
        (
            *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".raf", ".orf", ".rw2", ".rwl"),
            *(".pef", ".srw", ".x3f", ".3fr", ".iiq", ".erf", ".kdc", ".mrw", ".mef", ".mos"),
        ),
    ),
    Foreign(
        "a video",
        "save the frames that matter as images",
        _brand(b"isom", b"mp41", b"mp42", b"qt  ", b"avc1", b"M4V "),
        picture=False,
    ),
    Foreign("a web page", "the image was not downloaded", _text(b"<!doctype html", b"<html"), picture=False),
    Foreign("a drawing (SVG)", AS_PNG, lambda head: b"<svg" in head.lower(), picture=False),
    Foreign("a PDF", "save its pages as images", _one_of(b"%PDF"), picture=False),
    Foreign("a PostScript file", AS_PNG, _one_of(b"%!PS"), picture=False),
    Foreign("an archive", "unpack it", _one_of(b"PK\3\4", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!"), picture=False),
)
RAW = next(kind for kind in KINDS if ".cr2" in kind.suffixes)
POINTERS = KINDS[:2]
SUFFIXES = frozenset(suffix for kind in KINDS for suffix in kind.suffixes)


def foreign_kind(data: bytes, name: str = "") -> Foreign | None:
    """Return the kind of a file that is in KINDS, else None.

    ``data`` are its first HEAD bytes, of a TIFF all of them, as its tags may be at its end. ``name`` tells what bytes
    alone do not, such as raw photographs that look like any TIFF, which shows a thumbnail.
    """
    head = data[:HEAD]
    if head.startswith(TIFF) and (PurePath(name).suffix.lower() in RAW.suffixes or _is_raw(_tags(data))):
        return RAW
    named = (kind for kind in KINDS if data and PurePath(name).suffix.lower() in kind.suffixes)
    return next((kind for kind in KINDS if kind.begins(head)), next(named, None))


def check_downloaded(file: Path) -> None:
    """Raise UserError for a file of data that is a pointer to one. Raises OSError where it cannot be opened."""
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    kind = next((kind for kind in POINTERS if kind.begins(head)), None)
    if kind is not None:
        raise UserError(f"{file} is {kind.name}: {kind.way_out.replace('the image was', 'the data were')}.")


def tiff_in_words(data: bytes) -> str:
    """Return what an unreadable TIFF holds and what to do; "" where its channels are nothing special."""
    tags = _tags(data) if data.startswith(TIFF) else {}
    bits, channels = tags.get(BITS, (1,)), tags.get(SAMPLES, 1)
    numbers = tags.get(NUMBERS, (1,))[0]
    if not tags or (channels in {1, 3, 4} and set(bits) == {8} and numbers == 1):
        return ""
    words = f"{'/'.join(sorted({str(size) for size in bits}))}-bit {NUMBER_WORDS.get(numbers, 'numbers')}"
    plural = "" if channels == 1 else "s"
    way_out = "save three of them as RGB, or one as grey" if channels > 1 else "save it as grey"
    return f"a TIFF of {channels} channel{plural} of {words}: {way_out}, with 8 or 16 bits a channel"


def _tags(data: bytes) -> Mapping[int, Any]:
    """Return the tags of the first page of a TIFF; none where they cannot be read."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        return dict(tags)
    except Exception:  # noqa: BLE001 a damaged file can raise nearly anything
        return {}


def _is_raw(tags: Mapping[int, Any]) -> bool:
    reduced = bool(tags.get(SUBTYPE, 0) & REDUCED)
    return DNG in tags or tags.get(PHOTOMETRIC) in SENSOR or (reduced and SUB_FOLDERS in tags)
