"""What people see of a search while it runs: a live picture where there is a terminal, plain lines where there is none.

Both read the history and change nothing.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from search.journal.history import History
from search.journal.outcomes import JobKind, Status
from search.monitor.console import ROOM_FOR_SIZES, ROWS, WIDTH_OF_FILES, leaderboard, runs_done
from search.racing import Job, Rules
from search.repertoire.columns import varied
from search.report.words import amount
from search.system.clock import duration
from search.system.signals import check_signals

RESUMPTION = "Resuming after"
LINES_OF_RECIPE = 3  # on a narrow terminal
LINES_AROUND = 5  # the bars, and the head of the table
EVENTS = 5  # of which the live screen has a line each, the last ones
FEWEST_FOR_LINES = 1000  # steps, from which on plain lines say how far a thing is
HALF_A_TRIAL = 0.5
Left = Callable[[], float | None]  # the seconds that a search still takes
SILENT = 60.0  # seconds without a line, after which plain lines say how far the running jobs are


class Screen(Protocol):
    """What shows people a search and the work that comes before it; a context in which it holds the terminal."""

    def say(self, text: str) -> None:
        """Show a lasting line."""
        ...

    def progress(self, what: str, count: int, total: int) -> None:
        """Show that ``count`` of ``total`` steps of some work are done; ``what`` names the work."""
        ...

    def show(self, history: History, rules: Rules, running: Iterable[Job]) -> None:
        """Show the state of the search."""
        ...

    def begin(self, max_trials: int, fields: Collection[str] = (), left: Left | None = None) -> None:
        """Learn how many trials there will be, and which fields vary in the space: the search itself begins.

        ``left`` tells the seconds that it still takes, or None while nothing is known of them.
        """
        ...

    def __enter__(self) -> Self:
        """Take the terminal."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Give it back."""
        ...


class TimeLeft:
    """The time that a search still takes, from the trials and runs that its session has finished.

    ``idle`` says that nobody is at work on it: then nothing can be said.
    """

    def __init__(self) -> None:
        """Begin to count."""
        self._start = time.monotonic()
        self._first_count: float | None = None
        self.max_trials = 0
        self.idle = False
        self.reckoned: Left | None = None  # by the driver, which knows the space

    def count_from(self, at: float, trials: int) -> None:
        """Count from a moment (seconds since 1970) at which so many trials had ended."""
        self._start, self._first_count = time.monotonic() - max(0.0, time.time() - at), trials

    def count_anew(self) -> None:
        """Count from the next call of ``in_words``."""
        self._first_count = None

    def in_words(self, history: History, rules: Rules) -> str:
        """Return "about 3 min left", or "" while this session has not done half a trial; each run mends it.

        What the driver has reckoned comes first.
        """
        if self.reckoned is not None:
            seconds = self.reckoned()
            return f"about {duration(seconds)} left" if seconds else ""
        under_way = sum(len(trial.runs) for trial in history.open_trials() if not trial.baseline) / len(rules.folds)
        total = history.concluded + under_way
        if self._first_count is None or not history.proposed:  # baselines say nothing of how long the others take
            self._first_count = total
            self._start = time.monotonic()
        new = total - self._first_count
        to_do = self.max_trials - (history.spent - len(history.open_trials())) - under_way
        if new < HALF_A_TRIAL or to_do <= 0 or self.idle:
            return ""
        return f"about {duration((time.monotonic() - self._start) / new * to_do)} left"


class Pace:
    """The time that a piece of work still takes, from the steps that this process has seen of it."""

    def __init__(self) -> None:
        """Begin with no work."""
        self._work, self._start, self._first_done = "", 0.0, 0

    def in_words(self, what: str, count: int, total: int) -> str:
        """Return "about 3 min left" once a tenth of the work ``what`` is done, or ""."""
        if what != self._work:
            self._work, self._start, self._first_done = what, time.monotonic(), count
        here = count - self._first_done  # what an earlier session did says nothing of this one's pace
        if here * 10 <= total - self._first_done or count >= total:
            return ""
        return f"about {duration((time.monotonic() - self._start) / here * (total - count))} left"


