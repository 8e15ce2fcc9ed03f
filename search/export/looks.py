"""Pictures of where an exported model looked: the map of each image laid over it."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from search.data.decoding import read_or_reason
from search.export.explain import ROLLOUT, explainer
from search.export.opened import Opened
from search.export.predict import Predictions
from search.report.sheets import Group, Tile, contact_sheets, write_sheets
from search.report.thumbnails import in_proportion
from search.system.errors import UserError, in_words
from search.system.files import new_folder, write_bytes
from search.system.progress import Steps

SHOWN = 360  # px of the longest side of a picture
BATCH = 16
OPACITY = 0.6  # of the colours where a map is highest
ON_SHEETS = 96  # images
LONGEST = 60  # letters of a name


@dataclass(frozen=True)
class Look:
    """An image and where the model looked: ``pixels`` and ``overlay``, both (h, w, 3) uint8, in its own proportions."""

    path: Path
    pixels: np.ndarray
    overlay: np.ndarray


@dataclass(frozen=True)
class Looks:
    """What was written: how many pictures, the contact sheets beside them, and how the maps were made."""

    pictures: int
    sheets: int
    method: str

    @property
    def reading(self) -> str:
        """How to read the pictures."""
        if self.method == ROLLOUT:
            return "Warm colours are where attention came from, whatever the class (attention rollout)"
        return "Warm colours are where the image speaks for the class that the model gives (Grad-CAM)"


def looks(exported: Opened, paths: Sequence[Path], labels: np.ndarray, progress: Steps) -> tuple[str, Iterator[Look]]:
    """Return how maps are made, and where the model looked in images for the classes ``labels`` (n,), one by one.

    Images that cannot be read are left out. Raises UnshownError for a model without maps.
    """
    made = explainer(exported.model, exported.sizes[-1])

    def every() -> Iterator[Look]:
        for at in range(0, len(paths), BATCH):
            rows = range(at, min(at + BATCH, len(paths)))
            read = [(paths[row], labels[row], *found) for row in rows if (found := _read(exported, paths[row]))]
            if read:
                inputs = [np.stack(each) for each in zip(*(pixels for *_, pixels, _ in read), strict=True)]
                maps = made.maps(
                    [each.astype(np.float32) for each in inputs], np.array([label for _, label, *_ in read])
                )
                for (path, _, _, shown), map_ in zip(read, maps, strict=True):
                    yield Look(path, shown, overlaid(shown, map_))
            progress(min(at + BATCH, len(paths)), len(paths))

    return made.method, every()


def _read(exported: Opened, path: Path) -> tuple[list[np.ndarray], np.ndarray] | None:
    """Return an image at each size of the model, and in its own proportions; None where it cannot be read."""
    try:
        read = read_or_reason(path.read_bytes(), [*exported.sizes, SHOWN], exported.ranges, path.name)
    except OSError:
        return None
    if isinstance(read, str):
        return None
    facts, (*pixels, shown) = read
    return pixels, np.asarray(Image.fromarray(shown).resize(in_proportion(facts, SHOWN)))


def overlaid(pixels: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """Return an image (h, w, 3) uint8 with a map (of any size, in [0, 1]) over it: high is warm and dense."""
    height, width, _ = pixels.shape
    map_ = cv2.resize(map_, (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((255 * map_).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    dense = (OPACITY * map_)[..., None]
    return np.asarray((1 - dense) * pixels + dense * colours, np.uint8)


def write_looks(exported: Opened, predictions: Predictions, to: Path, progress: Steps) -> Looks:
    """Write a picture of each predicted image into the new or empty folder ``to``, and contact sheets of the first.

    A picture has the image and its map side by side, with the class and its probability. Raises UnshownError for a
    model without maps, and UserError where the folder cannot be written; then nothing is there.
    """
    best = [predictions.best(row, 1)[0] for row in range(len(predictions.images))]
    told = dict(zip(predictions.images, best, strict=True))
    method, every = looks(exported, predictions.images, predictions.probabilities.argmax(axis=1), progress)
    tiles, number = [], 0
    try:
        with new_folder(to.resolve()) as folder:
            for number, look in enumerate(every, start=1):
                label, probability = told[look.path]
                caption = f"{label} {probability:.3f}\n{look.path.name}"
                pair = [Tile(look.pixels, look.path.name), Tile(look.overlay, f"{label} {probability:.3f}")]
                (picture,) = contact_sheets([Group("", pair)], side=SHOWN, columns=2)
                write_bytes(folder / f"{number:04d}-{_plain(look.path)}.png", _png(picture))
                if number <= ON_SHEETS:
                    tiles += [Tile(look.pixels), Tile(look.overlay, caption)]
            sheets = write_sheets(contact_sheets([Group("", tiles)], columns=6), folder, "sheet")
    except OSError as error:
        hint = in_words(error, str(to))
        raise UserError(f"Where the model looked cannot be written. {hint} Or name another folder.") from None
    return Looks(number, len(sheets), method)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _plain(path: Path) -> str:
    """Return a name for files anywhere."""
    return re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)[:LONGEST].strip(".") or "image"
