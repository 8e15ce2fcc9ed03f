"""What the terminal shows while a search runs, and at its end.

A live view where there is a terminal, plain lines where there is none. Both only read the
history.
"""

import math
import time
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table
from rich.text import Text

from search.analysis.ledger import (
    at_size,
    in_order,
    interval,
    marks,
    on_holdout,
    range_of_marks,
    status,
)
from search.journal import CONFIRM, History, Trial
from search.racing import Job, Rules, ranked, score
from search.record import Record
from search.report.cautions import warnings
from search.report.document import Document
from search.system.clock import duration

SHOWN = 10
BEFORE = "Resuming after"
EVENTS_SHOWN = 5
WIDTH_OF_FILES = 140
ROOM_FOR_SIZES = 64
MANY_ENOUGH_TO_SHARE = 3
STYLES = {"completed": "", "stopped": "dim", "failed": "red", "duplicate": "dim", "open": "cyan"}


class Screen(Protocol):
    """What the search tells people."""

    def say(self, text: str) -> None:
        """Show a lasting line."""
        ...

    def progress(self, what: str, done: int, of: int) -> None:
        """Show how far something is."""
        ...

    def show(self, history: History, rules: Rules, running: Iterable[Job]) -> None:
        """Show the state of the search."""
        ...

    def begin(self, max_trials: int) -> None:
        """Learn how many trials there will be: the search itself begins."""
        ...

    def __enter__(self) -> Self:
        """Take the terminal."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Give it back."""
        ...


class Clock:
    """Time left, from the trials that this session has finished; ``idle`` where nobody is at work."""

    def __init__(self) -> None:
        """Begin to count."""
        self._began = time.monotonic()
        self._ended_before: int | None = None
        self.max_trials = 0
        self.idle = False

    def count_from(self, at: float, ended: int) -> None:
        """Count from a moment (seconds since 1970) at which so many trials had ended."""
        self._began, self._ended_before = time.monotonic() - max(0.0, time.time() - at), ended

    def count_anew(self) -> None:
        """Count from the next look on."""
        self._ended_before = None

    def left(self, history: History) -> str:
        """Return "about 3 min left", or "" while no trial of this session has ended."""
        ended = history.concluded
        if self._ended_before is None or not history.proposed:  # baselines tell nothing of the others' time
            self._ended_before = ended
            self._began = time.monotonic()
        done = ended - self._ended_before
        to_do = self.max_trials - (history.spent - len(history.open_trials()))
        if done < 1 or to_do < 1 or self.idle:
            return ""
        return f"about {duration((time.monotonic() - self._began) / done * to_do)} left"


class Lines:
    """Plain lines, for logs and pipes: one for each trial that begins or ends."""

    def __init__(self, console: Console, before: str = BEFORE) -> None:
        """Print to ``console``; ``before`` begins the line that tells what was there before the first ``show``."""
        self._console, self._before = console, before
        self.clock = Clock()
        self._begun: set[str] = set()
        self._ended: set[tuple[str, str]] = set()  # with the verdict, as stopped trials may be finished later
        self._tenth = ("", -1)
        self._old: bool = True

    def say(self, text: str) -> None:
        """Print the text."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, of: int) -> None:
        """Print every tenth of what is long."""
        tenth = (what, 10 * done // of)
        if of >= 1000 and done * 10 >= of and tenth != self._tenth:
            self._tenth = tenth
            self.say(f"{what}: {done} of {of}")

    def begin(self, max_trials: int) -> None:
        """Remember how many trials there will be."""
        self.clock.max_trials = max_trials

    def show(self, history: History, rules: Rules, running: Iterable[Job]) -> None:  # noqa: ARG002 a line tells less
        """Print what is new since the last call."""
        left = self.clock.left(history)
        if self._old:  # what an earlier session did is no news
            self._old = False
            self._begun = set(history.trials)
            self._ended = {(trial.id, status(trial)) for trial in history.trials.values() if trial.verdict}
            if self._begun:
                self.say(f"{self._before} {_trials(len(self._ended))} and {runs_done(history)} runs.")
        for trial in history.trials.values():
            if trial.id not in self._begun:
                self._begun.add(trial.id)
                self.say(f"{trial.id} begins: {trial.recipe.summary()}")
            if trial.verdict and (trial.id, status(trial)) not in self._ended:
                self._ended.add((trial.id, status(trial)))
                self.say(f"{trial.id} {trial.verdict.status}: {trial.verdict.reason}" + (f"; {left}" if left else ""))

    def __enter__(self) -> Self:
        """Nothing to take."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Nothing to give back."""


