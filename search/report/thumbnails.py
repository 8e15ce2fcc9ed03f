"""Thumbnails: small JPEGs of images as data URIs, for pages that need no other file."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from search.data.images import Facts, read_known
from search.record import IMAGES, Record, read_table
from search.system.errors import UserError

SIDE = 112  # px of the longest side
JPEG_QUALITY = 80


def jpeg(pixels: np.ndarray, size: tuple[int, int] | None = None) -> str:
    """Return an image (side, side, 3) uint8 as Base64 of a JPEG, brought to ``size`` (width, height) if given."""
    image = Image.fromarray(np.asarray(pixels))
    buffer = io.BytesIO()
    (image.resize(size) if size else image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()


def in_proportion(facts: Facts, side: int) -> tuple[int, int]:
    """Return the (width, height) of an image whose longest side is ``side``: decoded images are squares."""
    scale = side / max(facts.width, facts.height)
    return max(1, round(facts.width * scale)), max(1, round(facts.height * scale))


def thumbnails(record: Record, ids: Iterable[str]) -> dict[str, str]:
    """Return data URIs by id, for the images that are still there and the same as when the search began."""
    table = read_table(record.folder, IMAGES)
    if table is None or "content" not in table:
        return {}
    contents = dict(zip(table["id"], table["content"], strict=True))
    root = Path(record.about.root)
    pictures = {}
    for id_ in dict.fromkeys(ids):
        try:
            read = read_known(root / id_, contents.get(id_, ""), SIDE)
        except (OSError, UserError):
            continue
        if not isinstance(read, str):
            facts, pixels = read
            pictures[id_] = f"data:image/jpeg;base64,{jpeg(pixels, in_proportion(facts, SIDE))}"
    return pictures
