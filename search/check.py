"""What would be searched, what it would cost, and what is odd about the data; begins no search."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from search.audit.checks import Audit, audit
from search.audit.inspection import Inspection, inspect
from search.audit.leakage import (
    Flattery,
    backbone_features,
    flattery,
    sample_in_words,
    sample_of,
    thumbnail_features,
)
from search.data.finding import ERROR, Finding
from search.data.loading import Inputs, read_inputs
from search.journal.history import History
from search.options import Options, overridden
from search.repertoire.augmentation import Augment
from search.repertoire.backbones.table import BACKBONES
from search.space import SpaceFile
from search.system.errors import UserError
from search.system.progress import Progress, Say, silent
from search.training.cost import Estimate, seconds_of_views, speed_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search.prepare import Setup  # which loads TensorFlow


@dataclass(frozen=True)
class CheckResult:
    """What there is to know before a search: its inputs, the audit, and, where known, its cost and its flattery.

    ``cost`` is that of ``trials``: those of the study, or all of the space where these are fewer. ``views`` has the
    seconds that it takes to draw the views of each augmentation in a sample of the space, once.
    """

    inputs: Inputs
    audit: Audit
    cost: Estimate | None
    trials: int
    views: dict[Augment, float]
    flattery: Flattery | None

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON types."""
        flattery = self.flattery and {
            "random_folds": round(self.flattery.random, 4),
            "grouped_folds": round(self.flattery.grouped, 4),
            "features": self.flattery.features,
            "images": self.flattery.images,
        }
        cost = self.cost and {"low_seconds": round(self.cost.low), "high_seconds": round(self.cost.high)}
        return {**self.audit.to_dict(self.inputs.dataset.ids), "flattery": flattery, "cost": cost}


def check(file: SpaceFile, options: Options, say: Say, progress: Progress = silent) -> CheckResult:
    """Return what is to be known of a search before it begins.

    Raises UserError where the data cannot be read at all; what would keep the search from
    running is a finding of level "error".
    """
    study = overridden(file.study, options)
    inputs = read_inputs(study, options, say, progress)
    inspected = inspect(inputs)
    setup, errors = _setup(file, inputs, options, say, progress)
    if setup is None:
        return CheckResult(inputs, audit(inspected, errors), None, 0, {}, None)
    sample, trials = setup.sample(), setup.trials_left(History())
    return CheckResult(
        inputs,
        audit(inspected, errors),
        setup.estimate(sample, trials),
        trials,
        seconds_of_views(sample, len(setup.dataset), speed_of(setup.devices.slots)),
        _flattery(inputs, inspected, setup, progress),
    )


def _setup(
    file: SpaceFile, inputs: Inputs, options: Options, say: Say, progress: Progress
) -> "tuple[Setup | None, Sequence[Finding]]":
    from search.prepare import complete  # after the images were compared: TensorFlow takes half a gigabyte

    try:
        return complete(file, inputs, Path(), options, [], None, say, progress), []  # no folder: nothing is written
    except UserError as error:
        return None, [Finding(ERROR, "the search cannot run", str(error).rstrip("."))]


def _flattery(inputs: Inputs, inspected: Inspection, setup: "Setup", progress: Progress) -> Flattery | None:
    """Return how much random folds would flatter; None where there is nothing to flatter or to measure it with."""
    dataset, study = inputs.dataset, inputs.study
    every = np.array(inspected.joint_groups, dtype=object)
    rows = sample_of(dataset.labels, every, study.seed)
    groups, labels = pd.Series(every[rows]), dataset.labels[rows]
    folds = min(max(study.folds, 2), int(groups.groupby(labels).nunique().min()))
    if len(set(every)) == len(dataset) or folds < 2:
        return None
    candidates = [setup.own.get(name) or BACKBONES[name] for name in setup.weights]
    pretrained = [each for each in candidates if each.pretrained and each.takes(inputs.image_size)]
    if pretrained:
        features = backbone_features(setup.materials, pretrained[0], inputs.images, rows)
        name = f"frozen {pretrained[0].name}"
    else:
        features, name = thumbnail_features(inputs.thumbnails.pixels[rows]), "thumbnails"
    measured = flattery(features, name, labels, groups.to_numpy(), folds, study.seed, progress)
    return replace(measured, sample=sample_in_words(dataset.labels, rows))
