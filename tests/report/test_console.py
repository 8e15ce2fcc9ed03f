"""The terminal: what people see while a search runs, and at its end."""

import io
import re

import pytest
from rich.console import Console
from searches import fill, hundreds

from search.analysis.ledger import interval
from search.monitor import console as terminal
from search.racing import Job, ranked, score
from search.system.clock import duration

pytestmark = pytest.mark.quick


def shown(draw, width):
    console = Console(record=True, width=width, file=io.StringIO())
    draw(console)
    return console.export_text()


def rows_of(text):
    return {cells[0]: line for line in text.splitlines() if (cells := re.findall(r"(?<![\d.])\d{4}(?!\d)", line))}


@pytest.mark.parametrize("width", [80, 140])
def test_leaderboard_shows_scores_at_any_width(odd, width):
    rules = odd.rules
    text = shown(lambda console: console.print(terminal.leaderboard(odd.history, rules, 10, width)), width)
    assert max(map(len, text.splitlines())) <= width
    rows = rows_of(text)
    assert list(rows) == ["0001", "0005", "0000", "0002", "0003", "0006"]  # no row for the duplicate
    for trial in ranked(odd.history.trials.values()):
        limits = interval(trial, rules)
        assert f"{score(trial):.3f}" in rows[trial.id]
        assert f"{limits.high - limits.mean:.3f}" in rows[trial.id]
    for name, word in {"0002": "stopped", "0003": "failed", "0006": "running"}.items():
        assert word in rows[name]
        before_marks = re.split("[▁-█·]", rows[name])[0]
        assert "." not in before_marks


@pytest.mark.parametrize("width", [80, 140])
def test_leaderboard_keeps_rows_for_trials_under_way(made, width):
    hundreds(made)
    made.begin()
    text = shown(lambda console: console.print(terminal.leaderboard(made.history, made.rules, 10, width)), width)
    assert list(rows_of(text)) == [f"0{number}" for number in range(299, 290, -1)] + ["0300"]


@pytest.mark.parametrize("width", [80, 140])
def test_summary_tells_the_winner_and_the_ledger(filled, width):
    text = shown(lambda console: terminal.summary(filled.record, console), width)
    assert f"{score(filled.history.trials['0001']):.3f}" in text
    assert "Trials: 3 completed, 1 stopped, 1 failed, 1 duplicate. Runs trained: 20." in text
    assert "Winner: trial 0001" in text
    assert "  augment = color 0.3" in text


def test_summary_of_every_search_can_be_printed(any_search):
    text = shown(lambda console: terminal.summary(any_search.record, console), 80)
    assert ("there is no winner" in text) == (not any_search.history.with_status("completed"))
    assert "nan" not in text


def plain():
    console = Console(file=io.StringIO(), width=80)
    return terminal.Lines(console), console.file


def test_lines_are_printed_once_for_each_beginning_and_each_end(made):
    rules = made.rules
    lines, file = plain()
    lines.begin(3)
    lines.show(made.history, rules, [])
    assert file.getvalue() == ""
    trial = made.begin()
    for _ in range(3):
        lines.show(made.history, rules, [])
    assert file.getvalue() == f"0000 begins: {trial.recipe.summary()}\n"
    made.train(trial, 0.9)
    made.judge(trial)
    for _ in range(3):
        lines.show(made.history, rules, [])
    _, ended = file.getvalue().splitlines()
    assert ended.startswith(f"0000 completed: {trial.verdict.reason}; about ")


def test_lines_of_a_resumed_search_tell_only_what_is_new(filled):
    lines, file = plain()
    lines.begin(9)
    lines.show(filled.history, filled.rules, [])
    assert file.getvalue() == "Resuming after 6 trials and 20 runs.\n"
    made = filled.complete(0.8)
    lines.show(filled.history, filled.rules, [])
    _, begun, ended = file.getvalue().splitlines()
    assert begun.startswith(f"{made.id} begins: ")
    assert ended.startswith(f"{made.id} completed: ")


def test_a_stopped_trial_that_is_finished_later_is_told_again(made):
    lines, file = plain()
    console = Console(force_terminal=True, file=io.StringIO(), width=140, height=40)
    with terminal.LiveView(console) as live:
        views = (lines, live)
        for view in views:
            view.begin(3)
            view.show(made.history, made.rules, [])
        trial = made.stop(0.9)
        for view in views:
            view.show(made.history, made.rules, [])
        made.train(trial, 0.9, made.folds[2:])
        made.conclude(trial, "completed", 0.875, "finished at the end")
        for view in views:
            view.show(made.history, made.rules, [])
    begun, stopped, finished = file.getvalue().splitlines()
    assert begun.startswith("0000 begins")
    assert stopped.startswith("0000 stopped: 9.9 points behind")
    assert finished.startswith("0000 completed: finished at the end")
    assert [event.split("  ")[1] for event in live._events] == [
        "0000 begins",
        f"0000 {trial.stopped.status}: {trial.stopped.reason}",
        "0000 completed: finished at the end",
    ]


def test_lines_print_markup_as_it_is():
    lines, file = plain()
    lines.say("[bold]x[/] [/nothing]")
    assert file.getvalue() == "[bold]x[/] [/nothing]\n"


def test_lines_of_a_long_decoding_are_ten_or_so():
    lines, file = plain()
    for done in range(1, 2001):
        lines.progress("Decoding images", done, 2000)
    assert len(file.getvalue().splitlines()) == 10


def interrupted(made, console):
    with terminal.screen(console) as view:
        view.say("[bold]said[/]")
        view.progress("Decoding images", 1, 2)
        view.progress("Decoding images", 2, 2)
        view.begin(9)
        view.show(made.history, made.rules, [])
        fill(made)
        trial = made.history.trials["0006"]
        view.show(made.history, made.rules, [Job(trial.id, 1, trial.recipe, ("f0@0.25",))])
        raise KeyboardInterrupt


def test_live_view_of_an_interrupted_search_leaves_scores_jobs_and_the_last_events(made):
    console = Console(force_terminal=True, file=io.StringIO(), width=140, height=40)
    with pytest.raises(KeyboardInterrupt):
        interrupted(made, console)
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", console.file.getvalue())
    assert "[bold]said[/]" in text
    assert f"{score(made.history.trials['0001']):.3f}" in text
    assert "0006 f0@0.25" in text
    assert re.search(r"\d\d:\d\d:\d\d  0005 completed: balanced_accuracy", text)
    assert "0003 failed" not in text  # five events are shown
    assert "5/9" in text  # ended and no duplicates


def test_live_view_of_every_search_can_be_drawn(any_search):
    console = Console(force_terminal=True, file=io.StringIO(), width=80)
    with terminal.LiveView(console) as view:
        view.begin(300)
        view.show(any_search.history, any_search.rules, [])
        view.show(any_search.history, any_search.rules, [])
    text = console.file.getvalue()
    assert text.count("Resuming after") == bool(any_search.history.trials)
    assert "nan" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (90061, "25 h 01 min")],
)
def test_durations_are_said_in_two_units_at_most(seconds, words):
    assert duration(seconds) == words


def test_screen_is_plain_where_there_is_no_terminal():
    assert isinstance(terminal.screen(Console(file=io.StringIO())), terminal.Lines)
