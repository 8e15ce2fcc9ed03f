"""Pictures of where an exported model looked: the map of each image laid over it."""

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from search.analysis.hard import HardImage
from search.data.decoding import read_or_reason
from search.export.explain import ROLLOUT, explainer
from search.export.opened import Opened
from search.record import Record
from search.report.exhibits.looked import LOOKED
from search.report.sheets import Group, Tile, contact_sheets, write_sheets
from search.report.thumbnails import in_proportion, jpeg, known_files
from search.system.digests import file_sha256
from search.system.errors import UserError, in_words
from search.system.files import new_folder, write_bytes, write_text
from search.system.progress import Steps

SHOWN = 360  # px of the longest side of a picture
BATCH = 16
OPACITY = 0.6  # of the colours where a map is highest
ON_SHEETS = 96  # images
LONGEST = 60  # letters of a name
MOST = 48  # hard images in a report
THUMBNAIL = 224  # px of the longest side of such an image


@dataclass(frozen=True)
class Look:
    """An image and where the model looked: ``pixels`` and ``overlay``, both (h, w, 3) uint8, in its own proportions.

    ``label`` is the class that the model gives, and ``probability`` what it gives it.
    """

    path: Path
    label: str
    probability: float
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


def looks(exported: Opened, paths: Sequence[Path], progress: Steps) -> tuple[str, Iterator[Look]]:
    """Return how maps are made, and where the model looked in images for the class that it gives, one by one.

    Images that cannot be read are left out. Raises UnshownError for a model without maps.
    """
    made = explainer(exported.model, exported.sizes[-1])

    def every() -> Iterator[Look]:
        for at in range(0, len(paths), BATCH):
            read = [(path, *found) for path in paths[at : at + BATCH] if (found := _read(exported, path))]
            if read:
                probabilities = exported.probabilities([pixels for _, pixels, _ in read])
                labels = probabilities.argmax(axis=1)
                maps = made.maps(
                    [np.stack(each) for each in zip(*(pixels for _, pixels, _ in read), strict=True)], labels
                )
                for (path, _, shown), label, row, map_ in zip(read, labels, probabilities, maps, strict=True):
                    yield Look(path, exported.classes[label], float(row[label]), shown, overlaid(shown, map_))
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


def write_looks(exported: Opened, paths: Sequence[Path], to: Path, progress: Steps) -> Looks:
    """Write a picture of each image into the new or empty folder ``to``, and contact sheets of the first.

    A picture has the image and its map side by side, with the class and its probability. Raises UnshownError for a
    model without maps, and UserError where the folder cannot be written; then nothing is there.
    """
    method, every = looks(exported, paths, progress)
    tiles: list[Tile] = []
    number = 0
    try:
        with new_folder(to.resolve()) as folder:
            for number, look in enumerate(every, start=1):
                answer = f"{look.label} {look.probability:.3f}"
                pair = [Tile(look.pixels, look.path.name), Tile(look.overlay, answer)]
                (picture,) = contact_sheets([Group("", pair)], side=SHOWN, columns=2)
                write_bytes(folder / f"{number:04d}-{_plain(look.path)}.png", _png(picture))
                if number <= ON_SHEETS:
                    tiles += [Tile(look.pixels), Tile(look.overlay, f"{answer}\n{look.path.name}")]
            sheets = write_sheets(contact_sheets([Group("", tiles)], columns=6), folder, "sheet")
    except OSError as error:
        hint = in_words(error, str(to))
        raise UserError(f"Where the model looked cannot be written. {hint} Or name another folder.") from None
    return Looks(number, len(sheets), method)


def look_at_hard(
    exported: Opened, record: Record, images: Sequence[HardImage], root: Path, progress: Steps
) -> tuple[Looks, Path]:
    """Write where the model looked in hard images of a search into its folder, from which its report takes it.

    ``root`` is the folder below which the images lie now; those that are gone or changed are left out, and only the
    first 48 are shown. Raises UnshownError for a model without maps, and UserError for one of other classes.
    """
    if exported.classes != tuple(record.about.classes):
        raise UserError(
            f"{exported.folder} knows other classes than {record.name} has. Name a model that was exported from it."
        )
    known = known_files(record, (image.id for image in images[:MOST]), root)
    places = {path: id_ for id_, path, content in known if path.is_file() and file_sha256(path) == content}
    hard = {image.id: image for image in images}
    method, every = looks(exported, list(places), progress)
    cards = [
        {
            "id": places[look.path],
            "label": hard[places[look.path]].label,
            "predicted": look.label,
            "probability": round(look.probability, 6),
            "picture": f"data:image/jpeg;base64,{jpeg(_smaller(look.overlay))}",
        }
        for look in every
    ]
    about = exported.about
    is_same = about.get("identity", {}).get("data") == record.about.identity.get("data")
    told = {"trial": str(about.get("trial", "")), "method": method, "trained_on_them": is_same, "images": cards}
    file = record.folder / LOOKED
    write_text(file, json.dumps(told, ensure_ascii=False) + "\n")
    return Looks(len(cards), 0, method), file


def _smaller(pixels: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(pixels)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(picture)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _plain(path: Path) -> str:
    """Return a name for files anywhere."""
    return re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)[:LONGEST].strip(".") or "image"
