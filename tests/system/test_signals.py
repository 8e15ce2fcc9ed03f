"""A signal that ends the program does so wherever it comes."""

import subprocess
import sys

LOST = """
import os, signal, sys
from search.system.signals import SignalledError, check_signals, handle_signals

class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})

check_signals()  # nothing has come
signal.signal(signal.{name}, signal.SIG_DFL)  # nohup, say, leaves it ignored
handle_signals()
Dying()  # Python prints what is raised in a finaliser, and goes on
try:
    check_signals()
except SignalledError as error:
    sys.exit(error.number)
"""


def test_a_signal_that_comes_in_a_finaliser_is_not_lost():
    for name, number in (("SIGTERM", 15), ("SIGINT", 2), ("SIGHUP", 1)):
        program = subprocess.run(
            [sys.executable, "-c", LOST.format(name=name)], capture_output=True, text=True, check=False
        )
        assert "Exception ignored in" in program.stderr, "the exception of the handler was not lost, as it was to be"
        assert program.returncode == number


def test_a_signal_that_somebody_ignores_stays_ignored():
    ignoring = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nhandle_signals()\n"
    program = LOST.format(name="SIGHUP").replace("handle_signals()\n", ignoring)
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
