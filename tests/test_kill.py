"""Killed at any moment and run again, a search ends as if nothing had happened.

The quick version kills a real search, workers and all, a few times. The thousand kills:

    pytest -m slow tests/test_kill.py

They fork drivers from one process that has loaded TensorFlow, because loading it a thousand
times would be the test; about half an hour on two cores.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.drivers import jobs_by_name, lines_of, outcome, prepare, start, wait_for_lines


@pytest.fixture
def whole(tmp_path):
    """An uninterrupted search with two trials open at a time, and a folder for the broken one."""
    folder = prepare(tmp_path / "place", trials=6, lag=2)
    done = subprocess.run(
        [sys.executable, "-m", "search", "run", "space.py", "--offline", "--name", "whole"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_killed_and_interrupted_it_ends_as_if_uninterrupted(whole):
    moments = random.Random(5)
    process = start(whole)  # killed before its first line
    time.sleep(0.5)
    process.kill()
    process.wait()
    stopped = 0
    for number, lines in enumerate((2, 9, 40)):
        begun = lines_of(whole) + 1  # a signal that comes before Python is up is nobody's to answer
        process = start(whole)
        wait_for_lines(whole, process, max(lines, begun))
        time.sleep(moments.uniform(0, 0.1))
        process.send_signal(signal.SIGINT if number % 2 else signal.SIGKILL)
        printed, _ = process.communicate(timeout=60)
        if process.returncode == 0:  # on a busy machine the search can be over before the signal comes
            break
        stopped += 1
        if number % 2:
            assert process.returncode == 130
            assert "run the same command to resume" in printed
            assert "Traceback" not in printed
    assert stopped >= 2
    process = start(whole)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert "Resuming after" in printed
    assert outcome(whole / "results" / "broken") == outcome(whole / "results" / "whole")
    assert jobs_by_name(whole / "results" / "broken") == jobs_by_name(whole / "results" / "whole")


def drive(folder, name):
    """Run the search in this (forked) process, quietly, then leave without clean-up."""
    os.chdir(folder)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    from search import KFoldTuner
    from search.monitor.console import wide_console
    from search.monitor.screen import Lines

    code = 1
    try:
        options = {"name": name, "offline": True, "executor": "inline", "confirm": 1}
        KFoldTuner("space.py", screen=Lines(wide_console()), **options).search()
        code = 0
    finally:
        os._exit(code)


@pytest.mark.slow
def test_a_thousand_kills(tmp_path):
    """In a process of its own, so that TensorFlow has not run before the first fork."""
    folder = prepare(tmp_path / "place", trials=6)
    space = folder / "space.py"
    space.write_text(space.read_text().replace("baselines=False", "baselines=True"))
    done = subprocess.run([sys.executable, __file__, str(folder), "1000"], check=False, text=True)
    assert done.returncode == 0


def kill_again_and_again(folder, kills):
    import search.tuner  # noqa: F401 loaded once, here, and inherited by every fork

    def forked(name):
        pid = os.fork()
        if pid == 0:
            drive(folder, name)
        return pid

    _, status = os.waitpid(forked("whole-0"), 0)
    assert status == 0, "the uninterrupted search failed"
    expected = outcome(folder / "results" / "whole-0")
    began, killed, search_number = time.monotonic(), 0, 0
    moments = random.Random(1)
    while killed < kills:
        search_number += 1
        name, finished = f"broken-{search_number}", False
        while not finished:
            pid = forked(name)
            until = time.monotonic() + moments.uniform(0.0, 4.0)
            while time.monotonic() < until:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    assert status == 0, f"{name} failed"
                    finished = True
                    break
                time.sleep(0.002)
            else:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                killed += 1
        assert outcome(folder / "results" / name) == expected, f"{name} ended differently"
        assert jobs_by_name(folder / "results" / name) == jobs_by_name(folder / "results" / "whole-0")
        sys.stderr.write(f"{killed} kills, {search_number} searches, {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    kill_again_and_again(Path(sys.argv[1]), int(sys.argv[2]))
