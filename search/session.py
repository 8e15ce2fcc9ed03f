"""A session: one sitting of a search. Ask, run, journal, decide, tell.

The loop takes the trials one after another, and the jobs of each in their order, however many run at
a time. It knows nothing but the history, so every start is a resumption.
"""

import contextlib
import time
from typing import Self

from search.executors.base import Ending, Executor
from search.executors.table import EXECUTORS, ExecutorOptions, Executors
from search.integrity.differences import changed_versions, fields_that_differ
from search.integrity.replayed import check_replayed
from search.integrity.written import check_journal_is_there, digests_of
from search.jobs import Jobs
from search.journal.events import (
    EndEvent,
    Event,
    FailureEvent,
    JobEvent,
    ProfileEvent,
    SessionEvent,
    TrialEvent,
    VerdictEvent,
)
from search.journal.history import Trial
from search.journal.journal import Journal
from search.journal.outcomes import JobKind, Status, Verdict
from search.monitor.epochs import Epochs
from search.monitor.screen import Screen
from search.monitor.tensorboard import Board
from search.oracles import ask, retell, tell_known
from search.prepare import Setup
from search.racing import Job, next_afterwards, next_holdout_job, next_step
from search.record import (
    MODULES,
    RUNS,
    STUDY,
    WAYS_OUT,
    WRITTEN_ONCE,
    About,
    Record,
    begin_record,
    check_free,
    check_same,
    read_about,
    remove_half_written,
    rules_of,
    tables_of,
)
from search.repertoire.columns import varied
from search.repertoire.networks import AnyRecipe
from search.system.cache import trim
from search.system.clock import Clock, duration, rounded
from search.system.commands import board_command
from search.system.devices import changed_devices
from search.system.errors import UserError
from search.system.places import make_folder
from search.system.signals import check_signals
from search.system.tf import versions
from search.training.budget import Budget
from search.training.cost import ALL_OF_SPACE, slowdown
from search.training.timing import plan_of

TICK, TRIM_EVERY = 0.5, 30.0  # seconds


