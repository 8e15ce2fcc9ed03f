"""An exported model, opened: what its folder says of it, and what it sees in decoded images.

Images are decoded as in training, so a class here is the one that the trained network gives.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.data.decoding import try_image
from search.data.depth import Ranges
from search.data.readers.paths import no_file, unfit
from search.export.sound import flaw
from search.system.digests import file_sha256
from search.system.errors import UserError, first_line

FORMAT = 1
MODEL, RECIPE = "model.keras", "recipe.json"
AGAIN = "Export it again from its search, with the verb export"


@dataclass(frozen=True)
class Opened:
    """An exported model, loaded.

    ``about`` is its recipe.json, ``classes`` names its outputs in their order, ``sizes`` are the sides of its square
    inputs in pixels, the smallest first, ``ranges`` what is white in deep images, ``model`` a ``keras.Model`` from
    pixels of 0 to 255 to probabilities.
    """

    folder: Path
    about: dict[str, Any]
    classes: tuple[str, ...]
    sizes: tuple[int, ...]
    ranges: Ranges
    model: Any

    def pixels(self, path: Path) -> list[np.ndarray] | str:
        """Return an image at each size, (side, side, 3) of 0 to 255, or why it cannot be read."""
        return _pixels(path, self.sizes, self.ranges)

    def probabilities(self, images: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """Return the probabilities of a batch of images, (n, classes); each has its pixels at each size."""
        inputs = [np.stack(each) for each in zip(*images, strict=True)]
        outputs: np.ndarray = self.model.predict_on_batch(inputs if len(inputs) > 1 else inputs[0])
        return outputs


def open_export(folder: Path, about: dict[str, Any] | None = None) -> Opened:
    """Return the model that was exported to ``folder``; ``about`` is its recipe.json, where ``read_export`` gave it.

    Raises UserError where the folder is no whole export, is damaged, or needs what is not here.
    """
    about = read_export(folder) if about is None else about
    sizes, classes = sizes_of(about), tuple(about["classes"])
    _check_library(folder, about)
    model = _load(folder, sizes, len(classes))
    return Opened(folder, about, classes, sizes, Ranges.recorded(about.get("ranges")), model)


def sizes_of(about: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the sides of the inputs of the model of a recipe.json, in pixels, the smallest first."""
    return tuple(about.get("image_sizes", [about["image_size"]]))


def read_export(folder: Path) -> dict[str, Any]:
    """Return recipe.json. Raises UserError where the folder is no export, is damaged, or is of a newer version."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Name one that was exported. {AGAIN}.")
    for name in (RECIPE, MODEL):
        if not (folder / name).is_file():
            raise UserError(f"{folder} holds no {name}, so it is no exported model, or not all of it. {AGAIN}.")
    try:
        about: dict[str, Any] = json.loads((folder / RECIPE).read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{folder / RECIPE} cannot be read ({error!r}). {AGAIN}.") from None
    version = about.get("format", FORMAT) if isinstance(about, dict) else FORMAT
    if version != FORMAT:
        raise UserError(f"{folder / RECIPE} has format {version!r}, this version reads {FORMAT}. Use a newer version.")
    if problem := flaw(about):
        raise UserError(f"{folder / RECIPE} is not as an export writes it ({problem}). {AGAIN}.")
    if file_sha256(folder / MODEL) != about["files"][MODEL]:
        raise UserError(f"{folder / MODEL} is damaged: it is not the file that was exported. {AGAIN}.")
    return about


def _no_number(text: str) -> float:
    """Refuse what is no JSON, and no number that anything could be compared with."""
    raise ValueError(f"{text} is no number")


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
