"""What complete trials predicted at full size, with the probabilities of all classes: to combine, and to be sure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.predictions import READ, Arrays, groups_of, read_runs
from search.journal.history import Trial
from search.record import Record


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of c trials with all of each training part: R rows, each an image that a fold scored.

    ``probabilities`` (c, R, classes) are those of ``trials``, ids in the order asked for. ``labels`` (R,), ``images``
    (R,) and ``groups`` (R,) number the class, the image and its group; ``splits`` (R, 2) are the repeat and the index
    of the fold.
    """

    trials: tuple[str, ...]
    probabilities: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    groups: np.ndarray
    splits: np.ndarray

    @property
    def folds(self) -> np.ndarray:
        """The number of the fold of each prediction, (R,), different in each repeat."""
        return np.unique(self.splits, axis=0, return_inverse=True)[1].reshape(-1)


def out_of_fold(record: Record, trials: Sequence[Trial]) -> OutOfFold | None:
    """Return what complete trials predicted; trials whose files are gone or changed are left out, None if all are."""
    full = record.rules.fractions[-1]
    folds = [fold for fold in record.rules.folds if fold.fraction == full]
    names: list[str] = []
    tables: list[np.ndarray] = []
    first: dict[str, Arrays] = {}
    for trial in trials:
        arrays = read_runs(record.folder, [trial.runs[fold.id] for fold in folds], READ)
        if len(arrays) < len(folds):
            continue
        first = first or arrays
        if all(np.array_equal(first[fold.id]["ids"], arrays[fold.id]["ids"]) for fold in folds):
            names.append(trial.id)
            tables.append(np.concatenate([arrays[fold.id]["probabilities"] for fold in folds]))
    if not names:
        return None
    ids, images = np.unique(np.concatenate([first[fold.id]["ids"] for fold in folds]), return_inverse=True)
    return OutOfFold(
        trials=tuple(names),
        probabilities=np.stack(tables),
        labels=np.concatenate([first[fold.id]["labels"] for fold in folds]),
        images=images,
        groups=groups_of(record, ids.tolist())[images],
        splits=np.concatenate([np.tile(fold.split, (len(first[fold.id]["ids"]), 1)) for fold in folds]),
    )