class Session:
    """One sitting of a search, from taking the lock to releasing it; ``now`` is the clock of its hours, in seconds."""

    now = staticmethod(time.monotonic)

    def __init__(
        self,
        setup: Setup,
        screen: Screen,
        clock: Clock,
        executors: Executors = EXECUTORS,
        holdout_trial: str = "",
    ) -> None:
        """Take the lock, and read the journal.

        ``executors`` are those to choose from. ``holdout_trial`` names a trial: the session then
        scores it on the hold-out and does nothing else. Raises UserError where another driver is at work, or the
        folder holds another search.
        """
        self.setup, self.screen, self.clock, self.executors = setup, screen, clock, executors
        self.holdout_trial = holdout_trial  # the session only scores this one on the hold-out
        self.exhausted = False  # the oracle had nothing new; it need not be asked again before a trial ends
        self.announcements: set[str] = set()  # that trials go on after their verdict; each is shown once
        self.trim_time = 0.0
        self.budget: Budget | None = None  # of a session that begins trials
        make_folder(setup.folder)
        check_journal_is_there(setup.folder, STUDY, RUNS)
        check_free(setup.folder)
        self.journal = Journal(setup.folder)
        self.history = self.journal.history
        self.max_trials = setup.study.max_trials
        try:
            self._begin()
        except BaseException:
            self.journal.close()
            raise

    def _begin(self) -> None:
        setup = self.setup
        remove_half_written(setup.folder)
        self.about = self._about()
        for trial in self.history.trials.values():
            if not trial.baseline and setup.recipe(trial.values) != trial.recipe:
                changes = fields_that_differ(trial.recipe.to_dict(), setup.recipe(trial.values).to_dict())
                raise UserError(
                    f"The space gives another recipe for trial {trial.id} than it did when the trial began: "
                    f"{'; '.join(changes)}. Undo the change, or begin another search with --name or --fresh."
                )
        study = setup.study
        self.oracle = retell(study.oracle, setup.hyperparameters, study.seed, self.history, study.lag)

    def _about(self) -> About:
        """Return what study.json says, written now if the search begins. Raises UserError for another search."""
        setup, file, about = self.setup, self.setup.file, read_about(self.setup.folder)
        if about is not None:  # another driver may have begun it while this one was reading the images
            check_same(setup.folder, about, setup.about.identity, file.text, setup.dataset, setup.pool, file.modules)
            if (about.weights, about.threads) != (setup.weights, setup.devices.threads):
                raise UserError(f"{setup.folder} was begun by another driver just now: run the same command again.")
            check_replayed(setup.folder, self.history, rules_of(about, self.history))
            (setup.folder / RUNS).mkdir(exist_ok=True)
        elif self.history.trials:
            raise UserError(f"{setup.folder / STUDY} is gone, but the journal is not. {WAYS_OUT}")
        else:
            about = setup.about
            begin_record(setup.folder, about, file.text, tables_of(setup.dataset, setup.pool, setup.plan), file.modules)
        return about

    def __enter__(self) -> Self:
        """Begin: write the session and its options into the journal."""
        options = self.setup.options
        self.journal.append(
            SessionEvent(
                at=round(time.time(), 3),
                max_trials=self.max_trials,
                racing=options.racing,
                tensorboard=options.tensorboard,
                baselines=self.setup.study.baselines,
                confirm=options.confirm,
                executor=options.executor,
                slots=self.setup.devices.slots,
                threads=self.setup.devices.threads,
                versions=versions(),
                holdout_trial=self.holdout_trial,
                files=self._new_digests(),
                gpus=dict(self.setup.devices.gpus),
                hours=options.hours,
            )
        )
        self.rules = rules_of(self.about, self.history)
        self.jobs = Jobs(self.setup, self.history, self.rules, self.clock, self._write)
        self.board = Board(self.setup.folder) if options.tensorboard else None
        self._update_board()  # what an earlier session could not write any more
        self._say_versions()
        return self

    def _new_digests(self) -> dict[str, str]:
        """Return the digests of the files that are written once, for the first session that can tell them."""
        known = any(session.files for session in self.history.sessions)
        modules = (f"{MODULES}/{name}" for name in self.setup.file.modules)
        return {} if known else digests_of(self.setup.folder, (*WRITTEN_ONCE, *modules))

    def _say_versions(self) -> None:
        first, now = (self.history.sessions[at] for at in (0, -1))
        if changes := changed_versions(first.versions, now.versions):
            self.screen.say(f"Versions changed since this search began, so last decimals may too: {changes}")
        if changes := changed_devices(first.gpus, now.gpus):
            self.screen.say(f"Devices changed since this search began, so last decimals may too: {changes}")

    def __exit__(self, *_error: object) -> None:
        """Write into the journal where the time went, and release the lock."""
        with contextlib.suppress(UserError):  # what ends the session matters more than how long it took
            self.journal.append(ProfileEvent(self.clock.lap(), rounded(self.jobs.unattributed)))
        self.journal.close()
        tell_known(self.oracle, self.history, lag=1)  # people may look at it

    def _write(self, event: Event) -> None:
        with self.clock.stage("write"):
            self.journal.append(event)

    def run(self) -> None:
        """Run jobs and give verdicts until nothing is left to do."""
        sample, trials_left = self.setup.sample(), self.setup.trials_left(self.history)
        self._say_cost(sample, trials_left)
        budget = self.budget = self._new_budget(sample, trials_left)
        with self.executor() as executor, self.screen as screen, Epochs(self.setup.folder) as epochs:
            screen.begin(self.max_trials, varied(sample), budget.seconds_left)
            screen.show(self.history, self.rules, [])
            more = self._advance(executor)
            while more:
                with self.clock.stage("show"):
                    screen.show(self.history, self.rules, epochs.jobs(executor, self.jobs.running.values()))
                with self.clock.stage("wait"):
                    ending = executor.wait(TICK)
                check_signals()
                self.journal.check_untouched()
                if ending is not None:
                    self._take(ending)
                    more = self._advance(executor)
                if more:  # what has ended counts, and may be the last
                    budget.check()
                self._trim_cache()
            screen.show(self.history, self.rules, [])
        self._update_board()
        self._write(EndEvent(budget.reason if budget.left_out else self._reason(), budget.left_out))

    def _new_budget(self, sample: list[AnyRecipe], trials_left: int) -> Budget:
        """Return what tells whether a trial still ends in time, and what time is left."""
        setup, hours = self.setup, self.setup.options.hours
        plan = plan_of(
            setup.materials, setup.devices.slots, self.rules, sample, setup.baselines, oracle=setup.study.oracle
        )
        slower = slowdown(setup.devices.slots) if hours or not self.history.trials else 1.0
        trials = trials_left + self.history.spent_and_ended
        return Budget(plan, self.history, trials, self.now, hours, slower, self.clock.seconds)

    def _update_board(self) -> None:
        if self.board is not None:
            with self.clock.stage("write"):
                self.board.update(Record(self.setup.folder, self.about, self.history, self.rules))

    def _say_cost(self, sample: list[AnyRecipe], left: int) -> None:
        if left:
            self._say_lag(left)
            cost = self.setup.estimate(sample, left, self.history)
            of = f"{left} trial{'s' * (left != 1)} of {len(self.rules.folds)} runs"
            of += f", {ALL_OF_SPACE}" * (left < self.max_trials - self.history.spent_and_ended)
            self.screen.say(
                f"Estimated cost{' of what is left' * bool(self.history.trials)}: {duration(cost.low)} to "
                f"{duration(cost.high)} for {of} (rough; racing {'on' if self.rules.racing else 'off'})"
            )
        if hours := self.setup.options.hours:
            self.screen.say(f"Hours: {hours:g}; a trial that would probably not end within them is not begun")
        self.screen.say(f"Results: {self.setup.folder}")
        if self.board is not None:
            self.screen.say(f"TensorBoard: {board_command(self.board.folder)}")

    def _say_lag(self, trials: int) -> None:
        """Propose, for a search of so many trials that begins, the lag that fits the machine."""
        slots, lag = self.setup.devices.slots, self.rules.lag
        if not self.history.trials and (fitting := min(slots, trials)) > lag:
            others = "verdict of the one" if fitting == 2 else f"verdicts of the {fitting - 1}"
            self.screen.say(
                f"Workers: {slots}. Trials open at a time: {lag}; --lag {fitting} would keep more workers busy, and "
                f"propose each trial without the {others} before it. A search keeps its lag."
            )

    def score_on_holdout(self, executor: Executor) -> None:
        """Score one trial on the hold-out, and nothing else."""
        with executor:
            while self._advance(executor):
                if ending := executor.wait(TICK):
                    self._take(ending)
        if not self.history.holdout_score(self.holdout_trial):
            _, failure = self.history.holdout_failures[-1]
            raise UserError(f"The hold-out could not be scored with {self.holdout_trial}: {failure.error}.")

    def executor(self) -> Executor:
        """Return the executor that the options name."""
        setup, log = self.setup, self.setup.folder.resolve() / "workers.log"
        options = ExecutorOptions(setup.devices.slots, log, self.screen.say, setup.options.executor_settings)
        return self.executors[setup.options.executor].make(setup.materials, options)

    def _advance(self, executor: Executor) -> bool:
        """Decide as far as the results at hand allow, then begin the jobs that are needed now.

        Returns False where nothing is left to do. Results are taken in the order of trials and of their
        jobs, so the decisions do not depend on how many jobs run at a time.
        """
        while (next_ := self._next_step()) is not None:
            trial, step = next_
            if isinstance(step, Verdict):
                self._conclude(trial, step, executor)
            elif step.name in self.jobs.waiting:
                self._write(self.jobs.waiting.pop(step.name))
            else:
                self._announce(step, trial)
                self.jobs.begin(step, executor)
                return True
        return False

    def _next_step(self) -> tuple[Trial, Job | Verdict] | None:
        """Return the next step of the first open trial; where none is open or new, of what is left at the end."""
        with self.clock.stage("decide"):
            if self.holdout_trial:
                trial = self.history.trials[self.holdout_trial]
                return (trial, job) if (job := next_holdout_job(self.history, trial, self.rules)) else None
            while len(open_trials := self.history.open_trials()) < self.rules.lag and self._propose():
                pass
            if open_trials:
                return open_trials[0], next_step(self.history, open_trials[0], self.rules)
            return next_afterwards(self.history, self.rules)

    def _announce(self, job: Job, trial: Trial) -> None:
        """Say, once, that a trial goes on although it has its verdict: people would not expect that."""
        if trial.verdict is None:
            return
        what = "is trained again on reshuffled folds"
        if job.kind is JobKind.HOLDOUT:
            what = "is scored on the hold-out"
        elif trial.status is Status.STOPPED:
            what = "is finished: it could have won, so correcting the best score needs its runs"
        if (line := f"{trial.id} {what}") not in self.announcements:
            self.announcements.add(line)
            self.screen.show(self.history, self.rules, self.jobs.running.values())  # what came before comes first
            self.screen.say(line)

    def _propose(self) -> bool:
        """Add a trial, baselines first; return False where the budget or the time is spent, or the space exhausted."""
        if not self.history.proposed:
            for number, (name, recipe) in enumerate(self.setup.baselines.items()):
                if f"b{number}" not in self.history.trials:
                    return self._begin_trial(TrialEvent(f"b{number}", {}, recipe, name))
        is_over = self.budget is not None and self.budget.is_spent
        if self.history.spent >= self.max_trials or self.exhausted or is_over:
            return False
        trial_id = f"{len(self.history.proposed):04d}"
        with self.clock.stage("ask"):
            tell_known(self.oracle, self.history, self.rules.lag)
            values = ask(self.oracle, trial_id)
        if values is None:
            self.exhausted = True
            return False
        return self._begin_trial(TrialEvent(trial_id, values, self.setup.recipe(values)))

    def _begin_trial(self, event: TrialEvent) -> bool:
        """Begin a trial; return False where it would not end in time, and is left out."""
        if self.budget is not None and not self.budget.admits(event.recipe):
            return False
        self._write(event)
        return True

    def _conclude(self, trial: Trial, verdict: Verdict, executor: Executor) -> None:
        """End a trial, and all that was begun for it."""
        self._write(VerdictEvent(trial.id, verdict))
        self._update_board()
        self.exhausted = False
        self.jobs.end(trial.id, executor)

    def _take(self, ending: Ending) -> None:
        if self.budget is not None:
            self.budget.note(ending.job, ending.stages)
        event = self.jobs.take(ending)
        if isinstance(event, FailureEvent) and event.kind is JobKind.HOLDOUT:
            self.screen.say(f"The hold-out could not be scored with {event.trial}: {event.failure.error}")
        reason = event.inexact if isinstance(event, JobEvent) else ""
        if reason and reason not in self.announcements:
            self.announcements.add(reason)
            self.screen.say(f"Runs repeat only nearly, if trained again, on this device: {reason}")

    def _trim_cache(self) -> None:
        """Keep the cache within its bound, from time to time."""
        if time.monotonic() - self.trim_time > TRIM_EVERY:
            self.trim_time = time.monotonic()
            with self.clock.stage("trim"):
                trim(self.setup.materials.cache, self.setup.options.cache_bytes)

    def _reason(self) -> str:
        if self.history.spent >= self.max_trials:
            return f"all {self.max_trials} trials are done" if self.max_trials > 1 else "the only trial is done"
        points = len(self.history.proposed)  # those too whose recipe an earlier trial had
        tried = f"its {points} points have all been tried" if points > 1 else "its only point has been tried"
        return f"the space is exhausted: {tried}"
