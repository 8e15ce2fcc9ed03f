"""Follow a search from another terminal: its journal is read as it grows, and nothing is locked or written."""

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from search.integrity.replayed import check_replayed
from search.journal.events import (
    AttemptEvent,
    EarlyJobEvent,
    Event,
    FailureEvent,
    HoldoutEvent,
    JobEvent,
    SessionEvent,
    VerdictEvent,
    event_of,
)
from search.journal.history import History
from search.journal.journal import FILE, events_in, replay
from search.journal.outcomes import HOLDOUT_JOB, Failure
from search.monitor.console import closing, summary
from search.monitor.epochs import read_epochs, with_epochs
from search.monitor.screen import Lines, LiveScreen, open_screen
from search.racing import Job, Rules
from search.record import About, Record, names_of_searches, read_about, rules_of
from search.report.write import PAGE, REPORT, document_of
from search.system.chain import Chain
from search.system.commands import command_of
from search.system.errors import UserError
from search.system.files import is_held

TICK = 0.5  # seconds
REFRESH = 2.0  # seconds between two pictures where nothing happens but time


class Follower:
    """Another process's search, as far as its journal was read; ``running`` holds the jobs that have not ended.

    ``began`` is when the last session began (seconds since 1970; None where an older journal does
    not say), ``ended_before`` how many proposed trials had ended then.
    """

    def __init__(self, folder: Path, journal: int, about: About) -> None:
        """Begin with nothing read; ``journal`` is the open file, which this closes in the end."""
        self.path, self._journal = folder / FILE, journal
        self._bytes, self._lines = 0, 0  # of the journal, as far as it was read
        self._chain = Chain()
        self.history = History()
        self.record = Record(folder, about, self.history, rules_of(about, self.history))
        self.running: dict[tuple[str, int], Job] = {}
        self.began: float | None = None
        self.ended_before = 0

    @property
    def replaced(self) -> bool:
        """Whether the journal in this place is another one by now, or none, or was cut."""
        return os.fstat(self._journal).st_size < self._bytes or not _lies_at(self._journal, self.path)

    @property
    def at_work(self) -> bool | None:
        """Whether a driver is at work on the search; None where that cannot be known."""
        return is_held(self._journal)

    def catch_up(self) -> bool:
        """Take in the lines that were added; return whether there were any. Half a line waits for its end.

        Raises UserError for lines that cannot be understood.
        """
        data = os.pread(self._journal, max(0, os.fstat(self._journal).st_size - self._bytes), self._bytes)
        whole = data[: data.rfind(b"\n") + 1]
        touched = set()
        for number, line in enumerate(events_in(whole, self.path, self._lines + 1, self._chain), start=self._lines + 1):
            replay([line], self.history, number, self.path)
            if (event := event_of(line)) is not None:
                self._note(event)
                touched.add(getattr(event, "trial", ""))
        self._bytes += len(whole)
        self._lines += whole.count(b"\n")
        if whole:
            self.record = Record(self.path.parent, self.record.about, self.history, self._rules())
            trials = [trial for trial in self.history.trials.values() if trial.id in touched]
            check_replayed(self.path.parent, self.history, self.record.rules, trials)
        return bool(whole)

    def _rules(self) -> Rules:
        return rules_of(self.record.about, self.history)

    def _note(self, event: Event) -> None:
        """Keep what the history leaves out: the jobs that are running, and when the session began."""
        match event:
            case SessionEvent():
                self.running, self.began = {}, event.at
                self.ended_before = self.history.concluded
            case AttemptEvent(trial, number, folds) if trial in self.history.trials:
                self.running[trial, number] = Job(trial, number, self.history.trials[trial].recipe, folds, event.kind)
            case JobEvent(trial, number) | EarlyJobEvent(JobEvent(trial, number)):
                self.running.pop((trial, number), None)
            case FailureEvent(trial, Failure(number)):
                self.running.pop((trial, number), None)
            case HoldoutEvent(trial):
                self.running.pop((trial, HOLDOUT_JOB), None)
            case VerdictEvent(trial):  # jobs of a trial that was stopped never end
                self.running = {name: job for name, job in self.running.items() if name[0] != trial}

    def __enter__(self) -> Self:
        """Give itself; the journal is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close the journal."""
        os.close(self._journal)


