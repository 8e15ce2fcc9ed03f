"""Commands as people can type them: a shell reads back what was meant."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from search.system.commands import command, command_of, first_command


def read_by_shell(line):
    """Return the words that bash makes of a line."""
    shown = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    return [word.decode(errors="surrogateescape") for word in shown.stdout.split(b"\0")[:-1]]


@pytest.mark.parametrize(
    "word", ["plain", "two words", "it's", "$(rm x)", "a\nb", "\x1b[2J", "b\udcfcck", "ä", "*", ""]
)
def test_a_shell_reads_back_every_argument(word):
    line = command("run", "space.py", data=word or None)
    assert read_by_shell(line) == ["python", "-m", "search", "run", "space.py", *(["--data", word] if word else [])]
    assert "\x1b" not in line
    assert "\n" not in line


def test_options_that_say_nothing_are_left_out_and_what_begins_with_a_dash_is_no_option():
    line = command("check", "-x.py", html="check.html", offline=True, strict=False, cache_gb=None, seed=0)
    assert shlex.split(line)[3:] == ["check", "./-x.py", "--html", "check.html", "--offline", "--seed", "0"]


def test_the_script_names_itself(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/venv/bin/finetune-search", "run"])
    assert command("report", "x") == "finetune-search report x"


def test_a_search_elsewhere_is_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command_of(Path("results/a"), "export", to="b") == "python -m search export a --to b"
    assert command_of(tmp_path / "results" / "a", "report") == "python -m search report a"
    assert command_of(Path("my results/a"), "report") == "python -m search report a --results 'my results'"


def test_the_first_command_writes_a_space_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert first_command("run") == "python -m search new-space finetune.py && python -m search run finetune.py"
    Path("finetune.py").touch()
    assert first_command("run") == "python -m search run finetune.py"
    Path("spaces").mkdir()
    Path("spaces/finetune.py").touch()
    assert first_command("check", data="x") == "python -m search check spaces/finetune.py --data x"
