"""What ends a search from outside: a signal, a limit, a folder that is moved; and names that are no text."""

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kit.shapes import write_shapes
from kit.spaces import SMALL, SPACE

LONG = SMALL.replace("epochs=1", "epochs=5000")
RUN = ("-m", "search", "run", "space.py", "--offline", "--executor", "inline", "--cache", "cache")


@pytest.fixture
def place(tmp_path):
    write_shapes(tmp_path / "shapes", {"across": 8, "down": 8})
    (tmp_path / "space.py").write_text(SPACE.format(recipe=LONG))
    return tmp_path


def run_in_terminal(place, kind):
    """Begin the search in a terminal of this kind; return its process and the terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(place)
        os.environ["TERM"] = kind
        os.execv(sys.executable, [sys.executable, *RUN])
    return child, terminal


def test_sigterm_in_a_terminal_shows_the_cursor_again_and_says_how_to_resume(place):
    child, terminal = run_in_terminal(place, "xterm")
    shown, sent = b"", False
    while select.select([terminal], [], [], 120)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # it has ended
            break
        if not sent and b"0000 begins" in shown:
            sent = True
            os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGTERM
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l") > 0  # the cursor: shown, after it was hidden
    assert b"Ended by SIGTERM. Nothing finished is lost: run the same command to resume." in shown
    assert b"Traceback" not in shown


def test_plain_lines_come_as_a_search_goes_where_the_terminal_is_dumb(place):
    child, terminal = run_in_terminal(place, "dumb")
    shown = b""
    while b"0000 begins: SmallCNN" not in shown and select.select([terminal], [], [], 120)[0]:
        shown += os.read(terminal, 65536)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(terminal)
    assert b"0000 begins: SmallCNN" in shown
    assert b"\x1b[?25l" not in shown


def test_a_folder_that_is_renamed_meanwhile_is_named(place):
    (place / "space.py").write_text(SPACE.format(recipe=SMALL.replace("epochs=1", "epochs=60")))
    process = subprocess.Popen(
        [sys.executable, "-u", *RUN], cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    folder = place / "results" / "space-shapes"
    assert any(line.startswith("0000 begins") for line in process.stdout)
    folder.rename(folder.with_name("elsewhere"))
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert error.startswith("Error: The folder results/space-shapes was moved, renamed or removed")
    assert "the same command resumes it" in error


def limited(limit, place, *arguments):
    """Run the program in a shell with a limit."""
    line = f'ulimit {limit}; exec "$@"'
    command = ["bash", "-c", line, "bash", sys.executable, *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


def test_a_search_stays_ended_whatever_becomes_of_its_report(place):
    (place / "space.py").write_text(SPACE.format(recipe=SMALL))
    ended = limited("-f 800", place, *RUN)  # files of 800 KB: the page is larger
    assert ended.returncode == 0, ended.stderr
    assert "Winner: trial 0000" in ended.stdout
    assert "Warning: The search has ended, and its results are whole. The report could not be written." in ended.stderr
    assert "results/space-shapes/report/index.html: File too large. Make room" in ended.stderr

    ended = limited("-v 6000000", place, "-m", "search", "report", "space-shapes")  # too little for the chart library
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Warning: The charts of this report could not be drawn: the chart library died" in ended.stdout
    page = (place / "results" / "space-shapes" / "report" / "index.html").read_text()
    assert "could not be drawn" in page

    ended = limited("-f 1", place, *RUN, "--name", "full", "--cache", "other")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: other")
    assert "File too large. Make room, or raise the limit" in ended.stderr
    ended = limited("-v 2000000", place, *RUN)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: The address space of this process is limited to 2.0 GB")

    (place / "file").write_text("")
    ended = limited("-f 1000000", place, "-m", "search", "report", "space-shapes", "--to", "file/report")
    assert ended.returncode == 1
    assert "Winner: trial 0000" in ended.stdout
    assert "file/report" in ended.stderr


STRANGE = os.fsdecode(b"b\xfcck")


@pytest.mark.parametrize(
    ("arguments", "whose"),
    [
        (["space.py", "--data", STRANGE], "--data"),
        (["space.py", "--name", STRANGE], "--name"),
        ([f"{STRANGE}.py"], "The space file"),
        (["space.py", "--results", STRANGE], "--results"),
    ],
)
def test_a_name_that_is_no_utf_8_is_named_and_to_be_changed(search, place, arguments, whose):
    write_shapes(place / STRANGE, {"across": 8, "down": 8})
    (place / f"{STRANGE}.py").write_text(SPACE.format(recipe=SMALL))
    code, _, error = search("run", *arguments)
    assert code == 1
    assert error.startswith(f"Error: {whose} ")
    assert "not valid UTF-8. Rename it." in error
    assert not Path("results").exists()


def test_an_umlaut_in_an_ascii_locale_is_named_with_the_way_out(place):
    command = [sys.executable, "-m", "search", "report", "Käfer"]
    strict = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0"}
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, env=strict)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: The search ")
    assert "write PYTHONUTF8=1 before the command" in ended.stderr
    ended = subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, env=strict | {"PYTHONUTF8": "1"}
    )
    assert ended.stderr.startswith("Error: There is no search in results/Käfer.")