class Lines:
    """Plain lines, for logs and pipes: one for each trial that begins or ends."""

    def __init__(self, console: Console, opening: str = RESUMPTION) -> None:
        """Print to ``console``; ``opening`` begins the line that counts the trials of earlier sessions."""
        self._console, self._opening = console, opening
        self.time_left = TimeLeft()
        self._fields: frozenset[str] = frozenset()  # that vary in the space
        self._trials: set[str] = set()
        self._verdicts: set[tuple[str, str]] = set()  # with the verdict, as stopped trials may be finished later
        self._pace = Pace()
        self._tenth = ("", -1)
        self._first = True
        self._last_line = time.monotonic()

    def say(self, text: str) -> None:
        """Print the text."""
        self._last_line = time.monotonic()
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def progress(self, what: str, count: int, total: int) -> None:
        """Print a line at every tenth of long work, and of any work after a minute without a line."""
        check_signals()
        left = self._pace.in_words(what, count, total)
        tenth = (what, 10 * count // total)
        is_long = total >= FEWEST_FOR_LINES or time.monotonic() - self._last_line > SILENT
        if is_long and count * 10 >= total and tenth != self._tenth:
            self._tenth = tenth
            self.say(f"{what}: {count} of {total}" + (f", {left}" if left else ""))

    def begin(self, max_trials: int, fields: Collection[str] = (), left: Left | None = None) -> None:
        """Remember how many trials there will be, and which fields of their recipes the first ones need to name."""
        self.time_left.max_trials, self._fields, self.time_left.reckoned = max_trials, frozenset(fields), left

    def show(self, history: History, rules: Rules, running: Iterable[Job]) -> None:
        """Print what is new since the last call; after a minute without a line, how far the running jobs are."""
        time_left = self.time_left.in_words(history, rules)
        if self._first:  # what an earlier session did is no news
            self._first = False
            self._trials = set(history.trials)
            self._verdicts = {(trial.id, trial.status) for trial in history.trials.values() if trial.verdict}
            if self._trials:
                self.say(f"{self._opening} {_count(len(self._verdicts))} and {amount(runs_done(history), 'run')}.")
        new = history.trials.keys() - self._trials
        fields = self._fields | varied(trial.recipe for trial in history.trials.values()) if new else self._fields
        for trial in history.trials.values():
            if trial.id in new:
                self._trials.add(trial.id)
                self.say(f"{trial.id} begins: {trial.recipe.summary(fields)}")
            if trial.verdict and (trial.id, trial.status) not in self._verdicts:
                self._verdicts.add((trial.id, trial.status))
                self.say(
                    f"{trial.id} {trial.verdict.status}: {trial.verdict.reason}"
                    + (f"; {time_left}" if time_left else "")
                )
        if time.monotonic() - self._last_line > SILENT and (jobs := _in_words(list(running))):
            self.say(f"Running: {jobs}" + (f"; {time_left}" if time_left else ""))

    def __enter__(self) -> Self:
        """Give itself: lines need no terminal of their own."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave everything as it is."""


class LiveScreen:
    """A live picture: progress with the time left, the leaderboard, the last events."""

    def __init__(self, console: Console, opening: str = RESUMPTION) -> None:
        """Draw on ``console``, which must be a terminal; ``opening`` is as for Lines."""
        self._console, self._opening = console, opening
        self.time_left = TimeLeft()
        self._bars = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            *([BarColumn()] if console.width >= ROOM_FOR_SIZES else []),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=5)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            expand=True,
        )
        self._preparation = self._bars.add_task("", total=1, visible=False, note="")
        self._pace = Pace()  # of the preparation that the bar is about
        self._trials = self._bars.add_task("Trials", total=1, visible=False, note="")
        self._runs = self._bars.add_task("Runs of these trials", total=1, visible=False, note="")
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._old_events: set[tuple[str, str]] | None = None
        self._live = Live(self._bars, console=console, refresh_per_second=8)

    def say(self, text: str) -> None:
        """Print the text above the live part."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def progress(self, what: str, count: int, total: int) -> None:
        """Move the bar of the work; it goes when all is done."""
        check_signals()
        note = self._pace.in_words(what, count, total)
        self._bars.update(
            self._preparation, description=what, completed=count, total=total, visible=count < total, note=note
        )

    def begin(
        self,
        max_trials: int,
        fields: Collection[str] = (),  # noqa: ARG002 the leaderboard names them
        left: Left | None = None,
    ) -> None:
        """Show the bars of the search."""
        self.time_left.max_trials, self.time_left.reckoned = max_trials, left
        self._bars.update(self._trials, total=max_trials, visible=True)

    def show(self, history: History, rules: Rules, running: Iterable[Job]) -> None:
        """Draw the state of the search."""
        jobs = list(running)
        judged_trials = [trial for trial in history.proposed if trial.verdict and trial.status is not Status.DUPLICATE]
        self._bars.update(self._trials, completed=len(judged_trials), note=self.time_left.in_words(history, rules))
        open_trials = [history.trials[trial] for trial in {job.trial for job in jobs}]
        total = len(open_trials) * len(rules.folds)
        again = {job.trial for job in jobs if job.kind is JobKind.CONFIRM}
        count = sum(len(trial.confirmations if trial.id in again else trial.runs) for trial in open_trials)
        self._bars.update(self._runs, completed=count, total=total or 1, visible=bool(jobs), note=_in_words(jobs))
        self._note_events(history)
        events = Text("\n".join(self._events), style="dim")
        self._live.update(Group(self._bars, leaderboard(history, rules, self._rows(), self._console.width), events))

    def _rows(self) -> int:
        """Return how many trials find room: on a narrow terminal a recipe needs some lines."""
        lines = 1 if self._console.width >= WIDTH_OF_FILES else LINES_OF_RECIPE
        return max(2, min(ROWS, (self._console.height - EVENTS - LINES_AROUND) // lines))

    def _note_events(self, history: History) -> None:
        events = set(history.order)
        if self._old_events is None:
            self._old_events = events
            if events:
                self.say(f"{self._opening} {_count(len(history.trials))} and {amount(runs_done(history), 'run')}.")
        for kind, trial_id in history.order:
            if (kind, trial_id) not in self._old_events:
                verdict = history.trials[trial_id].verdict
                what = f"{verdict.status}: {verdict.reason}" if kind != "trial" and verdict else "begins"
                self._events.append(f"{time.strftime('%H:%M:%S')}  {trial_id} {what}")
        self._old_events = events

    def __enter__(self) -> Self:
        """Start drawing, perhaps not for the first time."""
        self._live.update(self._bars)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave the last picture if the search was interrupted; the final table follows otherwise."""
        if kind is None:
            self._live.update(Text(""))
        self._live.stop()


def open_screen(console: Console, opening: str = RESUMPTION) -> LiveScreen | Lines:
    """Return the screen that suits the console; ``opening`` is as for Lines."""
    is_live = console.is_terminal and not console.is_dumb_terminal  # a dumb one cannot move its cursor
    return LiveScreen(console, opening) if is_live else Lines(console, opening)


def _count(number: int) -> str:
    return f"{number} trial{'s' * (number != 1)}"


def _in_words(jobs: list[Job]) -> str:
    return ", ".join(
        f"{job.trial} {job.folds[0] if len(job.folds) == 1 else f'{len(job.folds)} folds'}"
        + (f" epoch {job.epoch}/{job.recipe.epochs}" if job.epoch else "")
        for job in jobs
    )
