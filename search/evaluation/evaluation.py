"""An exported model on labelled images: which of them are new to it, what it makes of them, and what it promised."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from search.data.depth import Ranges
from search.evaluation.agreement import Agreement, Promise
from search.evaluation.figures import Figures
from search.evaluation.labelled import Labelled, Needs, read_labelled
from search.evaluation.overlap import how_known
from search.export.opened import open_export, read_export, sizes_of
from search.export.trained import TRAINED_ON, read_trained_on
from search.options import Options
from search.system.progress import Progress, Say

BATCH = 32
PREDICTING = "Predicting"
# DECISIONS: A promise is judged by ten images of each class
FEWEST = 10


@dataclass(frozen=True)
class Evaluation:
    """A model on labelled images: the folder of its export and recipe.json, the images, and its figures on all of them.

    ``how`` says of each image in what it differs from one that trained the model, "" for a new one; None where the
    export does not say what trained it.
    """

    folder: Path
    about: dict[str, Any]
    labelled: Labelled
    every: Figures
    how: tuple[str, ...] | None

    @cached_property
    def trained(self) -> np.ndarray:
        """Whether each image, or a near-duplicate of it, trained the model, (n,); false where that is not known."""
        return np.array([bool(words) for words in self.how or ("",) * len(self.labelled)], bool)

    @cached_property
    def new(self) -> Figures:
        """The figures on the images that are new to the model; there may be none."""
        return self.every.of(~self.trained)

    @property
    def is_flattered(self) -> bool:
        """Whether every image trained the model, so that nothing tells how it does on new ones."""
        return bool(self.trained.all())

    @property
    def main(self) -> Figures:
        """The figures that count: on new images, or on all where none is new."""
        return self.every if self.is_flattered else self.new

    @property
    def ways(self) -> Counter[str]:
        """How many images differ in which way from one that trained the model."""
        return Counter(words for words in self.how or () if words)

    @property
    def promise(self) -> Promise | None:
        """What the export promises, None where it does not."""
        return Promise.of(self.about)

    @property
    def absent(self) -> list[str]:
        """The classes of the model of which there is no image among those that count."""
        return [name for name, count in zip(self.main.classes, self.main.counts, strict=True) if not count]

    @property
    def scarce(self) -> list[str]:
        """The classes of the model with too few images among those that count to judge a promise by."""
        return [name for name, count in zip(self.main.classes, self.main.counts, strict=True) if count < FEWEST]

    @property
    def agreements(self) -> list[Agreement]:
        """How scores agree with what was promised; none where the two cannot be compared."""
        if self.promise is None or self.is_flattered or self.absent or self.scarce:
            return []
        return self.promise.agreements(self.main.scores)


def evaluate(
    folder: Path,
    options: Options,
    say: Say,
    progress: Progress,
    split: str | None = None,
    *,
    skip_unknown: bool = False,
) -> Evaluation:
    """Return how the model exported to ``folder`` does on the labelled images that the options name.

    ``split`` takes those of a given split alone, and ``skip_unknown`` leaves out classes that the model does not know.
    Raises UserError for a folder that is no whole export, and for data as ``read_labelled`` does.
    """
    about = read_export(folder)
    needs = Needs(tuple(about["classes"]), sizes_of(about), Ranges.recorded(about.get("ranges")))
    trained_on = read_trained_on(folder, about["files"].get(TRAINED_ON))
    labelled = read_labelled(needs, options, say, progress, split, skip_unknown=skip_unknown)
    how = None if trained_on is None else tuple(how_known(labelled, trained_on, progress))
    every = Figures(
        needs.classes,
        np.arange(len(labelled)),
        labelled.dataset.labels,
        labelled.groups,
        _predicted(folder, about, labelled, progress),
    )
    return Evaluation(folder, about, labelled, every, how)


def _predicted(folder: Path, about: dict[str, Any], labelled: Labelled, progress: Progress) -> np.ndarray:
    """Return the probabilities of the classes of each image, (n, classes)."""
    exported = open_export(folder, about)
    pixels, parts = [labelled.decoded[size].pixels for size in exported.sizes], []
    for at in range(0, len(labelled), BATCH):
        rows = range(at, min(at + BATCH, len(labelled)))
        parts.append(exported.probabilities([[each[row] for each in pixels] for row in rows]))
        progress(PREDICTING, rows.stop, len(labelled))
    return np.concatenate(parts)
