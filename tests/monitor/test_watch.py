"""A search is followed from another process, which can do it no harm."""

import io
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from kit.drivers import heed_interrupts, prepare, start, wait_for_lines
from kit.lines import event
from kit.searches import Search, fill
from rich.console import Console

from search.journal.journal import Journal, read_events, replay
from search.monitor import watch as watching
from search.racing import ranked, score

PATIENCE = 300  # seconds


def watcher(folder, name="broken"):
    command = [sys.executable, "-u", "-m", "search", "watch", name]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "preexec_fn": heed_interrupts}
    return subprocess.Popen(command, cwd=folder, **options)


def lines_until(process, text):
    """Read what a process prints until a line holds the text; return the lines."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    pytest.fail(f"{text!r} was never printed, but:\n{''.join(lines)}")


def followed(made):
    return watching._open(made.folder)


def test_a_search_is_followed_from_before_its_beginning_through_a_kill_to_its_end(tmp_path):
    folder = prepare(tmp_path / "place", trials=3)
    watched = watcher(folder)
    lines_until(watched, "There is no search in results/broken yet; waiting for one to begin")
    driver = start(folder, "--executor", "inline")  # two processes fewer to load TensorFlow
    wait_for_lines(folder, driver, 5)
    driver.kill()
    driver.wait()
    lines_until(watched, "No driver is at work on this search now.")
    late = watcher(folder)
    assert "No driver is at work" in lines_until(late, "No driver")
    late.send_signal(signal.SIGINT)
    said, _ = late.communicate(timeout=PATIENCE)
    assert (late.returncode, "No longer watching" in said, "Traceback" in said) == (0, True, False)
    driver = start(folder, "--executor", "inline")
    lines_until(watched, "A driver is at work on it again.")
    printed, _ = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, printed
    rest, _ = watched.communicate(timeout=PATIENCE)
    assert watched.returncode == 0, rest
    history = replay(read_events(folder / "results" / "broken" / "journal.jsonl"))
    best = ranked(history.trials.values())[0]
    assert f"Winner: trial {best.id}" in rest
    assert f"{score(best):.3f}" in rest
    assert f"0002 {history.trials['0002'].verdict.status}" in rest


def test_a_finished_search_is_summed_up_at_once_though_its_images_are_gone(search, made):
    fill(made)
    made.journal.close()
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    code, printed, _ = search("watch", "made", "--results", made.folder.parent)
    assert code == 0
    assert "So far: 6 trials and 20 runs." in printed
    assert "Winner: trial 0001" in printed
    assert "Take it away: python -m search export" in printed
    assert f"Report: {made.folder / 'report' / 'index.html'}" in printed
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")} == before


def test_a_journal_is_read_once_and_half_a_line_waits_for_its_end(made, monkeypatch):
    fill(made)
    asked = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *where: asked.append(where[1]) or pread(*where))
    with followed(made) as seen:
        assert seen.catch_up()
        size = made.journal.path.stat().st_size
        assert not seen.catch_up()
        with made.journal.path.open("ab") as file:
            file.write(b'{"event":"trial","tri')
        assert not seen.catch_up()
        assert asked == [size, 0, 21]
        assert seen.history == made.history
        os.truncate(made.journal.path, size)  # as the next driver does
        made.begin()
        assert seen.catch_up()
        assert seen.history == made.history
        assert not seen.replaced


def test_jobs_run_from_their_attempt_to_their_outcome(made):
    with followed(made) as seen:

        def running():
            seen.catch_up()
            return sorted((job.trial, job.number, job.folds) for job in seen.running.values())

        first = made.begin()
        made.journal.append(event("attempt", trial="0000", job=1, folds=["f0@0.25"]))
        made.journal.append(event("attempt", trial="0000", job=2, folds=["f1@0.25"]))
        made.journal.append(event("attempt", trial="0000", job=3, folds=["f2@0.25"]))
        assert running() == [("0000", 1, ("f0@0.25",)), ("0000", 2, ("f1@0.25",)), ("0000", 3, ("f2@0.25",))]
        made.train(first, 0.5, made.folds[:1])
        made.journal.append(event("failure", trial="0000", job=2, error="ValueError: no", final=False))
        assert running() == [("0000", 3, ("f2@0.25",))]
        made.journal.append(event("attempt", trial="0000", job=2, folds=["f1@0.25"]))
        made.conclude(first, "stopped", 0.1, "far behind")
        assert running() == []
        made.journal.append(event("attempt", trial="0000", job=0, folds=["holdout"]))
        assert running() == [("0000", 0, ("holdout",))]
        made.journal.append(event("session", max_trials=9, racing=False, at=5.0))
        assert running() == []
        assert (seen.began, seen.ended_before, seen.record.rules.racing) == (5.0, 1, False)


def test_a_search_begun_anew_or_moved_away_is_noticed(made, tmp_path):
    with followed(made) as seen:
        seen.catch_up()
        assert not seen.replaced
        made.folder.rename(tmp_path / "made.old-1")
        assert seen.replaced
        made.folder.mkdir()
        shutil.copytree(tmp_path / "made.old-1", made.folder, dirs_exist_ok=True)
        assert seen.replaced


def test_after_one_begun_anew_that_one_is_followed_to_its_end(made, tmp_path):
    made.complete(0.5)
    console = Console(file=io.StringIO(), width=140)
    watched = threading.Thread(target=watching.watch, args=(made.folder, console))
    watched.start()
    made.journal.close()
    made.folder.rename(tmp_path / "made.old-1")
    again = Search(tmp_path)
    again.complete(0.9)
    again.complete(0.7)
    again.journal.append(event("end", reason="all 2 trials are done"))
    again.journal.close()
    watched.join(PATIENCE)
    assert not watched.is_alive()
    assert "Trials: 2 completed." in console.file.getvalue()
    assert f"{score(again.history.trials['0000']):.3f}" in console.file.getvalue()


def test_a_search_that_is_moved_aside_while_it_is_opened_is_waited_for(made, tmp_path, monkeypatch):
    made.complete(0.5)
    read = watching.read_about

    def moved(folder):
        (folder / "journal.jsonl").rename(tmp_path / "aside.jsonl")
        return read(folder)

    monkeypatch.setattr(watching, "read_about", moved)
    assert watching._open(made.folder) is None


@pytest.fixture
def tmux(tmp_path):
    """Run a command in a terminal; return what shows its screen, and takes keys."""
    program = shutil.which("tmux") or pytest.skip("needs tmux")
    call = [program, "-S", str(tmp_path / "socket"), "-f", os.devnull]

    def run(*command):
        words = " ".join(map(shlex.quote, [*map(str, command)]))
        subprocess.run([*call, "new-session", "-d", "-x", "120", "-y", "30", f"{words}; sleep 600"], check=True)

        def screen(until, key=None):
            if key:
                subprocess.run([*call, "send-keys", key], check=True)
            end, text = time.monotonic() + PATIENCE, ""
            while until not in text and time.monotonic() < end:
                time.sleep(0.1)
                text = subprocess.run([*call, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout
            assert until in text, text
            return text

        return screen

    yield run
    subprocess.run([*call, "kill-server"], check=False, capture_output=True)


def test_in_a_terminal_it_is_a_live_picture_of_the_driver_s_work(made, tmux):
    made.complete(0.9)
    trial = made.begin()
    made.journal.append(event("attempt", trial=trial.id, job=1, folds=["f1@0.25"]))
    screen = tmux(sys.executable, "-m", "search", "watch", made.folder)
    text = screen("Runs of these trials")
    assert re.search(r"Trials .* 1/20", text)
    assert re.search(r"Runs of these trials .* 0/6 +0001 f1@0.25", text)
    made.train(trial, 0.9)
    made.judge(trial)
    text = screen(f"0001 completed: {trial.verdict.reason}")
    assert re.search(r"Trials .* 2/20", text)
    made.journal.close()
    assert "Runs of these trials" not in screen("No driver is at work")
    assert "0001 completed" in screen("No longer watching", key="C-c")


def test_time_left_counts_from_the_beginning_of_the_session(made):
    fill(made)
    made.journal.append(event("session", max_trials=16, racing=True, at=time.time() - 600))
    for _ in range(2):
        made.complete(0.5)
    with followed(made) as seen:
        seen.catch_up()
        screen = watching.open_screen(watching.Console(), "So far:")
        watching._begin(seen, screen)
        # Two trials in ten minutes; one of the others was a duplicate, and one is open: nine are to do.
        assert re.fullmatch(r"about 45 min 0\d s left", screen.time_left.in_words(seen.history, made.rules))
        screen.time_left.idle = True
        assert screen.time_left.in_words(seen.history, made.rules) == ""


def test_a_damaged_journal_is_a_sentence(search, made):
    made.journal.close()
    with made.journal.path.open("ab") as file:
        file.write(b"no event\n")
    code, _, error = search("watch", "made", "--results", made.folder.parent)
    assert code == 1
    assert f"{made.journal.path}, line 2 is damaged" in error


def test_whether_a_driver_is_at_work_is_seen_and_ends_with_it(made):
    with followed(made) as seen:
        assert seen.at_work is True
        made.journal.close()
        assert seen.at_work is False
        code = f"import os, sys; sys.path[:] = {sys.path!r}\n"
        code += (
            "from pathlib import Path; from search.journal.journal import Journal\n"
            f"j = Journal(Path({str(made.folder)!r}))\n"
        )
        code += "print('held', flush=True); sys.stdin.read()"
        driver = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert driver.stdout.readline() == "held\n"
        assert seen.at_work is True
        driver.kill()
        driver.communicate()
        assert seen.at_work is False


def test_asking_never_keeps_a_driver_from_starting(made):
    made.journal.close()
    done = threading.Event()
    answers = set()

    def ask():
        with followed(made) as seen:
            while not done.is_set():
                answers.add(seen.at_work)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        until = time.monotonic() + PATIENCE
        for opened in itertools.count():
            Journal(made.folder).close()  # raises where a lock is taken
            if opened >= 500 and (len(answers) == 2 or time.monotonic() > until):
                break
    finally:
        done.set()
        for asker in askers:
            asker.join()
    assert answers == {True, False}
