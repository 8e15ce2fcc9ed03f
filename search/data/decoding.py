"""One image file as numbers: upright RGB of 8 bits, stretched to a square; or why it cannot be read, in words."""

import contextlib
import ctypes
import dataclasses
import io
import logging
import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError, _imaging

from search.data import foreign
from search.data.depth import BY_FILE, FLOATS, INTEGERS, Extent, Ranges, UnfitError, kind_of, values_of

with contextlib.suppress(ImportError):  # an extra
    import pillow_heif

    pillow_heif.register_heif_opener()

Image.init()  # or Pillow does not know all of these formats yet
# No other decoder of Pillow is ever run; MPO comes with JPEG.
FORMATS = tuple(
    name for name in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "HEIF") if name in Image.OPEN
)
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
    | {suffix for kind in foreign.KINDS if kind.format in FORMATS for suffix in kind.suffixes}
)
MAX_PIXELS = 100_000_000
# DECISIONS: JPEGs are decoded at one reduced scale for all sizes up to 512 px
DRAFT = 512  # JPEG decoders scale down for free; one scale for all smaller sizes, so that sizes agree
MOST_PAGES = 100  # of a TIFF that are counted: Pillow's own count takes the square of their number
SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
PNG = b"\x89PNG\r\n\x1a\n"
BESIDE = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})  # chunks of a PNG that show nothing here

# What libraries say to programmers must not reach people: why a file is left out is said in our words.
warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\b")
logging.getLogger("PIL").addHandler(logging.NullHandler())
logging.getLogger("PIL").propagate = False
with contextlib.suppress(AttributeError, OSError):  # libtiff, which comes with Pillow, prints by itself
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


@dataclass(frozen=True)
class Facts:
    """What a file says of its image: format and mode as Pillow names them, size in px when upright, length in bytes.

    ``turned`` is whether EXIF asks to turn or mirror it; of several ``frames`` (counted up to
    MOST_PAGES in a TIFF) the first is read. ``deep`` is the kind of a deep image, whose values go from ``low`` to
    ``high``; "" for one of 8 bits.
    """

    format: str
    mode: str
    width: int
    height: int
    bytes: int
    turned: bool = False
    frames: int = 1
    deep: str = ""
    low: float = 0.0
    high: float = 0.0


def is_image(path: Path) -> bool:
    """Return whether a file begins like an image that can be read, whatever its name."""
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except ValueError:  # also where a PNG holds a long text
        with path.open("rb") as file:
            return file.read(len(PNG)) == PNG
    except Exception:
        return False


def is_foreign_picture(path: Path) -> bool:
    """Return whether a file holds a picture that is not read here, by its suffix or its bytes."""
    if path.suffix.lower() in foreign.SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            kind = foreign.foreign_kind(file.read(foreign.HEAD), path.name)
    except OSError:
        return False
    return kind is not None and kind.picture


def read_image(file: Path | BinaryIO, size: int, ranges: Ranges = BY_FILE) -> np.ndarray:
    """Return one image as (size, size, 3) uint8 RGB, upright, stretched to a square.

    Transparency is laid on white. An animated image gives its first frame. ``ranges`` say what is white in a deep
    image. Raises whatever Pillow raises on a file that it cannot decode to the end, and ValueError for one of more than
    100 megapixels, of floating-point values outside 0 to 255, or of 32-bit integers outside 0 to 65535.
    """
    data = file.read_bytes() if isinstance(file, Path) else file.read()
    return _read(data, [size], ranges, "")[1][0]


def try_image(path: Path, size: int, ranges: Ranges) -> np.ndarray | str:
    """Return one image as ``read_image`` does, or why it cannot be read, in words for people."""
    try:
        with path.open("rb") as file:
            data = file.read(foreign.HEAD)
            if not (path.suffix.lower() in SUFFIXES or is_image(path)):  # it may be large
                return _unidentified(data, path.name)
            data += file.read()
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    read = read_or_reason(data, [size], ranges, path.name)
    return read if isinstance(read, str) else read[1][0]


def read_or_reason(
    data: bytes, sizes: Sequence[int], ranges: Ranges, name: str
) -> tuple[Facts, list[np.ndarray]] | str:
    """Return what a file of these bytes says of its image, and its pixels at each size; or why it cannot be read.

    ``name`` is that of the file, which tells some raw photographs.
    """
    try:
        return _read(data, sizes, ranges, name)
    except UnidentifiedImageError:
        return _unidentified(data, name)
    except Image.DecompressionBombError:
        return f"more than {MAX_PIXELS / 1e6:.0f} megapixels, as in a decompression bomb; scale it down"
    except MemoryError:  # no fault of the image, so not to be remembered
        raise
    except UnfitError as error:
        return str(error)
    except Exception as error:  # a damaged file can raise nearly anything inside a decoder
        words = str(error) or type(error).__name__
        return (
            "cut off: its end is missing" if "truncated" in words.lower() else f"damaged, or of a rare kind ({words})"
        )


