"""The journal: append events; replay them into a History.

Everything that happened is one line of JSON in ``journal.jsonl``; the state of a search is
``replay(events)`` and nothing else. Only the driver writes; it holds a lock until it ends.
"""

import copy
import fcntl
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.events import (
    CONFIRM,
    FORMAT,
    AttemptEvent,
    EarlyJobEvent,
    EndEvent,
    Event,
    EventOfTrial,
    Failure,
    FailureEvent,
    HoldoutEvent,
    JobEvent,
    JobKind,
    Line,
    ProfileEvent,
    Run,
    SessionEvent,
    Status,
    TrialEvent,
    Verdict,
    VerdictEvent,
    event_of,
)
from search.repertoire.networks import AnyRecipe
from search.system.chain import KEY, Chain
from search.system.errors import UserError, fault_of
from search.system.files import mark_held, unused, write_bytes

FILE, BEGINNING = "journal.jsonl", b'{"event": "'
WAYS_OUT = "Restore the file from a copy, or begin anew with --fresh (which moves the old folder aside)."


@dataclass(frozen=True)
class HoldoutScore:
    """The hold-out's score of one trial; ``trials`` is how many trials had begun when it was scored."""

    trial: str
    run: Run
    trials: int


@dataclass
class Trial:
    """One set of hyperparameter values and all that happened to it.

    ``baseline`` says which baseline it is, "" for a trial that the oracle proposed. ``confirmations`` are its
    runs on reshuffled folds. ``stages`` are the seconds of its workers; ``early_results`` holds the jobs that ended
    before their turn, by number. ``stop`` is the first verdict of a trial that was stopped and finished
    later. Such a trial is complete, but the oracle keeps the score of its first verdict. ``jobs_at_stop`` are the
    jobs that it had done when it was stopped.
    """

    id: str
    values: dict[str, Any]
    recipe: AnyRecipe
    baseline: str = ""
    runs: dict[str, Run] = field(default_factory=dict)
    confirmations: dict[str, Run] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    jobs: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    early_results: dict[int, JobEvent] = field(default_factory=dict)
    verdict: Verdict | None = None
    stop: Verdict | None = None
    jobs_at_stop: int = 0

    @property
    def is_being_finished(self) -> bool:
        """Whether it was stopped, and has done more since."""
        return self.status is Status.STOPPED and self.jobs > self.jobs_at_stop

    @property
    def status(self) -> Status:
        """What its verdict says; open where it has none."""
        return self.verdict.status if self.verdict else Status.OPEN

    @property
    def seconds(self) -> float:
        """Seconds of training on the study's folds so far."""
        return sum(run.seconds for run in self.runs.values())

    def apply(self, event: JobEvent | EarlyJobEvent) -> None:
        """Take in the end of a job; a second result of one job is ignored."""
        match event:
            case JobEvent() if event.number == self.jobs + 1:
                self.jobs = event.number
                for run in event.runs:
                    runs = self.confirmations if run.fold.startswith(CONFIRM) else self.runs
                    runs[run.fold] = run
                self.early_results.pop(self.jobs, None)
                add_stages(self.stages, event.stages)
            case EarlyJobEvent(job) if job.number > self.jobs:
                self.early_results[job.number] = job


