"""A session of limited hours: what it leaves out is the same that another session goes on with."""

import re
from dataclasses import replace

import click
import pytest
from kit.scripted import Script, latest_first
from kit.shapes import write_shapes

from search import KFoldTuner, UserError
from search.cli.main import main
from search.journal.journal import read_events
from search.monitor.console import summary, wide_console
from search.monitor.screen import Lines
from search.record import read_record
from search.report.write import document_of
from search.session import Session
from search.system import clock as stopwatch
from search.system.signals import TimeUpError
from search.training.budget import SECONDS_TO_REPORT

SPACE = """
from search import Recipe, Study

study = Study(
    data="shapes", folds=2, train_fractions=(1.0,), holdout=2, max_trials=8, oracle="random", seed=3, baselines=False,
)

def space(hp):
    return Recipe("SmallCNN", None, learning_rate=hp.Float("learning_rate", 1e-5, 1e-2, sampling="log"), epochs=1)
"""
SECONDS = 6.0  # that each job takes, by the clock of these tests
MINUTE = 1 / 60  # in hours


class LateError(Exception):
    """The time was up. Pytest itself would end at a KeyboardInterrupt."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with images and a space, where we are."""
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "shapes", {"across": 14, "down": 14})
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "data").mkdir()
    return tmp_path


class Clock:
    """A clock that only jobs move, each as far; ``stuck`` names a trial whose jobs take an hour and do not end."""

    def __init__(self, stuck=""):
        self.seconds, self.stuck = 0.0, stuck

    def __call__(self):
        return self.seconds

    def choose(self, executor):
        """Let a job end, later."""
        if executor.waiting and executor.waiting[-1].trial == self.stuck:
            self.seconds += 3600
            return None
        self.seconds += SECONDS
        return self.timed(latest_first(executor))

    @staticmethod
    def timed(ending):
        """Return the ending of a job with what its worker took."""
        return replace(ending, stages={"train": SECONDS - 0.1, "rest": 0.1})


@pytest.fixture
def search(place, monkeypatch):
    """Search with a clock and options; return the events of the journal."""
    monkeypatch.setattr("search.session.slowdown", lambda _slots: 1.0)
    monkeypatch.setattr("search.training.timing.speed_of", lambda _slots: 1e10)
    monkeypatch.setattr(stopwatch.Clock, "seconds", 0.0)  # which the preparation took, by another clock than this

    def run(name, clock, **options):
        monkeypatch.setattr(Session, "now", clock)
        screen = Lines(wide_console())
        fixed = {"screen": screen, "executors": Script(clock.choose).executors, "offline": True, "slots": 1}
        tuner = KFoldTuner("space.py", name=name, **fixed, **options)
        try:
            tuner.search()
        except TimeUpError as error:
            raise LateError(str(error)) from None
        return list(read_events(place / "results" / name / "journal.jsonl"))

    return run


def of_trials(events, *, without_end=False):
    """Return the events that say what was tried and how it went."""
    kept = {"trial", "job", "verdict"} | (set() if without_end else {"holdout"})
    return [event for event in events if event["event"] in kept]


def test_what_does_not_fit_is_left_out_and_another_session_goes_on(place, search, capsys):
    whole = of_trials(search("whole", Clock()))
    limit = MINUTE  # a trial has two jobs, and one more comes at the end
    events = search("parts", clock := Clock(), hours=limit)
    assert clock.seconds <= 60 - SECONDS_TO_REPORT
    begun = [event["trial"] for event in events if event["event"] == "trial"]
    assert 2 <= len(begun) <= 3
    left_out = 8 - len(begun)
    (end,) = (event for event in events if event["event"] == "end")
    assert end["left_out"] == left_out
    first = f"{left_out} of 8 trials were not begun: the next would probably have taken "
    told = re.fullmatch(first + "(.+), and not ended within 1 min 00 s", end["reason"])
    assert told
    assert told[1] != "0 s"
    assert [event["hours"] for event in events if event["event"] == "session"] == [limit]
    assert any(event["event"] == "holdout" for event in events)  # what comes at the end was counted in
    record = read_record(place / "results" / "parts")
    summary(record, wide_console())
    document_of(record)
    printed = capsys.readouterr().out
    assert "Hours: 0.0166667; a trial that would probably not end within them is not begun" in printed
    assert f"{left_out} trials were not begun for want of time, so this is not the whole search" in printed
    assert "python -m search resume parts --hours 0.0166667" in printed

    sessions = 1
    while len([event for event in events if event["event"] == "trial"]) < 8:
        events = search("parts", Clock(), hours=limit)
        sessions += 1
        assert sessions < 10
    assert of_trials(events, without_end=True) == of_trials(whole, without_end=True)
    assert next(event["left_out"] for event in events if event.get("left_out")) == left_out
    assert events[-2] == {"event": "end", "reason": "all 8 trials are done"}
    assert read_record(place / "results" / "parts").history.left_out == 0


def test_with_time_enough_nothing_differs(search):
    limited, whole = search("limited", Clock(), hours=100), search("whole", Clock())
    assert of_trials(limited) == of_trials(whole)
    assert [event for event in limited if event["event"] == "end"] == [
        event for event in whole if event["event"] == "end"
    ]


def test_with_too_little_time_for_one_trial_it_begins_and_is_interrupted(search):
    with pytest.raises(LateError):
        search("short", Clock(), hours=1e-4)
    events = search("short", Clock())
    assert [event["event"] for event in events][:3] == ["session", "trial", "attempt"]
    assert of_trials(events) == of_trials(search("whole", Clock()))


def test_time_that_is_up_in_mid_trial_interrupts_and_the_search_goes_on(search):
    with pytest.raises(LateError, match=r"The time is up: --hours 0\.5 have passed"):
        search("late", Clock(stuck="0002"), hours=0.5)
    events = search("late", Clock())
    assert of_trials(events) == of_trials(search("whole", Clock()))


def test_a_job_that_ends_when_the_time_is_up_counts(place, search):
    with pytest.raises(LateError):
        search("late", Clock(), hours=SECONDS / 2 / 3600)
    events = list(read_events(place / "results" / "late" / "journal.jsonl"))
    assert [event["event"] for event in events if event["event"] in {"job", "early"}] == ["job"]


def test_the_command_line_ends_as_if_interrupted(monkeypatch, capsys):
    @click.command()
    def late():
        raise TimeUpError("The time is up: --hours 2 have passed")

    monkeypatch.setattr("sys.argv", ["search"])
    monkeypatch.setattr("search.cli.main.handle_signals", lambda: None)
    with pytest.raises(SystemExit) as ended:
        main(late)
    assert ended.value.code == 130
    assert (
        "The time is up: --hours 2 have passed. Nothing finished is lost: run the same command"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("hours", [0, -1, "2", float("nan"), True])
def test_hours_that_are_none_are_refused(place, hours):
    with pytest.raises(UserError, match=re.escape(f"hours={hours!r} must be a number, above 0")):
        KFoldTuner("space.py", hours=hours)
