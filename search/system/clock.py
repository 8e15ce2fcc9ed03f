"""Where the time goes: seconds by stage, which add up to the whole."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

REST = "rest"


class Clock:
    """A stopwatch that counts the seconds of the stage that it is in; of stages within stages, of the innermost."""

    def __init__(self) -> None:
        """Start, in no stage."""
        self._seconds: dict[str, float] = {}
        self._stages = [REST]
        self._since = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside as ``name``."""
        self._note()
        self._stages.append(name)
        try:
            yield
        finally:
            self._note()
            self._stages.pop()

    def skip(self) -> None:
        """Leave out the time since the last stage ended: nobody was at work."""
        self._since = time.perf_counter()

    def lap(self) -> dict[str, float]:
        """Return the seconds of each stage since the last lap, and begin another."""
        self._note()
        seconds, self._seconds = self._seconds, {}
        return rounded(seconds)

    def _note(self) -> None:
        now = time.perf_counter()
        stage = self._stages[-1]
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._since
        self._since = now


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of each stage, rounded to a tenth of a millisecond."""
    return {stage: round(spent, 4) for stage, spent in seconds.items()}


def duration(seconds: float) -> str:
    """Return a time span in words, two units at most."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
