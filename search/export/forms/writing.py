"""The forms of a model, written beside it: each is opened by its own runtime and compared with the model."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from search.data.folds import Fold
from search.data.holdout import HOLDOUT
from search.data.images import decode
from search.export.forms.form import Calibration, Form, Pixels, described
from search.system.digests import file_sha256
from search.system.errors import with_kind
from search.system.tf import keras, silenced
from search.training.materials import Materials

BATCH = 32
FIFTH = 5
CALIBRATED = 128  # images, at most, by which ranges of whole numbers are chosen

Rehearse = Callable[
    [Fold], keras.Model
]  # trains the recipe on a fold, and returns a model from pixels to probabilities


@dataclass
class Written:
    """What became of the forms: ``forms`` are those that were written, each with what is known of it.

    ``files`` are digests by path. ``problems`` says of each form that was left out why, in a sentence.
    """

    forms: list[tuple[Form, dict[str, Any]]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def about(self) -> dict[str, dict[str, Any]]:
        """What is known of each form, by name, for recipe.json."""
        return {form.name: entry for form, entry in self.forms}


class Comparison:
    """The images by which the forms of a model are judged, and what the model says of them.

    ``rows`` are those of the data set that are compared. ``rehearse`` is called at most once, for a form that differs
    by design.
    """

    def __init__(
        self, model: keras.Model, materials: Materials, sizes: Sequence[int], rows: np.ndarray, rehearse: Rehearse
    ) -> None:
        """Compare with ``model``, whose inputs have these sizes."""
        self.model, self._materials, self._sizes, self._rows, self._rehearse = model, materials, sizes, rows, rehearse
        self.pixels = self._pixels(rows)
        self.expected = predicted(model, self.pixels)

    @property
    def calibration(self) -> Calibration:
        """Images that trained the model, as far as there are any without those that are compared."""
        others = np.setdiff1d(np.arange(len(self._materials.labels)), self._rows)
        return self._calibration(others if len(others) else self._rows)

    def unseen(self, form: Form, path: Path) -> dict[str, Any]:
        """Return what a form loses on images that did not train: the recipe is trained once more, without a fold.

        That network is written in this form to ``path``, which is gone afterwards.
        """
        fold, model = self.rehearsal
        pixels, labels = self._pixels(fold.validation), self._materials.labels[fold.validation]
        before = predicted(model, pixels).argmax(axis=1)
        try:
            form.write(model, path, self._calibration(fold.train))
            answers = form.run(path, pixels).argmax(axis=1)
        finally:
            path.unlink(missing_ok=True)
        return {
            "fold": fold.id,
            "trained_on": len(fold.train),
            "images": len(labels),
            "right": int((answers == labels).sum()),
            "right_in_float32": int((before == labels).sum()),
            "same_answers": int((answers == before).sum()),
        }

    @cached_property
    def rehearsal(self) -> tuple[Fold, keras.Model]:
        """A fold of the largest training part, and a model that its training part alone trained."""
        folds = [fold for fold in self._materials.folds.values() if fold.id != HOLDOUT] or [self._own_fold()]
        largest = max(fold.fraction for fold in folds)
        fold = next(fold for fold in folds if fold.fraction == largest)
        return fold, self._rehearse(fold)

    def _own_fold(self) -> Fold:
        """Return a fifth of the images, in whole groups, with the others, where no fold was planned for them."""
        given = self._materials
        groups = np.arange(len(given.labels)) if given.groups is None else given.groups
        parts = StratifiedGroupKFold(FIFTH, shuffle=True, random_state=given.seed)
        train, validation = next(parts.split(given.labels, given.labels, groups))
        return Fold(0, 0, 1.0, train, validation, "a fifth")

    def _pixels(self, rows: np.ndarray) -> Pixels:
        given = self._materials
        return [
            decode(given.paths, given.contents, size, given.cache, ranges=given.ranges).pixels[rows]
            for size in self._sizes
        ]

    def _calibration(self, rows: np.ndarray) -> Calibration:
        pixels = self._pixels(rows[:: -(-len(rows) // CALIBRATED)])

        def images() -> Iterator[list[np.ndarray]]:
            for at in range(len(pixels[0])):
                yield [each[at : at + 1].astype(np.float32) for each in pixels]

        return images


def predicted(model: keras.Model, pixels: Pixels) -> np.ndarray:
    """Return the probabilities (n, classes) that a model gives images."""
    rows = []
    for at in range(0, len(pixels[0]), BATCH):
        images = [each[at : at + BATCH] for each in pixels]
        rows.append(np.asarray(model.predict_on_batch(images if len(images) > 1 else images[0])))
    return np.concatenate(rows)


def write_forms(folder: Path, forms: Sequence[Form], comparison: Comparison, say: Callable[[str], None]) -> Written:
    """Write the forms of a model into ``folder``, open each with its runtime, and say how they compare with it.

    A form that cannot be written or run, or gives other probabilities, is left out: what was trained is worth more.
    """
    written = Written()
    for form in forms:
        say(f"Writing {form.file} ({form.title})")
        entry, problem = _write(folder, form, comparison)
        if problem:
            _remove(folder / form.file)
            written.problems.append(problem)
            continue
        written.forms.append((form, entry))
        written.files |= {name: file_sha256(folder / name) for name in _files(folder, form)}
        for line in described(form, entry):
            say(line)
    return written


def _write(folder: Path, form: Form, comparison: Comparison) -> tuple[dict[str, Any], str]:
    """Return what is known of a form that was written, or why it was not."""
    path, differs = folder / form.file, form.tolerance is None
    if differs:
        comparison.rehearsal  # noqa: B018 while the terminal shows it
    with silenced():
        try:
            form.write(comparison.model, path, comparison.calibration)
            probabilities = form.run(path, comparison.pixels)
            unseen = {"unseen": comparison.unseen(form, folder / f"_{form.file}")} if differs else {}
        except OSError:  # a full disk is no fault of the form
            raise
        except Exception as error:  # noqa: BLE001 a converter and a runtime can raise anything
            return {}, f"{form.title} cannot hold this model ({with_kind(error)})."
    difference = float(np.abs(probabilities - comparison.expected).max())
    if form.tolerance is not None and not difference <= form.tolerance:
        return {}, f"{form.file} gives other probabilities than model.keras, by up to {difference:.2g}."
    return {
        "file": form.file,
        "bytes": sum((folder / name).stat().st_size for name in _files(folder, form)),
        "images": len(comparison.expected),
        "largest_difference": difference,
        "same_answers": int((probabilities.argmax(axis=1) == comparison.expected.argmax(axis=1)).sum()),
        **({} if form.tolerance is None else {"tolerance": form.tolerance}),
        **unseen,
    }, ""


def _files(folder: Path, form: Form) -> list[str]:
    """Return the files of a form by their paths in the folder of the export."""
    path = folder / form.file
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return [each.relative_to(folder).as_posix() for each in files]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
