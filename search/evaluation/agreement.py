"""Whether a model does on new images what its search promised, the noise of both counted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from search.analysis.stats import Interval
from search.analysis.stats.evaluating import difference

MIXED = 0.01  # p below which classes are not as frequent as among the images that trained the model


class Verdict(StrEnum):
    """How what was found stands to what was promised."""

    HOLDS = "holds"
    BELOW = "below"
    ABOVE = "above"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Agreement:
    """What was promised of one metric, what was found, and the difference, found minus promised, with its interval."""

    metric: str
    promised: Interval
    found: Interval

    @property
    def difference(self) -> Interval:
        """What was found minus what was promised."""
        return difference(self.found, self.promised)

    @property
    def verdict(self) -> Verdict:
        """Below or above where the interval of the difference says so; unknown where there is none."""
        gap = self.difference
        if not gap.known:
            return Verdict.UNKNOWN
        return Verdict.BELOW if gap.high < 0 else Verdict.ABOVE if gap.low > 0 else Verdict.HOLDS


@dataclass(frozen=True)
class Promise:
    """What recipe.json of an export promises: the objective, what to expect of it and of accuracy.

    ``corrected`` says whether the numbers are lowered for the trial's having been picked.
    """

    objective: str
    expected: Interval
    accuracy: Interval
    corrected: bool

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> "Promise | None":
        """Return the promise of recipe.json; None where it makes none that can be understood."""
        try:
            promise = about["promise"]
            intervals = _interval(promise["expected"]), _interval(promise["accuracy"])
            return cls(str(promise["objective"]), *intervals, bool(promise["corrected"]))
        except (KeyError, TypeError, ValueError):
            return None

    def agreements(self, scores: Mapping[str, Interval]) -> list[Agreement]:
        """Return how scores agree with it: the objective first, and then accuracy where that is another one."""
        promised = {self.objective: self.expected}
        promised.setdefault("accuracy", self.accuracy)
        return [
            Agreement(name, interval, scores[name])
            for name, interval in promised.items()
            if name in scores and math.isfinite(interval.mean)
        ]


def _interval(part: Mapping[str, Any]) -> Interval:
    low, high = part["low"], part["high"]
    known = low is not None and high is not None
    return Interval(float(part["mean"]), *((float(low), float(high)) if known else (-math.inf, math.inf)))


def is_mixed_otherwise(counts: np.ndarray, trained: np.ndarray) -> bool:
    """Return whether classes are not as frequent, (classes,), as among the images that trained a model (χ² test)."""
    table = np.stack([counts, trained])[:, (counts + trained) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return False
    return bool(scipy_stats.chi2_contingency(table).pvalue < MIXED)
