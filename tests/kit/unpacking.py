"""Arrays to save as a data set of one file, and what came of it."""

import csv

import numpy as np
from PIL import Image

from search.data.readers.arrays import unpack

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
X[0, 0, :2] = [[0], [255]]  # the whole range
Y = np.array([0, 1, 2, 0, 1, 2])
GREY = X[..., 0]


def unpacked(file, folder):
    folder.mkdir()
    unpack(file, folder)
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"manifest.csv", *(row["image"] for row in rows)}
    return rows, folder


def pixels(rows, folder):
    return [np.asarray(Image.open(folder / row["image"])) for row in rows]


def labels(rows):
    return [row["label"] for row in rows]


def same(found, images):
    return all(np.array_equal(one, other) for one, other in zip(pixels(*found), images, strict=True))
