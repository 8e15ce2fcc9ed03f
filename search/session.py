"""A session: one sitting of a search. Ask, run, journal, decide, tell.

The loop takes one trial after another and its jobs in their order, whatever runs at a time; all
that it knows is the history, so that going on is what starting always does.
"""

import contextlib
import dataclasses
import hashlib
import shlex
import time
from typing import Any, Self

import numpy as np

from search import record as folders
from search.analysis import stats
from search.executors.processes import Executor, Inline, Outcome, Workers
from search.journal import LOOK, Journal, Trial, Verdict, add_stages, check_unused
from search.monitor.screen import Screen
from search.monitor.tensorboard import Board
from search.oracles import ask, retell, tell
from search.prepare import Prepared, versions
from search.racing import Job, jobs_ahead, next_afterwards, next_look, next_step
from search.record import Record, rules_of
from search.system.cache import trim
from search.system.clock import Clock, duration, rounded
from search.system.errors import UserError
from search.system.files import npz_bytes, write_bytes
from search.training.trainer import JobResult, RunResult

TICK = 0.5
TRIM_EVERY = 30.0  # seconds


class Session:
    """One sitting of a search, from taking the lock to giving it back."""

    def __init__(self, prepared: Prepared, view: Screen, clock: Clock, look: str = "") -> None:
        """Take the lock, and what the journal tells; ``look`` names a trial to be scored on the hold-out, and no more.

        Raises UserError where another driver is at work, or the folder holds another search.
        """
        self.prepared, self.view, self.clock = prepared, view, clock
        self.looks_at = look  # the only trial that is wanted, and only its score on the hold-out
        self.asked_in_vain = False  # the oracle had nothing new; it need not be asked again before a trial ends
        self.running: dict[tuple[str, int], Job] = {}  # by trial and number
        self.arrived: dict[tuple[str, int], tuple[str, dict[str, Any]]] = {}  # events whose turn has not come
        self.beside: dict[str, float] = {}  # seconds of workers on what no trial has
        self.attempts = 0  # jobs begun, so that the outcome of one that was given up is not taken for the next one's
        self.announced: set[str] = set()  # what was said of trials that are gone on with
        self.trimmed = 0.0
        if prepared.options.fresh and prepared.folder.exists():
            check_unused(prepared.folder)
            view.say(f"The old search is now in {folders.move_aside(prepared.folder)}.")
            prepared.options = dataclasses.replace(prepared.options, fresh=False)  # the same again resumes
        folders.make(prepared.folder)
        self.journal = Journal(prepared.folder)
        self.history = self.journal.history
        self.max_trials = prepared.study.max_trials
        try:
            self._begin()
        except BaseException:
            self.journal.close()
            raise

    def _begin(self) -> None:
        prepared = self.prepared
        folders.sweep(prepared.folder)
        about = folders.read_about(prepared.folder)
        if about is not None:  # another driver may have begun it while this one was reading the images
            folders.check_same(prepared.folder, about, prepared.identity, prepared.file.text)
            if (about["weights"], about["threads"]) != (prepared.hand.weights, prepared.threads):
                raise UserError(f"{prepared.folder} was begun by another driver just now: run the same command again.")
            (prepared.folder / folders.RUNS).mkdir(exist_ok=True)
        elif self.history.trials:
            raise UserError(f"{prepared.folder / folders.STUDY} is gone, but the journal is not. {folders.WAYS_OUT}")
        else:
            folders.begin(prepared.folder, prepared.about, prepared.file.text, prepared.tables)
        for trial in self.history.trials.values():
            if not trial.baseline and prepared.recipe(trial.values) != trial.recipe:
                raise UserError(
                    f"The space gives another recipe for trial {trial.id} than it did when the trial began. "
                    "Undo the change, or begin another search with --name or --fresh."
                )
            for number, event in trial.ahead.items():
                fields = {name: value for name, value in event.items() if name != "event"}
                self.arrived[trial.id, number] = "job", fields
        self.oracle = retell(prepared.study.oracle, prepared.hyperparameters, prepared.study.seed, self.history)

    def __enter__(self) -> Self:
        """Begin: journal the session with what it was told."""
        options = self.prepared.options
        self.journal.append(
            "session",
            at=round(time.time(), 3),
            max_trials=self.max_trials,
            racing=options.racing,
            tensorboard=options.tensorboard,
            baselines=self.prepared.study.baselines,
            confirm=options.confirm,
            executor=options.executor,
            slots=self.prepared.slots,
            threads=self.prepared.threads,
            versions=versions(),
            look=self.looks_at,
        )
        about = folders.read_about(self.prepared.folder)
        assert about is not None
        self.rules = rules_of(about, self.history)
        self.board = Board(self.prepared.folder) if options.tensorboard else None
        self._update_board()  # what an earlier session could not write any more
        self._say_versions()
        return self

    def _say_versions(self) -> None:
        first, now = (self.history.sessions[at]["versions"] for at in (0, -1))
        changed = [f"{name} {first.get(name)} -> {now[name]}" for name in now if first.get(name) != now[name]]
        if changed:
            self.view.say(f"Versions changed since this search began, so last decimals may too: {', '.join(changed)}")

    def __exit__(self, *_error: object) -> None:
        """Journal where the time went, and give back the lock."""
        with contextlib.suppress(UserError):  # what ends the session matters more than how long it took
            self.journal.append("profile", stages=self.clock.lap(), beside=rounded(self.beside))
        self.journal.close()

    def _write(self, event: str, **fields: Any) -> None:
        with self.clock.stage("write"):
            self.journal.append(event, **fields)

    def run(self) -> None:
        """Do what is next, wait for what comes back; until nothing is left to do."""
        self._say_cost()
        with self.executor() as executor, self.view as view:
            view.begin(self.max_trials)
            view.show(self.history, self.rules, [])
            more = self._advance(executor)
            while more:
                with self.clock.stage("show"):
                    view.show(self.history, self.rules, self.running.values())
                with self.clock.stage("wait"):
                    outcome = executor.wait(TICK)
                if outcome is not None:
                    self._take(outcome)
                    more = self._advance(executor)
                self._trim_cache()
            view.show(self.history, self.rules, [])
        self._update_board()
        self._write("end", reason=self._reason())

    def _update_board(self) -> None:
        if self.board is not None:
            with self.clock.stage("write"):
                self.board.update(Record(self.prepared.folder, self.prepared.about, self.history, self.rules))

    def _say_cost(self) -> None:
        if not self.history.trials:
            cost = self.prepared.estimate()
            self.view.say(
                f"Estimated cost: {duration(cost.low)} to {duration(cost.high)} for {self.max_trials} trials of "
                f"{len(self.rules.folds)} runs (rough; racing {'on' if self.rules.racing else 'off'})"
            )
        self.view.say(f"Results: {self.prepared.folder}")
        if self.board is not None:
            self.view.say(f"TensorBoard: tensorboard --logdir {shlex.quote(str(self.board.folder))}")

    def look(self, executor: Executor) -> None:
        """Score one trial on the hold-out, and nothing else."""
        with executor:
            while self._advance(executor):
                if outcome := executor.wait(TICK):
                    self._take(outcome)
        if not self.history.look_at(self.looks_at):
            error = self.history.failed_looks[-1][1].error
            raise UserError(f"The hold-out could not be scored with {self.looks_at}: {error}.")

    def executor(self) -> Executor:
        """Return where jobs happen."""
        options, materials = self.prepared.options, self.prepared.materials
        if options.executor == "inline":
            return Inline(materials)
        return Workers(materials, self.prepared.slots, (self.prepared.folder / "workers.log").resolve())

    def _advance(self, executor: Executor) -> bool:
        """Decide, and take in what has come back, as far as can be; then begin the jobs wanted now.

        Returns False where nothing is left to do. One trial after another and its jobs in their order,
        so that what is decided does not depend on how many jobs run at a time.
        """
        while (next_ := self._next_step()) is not None:
            trial, step = next_
            if isinstance(step, Verdict):
                self._conclude(trial, step, executor)
            elif (step.trial, step.number) in self.arrived:
                kind, fields = self.arrived.pop((step.trial, step.number))
                self._write(kind, **fields)
            else:
                self._begin_jobs(step, executor)
                return True
        return False

    def _next_step(self) -> tuple[Trial, Job | Verdict] | None:
        """Return what the trial that is open needs, or a new one; then what is left to do at the end."""
        with self.clock.stage("decide"):
            if self.looks_at:
                trial = self.history.trials[self.looks_at]
                return (trial, look) if (look := next_look(self.history, trial, self.rules)) else None
            if self.history.open_trials() or self._propose():
                trial = self.history.open_trials()[0]
                return trial, next_step(self.history, trial, self.rules)
            return next_afterwards(self.history, self.rules)

    def _begin_jobs(self, job: Job, executor: Executor) -> None:
        """Begin a job, and while slots are free those that will follow it if nothing stops their trial."""
        trial = self.history.trials[job.trial]
        self._announce(job, trial)
        jobs = [job] if job.number == LOOK else jobs_ahead(trial, self.rules)[: self.prepared.slots + 1]
        begun = False
        for wanted in jobs:
            name = (wanted.trial, wanted.number)
            if executor.free() and name not in self.running and name not in self.arrived:
                self._write("attempt", trial=wanted.trial, job=wanted.number, folds=list(wanted.folds))
                self.attempts += 1
                self.running[name], begun = dataclasses.replace(wanted, attempt=self.attempts), True
                executor.submit(self.running[name])
        if job.recipe.head_only and begun:  # a single job: let the others help to make what it shows
            for _ in range(executor.free()):
                executor.submit(dataclasses.replace(job, folds=()))

    def _announce(self, job: Job, trial: Trial) -> None:
        """Say it, once, where a trial is gone on with that has its verdict: nobody would expect that."""
        if trial.verdict is None:
            return
        what = "is trained again on reshuffled folds"
        if job.number == LOOK:
            what = "is scored on the hold-out"
        elif trial.verdict.status == "stopped":
            what = "is finished: correcting the best score needs complete trials"
        if (line := f"{trial.id} {what}") not in self.announced:
            self.announced.add(line)
            self.view.show(self.history, self.rules, self.running.values())  # what came before is told before
            self.view.say(line)

    def _propose(self) -> bool:
        """Add a trial, baselines first; return False where the budget is spent or the space exhausted."""
        if not self.history.proposed:
            for number, (name, recipe) in enumerate(self.prepared.baselines.items()):
                if f"b{number}" not in self.history.trials:
                    self._write("trial", trial=f"b{number}", values={}, recipe=recipe.to_dict(), baseline=name)
                    return True
        if self.history.spent >= self.max_trials or self.asked_in_vain:
            return False
        trial_id = f"{len(self.history.proposed):04d}"
        with self.clock.stage("ask"):
            values = ask(self.oracle, trial_id)
        if values is None:
            self.asked_in_vain = True
            return False
        recipe = self.prepared.recipe(values)
        self._write("trial", trial=trial_id, values=values, recipe=recipe.to_dict())
        return True

    def _conclude(self, trial: Trial, verdict: Verdict, executor: Executor) -> None:
        """End a trial; what was begun of it in vain is given up. Of one that is finished later the oracle knows."""
        known = trial.baseline or trial.verdict
        self._write("verdict", trial=trial.id, status=verdict.status, score=verdict.score, reason=verdict.reason)
        self._update_board()
        if not known:
            tell(self.oracle, trial.id, verdict.score)
            self.asked_in_vain = False
        executor.cancel(trial.id)
        self.running = {name: job for name, job in self.running.items() if name[0] != trial.id}
        for name in [name for name in self.arrived if name[0] == trial.id]:
            _, fields = self.arrived.pop(name)
            if "file" in fields:
                (self.prepared.folder / fields["file"]).unlink(missing_ok=True)

    def _take(self, outcome: Outcome) -> None:
        """Keep what came back until it is its turn, unless nobody waits for it any more."""
        job = outcome.job
        if outcome.fatal:
            raise UserError(outcome.error)
        name = job.trial, job.number
        if self.running.get(name) != job:  # given up, and perhaps begun again since; or a helper's
            add_stages(self.beside, outcome.stages)
            return
        del self.running[name]
        kind, fields = self._told(outcome)
        self.arrived[job.trial, job.number] = kind, fields
        if kind == "job" and job.number > self.history.trials[job.trial].jobs + 1:
            self._write("ahead", **fields)

    def _told(self, outcome: Outcome) -> tuple[str, dict[str, Any]]:
        """Return the event of a job that ended, its runs stored, or its failure."""
        job = outcome.job
        if outcome.result is None:
            if job.number == LOOK:
                self.view.say(f"The hold-out could not be scored with {job.trial}: {outcome.error}")
            add_stages(self.beside, outcome.stages)
            return "failure", {"trial": job.trial, "job": job.number, "error": outcome.error, "final": outcome.final}
        file = f"{folders.RUNS}/{job.trial}-{'holdout' if job.number == LOOK else job.number}.npz"
        data = npz_bytes(_arrays(outcome.result, self.prepared.dataset.ids))
        with self.clock.stage("write"):
            write_bytes(self.prepared.folder / file, data)
        fields = {"trial": job.trial, "file": file, "sha256": hashlib.sha256(data).hexdigest()}
        runs = [_in_journal(run) for run in outcome.result.runs]
        if job.number == LOOK:
            add_stages(self.beside, outcome.stages)
            return "holdout", {**fields, "run": runs[0]}
        return "job", {**fields, "job": job.number, "runs": runs, "stages": outcome.stages}

    def _trim_cache(self) -> None:
        """Keep the cache within its bound, from time to time."""
        if time.monotonic() - self.trimmed > TRIM_EVERY:
            self.trimmed = time.monotonic()
            with self.clock.stage("trim"):
                trim(self.prepared.inputs.cache, self.prepared.options.cache_bytes)

    def _reason(self) -> str:
        if self.history.spent >= self.max_trials:
            return f"all {self.max_trials} trials are done"
        return f"the space is exhausted: its {self.history.spent} points have all been tried"


def _in_journal(run: RunResult) -> dict[str, Any]:
    """Return what the journal says of a run."""
    return {
        "fold": run.fold,
        "scores": stats.scores(run.labels, run.probabilities),
        "seconds": round(run.seconds, 4),
        "synthetic": run.synthetic,
    }


def _arrays(result: JobResult, ids: list[str]) -> dict[str, Any]:
    """Return what is stored of a job: ids and labels travel with the predictions that they belong to."""
    arrays: dict[str, Any] = {}
    for run in result.runs:
        stored = {"ids": np.array([ids[row] for row in run.rows]), "labels": run.labels, "curve": run.curve}
        stored |= {"probabilities": run.probabilities, "validation": run.watched}
        arrays |= {f"{run.fold}/{name}": array for name, array in stored.items()}
    return arrays
