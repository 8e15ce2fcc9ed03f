"""What an exported model sees in images: labels and probabilities, also as JSON or CSV."""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.export.certain import Doubt, doubt_of
from search.export.opened import open_export, read_export
from search.system.errors import UserError
from search.system.machine import cores
from search.system.progress import Steps
from search.system.texts import as_cell, visible

BATCH = 32


@dataclass(frozen=True)
class Predictions:
    """Readable images with the probabilities of the classes, (n, classes); the others with the reason.

    ``doubt`` says below which probability there is no answer, None where all are answered.
    """

    classes: tuple[str, ...]
    images: tuple[Path, ...]
    probabilities: np.ndarray
    unreadable: tuple[tuple[Path, str], ...]
    doubt: Doubt | None = None

    def is_sure(self, row: int) -> bool:
        """Return whether an image gets an answer: its best probability is high enough."""
        return self.doubt is None or float(self.probabilities[row].max()) >= self.doubt.probability

    def best(self, row: int, top: int) -> list[tuple[str, float]]:
        """Return the ``top`` likeliest classes of an image with their probabilities, best first."""
        order = np.argsort(-self.probabilities[row], kind="stable")[:top]
        return [(self.classes[label], float(self.probabilities[row, label])) for label in order]


def predict(folder: Path, names: Sequence[Path], progress: Steps, unsure: float | None = None) -> Predictions:
    """Return what the model exported to ``folder`` sees in the images at ``names``: files, or folders of them.

    ``unsure`` is the share of answers that may be wrong out of fold: those below the probability that this takes are
    not sure. Raises UserError for a folder that is no whole export, and where there are no images.
    """
    paths = list(dict.fromkeys(path for name in names for path in _files(name)))
    about = read_export(folder)
    doubt = None if unsure is None else doubt_of(about, unsure, folder)
    if not paths:
        raise UserError(f"There are no images in {', '.join(str(name) for name in names)}. Name files or folders.")
    exported = open_export(folder, about)
    classes = exported.classes
    rows: list[tuple[Path, np.ndarray]] = []
    unreadable: list[tuple[Path, str]] = []
    with ThreadPoolExecutor(cores()) as pool:
        for at in range(0, len(paths), BATCH):  # decoded, all images may not fit into memory
            part = paths[at : at + BATCH]
            decoded = list(zip(part, pool.map(exported.pixels, part), strict=True))
            unreadable += [(path, pixels) for path, pixels in decoded if isinstance(pixels, str)]
            good = [(path, pixels) for path, pixels in decoded if not isinstance(pixels, str)]
            if good:
                outputs = exported.probabilities([pixels for _, pixels in good])
                rows += [(path, row) for (path, _), row in zip(good, outputs, strict=True)]
            progress(at + len(part), len(paths))
    probabilities = np.array([row for _, row in rows]).reshape(len(rows), len(classes))
    return Predictions(classes, tuple(path for path, _ in rows), probabilities, tuple(unreadable), doubt)


def _files(name: Path) -> Iterator[Path]:
    """Yield a file; or the files below a folder in order, without hidden ones, and the folders that are not entered."""
    if not name.is_dir():
        yield name
        return
    closed: list[OSError] = []
    for parent, folders, files in os.walk(name, onerror=closed.append):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        yield from (Path(parent) / folder for folder in folders if (Path(parent) / folder).is_symlink())
        yield from (Path(parent) / file for file in sorted(files) if not file.startswith("."))
    yield from (Path(error.filename) for error in closed)


def as_json(predictions: Predictions, top: int) -> str:
    """Return the predictions as JSON, in ASCII, so that any file name survives; a label that is not sure is null."""
    images: list[dict[str, Any]] = [
        {
            "image": str(path),
            "label": best[0][0] if predictions.is_sure(row) else None,
            "probability": best[0][1],
            "top": dict(best),
        }
        for row, path in enumerate(predictions.images)
        for best in [predictions.best(row, top)]
    ]
    unreadable = [{"image": str(path), "reason": reason} for path, reason in predictions.unreadable]
    told: dict[str, Any] = {"predictions": images, "unreadable": unreadable}
    if predictions.doubt:
        told["unsure"] = asdict(predictions.doubt)
    return json.dumps(told, indent=2) + "\n"


def as_csv(predictions: Predictions) -> str:
    """Return the predictions as CSV: image, label, the probability of each class, and why an image was not read.

    A label that is not sure is empty.
    Letters of a path that a terminal would obey, or could not show, are escaped; JSON has paths as they are.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["image", "label", *(f"p({name})" for name in predictions.classes), "unreadable"])
    for row, path in enumerate(predictions.images):
        probabilities = [f"{value:.6f}" for value in predictions.probabilities[row]]
        label = as_cell(predictions.best(row, 1)[0][0]) if predictions.is_sure(row) else ""
        writer.writerow([as_cell(visible(str(path))), label, *probabilities, ""])
    for path, reason in predictions.unreadable:
        writer.writerow([as_cell(visible(str(path))), "", *("" for _ in predictions.classes), as_cell(visible(reason))])
    return buffer.getvalue()