def watch(folder: Path, console: Console) -> None:
    """Show the search in ``folder`` until it ends, then its summary and its answer; wait where there is none yet.

    Raises UserError for a folder that cannot be understood, KeyboardInterrupt when interrupted.
    """
    ended = False
    while not ended:
        with _wait_for(folder, console) as follower, open_screen(console, "So far:") as screen:
            ended = _follow(follower, screen)
            if not ended:
                screen.say(f"The search in {folder} was moved away or begun anew.")
    summary(follower.record, console)
    closing(document_of(follower.record), console)
    page = folder / REPORT / PAGE
    later = "" if page.exists() else f", as soon as it is written; or write it: {command_of(folder, 'report')}"
    console.print(f"Report: {page}{later}", highlight=False, markup=False, soft_wrap=True)


def _wait_for(folder: Path, console: Console) -> Follower:
    """Return the search in ``folder``, as soon as there is one."""
    waiting = False
    while (follower := _open(folder)) is None:
        if not waiting:
            known = names_of_searches(folder.parent)
            others = f" There are: {', '.join(known)}." if known else ""
            text = f"There is no search in {folder} yet; waiting for one to begin (Ctrl-C ends that).{others}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
            waiting = True
        time.sleep(TICK)
    return follower


def _open(folder: Path) -> Follower | None:
    try:
        journal = os.open(folder / FILE, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        # After the journal: where --fresh comes between the two, the journal turns out to be the old one.
        about = read_about(folder)
    except BaseException as error:
        with os.fdopen(journal):
            if not isinstance(error, UserError) or _lies_at(journal, folder / FILE):
                raise
            return None  # --fresh has just moved it aside, half of which was seen
    if about is None:
        os.close(journal)
        return None
    return Follower(folder, journal, about)


def _lies_at(journal: int, path: Path) -> bool:
    """Return whether the open journal is still the file at this path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(journal))
    except OSError:
        return False


def _follow(follower: Follower, screen: LiveScreen | Lines) -> bool:
    """Show the search until it ends, or until another takes its place, which gives False."""
    sessions, was_at_work, last_picture = 0, None, -REFRESH
    while not follower.replaced:
        at_work = follower.at_work  # first: what a driver wrote before it went is then read
        news = follower.catch_up() or at_work is not was_at_work
        history, rules = follower.history, follower.record.rules
        if len(history.sessions) > sessions:
            sessions = len(history.sessions)
            _begin(follower, screen)
        if news or time.monotonic() - last_picture > REFRESH:
            last_picture = time.monotonic()
            screen.time_left.idle = at_work is False
            jobs = with_epochs(follower.running.values(), read_epochs(follower.path.parent))
            screen.show(history, rules, jobs if at_work is not False else [])
        if history.end_reason and not at_work:  # one that is at work may be about to extend it
            return True
        if at_work is False and was_at_work is not False:
            screen.say("No driver is at work on this search now. The command that began it goes on with it.")
        elif at_work and was_at_work is False:
            screen.say("A driver is at work on it again.")
        was_at_work = at_work
        time.sleep(TICK)
    return False


def _begin(follower: Follower, screen: LiveScreen | Lines) -> None:
    """Have the screen count the time left as the driver does."""
    planned = follower.history.sessions[-1].max_trials
    screen.begin(len(follower.history.trials) if planned is None else planned)
    if isinstance(follower.began, int | float):
        screen.time_left.count_from(follower.began, follower.ended_before)
    else:
        screen.time_left.count_anew()
