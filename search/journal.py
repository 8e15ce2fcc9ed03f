"""The journal: append events; replay them into a History.

Everything that happened is one line of JSON in ``journal.jsonl``; the state of a search is
``replay(events)`` and nothing else. Only the driver writes, under a lock that lives as long as it.
"""

import fcntl
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.repertoire.recipe import Recipe
from search.system.errors import UserError
from search.system.files import mark_held

Event = dict[str, Any]
FILE = "journal.jsonl"
LOOK = 0  # the number of the job that scores a trial on the hold-out; the jobs of its folds begin at 1
CONFIRM = "confirm-"  # begins the names of the reshuffled folds, on which the best recipes are trained again
WAYS_OUT = "Restore the file from a copy, or begin anew with --fresh (which moves the old folder aside)."


@dataclass(frozen=True)
class Run:
    """One trial on one fold: its scores, seconds of training, the tally of synthetic images, and its file.

    ``synthetic`` counts those "asked", "admissible" and "drawn" by class; in older journals it
    holds the totals of "asked" and "drawn".
    """

    fold: str
    scores: dict[str, float]
    seconds: float
    synthetic: dict[str, Any]
    file: str
    sha256: str


@dataclass(frozen=True)
class Verdict:
    """The end of a trial: completed, stopped, failed or duplicate, with a score and a reason in words.

    ``score`` of a stopped trial is the predicted one; None where there is nothing to predict from.
    """

    status: str
    score: float | None
    reason: str


@dataclass(frozen=True)
class Failure:
    """A job that ended badly; ``final`` where trying again can only give the same."""

    job: int
    error: str
    final: bool


@dataclass(frozen=True)
class Look:
    """The hold-out's score of one trial; ``trials`` is how many trials had begun when it was looked at."""

    trial: str
    run: Run
    trials: int


@dataclass
class Trial:
    """One set of hyperparameter values and all that happened to it.

    ``baseline`` says which baseline it is, "" for a trial that the oracle proposed. ``confirmed`` are its
    runs on reshuffled folds. ``stages`` are the seconds of its workers; ``ahead`` holds the jobs that ended
    before their turn, by number. ``stopped`` is the first verdict of a trial that was stopped and finished
    later: it is completed then, but what the oracle was told stays.
    """

    id: str
    values: dict[str, Any]
    recipe: Recipe
    baseline: str = ""
    runs: dict[str, Run] = field(default_factory=dict)
    confirmed: dict[str, Run] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    jobs: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    ahead: dict[int, Event] = field(default_factory=dict)
    verdict: Verdict | None = None
    stopped: Verdict | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training on the study's folds so far."""
        return sum(run.seconds for run in self.runs.values())


@dataclass
class History:
    """What the journal says: trials in the order they were proposed, events in the order they ended.

    ``order`` holds ("trial", "verdict" or "finished", trial id) as they happened, for the oracle to be retold.
    ``holdouts`` are the looks at the hold-out, one a trial; ``failed_looks`` those of the last
    session that came to nothing, as (trial id, failure).
    """

    trials: dict[str, Trial] = field(default_factory=dict)
    order: list[tuple[str, str]] = field(default_factory=list)
    sessions: list[Event] = field(default_factory=list)
    ended: str = ""  # why the search ended, if it did
    driver: list[dict[str, float]] = field(default_factory=list)  # seconds by stage, of each session that said so
    beside: dict[str, float] = field(default_factory=dict)  # seconds of workers on what no trial has
    holdouts: list[Look] = field(default_factory=list)
    failed_looks: list[tuple[str, Failure]] = field(default_factory=list)

    def look_at(self, trial_id: str) -> Look | None:
        """Return the look at the hold-out with this trial, if there was one."""
        return next((look for look in self.holdouts if look.trial == trial_id), None)

    def open_trials(self) -> list[Trial]:
        """Return the trials without a verdict."""
        return [trial for trial in self.trials.values() if trial.verdict is None]

    def with_status(self, status: str) -> list[Trial]:
        """Return the trials with this verdict."""
        return [trial for trial in self.trials.values() if trial.verdict and trial.verdict.status == status]

    @property
    def proposed(self) -> list[Trial]:
        """The trials that the oracle proposed: all but the baselines."""
        return [trial for trial in self.trials.values() if not trial.baseline]

    @property
    def concluded(self) -> int:
        """How many of the trials that the oracle proposed have ended."""
        return sum(trial.verdict is not None for trial in self.proposed)

    @property
    def spent(self) -> int:
        """How many trials count for the budget: all but baselines and duplicates."""
        duplicate = [trial for trial in self.proposed if trial.verdict and trial.verdict.status == "duplicate"]
        return len(self.proposed) - len(duplicate)

    def twin(self, trial: Trial) -> Trial | None:
        """Return the earlier trial with an equal recipe, if there is one."""
        for other in self.trials.values():
            if other.id == trial.id:
                return None
            if other.recipe == trial.recipe:
                return other
        return None

    def apply(self, event: Event) -> None:
        """Take in one event. Unknown kinds are passed over, so that old code can read newer journals."""
        kind = event.get("event")
        if kind == "session":
            self.sessions.append(
                {**event, "racing": bool(event["racing"]), "versions": dict(event.get("versions", {}))}
            )
            # One that only looks at the hold-out, for an export, leaves a search that had ended as it was.
            self.ended, self.failed_looks = self.ended if event.get("look") else "", []
        elif kind == "trial" and event["trial"] not in self.trials:
            recipe = Recipe.from_dict(event["recipe"])
            baseline = str(event.get("baseline", ""))
            self.trials[event["trial"]] = Trial(event["trial"], dict(event["values"]), recipe, baseline)
            self.order.append(("trial", event["trial"]))
        elif kind == "end":
            self.ended = event["reason"]
        elif kind == "profile":
            self.driver.append({stage: _number(seconds) for stage, seconds in event["stages"].items()})
            add_stages(self.beside, event.get("beside", {}))
        elif event.get("trial") in self.trials:  # of these, an attempt is for people to read
            self._apply_to(self.trials[event["trial"]], event)

    def _apply_to(self, trial: Trial, event: Event) -> None:
        kind = event["event"]
        if kind == "job" and event["job"] == trial.jobs + 1:  # a second result of one job is ignored
            trial.jobs, file, sha256 = event["job"], event["file"], event["sha256"]
            for run in event["runs"]:
                runs = trial.confirmed if run["fold"].startswith(CONFIRM) else trial.runs
                runs[run["fold"]] = _run(run, file, sha256)
            trial.ahead.pop(trial.jobs, None)
            add_stages(trial.stages, event.get("stages", {}))
        elif kind == "ahead" and event["job"] > trial.jobs:
            trial.ahead[event["job"]] = event
        elif kind == "holdout" and not self.look_at(trial.id):
            self.holdouts.append(Look(trial.id, _run(event["run"], event["file"], event["sha256"]), len(self.trials)))
        elif kind == "failure":
            failure = Failure(event["job"], event["error"], event["final"])
            if failure.job == LOOK:
                self.failed_looks.append((trial.id, failure))
            else:
                trial.failures.append(failure)
        elif kind == "verdict":
            score = None if event["score"] is None else _number(event["score"])
            self._conclude(trial, Verdict(event["status"], score, event["reason"]))

    def _conclude(self, trial: Trial, verdict: Verdict) -> None:
        trial.ahead.clear()  # begun in vain: their files are deleted
        if trial.verdict is None:
            trial.verdict = verdict
            self.order.append(("verdict", trial.id))
        elif trial.verdict.status == "stopped" and verdict.status == "completed":
            trial.stopped, trial.verdict = trial.verdict, verdict
            self.order.append(("finished", trial.id))


