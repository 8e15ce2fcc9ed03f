"""The hold-out, which no trial sees: images drawn by the seed, or those of a split that came with the data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from search.data.dataset import Dataset, canonical_split
from search.data.draws import draw_groups
from search.repertoire.synthetic import floored
from search.study import Study
from search.system.digests import seed_from
from search.system.errors import UserError

HOLDOUT = "holdout"
ATTEMPTS = 40


@dataclass(frozen=True)
class Ordered:
    """Some rows of a data set in the order of their ids, groups numbered as they appear.

    Nothing else may decide a draw: neither the order of files nor the names of groups.
    """

    source: Path
    classes: tuple[str, ...]
    rows: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def only(self, members: np.ndarray) -> "Ordered":
        """Return these members alone, still in their order."""
        groups, _ = pd.factorize(self.groups[members])
        return Ordered(self.source, self.classes, self.rows[members], self.labels[members], groups)

    def back(self, members: np.ndarray) -> np.ndarray:
        """Return the members as rows of the data set, ascending."""
        return np.sort(self.rows[members])


def ordered(dataset: Dataset) -> Ordered:
    """Return all rows of a data set."""
    rows = np.argsort(np.array(dataset.ids, dtype=object), kind="stable")
    groups, _ = pd.factorize(dataset.table["group"].to_numpy()[rows])
    return Ordered(dataset.source, dataset.classes, rows, dataset.labels[rows], groups)


def hold_out(data: Ordered, study: Study, splits: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the members that are held out, and those that folds may use; no group is in both.

    ``splits`` names the given split of each member, needed where the study names one. A part of the images,
    or a number of each class, is drawn in whole groups, rounded down class by class. Of a given
    split all are held out, though it may lack a class, and members that share a group with them are in
    neither. Raises UserError where a class would be missing from a drawn hold-out or used up by it, or where there
    is no such split.
    """
    everything = np.arange(len(data.labels))
    if study.holdout is None:
        return everything[:0], everything
    if isinstance(study.holdout, str):
        assert splits is not None
        is_out = _of_split(data, study.holdout, splits)
    else:
        is_out = _of_amount(data, study.holdout, study.seed)
    is_free = ~np.isin(data.groups, data.groups[is_out])
    return everything[is_out], everything[is_free]


def _of_split(data: Ordered, name: str, splits: np.ndarray) -> np.ndarray:
    there = sorted({split for split in splits.tolist() if split})
    split = name if name in there else canonical_split(name)
    if split not in there:
        what = f"has the splits {', '.join(there)}" if there else "has no given splits"
        raise UserError(
            f"holdout={name!r}: {data.source} {what}. Name one that there is, or draw a hold-out with a part of the "
            "images such as holdout=0.15 (not 0,15 or 15%), or a number of each class such as holdout=50."
        )
    return splits == split


def _of_amount(data: Ordered, amount: float, seed: int) -> np.ndarray:
    numbers = np.array([_number_of(data, label, amount) for label in range(len(data.classes))])
    for attempt in range(ATTEMPTS):
        is_out = draw_groups(data.labels, data.groups, numbers, seed_from(seed, "holdout", attempt))
        counts = np.bincount(data.labels[is_out], minlength=len(numbers))
        rest = np.bincount(data.labels[~is_out], minlength=len(numbers))
        if counts.all() and rest.all():
            return is_out
    label = int(np.minimum(counts, rest).argmin())
    raise UserError(
        f"holdout={amount:g} cannot be drawn: images that share a group stay together, and class "
        f"{data.classes[label]!r} would be missing on one side. Split the groups, leave the class out, or use "
        "holdout=None."
    )


def _number_of(data: Ordered, label: int, amount: float) -> int:
    count, name = int((data.labels == label).sum()), data.classes[label]
    number = amount if isinstance(amount, int) else floored(amount, count)
    if number < 1:
        raise UserError(
            f"holdout={amount:g} of the {count} images of class {name!r} is less than one. Hold out more, or a number "
            "of each class such as holdout=1, or add images of the class."
        )
    if number >= count:
        raise UserError(
            f"holdout={amount:g} takes all {count} images of class {name!r}. Hold out fewer, or add some to "
            f"{data.source}."
        )
    return number
