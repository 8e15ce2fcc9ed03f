"""The events of a journal: what each line of it holds, from JSON and to JSON.

One frozen class for each kind of event. What stands in a line never changes its name or its place, so
the names here and the keys there differ where the words of the code have become clearer since.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from search.journal.outcomes import HOLDOUT_JOB, Failure, JobKind, Line, Run, Status, Verdict, number, numbers_of
from search.repertoire.networks import AnyRecipe, recipe_from
from search.system.validation import one_of

FORMAT = 5  # of journals; those before it have no number, and no checksums


@dataclass(frozen=True)
class SessionEvent:
    """The beginning of a session, and what it was to do.

    ``at`` is in seconds since 1970, None where an older journal does not say. ``holdout_trial`` names the only
    trial of a session that scores one on the hold-out and does no more. ``files`` maps the files that were written
    once, when the search began, to their SHA-256; one session says it. ``gpus`` are the kinds of those that trained, by
    name, empty where processors did; None where an older journal does not say. ``hours`` limit the session, unless
    they are None. Whatever an older journal does not say has the value that it had then. ``line`` is the event as it
    stands in the journal, empty where it is not there yet.
    """

    racing: bool
    max_trials: int | None = None
    at: float | None = None
    tensorboard: bool = False
    baselines: bool = True
    confirm: int = 0
    executor: str = ""
    slots: int = 0
    threads: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    holdout_trial: str = ""
    files: dict[str, str] = field(default_factory=dict)
    gpus: dict[str, str] | None = None
    hours: float | None = None
    line: Line = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        gpus = line.get("gpus")
        keys = ("max_trials", "at", "tensorboard", "baselines", "confirm", "executor", "slots", "threads")
        racing, versions = bool(line["racing"]), dict(line.get("versions", {}))
        return cls(
            racing,
            **{key: line[key] for key in keys if key in line},
            versions=versions,
            holdout_trial=line.get("look", ""),
            files=dict(line.get("files", {})),
            gpus=None if gpus is None else dict(gpus),
            hours=line.get("hours"),
            line={**line, "racing": racing, "versions": versions},
        )

    def to_json(self) -> Line:
        """Return the line."""
        return {
            "event": "session",
            "format": FORMAT,
            "at": self.at,
            "max_trials": self.max_trials,
            "racing": self.racing,
            "tensorboard": self.tensorboard,
            "baselines": self.baselines,
            "confirm": self.confirm,
            "executor": self.executor,
            "slots": self.slots,
            "threads": self.threads,
            "versions": self.versions,
            "look": self.holdout_trial,
            **({"files": self.files} if self.files else {}),
            **({} if self.gpus is None else {"gpus": self.gpus}),
            **({} if self.hours is None else {"hours": self.hours}),
        }


@dataclass(frozen=True)
class TrialEvent:
    """The beginning of a trial; ``baseline`` says which baseline it is, "" for one that the oracle proposed."""

    trial: str
    values: dict[str, Any]
    recipe: AnyRecipe
    baseline: str = ""

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line. Raises UserError for a recipe that is none."""
        values, recipe = dict(line["values"]), recipe_from(line["recipe"])
        return cls(line["trial"], values, recipe, str(line.get("baseline", "")))

    def to_json(self) -> Line:
        """Return the line."""
        baseline = {"baseline": self.baseline} if self.baseline else {}
        return {
            "event": "trial",
            "trial": self.trial,
            "values": self.values,
            "recipe": self.recipe.to_dict(),
            **baseline,
        }


@dataclass(frozen=True)
class AttemptEvent:
    """The beginning of a job, for people to read and for those who watch."""

    trial: str
    number: int
    folds: tuple[str, ...]

    @property
    def kind(self) -> JobKind:
        """What the job is for."""
        return JobKind.of(self.number, self.folds)

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        return cls(str(line.get("trial")), line.get("job", HOLDOUT_JOB), tuple(line.get("folds", ())))

    def to_json(self) -> Line:
        """Return the line."""
        return {"event": "attempt", "trial": self.trial, "job": self.number, "folds": list(self.folds)}


