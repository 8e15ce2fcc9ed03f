"""What people see while a search runs, in a terminal and without one."""

import io
import re
import time
from dataclasses import replace

import pytest
from kit.searches import fill
from rich.console import Console

from search.journal.history import History, Trial
from search.monitor.epochs import Epochs, read_epochs, with_epochs
from search.monitor.screen import Lines, LiveScreen, TimeLeft, open_screen
from search.racing import Job, score
from search.repertoire.recipe import Recipe

RECIPE = Recipe("SmallCNN", None)
pytestmark = pytest.mark.quick


def plain():
    console = Console(file=io.StringIO(), width=80)
    return Lines(console), console.file


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


def test_the_first_line_names_what_varies_in_the_space(made):
    recipe = replace(RECIPE, image_size=32)
    for fields, named in (((), False), (("image_size",), True)):
        lines, file = plain()
        lines.begin(3, fields)
        lines.show(History(), made.rules, [])
        lines.show(History({"0000": Trial("0000", {}, recipe)}), made.rules, [])
        assert (", 32 px" in file.getvalue()) is named
        assert file.getvalue().startswith("0000 begins: ")


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
    with LiveScreen(console) as live:
        views = (lines, live)
        for screen in views:
            screen.begin(3)
            screen.show(made.history, made.rules, [])
        trial = made.stop(0.9)
        for screen in views:
            screen.show(made.history, made.rules, [])
        made.train(trial, 0.9, made.folds[2:])
        made.conclude(trial, "completed", 0.875, "finished at the end")
        for screen in views:
            screen.show(made.history, made.rules, [])
    begun, stopped, finished = file.getvalue().splitlines()
    assert begun.startswith("0000 begins")
    assert stopped.startswith("0000 stopped: 9.9 points behind")
    assert finished.startswith("0000 completed: finished at the end")
    assert [event.split("  ")[1] for event in live._events] == [
        "0000 begins",
        f"0000 {trial.stop.status}: {trial.stop.reason}",
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


def test_lines_of_long_work_say_how_much_time_is_left(monkeypatch):
    lines, file = plain()
    for done in range(0, 2001, 200):
        monkeypatch.setattr(time, "monotonic", lambda done=done: 1000.0 + done / 10)
        lines.progress("Comparing pairs of images", done, 2000)
    said = file.getvalue().splitlines()
    assert said[1] == "Comparing pairs of images: 400 of 2000, about 2 min 40 s left"
    assert said[-1] == "Comparing pairs of images: 2000 of 2000"


def test_lines_of_few_slow_steps_come_after_a_minute_of_silence(monkeypatch):
    lines, file = plain()
    lines.say("begins")
    start = time.monotonic()
    for done, at in enumerate((1, 20, 70, 75, 140)):
        monkeypatch.setattr(time, "monotonic", lambda at=at: start + at)
        lines.progress("Measuring", done, 10)
    assert file.getvalue().splitlines()[1:] == [
        "Measuring: 2 of 10, about 4 min 36 s left",
        "Measuring: 4 of 10, about 3 min 28 s left",
    ]


def interrupted(made, console):
    with open_screen(console) as screen:
        screen.say("[bold]said[/]")
        screen.progress("Decoding images", 1, 2)
        screen.progress("Decoding images", 2, 2)
        screen.begin(9)
        screen.show(made.history, made.rules, [])
        fill(made)
        trial = made.history.trials["0006"]
        screen.show(made.history, made.rules, [Job(trial.id, 1, trial.recipe, ("f0@0.25",))])
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
    with LiveScreen(console) as screen:
        screen.begin(300)
        screen.show(any_search.history, any_search.rules, [])
        screen.show(any_search.history, any_search.rules, [])
    text = console.file.getvalue()
    assert text.count("Resuming after") == bool(any_search.history.trials)
    assert "nan" not in text


def test_screen_is_plain_where_there_is_no_terminal():
    assert isinstance(open_screen(Console(file=io.StringIO())), Lines)


class Training:
    """An executor as far as epochs go."""

    def __init__(self, epochs):
        self._epochs = epochs

    def epochs(self):
        return self._epochs


def test_epochs_of_running_jobs_are_shown_where_a_long_run_trains(made, monkeypatch):
    trial = made.begin()
    running = [Job(trial.id, 1, trial.recipe, ("f0",)), Job(trial.id, 2, trial.recipe, ("f1", "f2"))]
    with Epochs(made.folder) as epochs:
        jobs = epochs.jobs(Training({(trial.id, 1): 12, (trial.id, 2): 0}), running)
        assert [job.epoch for job in jobs] == [12, 0]
        assert running == [replace(job, epoch=0) for job in jobs]
        assert with_epochs(running, read_epochs(made.folder)) == jobs  # as another terminal sees them
        assert epochs.jobs(object(), running) == running  # one that does not know
    assert read_epochs(made.folder) == {}
    assert not list(made.folder.glob("*epochs*"))
    lines, file = plain()
    lines.show(made.history, made.rules, jobs)
    assert "epoch" not in file.getvalue()
    monkeypatch.setattr("search.monitor.screen.SILENT", 0.0)
    lines.show(made.history, made.rules, jobs)
    assert "Running: 0000 f0 epoch 12/15, 0000 2 folds" in file.getvalue()
    console = Console(force_terminal=True, file=io.StringIO(), width=140, height=40)
    with LiveScreen(console) as screen:
        screen.begin(9)
        screen.show(made.history, made.rules, jobs)
    assert "0000 f0 epoch 12/15" in console.file.getvalue()


def test_time_left_is_mended_by_each_run(made, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("search.monitor.screen.time.monotonic", lambda: now[0])
    left = TimeLeft()
    left.max_trials = 3
    trial = made.begin()
    assert left.in_words(made.history, made.rules) == ""
    now[0] += 30
    made.train(trial, 0.7, made.folds[:2])
    assert left.in_words(made.history, made.rules) == ""  # a third of a trial says little
    now[0] += 30
    made.train(trial, 0.7, made.folds[2:3])
    assert left.in_words(made.history, made.rules) == "about 5 min 00 s left"  # half a trial of three took a minute
    now[0] += 180
    made.train(trial, 0.7, made.folds[3:])
    assert left.in_words(made.history, made.rules) == "about 8 min 00 s left"  # and the other half three
