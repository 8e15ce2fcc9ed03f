"""What the checks look at: a data set, its thumbnails and its near-duplicates, as a study takes them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from search.data.dataset import Dataset
from search.data.duplicates import Pair
from search.data.groups import joined
from search.data.loading import Inputs
from search.study import Study
from search.system.errors import UserError

WAYS_NAMED = 2


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that show the same: rows of the data set, whether the files are equal, and how they differ."""

    rows: tuple[int, ...]
    equal: bool
    how: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """A data set with its thumbnails, its near-duplicates and the study that uses it.

    ``thumbnails`` has the shape (n, side, side, 3) uint8; ``near`` (n,) numbers the groups of
    near-duplicates, whatever the study makes of them, and ``pairs`` are the evidence. ``in_folds``
    are the rows that are not held out.
    """

    dataset: Dataset
    thumbnails: np.ndarray
    near: np.ndarray
    pairs: Sequence[Pair]
    study: Study
    in_folds: np.ndarray

    @cached_property
    def duplicates(self) -> list[DuplicateGroup]:
        """The groups of two or more near-duplicates, largest first."""
        groups = pd.Series(range(len(self.near))).groupby(self.near).agg(tuple)
        how: dict[int, list[str]] = {}
        for pair in self.pairs:
            how.setdefault(self.near[pair.first], []).append(pair.how)
        contents = self.dataset.contents
        duplicates = [
            DuplicateGroup(rows, len({contents[row] for row in rows}) == 1, _in_short(how.get(number, [])))
            for number, rows in groups.items()
            if len(rows) > 1
        ]
        return sorted(duplicates, key=lambda group: (-len(group.rows), group.rows))

    @cached_property
    def joint_groups(self) -> list[str]:
        """The group of each image with its near-duplicates, whatever the study makes of them."""
        return joined(self.dataset.groups, [self.near])

    def separable(self, groups: Sequence[DuplicateGroup]) -> list[DuplicateGroup]:
        """Return those of ``groups`` whose images can be in different folds, as the study's groups do not join them."""
        return [group for group in groups if len(set(self.dataset.groups[list(group.rows)])) > 1]

    def ids(self, groups: Sequence[DuplicateGroup]) -> tuple[str, ...]:
        """Return the ids of all images in some groups."""
        return tuple(self.dataset.ids[row] for group in groups for row in group.rows)


def _in_short(how: Sequence[str]) -> tuple[str, ...]:
    """Return in what pictures differ; where they differ in many ways, without the degrees."""
    if len(set(how)) <= WAYS_NAMED:
        return tuple(sorted(set(how)))
    parts = {part.split(" by ")[0] for words in how for part in words.split(", ")}
    return tuple(sorted(parts))


def inspect(inputs: Inputs) -> Inspection:
    """Return the inspection of a study's inputs; where no folds can be planned, all rows count as in folds."""
    in_folds = np.arange(len(inputs.dataset))
    with contextlib.suppress(UserError):
        if inputs.plan.holdout:
            in_folds = inputs.plan.holdout.train
    pixels = inputs.thumbnails.pixels
    return Inspection(inputs.dataset, pixels, inputs.near, inputs.pairs, inputs.study, in_folds)


def count(number: int, thing: str) -> str:
    """Return a number of things in words: "1 class", "3 images"."""
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{number} {thing if number == 1 else plural}"
