"""What an exported model sees in images: labels and probabilities, as a table, JSON or CSV.

Images are decoded as in training, so a prediction here is the one that the search would have made.
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.data.images import SUFFIXES, Progress, is_image, try_image
from search.data.readers.paths import unfit
from search.system.digests import file_sha256
from search.system.errors import UserError
from search.system.machine import cores

FORMAT = 1
MODEL, RECIPE = "model.keras", "recipe.json"
BATCH = 32
AGAIN = "Export it again: python -m search export NAME --to FOLDER"


@dataclass(frozen=True)
class Predictions:
    """Readable images with the probabilities of the classes, (n, classes); the others with the reason."""

    classes: tuple[str, ...]
    images: tuple[Path, ...]
    probabilities: np.ndarray
    unreadable: tuple[tuple[Path, str], ...]

    def best(self, row: int, top: int) -> list[tuple[str, float]]:
        """Return the ``top`` likeliest classes of an image with their probabilities, best first."""
        order = np.argsort(-self.probabilities[row], kind="stable")[:top]
        return [(self.classes[label], float(self.probabilities[row, label])) for label in order]


def predicted(folder: Path, named: Sequence[Path], progress: Progress) -> Predictions:
    """Return what the model exported to ``folder`` sees in the images ``named``: files, or folders of them.

    Raises UserError for a folder that is no whole export, and where there are no images.
    """
    about = _about(folder)
    paths = list(dict.fromkeys(path for name in named for path in _images(name)))
    if not paths:
        raise UserError(f"There are no images in {', '.join(str(name) for name in named)}. Name files or folders.")
    size, classes = about["image_size"], tuple(about["classes"])
    model = _load(folder, (size, size, 3), len(classes))
    seen: list[tuple[Path, np.ndarray]] = []
    unreadable: list[tuple[Path, str]] = []
    with ThreadPoolExecutor(cores()) as pool:
        for at in range(0, len(paths), BATCH):  # decoded, all images may not fit into memory
            part = paths[at : at + BATCH]
            decoded = list(zip(part, pool.map(lambda path: _pixels(path, size), part), strict=True))
            unreadable += [(path, pixels) for path, pixels in decoded if isinstance(pixels, str)]
            good = [(path, pixels) for path, pixels in decoded if not isinstance(pixels, str)]
            if good:
                told = model.predict_on_batch(np.stack([pixels for _, pixels in good]))
                seen += [(path, row) for (path, _), row in zip(good, told, strict=True)]
            progress(at + len(part), len(paths))
    probabilities = np.array([row for _, row in seen]).reshape(len(seen), len(classes))
    return Predictions(classes, tuple(path for path, _ in seen), probabilities, tuple(unreadable))


def _about(folder: Path) -> dict[str, Any]:
    """Return recipe.json. Raises UserError where the folder is no export, is damaged, or is of a newer version."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Name one that was exported. {AGAIN}.")
    for name in (RECIPE, MODEL):
        if not (folder / name).is_file():
            raise UserError(f"{folder} holds no {name}, so it is no exported model, or not all of it. {AGAIN}.")
    try:
        about: dict[str, Any] = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        version, size, sha256 = about["format"], about["image_size"], about["files"][MODEL]
        sound = isinstance(size, int) and size > 0 and isinstance(about["classes"], dict)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / RECIPE} cannot be read ({error!r}). {AGAIN}.") from None
    if version != FORMAT:
        raise UserError(f"{folder / RECIPE} has format {version}, this version reads {FORMAT}. Use a newer version.")
    if not sound:
        raise UserError(f"{folder / RECIPE} has no sound classes or image_size. {AGAIN}.")
    if file_sha256(folder / MODEL) != sha256:
        raise UserError(f"{folder / MODEL} is damaged: it is not the file that was exported. {AGAIN}.")
    return about


def _load(folder: Path, shape: tuple[int, ...], classes: int) -> Any:
    from search.system.tf import keras, silenced

    try:
        with silenced():
            model = keras.models.load_model(folder / MODEL, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"{folder / MODEL} cannot be loaded with Keras {keras.__version__} ({first}). {AGAIN}."
        ) from None
    if model.input_shape[1:] != shape or model.output_shape[1:] != (classes,):
        raise UserError(f"{folder / MODEL} is not the model that {RECIPE} describes. {AGAIN}.")
    return model


def _images(name: Path) -> Iterator[Path]:
    """Yield a file, or the images below a folder in their order; hidden files and linked folders are passed over."""
    if not name.is_dir():
        yield name
        return
    for parent, folders, files in os.walk(name):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for path in (Path(parent) / file for file in sorted(files) if not file.startswith(".")):
            if path.is_file() and (path.suffix.lower() in SUFFIXES or is_image(path)):
                yield path


def _pixels(path: Path, size: int) -> np.ndarray | str:
    """Return an image, or why it cannot be read."""
    try:
        problem = unfit(path.stat())
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:
        return f"cannot be opened: {error}"
    return problem or try_image(path, size)


def show(told: Predictions, console: Console, top: int) -> None:
    """Print a table of the images with their ``top`` classes, and what could not be read."""
    if told.images:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("image", overflow="fold")
        for place in range(min(top, len(told.classes))):
            table.add_column(("label", "runner-up")[place] if place < 2 else str(place + 1), overflow="fold")
            table.add_column("probability" if not place else "", justify="right", no_wrap=True)
        for row, path in enumerate(told.images):
            best = [(Text(visible(label)), Text(f"{probability:.3f}")) for label, probability in told.best(row, top)]
            table.add_row(Text(visible(str(path))), *(cell for pair in best for cell in pair))
        console.print(table)
    if told.unreadable:
        plural = "" if len(told.unreadable) == 1 else "s"
        console.print(f"{len(told.unreadable)} file{plural} could not be read:", style="bold yellow", highlight=False)
    for path, reason in told.unreadable:
        console.print(Text(f"  {visible(str(path))}: {visible(reason)}"), soft_wrap=True)


def visible(text: str) -> str:
    """Return text with escapes for what a terminal would obey, or could not show."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def as_json(told: Predictions, top: int) -> str:
    """Return the predictions as JSON, in ASCII, so that any file name survives."""
    seen = [
        {"image": str(path), "label": best[0][0], "probability": best[0][1], "top": dict(best)}
        for row, path in enumerate(told.images)
        for best in [told.best(row, top)]
    ]
    lost = [{"image": str(path), "reason": reason} for path, reason in told.unreadable]
    return json.dumps({"predictions": seen, "unreadable": lost}, indent=2) + "\n"


def as_csv(told: Predictions) -> str:
    """Return the predictions as CSV: image, label, the probability of each class, and why an image was not read."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["image", "label", *(f"p({name})" for name in told.classes), "unreadable"])
    for row, path in enumerate(told.images):
        probabilities = [f"{value:.6f}" for value in told.probabilities[row]]
        writer.writerow([str(path), told.best(row, 1)[0][0], *probabilities, ""])
    for path, reason in told.unreadable:
        writer.writerow([str(path), "", *("" for _ in told.classes), reason])
    return buffer.getvalue()
