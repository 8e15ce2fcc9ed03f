"""The state of a search: its trials and all that happened to them, as the events of its journal tell it."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from search.journal.events import (
    AttemptEvent,
    EarlyJobEvent,
    EndEvent,
    Event,
    EventOfTrial,
    FailureEvent,
    HoldoutEvent,
    JobEvent,
    ProfileEvent,
    SessionEvent,
    TrialEvent,
    VerdictEvent,
)
from search.journal.outcomes import CONFIRM, Failure, JobKind, Run, Status, Verdict
from search.repertoire.networks import AnyRecipe

TIE = 9  # decimals: the last bits of a sum or a mean are no merit


@dataclass(frozen=True)
class HoldoutScore:
    """The hold-out's score of one trial; ``trials`` is how many trials had begun when it was scored."""

    trial: str
    run: Run
    trials: int


@dataclass
class Trial:
    """One set of hyperparameter values and all that happened to it.

    ``position`` counts the trials before it, baselines too. ``baseline`` says which baseline it is, "" for a trial
    that the oracle proposed. ``confirmations`` are its runs on reshuffled folds. ``stages`` are the seconds of its
    workers; ``early_results`` holds the jobs that ended before their turn, by number. ``stop`` is the first verdict
    of a trial that was stopped and finished later. Such a trial is complete, but the oracle keeps the score of its
    first verdict. ``jobs_at_stop`` are the jobs that it had done when it was stopped. ``epoch`` is the one that is
    best on average over its runs so far, from 0, where its recipe asks for that: all scores are of it. ``inexact``
    says why some of its runs repeat only nearly.
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
    inexact: str = ""
    verdict: Verdict | None = None
    stop: Verdict | None = None
    jobs_at_stop: int = 0
    epoch: int | None = None
    position: int = 0

    @property
    def is_being_finished(self) -> bool:
        """Whether it was stopped, and has done more since."""
        return self.status is Status.STOPPED and self.jobs > self.jobs_at_stop

    @property
    def first_verdict(self) -> Verdict | None:
        """Its verdict, whatever became of it at the end of a search: what later trials may know of it."""
        return self.stop or self.verdict

    @property
    def status(self) -> Status:
        """What its verdict says; open where it has none."""
        return self.verdict.status if self.verdict else Status.OPEN

    @property
    def epochs(self) -> int:
        """How many epochs count: all of its recipe, or those up to the best on average."""
        return self.recipe.epochs if self.epoch is None else self.epoch + 1

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
                self._choose_epoch()
                self.early_results.pop(self.jobs, None)
                add_stages(self.stages, event.stages)
                self.inexact = self.inexact or event.inexact
            case EarlyJobEvent(job) if job.number > self.jobs:
                self.early_results[job.number] = job

    def _choose_epoch(self) -> None:
        """Let all runs count after one epoch: the first of those with the highest mean over the study's folds."""
        curves = [run.by_epoch[run.chosen_by] for run in self.runs.values() if run.by_epoch]
        if curves:
            means = [round(fmean(scores), TIE) for scores in zip(*curves, strict=True)]
            self.epoch = means.index(max(means))
            for runs in (self.runs, self.confirmations):
                runs.update({fold: run.at(self.epoch) for fold, run in runs.items()})


@dataclass
class History:
    """What the journal says: trials in the order they were proposed, events in the order they ended.

    ``order`` holds ("trial", "verdict" or "finished", trial id) as they happened.
    ``holdout_scores`` are one a trial at most; ``holdout_failures`` those of the last session, as (trial id, failure).
    """

    trials: dict[str, Trial] = field(default_factory=dict)
    order: list[tuple[str, str]] = field(default_factory=list)
    sessions: list[SessionEvent] = field(default_factory=list)
    end_reason: str = ""  # why the search ended, if it did
    left_out: int = 0  # trials that were not begun then, for want of time
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

    def known_to(self, position: int, lag: int, start: int = 0) -> list[Trial]:
        """Return the trials whose verdicts may decide over the one at ``position``: those ``lag`` or more before it.

        ``start`` is the position of the first of them.
        """
        return list(itertools.islice(self.trials.values(), start, max(start, position - lag + 1)))

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

    @property
    def spent_and_ended(self) -> int:
        """How many of these have a verdict."""
        return sum(trial.status not in {Status.DUPLICATE, Status.OPEN} for trial in self.proposed)

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
                if not event.holdout_trial:
                    self.end_reason, self.left_out = "", 0
                self.holdout_failures = []
            case TrialEvent(trial, values, recipe, baseline):
                if trial not in self.trials:
                    self.trials[trial] = Trial(trial, values, recipe, baseline, position=len(self.trials))
                    self.order.append(("trial", trial))
            case EndEvent(reason, left_out):
                self.end_reason, self.left_out = reason, left_out
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
                    self.holdout_scores.append(HoldoutScore(trial.id, run.at(trial.epoch), len(self.trials)))
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