@dataclass
class History:
    """What the journal says: trials in the order they were proposed, events in the order they ended.

    ``order`` holds ("trial", "verdict" or "finished", trial id) as they happened, from which the oracle is told again.
    ``holdout_scores`` are one a trial at most; ``holdout_failures`` those of the last session, as (trial id, failure).
    """

    trials: dict[str, Trial] = field(default_factory=dict)
    order: list[tuple[str, str]] = field(default_factory=list)
    sessions: list[SessionEvent] = field(default_factory=list)
    end_reason: str = ""  # why the search ended, if it did
    driver: list[dict[str, float]] = field(default_factory=list)  # seconds by stage, of each session that said so
    unattributed: dict[str, float] = field(default_factory=dict)  # seconds of workers on what no trial has
    holdout_scores: list[HoldoutScore] = field(default_factory=list)
    holdout_failures: list[tuple[str, Failure]] = field(default_factory=list)
    _firsts: dict[AnyRecipe, Trial] = field(default_factory=dict, repr=False, compare=False)  # of each recipe
    _indexed: int = field(default=0, repr=False, compare=False)  # how many trials these are of

    def holdout_score(self, trial_id: str) -> HoldoutScore | None:
        """Return the hold-out's score of this trial, if it was scored."""
        return next((score for score in self.holdout_scores if score.trial == trial_id), None)

    def open_trials(self) -> list[Trial]:
        """Return the trials without a verdict."""
        return [trial for trial in self.trials.values() if trial.verdict is None]

    def with_status(self, status: Status) -> list[Trial]:
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
        return sum(trial.status is not Status.DUPLICATE for trial in self.proposed)

    # DECISIONS: An equal recipe is a duplicate trial
    def duplicate_of(self, trial: Trial) -> Trial | None:
        """Return the earlier trial with an equal recipe, if there is one."""
        for other in itertools.islice(self.trials.values(), self._indexed, None):
            self._firsts.setdefault(other.recipe, other)
        self._indexed = len(self.trials)
        first = self._firsts.get(trial.recipe)
        return None if first is None or first.id == trial.id else first

    def apply(self, event: Event) -> None:
        """Take in one event. An event of a trial that never began is ignored."""
        match event:
            case SessionEvent():
                self.sessions.append(event)
                # One that only scores the hold-out, for an export, leaves a search that had ended as it was.
                self.end_reason, self.holdout_failures = self.end_reason if event.holdout_trial else "", []
            case TrialEvent(trial, values, recipe, baseline):
                if trial not in self.trials:
                    self.trials[trial] = Trial(trial, values, recipe, baseline)
                    self.order.append(("trial", trial))
            case EndEvent(reason):
                self.end_reason = reason
            case ProfileEvent(stages, unattributed):
                self.driver.append(stages)
                add_stages(self.unattributed, unattributed)
            case _:
                if event.trial in self.trials:
                    self._apply_to(self.trials[event.trial], event)

    def _apply_to(self, trial: Trial, event: EventOfTrial) -> None:
        match event:
            case AttemptEvent():
                pass  # for people to read
            case JobEvent() | EarlyJobEvent():
                trial.apply(event)
            case HoldoutEvent(_, run):
                if not self.holdout_score(trial.id):
                    self.holdout_scores.append(HoldoutScore(trial.id, run, len(self.trials)))
            case FailureEvent(_, failure):
                if event.kind is JobKind.HOLDOUT:
                    self.holdout_failures.append((trial.id, failure))
                else:
                    trial.failures.append(failure)
            case VerdictEvent(_, verdict):
                self._conclude(trial, verdict)

    def _conclude(self, trial: Trial, verdict: Verdict) -> None:
        trial.early_results.clear()  # nobody needs them now: their files are deleted
        if trial.verdict is None:
            trial.verdict, trial.jobs_at_stop = verdict, trial.jobs
            self.order.append(("verdict", trial.id))
        elif trial.verdict.status is Status.STOPPED and verdict.status is Status.COMPLETED:
            trial.stop, trial.verdict = trial.verdict, verdict
            self.order.append(("finished", trial.id))


def add_stages(total: dict[str, float], stages: Mapping[str, float]) -> None:
    """Add the seconds of each stage to those of ``total``."""
    for stage, seconds in stages.items():
        total[stage] = total.get(stage, 0.0) + seconds


def replay(
    lines: Iterable[Line], history: History | None = None, first: int = 1, path: str | Path = "The journal"
) -> History:
    """Return the history of lines of ``path``, after that of ``history``; ``first`` is the number of the first line."""
    history = history or History()
    for number, line in enumerate(lines, start=first):
        try:
            if (event := event_of(line)) is not None:
                history.apply(event)
        except (AttributeError, KeyError, TypeError, ValueError, UserError) as error:
            raise UserError(f"{path}, line {number} cannot be understood ({fault_of(error)}). {WAYS_OUT}") from None
    return history


def read_events(path: Path, chain: Chain | None = None) -> Iterator[Line]:
    """Yield the events of a journal as JSON; an unterminated last line, left by a crash, is not one of them.

    ``chain`` takes in the lines. Raises UserError for a line that is not an event, or does not fit its checksum:
    nothing is guessed.
    """
    yield from events_in(path.read_bytes(), path, 1, chain or Chain())


def check_lines(path: Path) -> None:
    """Raise UserError for a journal with a line that is not an event, or does not fit its checksum."""
    for _ in read_events(path):
        pass


def events_in(data: bytes, path: Path, first: int, chain: Chain) -> Iterator[Line]:
    """Yield the events of lines of the journal at ``path``, from number ``first``, after those that ``chain`` has."""
    for number, line in enumerate(data.split(b"\n")[:-1], start=first):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise UserError(f"{path}, line {number} is damaged. {WAYS_OUT}")
        version = event.get("format", 0) if event.get("event") == "session" else 0
        if isinstance(version, int) and version > FORMAT:
            raise UserError(
                f"{path}, line {number} has format {version}, this version reads {FORMAT} and all before. Use the "
                "version that wrote it."
            )
        if problem := chain.problem(line, needs_checksum=version != 0):  # those before 5 have no number
            raise UserError(f"{path}, line {number} {problem}. {WAYS_OUT}")
        event.pop(KEY, None)
        yield event


