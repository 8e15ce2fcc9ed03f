"""The quick tier is quick: its files load no TensorFlow, and its tests are held to that."""

import subprocess
import sys
from pathlib import Path

import pytest
from kit import quick

TESTS = Path(__file__).parent
COLLECT = """
import sys, pytest
options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
ended = pytest.main(["-m", "quick", *options])
print(int(ended), sorted({"tensorflow", "keras", "keras_tuner"} & set(sys.modules)))
"""


def test_the_quick_tier_is_the_files_marked_so_and_reading_them_loads_no_tensorflow():
    command = [sys.executable, "-c", COLLECT]
    lines = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[-1] == "0 []", lines
    tests = [line for line in lines if "::" in line]
    files = {TESTS.parent / line.partition("::")[0] for line in tests}
    assert files == {file for file in TESTS.rglob("test_*.py") if quick.marked(file)}
    assert len(tests) > 500


def test_a_quick_test_that_starts_a_process_or_loads_tensorflow_fails():
    with quick.restricted("this"):
        with pytest.raises(pytest.fail.Exception, match="this is a quick test and starts a process"):
            subprocess.run([sys.executable, "-c", ""], check=True)
        with pytest.raises(pytest.fail.Exception, match="this is a quick test and loads tensorflow"):
            import tensorflow.nothing  # noqa: F401 seen also where TensorFlow itself is loaded already
    subprocess.run([sys.executable, "-c", ""], check=True)