def extent_of(data: bytes) -> Extent | None:
    """Return the kind and the values of a deep image; None for one of 8 bits, and for what cannot be read."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image)
            kind = kind_of(image)
            return Extent.of(values_of(image, kind, data), kind) if kind else None
    except MemoryError:
        raise
    except Exception:  # why it cannot be read is said where it is decoded
        return None


def _unidentified(data: bytes, name: str) -> str:
    kind = foreign.foreign_kind(data, name)
    if kind and kind.format in FORMATS:
        return f"{kind.name} that is damaged, or of a rare kind"
    unknown = "not an image that Pillow can identify" if data else "an empty file"
    return str(kind) if kind else foreign.tiff_in_words(data) or unknown


def _read(data: bytes, sizes: Sequence[int], ranges: Ranges, name: str) -> tuple[Facts, list[np.ndarray]]:
    if data.startswith(foreign.TIFF) and foreign.foreign_kind(data, name) is foreign.RAW:
        raise UnfitError(str(foreign.RAW))
    try:
        return _decoded(data, sizes, ranges)
    except UnfitError:
        raise
    except ValueError:
        if not data.startswith(PNG):
            raise
        # DECISIONS: Long texts in a PNG are no damage
        facts, squares = _decoded(_without_texts(data), sizes, ranges)
        return dataclasses.replace(facts, bytes=len(data)), squares


def _decoded(data: bytes, sizes: Sequence[int], ranges: Ranges) -> tuple[Facts, list[np.ndarray]]:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_pixels(image)  # first, because to ask a PNG for its EXIF data decodes it
        deep = None if ranges.by_file else kind_of(image)
        # What the file says, before decoding scales a JPEG down and turns a TIFF.
        orientation, mode = image.getexif().get(ExifTags.Base.Orientation, 1), image.mode
        width, height = image.size if orientation not in SIDEWAYS else image.size[::-1]
        turned = orientation in range(2, 9)  # cameras write 0 too, and viewers pass over what means nothing
        extent = Extent("", 0, 0)
        if deep:
            values = values_of(image, deep, data)
            extent = Extent.of(values, deep)
            upright = _turned(Image.fromarray(ranges.eight_bits(values, deep)), image)
        else:
            image.draft("RGB", (DRAFT, DRAFT) if max(sizes) <= DRAFT else (2 * DRAFT, 2 * DRAFT))
            upright = ImageOps.exif_transpose(image)
        squares = list(_squares(upright, sizes))
        # The frames last: to count the pages of a TIFF turns them.
        said = (image.format or "", mode, width, height, len(data), turned, _frames(image))
        return Facts(*said, extent.kind, extent.low, extent.high), squares


def _turned(shown: Image.Image, image: Image.Image) -> Image.Image:
    """Return pixels taken from ``image`` as its EXIF data say; Pillow has turned a TIFF as it loaded it."""
    shown.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageOps.exif_transpose(shown)


def _squares(upright: Image.Image, sizes: Sequence[int]) -> Iterator[np.ndarray]:
    rgb = _as_rgb(upright)
    for size in sizes:
        # DECISIONS: Images are stretched to a square
        yield np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))


def _without_texts(data: bytes) -> bytes:
    """Return a PNG without its texts and its profile, which Pillow refuses to unpack where they are long."""
    kept, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        end = at + 12 + struct.unpack(">I", data[at : at + 4])[0]
        if data[at + 4 : at + 8] not in BESIDE:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UnfitError(
            f"{image.width} × {image.height} px is more than {MAX_PIXELS / 1e6:.0f} megapixels, as in a decompression "
            "bomb; scale it down"
        )


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;"):  # 16-bit grey, which Pillow would clip to white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode == "I":
        image = _from_integers(np.asarray(image))
    elif image.mode == "F":
        image = _from_floats(np.asarray(image))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _from_integers(values: np.ndarray) -> Image.Image:
    extent = Extent.of(values, INTEGERS)
    extent.check()
    return Image.fromarray((values >> (8 if extent.high > 0xFF else 0)).astype(np.uint8))


def _from_floats(values: np.ndarray) -> Image.Image:
    extent = Extent.of(values, FLOATS)
    extent.check()
    return Image.fromarray((values * (255 if extent.high <= 1 else 1)).round().astype(np.uint8))


def _frames(image: Image.Image) -> int:
    """Return how many frames an image has, of a TIFF at most MOST_PAGES."""
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    for page in range(1, MOST_PAGES):
        try:
            image.seek(page)
        except EOFError:
            return page
    return MOST_PAGES


def typical_side(paths: Sequence[Path], low: int = 32, high: int = 160, sample: int = 200) -> int:
    """Return the median longest side in px of (a sample of) the images, between ``low`` and ``high``."""
    sides = []
    for path in paths[:: max(1, len(paths) // sample)]:
        try:
            with Image.open(path, formats=FORMATS) as image:
                sides.append(max(image.size))
        except Exception:  # unreadable files are reported by decode
            continue
    return int(np.clip(np.median(sides), low, high)) if sides else high
