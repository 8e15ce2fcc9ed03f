"""The quick tier: tests of pure code, which start no process and load no TensorFlow.

A file of such tests says ``pytestmark = pytest.mark.quick``. ``pytest -m quick`` reads no other file, because
importing one may load TensorFlow. In every tier a quick test fails that starts a process or loads TensorFlow.
"""

import contextlib
import sys
from pathlib import Path

import pytest

MARK = "pytest.mark.quick"
STARTS = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"}
HEAVY = {"tensorflow", "keras", "keras_tuner", "multiprocessing.popen_spawn_posix", "multiprocessing.popen_fork"}

_names: list[str] = []  # of the quick test that runs, if one does
_installed: list[bool] = []


def marked(path: Path) -> bool:
    """Say whether a file of tests is of the quick tier."""
    return path.suffix == ".py" and MARK in path.read_text(encoding="utf-8")


@contextlib.contextmanager
def restricted(name: str):
    """Fail what starts a process or loads TensorFlow meanwhile.

    A module that is loaded already goes unseen, so the full check is ``pytest -m quick``.
    """
    if not _installed:  # a hook lasts as long as the process
        sys.addaudithook(_refuse)
        _installed.append(True)
    _names.append(name)
    try:
        yield
    finally:
        _names.pop()


def _refuse(event: str, arguments: tuple) -> None:
    if not _names:
        return
    if event in STARTS:
        pytest.fail(f"{_names[-1]} is a quick test and starts a process ({event})")
    if event == "import" and (arguments[0] in HEAVY or arguments[0].partition(".")[0] in HEAVY):
        pytest.fail(f"{_names[-1]} is a quick test and loads {arguments[0]}")
