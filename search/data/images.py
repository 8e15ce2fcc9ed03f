"""Images as numbers: each file is decoded once, into memory-mapped uint8 arrays named by their content."""

import contextlib
import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from search.system.cache import lock_of, new_entry, stored
from search.system.digests import digest
from search.system.errors import UserError
from search.system.files import locked
from search.system.machine import cores
from search.system.progress import Steps

DECODING_VERSION = 4
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
FORMATS = (
    "JPEG",
    "PNG",
    "BMP",
    "GIF",
    "WEBP",
    "TIFF",
    "PPM",
)  # no other decoder of Pillow is ever run; MPO comes with JPEG
MAX_PIXELS = 100_000_000
THUMBNAIL = 96
# DECISIONS: JPEGs are decoded at one reduced scale for all sizes up to 512 px
DRAFT = 512  # JPEG decoders scale down for free; one scale for all smaller sizes, so that sizes agree
CHUNK = 256  # images that wait to be written, and the most bytes that they may take
CHUNK_BYTES = 32 * 2**20
MOST_PAGES = 100  # of a TIFF that are counted: Pillow's own count takes the square of their number
SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height

Image.init()  # or Pillow does not know all of these formats yet
# Pillow warns of large images, in words for programmers; MAX_PIXELS refuses them in words for people.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class _UnfitError(ValueError):
    """Why a sound file is no image for us, in words for people."""


@dataclass(frozen=True)
class Facts:
    """What a file says of its image: format and mode as Pillow names them, size in px when upright, length in bytes.

    ``turned`` is whether EXIF asks to turn or mirror it; of several ``frames`` (counted up to
    MOST_PAGES in a TIFF) the first is read.
    """

    format: str
    mode: str
    width: int
    height: int
    bytes: int
    turned: bool = False
    frames: int = 1


@dataclass(frozen=True)
class Decoded:
    """Images as numbers: ``pixels`` (n, size, size, 3) uint8 RGB, one row for each readable image.

    ``readable`` are the positions of those rows in the list that was asked for, ``unreadable``
    maps the other positions to the reason. ``facts`` are in the order of ``readable``; ``key`` names the content.
    """

    pixels: np.ndarray
    readable: tuple[int, ...]
    unreadable: dict[int, str]
    facts: tuple[Facts, ...]
    key: str


def is_image(path: Path) -> bool:
    """Return whether a file begins like an image that can be read, whatever its name."""
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except Exception:
        return False


def read_image(file: Path | BinaryIO, size: int) -> np.ndarray:
    """Return one image as (size, size, 3) uint8 RGB, upright, stretched to a square.

    Transparency is laid on white. An animated image gives its first frame. Raises whatever
    Pillow raises on a file that it cannot decode to the end, and ValueError for one of more than
    100 megapixels, of floating-point values outside 0 to 255, or of 32-bit integers outside 0 to 65535.
    """
    with Image.open(file, formats=FORMATS) as image:
        _check_pixels(image)
        return next(_squares(image, [size]))


def _squares(image: Image.Image, sizes: Sequence[int]) -> Iterator[np.ndarray]:
    image.draft("RGB", (DRAFT, DRAFT) if max(sizes) <= DRAFT else (2 * DRAFT, 2 * DRAFT))
    rgb = _as_rgb(ImageOps.exif_transpose(image))
    for size in sizes:
        # DECISIONS: Images are stretched to a square
        yield np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _UnfitError(
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
    low, high = int(values.min()), int(values.max())
    if not (low >= 0 and high <= 0xFFFF):
        raise _UnfitError(f"its whole numbers go from {low} to {high}, not from 0 to 255 or 65535")
    return Image.fromarray((values >> (8 if high > 0xFF else 0)).astype(np.uint8))


def _from_floats(values: np.ndarray) -> Image.Image:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # also where they are no numbers
        raise _UnfitError(f"its floating-point values go from {low:g} to {high:g}, not from 0 to 1 or 255")
    return Image.fromarray((values * (255 if high <= 1 else 1)).round().astype(np.uint8))


def decode(
    paths: Sequence[Path], contents: Sequence[str], size: int, cache: Path, progress: Steps | None = None
) -> Decoded:
    """Return the images at ``paths`` at ``size`` px, decoded now or found in ``cache``.

    ``contents`` are the SHA-256 of the files: they, the size and the version of this code name
    the entry, so renamed files are found and changed ones are decoded anew. Raises UserError for
    a file that is gone or no longer what ``contents`` says.
    """
    key = _key(size, contents)

    def load(folder: Path) -> Decoded:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        unreadable = {int(row): why for row, why in about["unreadable"].items()}
        readable = tuple(row for row in range(len(paths)) if row not in unreadable)
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        return Decoded(pixels[: len(readable)], readable, unreadable, tuple(Facts(*row) for row in about["facts"]), key)

    return stored(cache / "decoded" / key, lambda folder: _fill({size: folder}, paths, contents, progress), load)


def decode_sizes(
    paths: Sequence[Path], contents: Sequence[str], sizes: Iterable[int], cache: Path, progress: Steps | None = None
) -> dict[int, Decoded]:
    """Return the images at several sizes; those that are not in ``cache`` are all made in one pass over the files."""
    sizes = sorted(set(sizes))
    for group in ([size for size in sizes if size <= DRAFT], [size for size in sizes if size > DRAFT]):
        entries = {size: cache / "decoded" / _key(size, contents) for size in group}
        with contextlib.ExitStack() as stack:
            missing = [to for to in entries.values() if not to.is_dir()]
            for to in missing:  # from the smallest up in every process, so that no two wait for each other
                to.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(lock_of(to)))
            new = {size: stack.enter_context(new_entry(to)) for size, to in entries.items() if not to.is_dir()}
            if new:
                _fill(new, paths, contents, progress)
    return {size: decode(paths, contents, size, cache) for size in sizes}