def _run(told: Event, file: str, sha256: str) -> Run:
    scores = {name: _number(score) for name, score in told["scores"].items()}
    return Run(told["fold"], scores, _number(told["seconds"]), told["synthetic"], file, sha256)


def add_stages(total: dict[str, float], stages: dict[str, Any]) -> None:
    """Add the seconds of each stage to those of ``total``."""
    for stage, seconds in stages.items():
        total[stage] = total.get(stage, 0.0) + _number(seconds)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


def replay(events: Iterable[Event], history: History | None = None, first: int = 1) -> History:
    """Return the history that these events tell, or go on with; the first has this number in its journal."""
    history = history or History()
    for number, event in enumerate(events, start=first):
        try:
            history.apply(event)
        except (AttributeError, KeyError, TypeError, ValueError, UserError) as error:
            raise UserError(f"Event {number} of the journal cannot be understood ({error!r}). {WAYS_OUT}") from None
    return history


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of a journal; an unterminated last line, left by a crash, is not one of them.

    Raises UserError for a line that is not an event: nothing is guessed.
    """
    yield from events_in(path.read_bytes(), path)


def events_in(data: bytes, path: Path, first: int = 1) -> Iterator[Event]:
    """Yield the events of some lines of the journal at ``path``, the first of which has this number."""
    for number, line in enumerate(data.split(b"\n")[:-1], start=first):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise UserError(f"{path}, line {number} is damaged. {WAYS_OUT}")
        yield event


class Journal:
    """The open journal of a search: a History that can be added to.

    Opening it locks it, cuts a torn tail and replays the rest. Raises UserError where another
    process holds it or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        """Open the journal in ``folder``, which must exist."""
        self.path = folder / FILE
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise UserError(f"The journal {self.path} cannot be written: {error.strerror}.") from None
        try:
            _lock(self._file, folder)
            mark_held(self._file)  # for those who watch
            self._cut_tail()
            self.history = replay(read_events(self.path))
        except BaseException:
            os.close(self._file)
            raise

    def _cut_tail(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._file, whole)

    def append(self, event: str, **fields: Any) -> None:
        """Write one event in a single write, make it last, and take it in."""
        line = json.dumps({"event": event, **fields}, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        before = os.fstat(self._file).st_size
        problem = "only a part of a line could be written"
        try:
            written = os.write(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            written, problem = 0, str(error.strerror)
        if written != len(line):
            os.ftruncate(self._file, before)  # the next line must not be joined to half of this one
            raise UserError(
                f"The journal {self.path} cannot be written: {problem}. Make room; the same command resumes."
            )
        self.history.apply(json.loads(line))

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._file)


def check_unused(folder: Path) -> None:
    """Raise UserError if a search is running in ``folder``, whatever its journal holds."""
    path = folder / FILE
    if path.is_file():
        file = os.open(path, os.O_RDWR)
        try:
            _lock(file, folder)
        finally:
            os.close(file)


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UserError(
            f"{folder} is in use: another search is running there. Wait for it, or give this one another --name."
        ) from None
