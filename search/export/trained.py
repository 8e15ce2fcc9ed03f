"""What trained a model: the digest and a small grey picture of each image, by which its copies are known again."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from search.data.images import THUMBNAIL, decode
from search.system.digests import file_sha256
from search.system.errors import UserError
from search.system.files import write_bytes
from search.training.materials import Materials

if TYPE_CHECKING:
    from search.training.inputs import Part  # which loads TensorFlow

TRAINED_ON = "trained_on.npz"
BYTES = 32  # of a SHA-256


@dataclass(frozen=True)
class TrainedOn:
    """The images that trained a model, without their names.

    ``contents`` are the SHA-256 of the files in hexadecimal. ``pictures`` (n, THUMBNAIL, THUMBNAIL) uint8 shows them in
    grey, stretched to squares, as near-duplicates are found by.
    """

    contents: tuple[str, ...]
    pictures: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.contents)


def write_trained_on(path: Path, materials: Materials, parts: Sequence["Part"]) -> None:
    """Write what trains a model on all images of a search: all real ones, and the synthetic ones of ``parts``.

    Real ones that sampling leaves out are among them, as they chose the recipe.
    """
    paths, contents = materials.paths, materials.contents
    pictures = decode(paths, contents, THUMBNAIL, materials.cache, ranges=materials.ranges).pixels
    greys, every = [greys_of(pictures)], list(contents)
    if (pool := materials.pool) is not None and len(made := _synthetic_rows(parts, len(contents), len(pool))):
        decoded = decode(pool.paths, pool.contents, THUMBNAIL, materials.cache, ranges=pool.ranges)
        greys.append(greys_of(decoded.pixels[made]))
        every += [pool.contents[row] for row in made]
    digests = np.frombuffer(bytes.fromhex("".join(every)), np.uint8).reshape(-1, BYTES)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, contents=digests, pictures=np.concatenate(greys))
    write_bytes(path, buffer.getvalue())


def _synthetic_rows(parts: Sequence["Part"], real: int, synthetic: int) -> np.ndarray:
    """Return the rows of the pool that train; rows number the real images first, and anew for other views of copies."""
    used = [each for part in parts for each in (part.rows, *([part.stand_ins.rows] if part.stand_ins else []))]
    rows = np.unique(np.concatenate(used) % (real + synthetic))
    return rows[rows >= real] - real


def greys_of(pixels: np.ndarray) -> np.ndarray:
    """Return RGB images (n, side, side, 3) uint8 in grey, (n, side, side) uint8."""
    greys = np.empty(pixels.shape[:3], np.uint8)
    for row, image in enumerate(pixels):
        greys[row] = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY)
    return greys


def read_trained_on(folder: Path, sha256: str | None) -> TrainedOn | None:
    """Return what trained the model in the folder of an export; None where that is not said.

    ``sha256`` is that of the file as it was exported, None in an export that has none. Raises UserError for a file
    that is damaged.
    """
    path = folder / TRAINED_ON
    if sha256 is None or not path.is_file():
        return None
    way_out = "Export the model again, or delete the file: then nothing tells which images trained the model."
    if file_sha256(path) != sha256:
        raise UserError(f"{path} is damaged: it is not the file that was exported. {way_out}")
    try:
        with np.load(path, allow_pickle=False) as file:
            digests, pictures = file["contents"], file["pictures"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error!r}). {way_out}") from None
    shapes = (len(pictures), BYTES), (len(pictures), THUMBNAIL, THUMBNAIL)
    if (digests.shape, pictures.shape) != shapes or not digests.dtype == pictures.dtype == np.uint8:
        raise UserError(
            f"{path} cannot be read (its arrays have other shapes or types than these files have). {way_out}"
        )
    return TrainedOn(_contents(digests), pictures)


def _contents(digests: np.ndarray) -> tuple[str, ...]:
    return tuple(row.tobytes().hex() for row in digests)
