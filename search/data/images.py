"""Decode every image once, into a memory-mapped uint8 array named by its content."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from search.digests import digest
from search.errors import UserError
from search.files import stored

DECODING_VERSION = 2
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp"})

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Decoded:
    """Images as numbers: ``pixels`` (n, size, size, 3) uint8 RGB, one row for each readable image.

    ``readable`` are the positions of those rows in the list that was asked for, ``unreadable``
    maps the other positions to the reason. ``key`` names the content.
    """

    pixels: np.ndarray
    readable: tuple[int, ...]
    unreadable: dict[int, str]
    key: str


def read_image(file: Path | BinaryIO, size: int) -> np.ndarray:
    """Return one image as (size, size, 3) uint8 RGB, upright, stretched to a square.

    Transparency is laid on white. An animated image gives its first frame. Raises whatever
    Pillow raises on a file that it cannot decode to the end.
    """
    with Image.open(file) as image:
        image.draft("RGB", (size, size))
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16-bit grey, which Pillow would clip to white
            upright = Image.fromarray((np.asarray(upright) >> 8).clip(0, 255).astype(np.uint8))
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        rgb = upright.convert("RGB")
        return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))


def decode(
    paths: Sequence[Path], contents: Sequence[str], size: int, cache: Path, progress: Progress | None = None
) -> Decoded:
    """Return the images at ``paths`` at ``size`` px, decoded now or found in ``cache``.

    ``contents`` are the SHA-256 of the files: they, the size and the version of this code name
    the entry, so renamed files are found and changed ones are decoded anew. Raises UserError for
    a file that is gone or no longer what ``contents`` says.
    """
    key = digest(["decoded", DECODING_VERSION, size, list(contents)])

    def load(folder: Path) -> Decoded:
        reasons = json.loads((folder / "unreadable.json").read_text(encoding="utf-8"))
        unreadable = {int(row): why for row, why in reasons.items()}
        readable = tuple(row for row in range(len(paths)) if row not in unreadable)
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        return Decoded(pixels[: len(readable)], readable, unreadable, key)

    return stored(cache / "decoded" / key, lambda folder: _fill(folder, paths, contents, size, progress), load)


def _fill(folder: Path, paths: Sequence[Path], contents: Sequence[str], size: int, progress: Progress | None) -> None:
    """Write the pixels of the readable images in order, and the reasons of the others."""
    shape = (max(len(paths), 1), size, size, 3)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
    _claim_space(folder / "pixels.npy")
    unreadable: dict[int, str] = {}
    filled = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, image in enumerate(pool.map(lambda path, content: _try_read(path, content, size), paths, contents)):
            if isinstance(image, str):
                unreadable[row] = image
            else:
                pixels[filled] = image
                filled += 1
            if progress:
                progress(row + 1, len(paths))
    pixels.flush()
    (folder / "unreadable.json").write_text(json.dumps(unreadable), encoding="utf-8")


def _claim_space(path: Path) -> None:
    """Raise OSError now if the disk cannot hold the file: writing to a map of it would kill the process."""
    if hasattr(os, "posix_fallocate"):
        try:
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


def _try_read(path: Path, content: str, size: int) -> np.ndarray | str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"The image {path} is gone. Put it back; the same command then resumes.") from None
    if hashlib.sha256(data).hexdigest() != content:
        raise UserError(f"The image {path} changed while the search ran. Put the old one back, or begin anew.")
    try:
        return read_image(io.BytesIO(data), size)
    except UnidentifiedImageError:
        return "not an image that Pillow can identify"
    except MemoryError:  # no fault of the image, so not to be remembered
        raise
    except Exception as error:  # a damaged file can raise nearly anything inside a decoder
        return str(error) or type(error).__name__


def typical_side(paths: Sequence[Path], low: int = 32, high: int = 160, sample: int = 200) -> int:
    """Return the median longest side in px of (a sample of) the images, between ``low`` and ``high``."""
    sides = []
    for path in paths[:: max(1, len(paths) // sample)]:
        try:
            with Image.open(path) as image:
                sides.append(max(image.size))
        except Exception:  # unreadable files are reported by decode
            continue
    return int(np.clip(np.median(sides), low, high)) if sides else high
