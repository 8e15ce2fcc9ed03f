"""Thumbnails: small JPEGs of images as data URIs, for pages that need no other file."""

import base64
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from search.data.decoding import Facts
from search.data.depth import Ranges
from search.data.images import read_known
from search.record import IMAGES, Record, read_table
from search.system.errors import UserError

SMALLEST, LARGEST = 112, 480  # px of the longest side of a thumbnail
SHOWN = 144  # px: smaller images are enlarged, pixel by pixel, rather than blurred
BYTES = 2_000_000  # of all thumbnails of a page, about
BYTES_PER_PIXEL = 0.33  # of a photograph as a JPEG, in Base64
JPEG_QUALITY = 80


def jpeg(pixels: np.ndarray) -> str:
    """Return an image (h, w, 3) uint8 as Base64 of a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()


def in_proportion(facts: Facts, side: int) -> tuple[int, int]:
    """Return the (width, height) of an image whose longest side is ``side``: decoded images are squares."""
    scale = side / max(facts.width, facts.height)
    return max(1, round(facts.width * scale)), max(1, round(facts.height * scale))


def thumbnails(record: Record, ids: Iterable[str]) -> dict[str, str]:
    """Return data URIs by id, for the images that are still there and the same as when the search began."""
    names = list(dict.fromkeys(ids))
    return as_uris(pictures(record, names, fitting_side(len(names))))


def as_uris(found: Iterable[tuple[str, np.ndarray]]) -> dict[str, str]:
    """Return images (id, pixels) as data URIs by id."""
    return {id_: f"data:image/jpeg;base64,{jpeg(pixels)}" for id_, pixels in found}


def pictures(
    record: Record, ids: Iterable[str], side: int, root: Path | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (id, pixels (h, w, 3) uint8) of the images that are still there and the same as when the search began.

    The longest side of an image is ``side`` px, or its own where it has fewer; then each of its pixels is several where
    it is small. ``root`` is the folder below which the images lie now, if they were moved.
    """
    yield from pictures_of(known_files(record, ids, root), side, record.about.ranges)


def pictures_of(files: Iterable[tuple[str, Path, str]], side: int, ranges: Ranges) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the same of files (id, path, SHA-256 of what should be there)."""
    for id_, path, content in files:
        try:
            pixels = _picture(path, content, side, ranges)
        except (OSError, UserError):
            continue
        if pixels is not None:
            yield id_, pixels


def known_files(record: Record, ids: Iterable[str], root: Path | None = None) -> Iterator[tuple[str, Path, str]]:
    """Yield (id, path, SHA-256 of what was there when the search began) of images; none in an older search."""
    table = read_table(record.folder, IMAGES)
    if table is None or "content" not in table:
        return
    contents = dict(zip(table["id"], table["content"], strict=True))
    for id_ in dict.fromkeys(ids):
        yield id_, (root or Path(record.about.root)) / id_, contents.get(id_, "")


def fitting_side(images: int) -> int:
    """Return the px of the longest side of so many thumbnails: the fewer, the larger, that a page can be mailed."""
    return round(min(LARGEST, max(SMALLEST, math.sqrt(BYTES / BYTES_PER_PIXEL / max(images, 1)))))


def _picture(path: Path, content: str, side: int, ranges: Ranges) -> np.ndarray | None:
    """Return an image in its own proportions, None where it cannot be read."""
    read = read_known(path, content, side, ranges)
    if isinstance(read, str):
        return None
    facts, pixels = read
    longest = max(facts.width, facts.height)
    if longest >= side:
        return _resized(pixels, in_proportion(facts, side))
    own = read_known(path, content, longest, ranges)
    if isinstance(own, str):
        return None
    times = max(1, SHOWN // longest)
    return _resized(own[1].repeat(times, axis=0).repeat(times, axis=1), (times * facts.width, times * facts.height))


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size))