class LiveView:
    """A live view: progress with time left, leaderboard, the last events."""

    def __init__(self, console: Console, before: str = BEFORE) -> None:
        """Draw on ``console``, which must be a terminal; ``before`` is as for Lines."""
        self._console, self._before = console, before
        self.clock = Clock()
        self._trials = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            *([BarColumn()] if console.width >= ROOM_FOR_SIZES else []),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=5)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            expand=True,
        )
        self._preparation = self._trials.add_task("", total=1, visible=False, note="")
        self._preparing, self._began, self._first = "", 0.0, 0
        self._search = self._trials.add_task("Trials", total=1, visible=False, note="")
        self._runs = self._trials.add_task("Runs of these trials", total=1, visible=False, note="")
        self._events: deque[str] = deque(maxlen=EVENTS_SHOWN)
        self._known: set[tuple[str, str]] | None = None
        self._live = Live(self._trials, console=console, refresh_per_second=8)

    def say(self, text: str) -> None:
        """Print the text above the live part."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, of: int) -> None:
        """Move the bar of what is being done; it goes when all is done."""
        if what != self._preparing:
            self._preparing, self._began, self._first = what, time.monotonic(), done
        here = done - self._first  # what an earlier session did says nothing of this one's pace
        left = (time.monotonic() - self._began) / max(here, 1) * (of - done)
        note = f"about {duration(left)} left" if here * 10 > of - self._first else ""
        self._trials.update(self._preparation, description=what, completed=done, total=of, visible=done < of, note=note)

    def begin(self, max_trials: int) -> None:
        """Show the bars of the search."""
        self.clock.max_trials = max_trials
        self._trials.update(self._search, total=max_trials, visible=True)

    def show(self, history: History, rules: Rules, running: Iterable[Job]) -> None:
        """Draw the state of the search."""
        jobs = list(running)
        ended = [trial for trial in history.proposed if trial.verdict and status(trial) != "duplicate"]
        self._trials.update(self._search, completed=len(ended), note=self.clock.left(history))
        open_trials = [history.trials[trial] for trial in {job.trial for job in jobs}]
        planned = len(open_trials) * len(rules.folds)
        again = {job.trial for job in jobs if job.folds and job.folds[0].startswith(CONFIRM)}
        done = sum(len(trial.confirmed if trial.id in again else trial.runs) for trial in open_trials)
        self._trials.update(self._runs, completed=done, total=planned or 1, visible=bool(jobs), note=_in_words(jobs))
        self._note_events(history)
        events = Text("\n".join(self._events), style="dim")
        self._live.update(Group(self._trials, leaderboard(history, rules, SHOWN, self._console.width), events))

    def _note_events(self, history: History) -> None:
        now = set(history.order)
        if self._known is None:
            self._known = now
            if now:
                self.say(f"{self._before} {_trials(len(history.trials))} and {runs_done(history)} runs.")
        for kind, trial_id in history.order:
            if (kind, trial_id) not in self._known:
                trial = history.trials[trial_id]
                verdict = trial.verdict
                what = f"{verdict.status}: {verdict.reason}" if kind != "trial" and verdict else "begins"
                self._events.append(f"{time.strftime('%H:%M:%S')}  {trial_id} {what}")
        self._known = now

    def __enter__(self) -> Self:
        """Start drawing, perhaps not for the first time."""
        self._live.update(self._trials)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave the last picture if the search was interrupted; the final table follows otherwise."""
        if kind is None:
            self._live.update(Text(""))
        self._live.stop()