@dataclass(frozen=True)
class JobEvent:
    """The end of a job: its runs, the file that holds them, and the seconds of its worker by stage.

    ``inexact`` says why its runs repeat only nearly; "", and not written, where they repeat to the last bit.
    """

    trial: str
    number: int
    file: str
    sha256: str
    runs: tuple[Run, ...]
    stages: dict[str, float] = field(default_factory=dict)
    inexact: str = ""

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        file, sha256 = line["file"], line["sha256"]
        runs = tuple(Run.from_json(run, file, sha256) for run in line["runs"])
        stages, inexact = numbers_of(line.get("stages", {})), str(line.get("inexact", ""))
        return cls(line["trial"], line["job"], file, sha256, runs, stages, inexact)

    def to_json(self) -> Line:
        """Return the line."""
        return {
            "event": "job",
            "trial": self.trial,
            "file": self.file,
            "sha256": self.sha256,
            "job": self.number,
            "runs": [run.to_json() for run in self.runs],
            "stages": self.stages,
            **({"inexact": self.inexact} if self.inexact else {}),
        }


@dataclass(frozen=True)
class EarlyJobEvent:
    """The end of a job before its turn: it counts when its turn comes, and becomes a JobEvent then."""

    job: JobEvent

    @property
    def trial(self) -> str:
        """The trial of the job."""
        return self.job.trial

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        return cls(JobEvent.from_json(line))

    def to_json(self) -> Line:
        """Return the line."""
        return {**self.job.to_json(), "event": "ahead"}


@dataclass(frozen=True)
class FailureEvent:
    """The end of a job that gave nothing."""

    trial: str
    failure: Failure

    @property
    def kind(self) -> JobKind:
        """What the job was for: the hold-out, or folds."""
        return JobKind.of(self.failure.job)

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        return cls(line["trial"], Failure(line["job"], line["error"], line["final"]))

    def to_json(self) -> Line:
        """Return the line."""
        failure = self.failure
        fields = {"job": failure.job, "error": failure.error, "final": failure.final}
        return {"event": "failure", "trial": self.trial, **fields}


@dataclass(frozen=True)
class VerdictEvent:
    """The end of a trial."""

    trial: str
    verdict: Verdict

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        score = None if line["score"] is None else number("score", line["score"])
        one_of("status", line["status"], [status for status in Status if status is not Status.OPEN])
        status = Status(line["status"])
        return cls(line["trial"], Verdict(status, score, line["reason"]))

    def to_json(self) -> Line:
        """Return the line."""
        verdict = self.verdict
        fields = {"status": verdict.status.value, "score": verdict.score, "reason": verdict.reason}
        return {"event": "verdict", "trial": self.trial, **fields}


@dataclass(frozen=True)
class HoldoutEvent:
    """A trial's run on the hold-out."""

    trial: str
    run: Run

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        return cls(line["trial"], Run.from_json(line["run"], line["file"], line["sha256"]))

    def to_json(self) -> Line:
        """Return the line."""
        run = self.run
        return {
            "event": "holdout",
            "trial": self.trial,
            "file": run.file,
            "sha256": run.sha256,
            "run": run.to_json(),
        }


@dataclass(frozen=True)
class EndEvent:
    """The end of a search, and why it ended; ``left_out`` trials were not begun for want of time."""

    reason: str
    left_out: int = 0

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        return cls(line["reason"], int(line.get("left_out", 0)))

    def to_json(self) -> Line:
        """Return the line."""
        return {"event": "end", "reason": self.reason, **({"left_out": self.left_out} if self.left_out else {})}


@dataclass(frozen=True)
class ProfileEvent:
    """The seconds of a session by stage: of its driver, and ``unattributed`` of workers, for what no trial has."""

    stages: dict[str, float]
    unattributed: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """Return the event of a line."""
        return cls(numbers_of(line["stages"]), numbers_of(line.get("beside", {})))

    def to_json(self) -> Line:
        """Return the line."""
        return {"event": "profile", "stages": self.stages, "beside": self.unattributed}


EventOfTrial = AttemptEvent | JobEvent | EarlyJobEvent | FailureEvent | VerdictEvent | HoldoutEvent
Event = SessionEvent | TrialEvent | EventOfTrial | EndEvent | ProfileEvent

KINDS: dict[str, Callable[[Line], Event]] = {
    "session": SessionEvent.from_json,
    "trial": TrialEvent.from_json,
    "attempt": AttemptEvent.from_json,
    "job": JobEvent.from_json,
    "ahead": EarlyJobEvent.from_json,
    "failure": FailureEvent.from_json,
    "verdict": VerdictEvent.from_json,
    "holdout": HoldoutEvent.from_json,
    "end": EndEvent.from_json,
    "profile": ProfileEvent.from_json,
}


def event_of(line: Line) -> Event | None:
    """Return the event of a line; None for an unknown kind, so that old code can read newer journals.

    Raises KeyError, TypeError, ValueError, AttributeError or UserError for a line that lacks its kind, or what its
    kind has.
    """
    read = KINDS.get(str(line["event"]))
    return None if read is None else read(line)
