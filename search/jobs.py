"""The jobs of a session: which begin next, which are under way, and the ends of those whose turn has not come.

Jobs run in any order, but their ends count in that of the trials and of the jobs of each. So what the journal says does
not depend on how many run at a time.
"""

import dataclasses
import hashlib
import itertools
from collections.abc import Callable

from search.executors.base import Cancelled, Done, Ending, Executor, Failed, Fatal
from search.journal.events import AttemptEvent, EarlyJobEvent, Event, FailureEvent, HoldoutEvent, JobEvent
from search.journal.history import History, Trial, add_stages
from search.journal.outcomes import Failure, JobKind
from search.prepare import Setup
from search.racing import Job, Rules, confirmations_left, jobs_left, next_step
from search.record import RUNS, remove_run_file
from search.system.clock import Clock
from search.system.errors import UserError
from search.system.files import npz_bytes, write_bytes
from search.training.storing import arrays_of, run_of
from search.training.trainer import JobResult

Name = tuple[str, int]  # of a job: its trial and its number


class Jobs:
    """The jobs that a session has begun and not yet counted."""

    def __init__(
        self, setup: Setup, history: History, rules: Rules, clock: Clock, write: Callable[[Event], None]
    ) -> None:
        """Begin with the results that earlier sessions left waiting; ``write`` adds an event to the journal."""
        self._setup, self._history, self._rules, self._clock, self._write = setup, history, rules, clock, write
        self.running: dict[Name, Job] = {}
        self.waiting: dict[Name, Event] = {}  # ends of jobs whose turn has not come
        self.unattributed: dict[str, float] = {}  # seconds of workers on what no trial has
        self._needed: Name | None = None
        self._attempts = 0  # so that the end of a cancelled job is not taken for that of its next attempt
        for trial in history.trials.values():
            self.waiting |= {(trial.id, number): job for number, job in trial.early_results.items()}

    def begin(self, job: Job, executor: Executor) -> None:
        """Begin the job that is needed now, and those of ``wanted`` for which slots are free."""
        self._needed = job.name
        begun = [wanted for wanted in self._wanted(job, executor) if self._begin(wanted, executor)]
        for wanted in begun:
            if wanted.recipe.head_only:  # a single job: idle workers help to make its images
                for _ in range(executor.free()):
                    executor.submit(dataclasses.replace(wanted, kind=JobKind.HELP, folds=()))

    def _begin(self, job: Job, executor: Executor) -> bool:
        """Begin a job, and return whether it began: not where it did so before, or no slot is free."""
        if not executor.free() or job.name in self.running or job.name in self.waiting:
            return False
        self._write(AttemptEvent(job.trial, job.number, job.folds))
        self._attempts += 1
        self.running[job.name] = dataclasses.replace(job, attempt=self._attempts)
        executor.submit(self.running[job.name])
        return True

    # DECISIONS: Jobs begin early, and are decided in order
    def _wanted(self, job: Job, executor: Executor) -> list[Job]:
        """Return the jobs that may begin: what each open trial needs, then what follows if nothing stops it.

        A trial that is sure to end, from its results that wait for their turn, gives its slots back.
        """
        if job.kind is JobKind.HOLDOUT:
            return [job]
        if job.kind is JobKind.CONFIRM:
            return confirmations_left(self._history, self._rules)
        queues = []
        for trial in self._history.open_trials() or [self._history.trials[job.trial]]:
            queue = self._queue(trial)
            queues.append(queue[: self._setup.devices.slots + 1])
            if not queue:
                self.cancel(trial.id, executor)
        first = (queue[0] for queue in queues if queue)
        return [*first, *itertools.chain.from_iterable(queue[1:] for queue in queues)]

    def _queue(self, trial: Trial) -> list[Job]:
        """Return the jobs that a trial has yet to do; none where its end is sure, or hangs on another trial."""
        if trial.verdict:
            return jobs_left(trial, self._rules)
        if self._history.duplicate_of(trial):
            return []
        future = self._future(trial)
        step = next_step(self._history, future, self._rules)
        return jobs_left(future, self._rules) if isinstance(step, Job) else []

    def _future(self, trial: Trial) -> Trial:
        """Return a trial as it will be once its results that wait count."""
        future = dataclasses.replace(
            trial, runs=dict(trial.runs), confirmations=dict(trial.confirmations), stages={}, early_results={}
        )
        while isinstance(event := self.waiting.get((future.id, future.jobs + 1)), JobEvent):
            future.apply(event)
        return future

    def take(self, ending: Ending) -> Event | None:
        """Keep the result of a job until its turn comes, and return it; None where the job was cancelled.

        Raises UserError for an ending after which no job can succeed.
        """
        job = ending.job
        if isinstance(ending, Fatal):
            raise UserError(ending.error)
        if self.running.get(job.name) != job:  # cancelled, and perhaps begun again since; or a helper's
            add_stages(self.unattributed, ending.stages)
            return None
        del self.running[job.name]
        event = self._event(ending)
        self.waiting[job.name] = event
        if isinstance(event, JobEvent) and job.name != self._needed:
            self._write(EarlyJobEvent(event))
        return event

    def _event(self, ending: Done | Failed | Cancelled) -> JobEvent | HoldoutEvent | FailureEvent:
        """Return the event of a job that ended: its runs, which are stored first, or its failure."""
        job = ending.job
        match ending:
            case Done(_, result, stages):
                return self._store(job, result, stages)
            case Failed(_, error, final):
                failure = Failure(job.number, error, final)
            case Cancelled():
                failure = Failure(job.number, "cancelled", final=False)
        add_stages(self.unattributed, ending.stages)
        return FailureEvent(job.trial, failure)

    def _store(self, job: Job, result: JobResult, stages: dict[str, float]) -> JobEvent | HoldoutEvent:
        is_of_holdout = job.kind is JobKind.HOLDOUT
        file = f"{RUNS}/{job.trial}-{'holdout' if is_of_holdout else job.number}.npz"
        data = npz_bytes(arrays_of(result, self._setup.dataset.ids))
        with self._clock.stage("write"):
            write_bytes(self._setup.folder / file, data)
        sha256 = hashlib.sha256(data).hexdigest()
        runs = tuple(run_of(run, file, sha256, self._rules.objective) for run in result.runs)
        if is_of_holdout:
            add_stages(self.unattributed, stages)
            return HoldoutEvent(job.trial, runs[0])
        return JobEvent(job.trial, job.number, file, sha256, runs, stages, result.inexact)

    def cancel(self, trial: str, executor: Executor) -> None:
        """Let the running jobs of a trial end soon; their ends will not count."""
        if any(name[0] == trial for name in self.running):
            executor.cancel(trial)
            self.running = {name: job for name, job in self.running.items() if name[0] != trial}

    def end(self, trial: str, executor: Executor) -> None:
        """Cancel the jobs of a trial that has its verdict, and remove those results that nobody needs now."""
        self.cancel(trial, executor)
        for name in [name for name in self.waiting if name[0] == trial]:
            event = self.waiting.pop(name)
            if isinstance(event, JobEvent):
                remove_run_file(self._setup.folder, event.file)