def wide_console(*, stderr: bool = False) -> Console:
    """Return the console of standard output (or error), wide where nobody's terminal limits it."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH_OF_FILES)


def screen(console: Console, before: str = BEFORE) -> LiveView | Lines:
    """Return the view that suits the console; ``before`` is as for Lines."""
    return LiveView(console, before) if console.is_terminal else Lines(console, before)


def _trials(number: int) -> str:
    return f"{number} trial{'s' * (number != 1)}"


def runs_done(history: History) -> int:
    """Return the number of runs that were trained."""
    return sum(len(trial.runs) for trial in history.trials.values())


def _in_words(jobs: list[Job]) -> str:
    return ", ".join(
        f"{job.trial} {job.folds[0] if len(job.folds) == 1 else f'{len(job.folds)} folds'}" for job in jobs
    )


def leaderboard(history: History, rules: Rules, shown: int, width: int) -> Table:
    """Return the best trials as a table, those under way included; stopped ones without a score."""
    low, high = range_of_marks(history.trials.values(), rules)
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    sizes = list(reversed(rules.fractions)) if width >= ROOM_FOR_SIZES else []  # a number must not be cut short
    widths = {"#": 3, "trial": 5, "score": 9, "±": 5} | {"acc" if q == 1 else f"@{q:g}": 5 for q in sizes}
    for name, at_least in widths.items():
        table.add_column(name, justify="right", no_wrap=True, min_width=at_least)
    scale = f" {low:.2f}–{high:.2f}" if width >= ROOM_FOR_SIZES else ""
    table.add_column(f"folds{scale}", no_wrap=True, min_width=len(rules.folds) + len(rules.fractions) - 1)
    recipes, shared = _told_apart(history.trials.values())
    table.add_column(f"recipe ({shared})" if shared else "recipe", overflow="ellipsis", no_wrap=True, ratio=1)
    ordered = in_order(history.trials.values())
    # Trials under way are always worth a row.
    under_way = [trial for trial in ordered if status(trial) == "open"]
    rest = [trial for trial in ordered if status(trial) not in ("open", "duplicate")]
    places = {trial.id: str(place) for place, trial in enumerate(ranked(ordered), start=1)}
    for trial in rest[: max(1, shown - len(under_way))] + under_way:
        table.add_row(
            places.get(trial.id, ""),
            trial.id,
            *_score_cells(trial, rules, sizes),
            marks(trial, rules, low, high),
            escape(recipes[trial.id]),
            style=STYLES[status(trial)],
        )
    return table


def _told_apart(trials: Iterable[Trial]) -> tuple[dict[str, str], str]:
    """Return what sets each recipe apart, and what all of them share."""
    parts = {trial.id: trial.recipe.summary().split(", ") for trial in trials}
    shared = [part for part in next(iter(parts.values()), []) if all(part in those for those in parts.values())]
    if len(parts) < MANY_ENOUGH_TO_SHARE:
        shared = []
    apart = {name: ", ".join(part for part in those if part not in shared) for name, those in parts.items()}
    return apart, ", ".join(shared)


def _score_cells(trial: Trial, rules: Rules, sizes: list[float]) -> list[str]:
    accuracies = [at_size(trial, rules, q, "accuracy") for q in sizes]
    at_sizes = ["" if math.isnan(accuracy) else f"{accuracy:.3f}" for accuracy in accuracies]
    if status(trial) != "completed":
        return [status(trial) if status(trial) != "open" else "running", "", *at_sizes]
    limits = interval(trial, rules)
    return [f"{score(trial):.3f}", f"{limits.high - limits.mean:.3f}" if limits.known else "none", *at_sizes]


def summary(record: Record, console: Console, shown: int = SHOWN) -> None:
    """Print the end of a search: the best trials with their intervals, the winner's recipe, the ledger."""
    best = ranked(record.history.trials.values())
    counts = {name: len(record.history.with_status(name)) for name in ("completed", "stopped", "failed", "duplicate")}
    listed = ", ".join(f"{number} {name}" for name, number in counts.items() if number or name == "completed")
    console.print()
    console.print(leaderboard(record.history, record.rules, shown, console.width))
    console.print(
        f"\n{record.rules.objective}, mean over training sizes of the mean over folds; {_of_intervals(record.rules)}",
        style="dim",
        highlight=False,
    )
    ended = f" Ended: {record.history.ended}." if record.history.ended else ""
    console.print(f"Trials: {listed}. Runs trained: {runs_done(record.history)}.{ended}", highlight=False)
    for warning in warnings(record):
        console.print(warning, style="bold yellow", highlight=False, markup=False)
    if not best:
        console.print("No trial was completed, so there is no winner.", style="bold red")
        return
    if not record.history.ended:
        console.print(
            f"This search is not finished: {len(best)} trials are complete. The same command goes on with it.",
            style="bold yellow",
            highlight=False,
        )
    console.print(f"{'Winner' if record.history.ended else 'Best so far'}: trial {best[0].id}", style="bold")
    if said := on_holdout(record):
        console.print(f"Hold-out: {said}", highlight=False, markup=False)
    for name, value in best[0].recipe.to_dict().items():
        words = str(value) if name == "synthetic_per_class" else _plain(value)  # here a ratio is told by its point
        console.print(f"  {name} = {words}", highlight=False, markup=False)


def closing(document: Document, console: Console) -> None:
    """Print the answer in sentences, and the line that retrains the recommended recipe."""
    console.print()
    for sentence in document.answer:
        console.print(sentence, highlight=False, markup=False)
    if document.command:
        console.print(f"Take it away: {document.command}", highlight=False, markup=False, soft_wrap=True)


def _of_intervals(rules: Rules) -> str:
    if len(rules.splits) < 2:
        return "there is no interval, as one split says nothing of how much splits differ: use more folds."
    return (
        "± is half the corrected 95 % interval (Nadeau & Bengio) of one trial, not yet corrected for having picked the "
        "best."
    )


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(
            f"{part:g}" if isinstance(part, float) else str(part) for part in value.values() if part is not None
        )
    return f"{value:.4g}" if isinstance(value, float) else str(value)
