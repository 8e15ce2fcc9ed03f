"""The heartbeat of a process: signs of life of its work, for whoever must tell long work from work that hangs.

Work beats after each piece: an epoch, a head, a batch of features. Nothing listens until a worker attaches what
takes the beats to its driver.
"""

import contextlib
from collections.abc import Callable, Iterator


def _unheard() -> None:
    """Let a beat pass where nobody listens."""


def _unheeded(_waiting: bool) -> None:
    """Likewise, let it pass that the process waits."""


_beat: Callable[[], None] = _unheard
_wait: Callable[[bool], None] = _unheeded


def attach(beat: Callable[[], None], wait: Callable[[bool], None]) -> None:
    """Have ``beat`` called at each beat of this process, and ``wait`` with whether it waits for another process."""
    global _beat, _wait
    _beat, _wait = beat, wait


def beat() -> None:
    """Tell that a piece of work is done."""
    _beat()


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Tell that the block only waits for another process: it is that one whose silence counts."""
    _wait(True)
    try:
        yield
    finally:
        _wait(False)
        _beat()
