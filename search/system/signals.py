"""The signals that ask the program to end, and what answers them: an exception in the main thread.

Python raises such an exception wherever the main thread is. Within a finaliser or a weak reference's callback it is
only printed, and lost; so a signal is also noted, and long work asks for it with ``check_signals``.
"""

import contextlib
import signal
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C; `kill`, a batch system; a closed terminal

_received: list[int] = []


class SignalledError(KeyboardInterrupt):
    """A signal that asks the program to end; handled wherever Ctrl-C is."""

    def __init__(self, number: int) -> None:
        """Note the number of the signal."""
        super().__init__(number)
        self.number = number


class TimeUpError(KeyboardInterrupt):
    """The time that a person gave the program is over: it ends as if interrupted, and says so."""


def handle_signals() -> None:
    """Let the signals of ENDING raise SignalledError, but for those that somebody handles or ignores already."""
    _received.clear()
    with contextlib.suppress(ValueError):  # not in the main thread
        for ending in ENDING:
            if signal.getsignal(ending) in (signal.SIG_DFL, signal.default_int_handler):  # `nohup` ignores one
                signal.signal(ending, _end)


def check_signals() -> None:
    """Raise SignalledError if a signal has come, also where its own exception was lost."""
    if _received:
        raise SignalledError(_received[-1])


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    _received.append(number)
    raise SignalledError(number)