class Journal:
    """The open journal of a search, with its history; events are appended to both.

    Opening it locks it, cuts a torn tail and replays the rest. Raises UserError where another
    process holds it or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        """Open the journal in ``folder``, which must exist."""
        self.path = folder / FILE
        self._chain = Chain()
        self._problem = ""  # what became of the file while it was open
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise UserError(f"The journal {self.path} cannot be written: {error.strerror}.") from None
        try:
            _lock(self._file, folder)
            mark_held(self._file)  # for those who watch
            self.history = replay(read_events(self.path, self._chain), path=self.path)
            self._cut_tail()
            self._state = self._state_of_file()
        except BaseException:
            os.close(self._file)
            raise

    def _cut_tail(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if not whole and data.strip(b"\0") and not data.startswith(BEGINNING) and not BEGINNING.startswith(data):
            raise UserError(f"{self.path} is no journal, so it is left as it is. Give the search another --name.")
        if whole < len(data):
            os.ftruncate(self._file, whole)

    def append(self, event: Event) -> None:
        """Append an event in a single write, sync it to the disk, and apply it to the history as it will be read.

        Raises UserError where it cannot be written, and where the file is no longer as this driver left it.
        """
        self.check_untouched()
        text, chain = json.dumps(event.to_json(), ensure_ascii=False, allow_nan=False).encode(), copy.copy(self._chain)
        line = chain.seal(text) + b"\n"
        before = os.fstat(self._file).st_size
        problem = "only a part of a line could be written"
        try:
            size = os.write(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            size, problem = 0, str(error.strerror)
        if size != len(line):
            os.ftruncate(self._file, before)  # the next line must not be joined to half of this one
            self._state = self._state_of_file()
            raise UserError(
                f"The journal {self.path} cannot be written: {problem}. Make room; the same command resumes."
            )
        self._chain, self._state = chain, self._state_of_file()
        if (reread_event := event_of(json.loads(text))) is not None:
            self.history.apply(reread_event)

    def check_untouched(self) -> None:
        """Raise UserError unless the file at its place is still this one, with the lines that this driver left in it.

        What it had written is kept beside it where another file, or none, has taken its place.
        """
        if not self._problem:
            self._problem = self._new_problem()
        if self._problem:
            raise UserError(self._problem)

    def _new_problem(self) -> str:
        try:
            is_mine = os.path.samestat(self.path.stat(), os.fstat(self._file))
        except OSError:
            if not self.path.parent.is_dir():
                return (
                    f"The folder {self.path.parent} was moved, renamed or removed while its search ran. Put it back, "
                    "and the same command resumes it; without it, that command begins anew."
                )
            return f"The journal {self.path} is gone: it was removed or moved while this search ran.{self._rescue()}"
        if not is_mine:
            return f"The journal {self.path} was replaced by another file while this search ran.{self._rescue()}"
        if self._state == self._state_of_file() or self._has_my_lines():
            return ""
        return f"The journal {self.path} was changed by something else while this search ran. {WAYS_OUT}"

    def _state_of_file(self) -> tuple[int, int]:
        status = os.fstat(self._file)
        return status.st_size, status.st_mtime_ns

    def _has_my_lines(self) -> bool:
        """Return whether the file, though something touched it, holds what this driver left, and nothing else."""
        chain = Chain()
        try:
            for _ in read_events(self.path, chain):
                pass
        except (OSError, UserError):
            return False
        return chain.checksum == self._chain.checksum and self._state_of_file()[0] == self._state[0]

    def _rescue(self) -> str:
        """Keep the lines of this driver in a file beside the place of the journal; return where, in words."""
        place = unused(self.path.with_name(f"{FILE}.rescued"))
        try:
            write_bytes(place, os.pread(self._file, os.fstat(self._file).st_size, 0))
        except OSError:
            return ""
        return f" Its lines are now in {place}. To go on, move that file to {self.path}; the same command resumes."

    def close(self) -> None:
        """Release the lock."""
        os.close(self._file)


def check_unused(folder: Path) -> None:
    """Raise UserError if a search is running in ``folder``, whatever its journal holds."""
    if (folder / FILE).is_file():
        file = os.open(folder / FILE, os.O_RDWR)
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
