"""What an exported model sees in images: labels and probabilities, also as JSON or CSV.

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

from search.data.decoding import try_image
from search.data.depth import Ranges
from search.data.readers.paths import no_file, unfit
from search.system.digests import file_sha256
from search.system.errors import UserError, first_line
from search.system.machine import cores
from search.system.progress import Steps
from search.system.texts import as_cell, visible

FORMAT = 1
MODEL, RECIPE = "model.keras", "recipe.json"
BATCH = 32
AGAIN = "Export it again from its search, with the verb export"


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


def predict(folder: Path, names: Sequence[Path], progress: Steps) -> Predictions:
    """Return what the model exported to ``folder`` sees in the images at ``names``: files, or folders of them.

    Raises UserError for a folder that is no whole export, and where there are no images.
    """
    about = _about(folder)
    paths = list(dict.fromkeys(path for name in names for path in _files(name)))
    if not paths:
        raise UserError(f"There are no images in {', '.join(str(name) for name in names)}. Name files or folders.")
    sizes, classes = about.get("image_sizes", [about["image_size"]]), tuple(about["classes"])
    ranges = Ranges.recorded(about.get("ranges"))
    _check_library(folder, about)
    model = _load(folder, sizes, len(classes))
    rows: list[tuple[Path, np.ndarray]] = []
    unreadable: list[tuple[Path, str]] = []
    with ThreadPoolExecutor(cores()) as pool:
        for at in range(0, len(paths), BATCH):  # decoded, all images may not fit into memory
            part = paths[at : at + BATCH]
            decoded = list(zip(part, pool.map(lambda path: _pixels(path, sizes, ranges), part), strict=True))
            unreadable += [(path, pixels) for path, pixels in decoded if isinstance(pixels, str)]
            good = [(path, pixels) for path, pixels in decoded if not isinstance(pixels, str)]
            if good:
                inputs = [np.stack(each) for each in zip(*(pixels for _, pixels in good), strict=True)]
                outputs = model.predict_on_batch(inputs if len(inputs) > 1 else inputs[0])
                rows += [(path, row) for (path, _), row in zip(good, outputs, strict=True)]
            progress(at + len(part), len(paths))
    probabilities = np.array([row for _, row in rows]).reshape(len(rows), len(classes))
    return Predictions(classes, tuple(path for path, _ in rows), probabilities, tuple(unreadable))


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
        sizes = size, *about.get("image_sizes", [])
        sound = isinstance(about["classes"], dict) and all(isinstance(each, int) and each > 0 for each in sizes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / RECIPE} cannot be read ({error!r}). {AGAIN}.") from None
    if version != FORMAT:
        raise UserError(f"{folder / RECIPE} has format {version}, this version reads {FORMAT}. Use a newer version.")
    if not sound:
        raise UserError(f"{folder / RECIPE} has no sound classes or image_size. {AGAIN}.")
    if file_sha256(folder / MODEL) != sha256:
        raise UserError(f"{folder / MODEL} is damaged: it is not the file that was exported. {AGAIN}.")
    return about


def _check_library(folder: Path, about: dict[str, Any]) -> None:
    """Raise UserError where the model is of a preset of KerasHub, and this is not here."""
    recipe = about.get("recipe")
    value = recipe.get("backbone") if isinstance(recipe, dict) else None
    backbones = value if isinstance(value, list) else [value]
    if any(
        isinstance(each, dict) and isinstance(each.get("make"), dict) and "preset" in each["make"] for each in backbones
    ):
        from search.repertoire.backbones.hub import library_for

        library_for(str(folder / MODEL))


def _load(folder: Path, sizes: Sequence[int], classes: int) -> Any:
    from search.system.tf import keras, silenced

    try:
        with silenced():
            model = keras.models.load_model(folder / MODEL, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{folder / MODEL} cannot be loaded with Keras {keras.__version__} ({first_line(error)}). {AGAIN}."
        ) from None
    shapes = [tuple(each.shape[1:]) for each in model.inputs]
    if shapes != [(size, size, 3) for size in sizes] or model.output_shape[1:] != (classes,):
        raise UserError(f"{folder / MODEL} is not the model that {RECIPE} describes. {AGAIN}.")
    return model


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


def _pixels(path: Path, sizes: Sequence[int], ranges: Ranges) -> list[np.ndarray] | str:
    """Return an image at each size, or why it cannot be read."""
    try:
        if path.is_dir():
            return "a linked folder, which is not followed" if path.is_symlink() else "a folder that cannot be opened"
        problem = unfit(path.stat())
    except FileNotFoundError:
        return no_file(path)
    except (OSError, ValueError) as error:
        return f"cannot be opened: {error}"
    if problem:
        return problem
    images = []
    for size in sizes:
        image = try_image(path, size, ranges)
        if isinstance(image, str):
            return image
        images.append(image)
    return images


def as_json(predictions: Predictions, top: int) -> str:
    """Return the predictions as JSON, in ASCII, so that any file name survives."""
    images = [
        {"image": str(path), "label": best[0][0], "probability": best[0][1], "top": dict(best)}
        for row, path in enumerate(predictions.images)
        for best in [predictions.best(row, top)]
    ]
    unreadable = [{"image": str(path), "reason": reason} for path, reason in predictions.unreadable]
    return json.dumps({"predictions": images, "unreadable": unreadable}, indent=2) + "\n"


def as_csv(predictions: Predictions) -> str:
    """Return the predictions as CSV: image, label, the probability of each class, and why an image was not read.

    Letters of a path that a terminal would obey, or could not show, are escaped; JSON has paths as they are.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["image", "label", *(f"p({name})" for name in predictions.classes), "unreadable"])
    for row, path in enumerate(predictions.images):
        probabilities = [f"{value:.6f}" for value in predictions.probabilities[row]]
        writer.writerow([as_cell(visible(str(path))), as_cell(predictions.best(row, 1)[0][0]), *probabilities, ""])
    for path, reason in predictions.unreadable:
        writer.writerow([as_cell(visible(str(path))), "", *("" for _ in predictions.classes), as_cell(visible(reason))])
    return buffer.getvalue()
