"""What comes of trials and their jobs: scores on a fold, failures, verdicts. Values, which events hold."""

import contextlib
import json
import math
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum, auto
from typing import Any, Self

from search.system.errors import UserError

Line = dict[str, Any]
HOLDOUT_JOB = 0  # the number of the job that scores a trial on the hold-out; the jobs of its folds begin at 1
CONFIRM = "confirm-"  # begins the names of the reshuffled folds, on which the best recipes are trained again


class Status(StrEnum):
    """Where a trial stands: open until it has a verdict, and then what the verdict says."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    OPEN = "open"


class JobKind(Enum):
    """What a job is for: the study's folds, reshuffled folds, the hold-out, or help with the images of another job."""

    FOLDS = auto()
    CONFIRM = auto()
    HOLDOUT = auto()
    HELP = auto()

    @staticmethod
    def of(number: int, folds: tuple[str, ...] = ()) -> "JobKind":
        """Return the kind of a journalled job: its number and its folds tell it. Help is never journalled."""
        if number == HOLDOUT_JOB:
            return JobKind.HOLDOUT
        return JobKind.CONFIRM if folds and folds[0].startswith(CONFIRM) else JobKind.FOLDS


@dataclass(frozen=True)
class Run:
    """One trial on one fold: its scores, seconds of training, the tally of synthetic images, and its file.

    ``synthetic`` counts those "asked", "admissible" and "drawn" by class; in older journals it
    holds the totals of "asked" and "drawn". ``sampled`` counts the real images that are "there" and
    "trained" by class; it is empty, and not written, where there is no sampling. Where a recipe counts the best epoch
    on average, ``by_epoch`` has every score after each of the epochs, ``chosen_by`` names the score by which one is
    chosen, and ``epoch`` is its number, from 0, of which the ``scores`` are; elsewhere it is None.
    """

    fold: str
    scores: dict[str, float]
    seconds: float
    synthetic: dict[str, Any]
    file: str
    sha256: str
    sampled: dict[str, Any] = field(default_factory=dict)
    by_epoch: dict[str, list[float]] = field(default_factory=dict)
    chosen_by: str = ""
    epoch: int | None = None

    @classmethod
    def from_json(cls, line: Line, file: str, sha256: str) -> Self:
        """Return the run of a line; its file stands beside it."""
        scores, seconds = numbers_of(line["scores"]), number("seconds", line["seconds"])
        by_epoch = {name: [number(name, value) for value in values] for name, values in line.get("epochs", {}).items()}
        if len({len(values) for values in by_epoch.values()}) > 1:
            raise UserError(f"the scores of {line['fold']} are of different numbers of epochs.")
        chosen_by = line.get("chosen_by", "")
        return cls(
            line["fold"], scores, seconds, line["synthetic"], file, sha256, line.get("sampled", {}), by_epoch, chosen_by
        )

    def to_json(self) -> Line:
        """Return it as JSON types, without its file."""
        line = {"fold": self.fold, "scores": self.scores, "seconds": self.seconds, "synthetic": self.synthetic}
        line |= {"sampled": self.sampled} if self.sampled else {}
        return line | ({"epochs": self.by_epoch, "chosen_by": self.chosen_by} if self.by_epoch else {})

    def at(self, epoch: int | None) -> Self:
        """Return it with the scores after an epoch, from 0; as it is where no epoch was chosen.

        Raises UserError where it has no such epoch.
        """
        if epoch is None:
            return self
        if any(len(values) <= epoch for values in self.by_epoch.values()):
            raise UserError(f"the scores of {self.fold} end before epoch {epoch + 1}, which counts.")
        return replace(self, scores={name: values[epoch] for name, values in self.by_epoch.items()}, epoch=epoch)


@dataclass(frozen=True)
class Verdict:
    """The end of a trial: completed, stopped, failed or duplicate, with a score and a reason in words.

    ``score`` of a stopped trial is the predicted one; None where there is nothing to predict from.
    """

    status: Status
    score: float | None
    reason: str


@dataclass(frozen=True)
class Failure:
    """A job that ended badly; ``final`` where trying again can only give the same."""

    job: int
    error: str
    final: bool


def number(name: str, value: Any) -> float:
    """Return the value if it is a finite number. Raises UserError, naming it, otherwise."""
    if type(value) is float and math.isfinite(value):  # thousands of trials have hundreds of thousands of these
        return value
    with contextlib.suppress(TypeError, OverflowError):
        if not isinstance(value, bool) and math.isfinite(value):
            return value
    raise UserError(f"{name} is {json.dumps(value)}, which is no finite number.")


def numbers_of(stages: dict[str, Any]) -> dict[str, float]:
    """Return the values if they are finite numbers. Raises UserError, naming one that is none, otherwise."""
    return {name: number(name, value) for name, value in stages.items()}