def read_known(path: Path, content: str, size: int) -> tuple[Facts, np.ndarray] | str:
    """Return an image whose content is ``content`` (SHA-256), decoded now, or why it cannot be read.

    Raises UserError where it is gone or another image than it was.
    """
    read = _try_read(path, content, [size])
    return read if isinstance(read, str) else (read[0], read[1][0])


def _key(size: int, contents: Sequence[str]) -> str:
    return digest(["decoded", DECODING_VERSION, size, list(contents)])


def _fill(folders: dict[int, Path], paths: Sequence[Path], contents: Sequence[str], progress: Steps | None) -> None:
    """Write the pixels of the readable images in order at each size, and what is known of all of them."""
    sizes = list(folders)
    arrays = [_new_array(folders[size] / "pixels.npy", len(paths), size) for size in sizes]
    unreadable: dict[int, str] = {}
    facts: list[Facts] = []
    chunk = max(1, min(CHUNK, CHUNK_BYTES // sum(3 * size**2 for size in sizes)))
    with ThreadPoolExecutor(cores()) as pool:
        for at in range(0, len(paths), chunk):  # a whole data set of decoded images may not fit into memory
            part = slice(at, at + chunk)
            read = pool.map(lambda path, content: _try_read(path, content, sizes), paths[part], contents[part])
            for row, image in enumerate(read, start=at):
                if isinstance(image, str):
                    unreadable[row] = image
                else:
                    for array, square in zip(arrays, image[1], strict=True):
                        array[len(facts)] = square
                    facts.append(image[0])
                if progress:
                    progress(row + 1, len(paths))
    about = {"unreadable": unreadable, "facts": [list(asdict(fact).values()) for fact in facts]}
    for array, folder in zip(arrays, folders.values(), strict=True):
        array.flush()
        (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _new_array(path: Path, rows: int, size: int) -> np.memmap:
    shape = (max(rows, 1), size, size, 3)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    _claim_space(path)
    return array


def _claim_space(path: Path) -> None:
    """Raise OSError now if the disk cannot hold the file: writing to a map of it would kill the process."""
    if hasattr(os, "posix_fallocate"):
        try:
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


def _try_read(path: Path, content: str, sizes: Sequence[int]) -> tuple[Facts, list[np.ndarray]] | str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"The image {path} is gone. Put it back; the same command then resumes.") from None
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    if hashlib.sha256(data).hexdigest() != content:
        raise UserError(f"The image {path} changed while the search ran. Put the old one back, or begin anew.")
    return _read_or_reason(data, sizes)


def try_image(path: Path, size: int) -> np.ndarray | str:
    """Return one image as ``read_image`` does, or why it cannot be read, in words for people."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    read = _read_or_reason(data, [size])
    return read if isinstance(read, str) else read[1][0]


def _read_or_reason(data: bytes, sizes: Sequence[int]) -> tuple[Facts, list[np.ndarray]] | str:
    try:
        return _read(data, sizes)
    except UnidentifiedImageError:
        return "not an image that Pillow can identify" if data else "an empty file"
    except Image.DecompressionBombError:
        return f"more than {MAX_PIXELS / 1e6:.0f} megapixels, as in a decompression bomb; scale it down"
    except MemoryError:  # no fault of the image, so not to be remembered
        raise
    except _UnfitError as error:
        return str(error)
    except Exception as error:  # a damaged file can raise nearly anything inside a decoder
        words = str(error) or type(error).__name__
        return (
            "cut off: its end is missing" if "truncated" in words.lower() else f"damaged, or of a rare kind ({words})"
        )


def _read(data: bytes, sizes: Sequence[int]) -> tuple[Facts, list[np.ndarray]]:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_pixels(image)  # first, because to ask a PNG for its EXIF data decodes it
        # What the file says, before decoding scales a JPEG down and turns a TIFF.
        orientation, mode = image.getexif().get(ExifTags.Base.Orientation, 1), image.mode
        width, height = image.size if orientation not in SIDEWAYS else image.size[::-1]
        squares = list(_squares(image, sizes))
        turned = orientation in range(2, 9)  # cameras write 0 too, and viewers pass over what means nothing
        # The frames last: to count the pages of a TIFF turns them.
        return Facts(image.format or "", mode, width, height, len(data), turned, _frames(image)), squares


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
