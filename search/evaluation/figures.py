"""What predictions on some labelled images show: scores with intervals, calibration, classes, confusion, errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from search.analysis.stats import Interval
from search.analysis.stats.evaluating import calibration_by_group, evaluated, if_calibrated, overconfidence
from search.analysis.stats.metrics import METRICS
from search.analysis.stats.scores import calibration_error
from search.report.exhibit import Row
from search.report.exhibits.classes import of_classes
from search.report.exhibits.confusion import mistakes, pairs_of
from search.system.digests import seed_from


@dataclass(frozen=True)
class Figures:
    """Predictions on n images: their ``rows`` among all labelled ones, labels, groups, and the probabilities.

    All have shape (n,), and ``probabilities`` (n, classes). Each figure is computed when it is first asked for.
    """

    classes: tuple[str, ...]
    rows: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def of(self, which: np.ndarray) -> "Figures":
        """Return the figures of those images for which ``which`` (n,) is true."""
        parts = (self.rows[which], self.labels[which], self.groups[which], self.probabilities[which])
        return Figures(self.classes, *parts)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each image."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def right(self) -> np.ndarray:
        """Whether the likeliest class is the label."""
        return np.asarray(self.predicted == self.labels)

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the likeliest class."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def groups_in_all(self) -> int:
        """How many groups there are."""
        return len(np.unique(self.groups))

    @cached_property
    def counts(self) -> np.ndarray:
        """Images of each class, shape (classes,)."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @cached_property
    def scores(self) -> dict[str, Interval]:
        """Each metric with its interval, by name."""
        return evaluated(self.labels, self.probabilities, self.groups, seed_from("evaluation"))

    @cached_property
    def guessing(self) -> dict[str, float]:
        """What one answer to every image can have, by metric."""
        there = self.counts[self.counts > 0]
        return {name: metric.guessing(there) + 0.0 for name, metric in METRICS.items()}  # no -0.0

    @cached_property
    def overconfidence(self) -> Interval:
        """The mean confidence minus the share of right answers."""
        return overconfidence(self.right, self.confidence, self.groups)

    @cached_property
    def calibration_error(self) -> float:
        """The expected calibration error."""
        return calibration_error(self.confidence, self.right)

    @cached_property
    def if_calibrated(self) -> tuple[Interval, Interval]:
        """What the calibration error and the overconfidence would be by chance if each confidence were right."""
        return if_calibrated(self.confidence, self.groups, seed_from("calibration"))

    @cached_property
    def by_class(self) -> pd.DataFrame:
        """The classification report: a row for each class, as the exhibit of classes has them."""
        return pd.DataFrame(list(of_classes(self.labels, self.predicted, self.classes, self.groups)))

    @cached_property
    def bins(self) -> pd.DataFrame:
        """How often the model is right at each confidence, as the exhibit of calibration has it."""
        return pd.DataFrame([vars(each) for each in calibration_by_group(self.confidence, self.right, self.groups)])

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Images of each class taken for each, as the exhibit of confusion has them."""
        return pd.DataFrame(list(pairs_of(self.labels, self.predicted, self.classes)))

    @cached_property
    def mistakes(self) -> list[Row]:
        """The pairs of classes that are confused, most images first."""
        return mistakes(pairs_of(self.labels, self.predicted, self.classes))

    @property
    def wrong(self) -> Sequence[int]:
        """Places of the images that the model has wrong, the surest mistake first."""
        return [int(at) for at in np.argsort(-self.confidence, kind="stable") if not self.right[at]]
