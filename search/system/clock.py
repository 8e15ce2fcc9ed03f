"""Where the time goes: seconds by stage, which add up to the whole."""

import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from search.system.errors import UserError

REST = "rest"
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}  # in seconds


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

    @property
    def seconds(self) -> float:
        """All seconds since the last lap that are in a stage, or between two, but for what was skipped."""
        return sum(self._seconds.values())

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


def seconds_of(name: str, value: float | str) -> float:
    """Return the seconds of a time span that a person gives: "90s", "10m", "1.5h", or a number of minutes.

    Raises UserError, which calls it ``name``, for anything else.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(s|m|min|h|)", str(value).strip().lower())
    seconds = float(match[1]) * UNITS[match[2] or "m"] if match else 0.0
    if not 0 < seconds < math.inf:
        raise UserError(f"{name} {value!r} is no time span: give minutes, as 10, or a unit, as 90s, 10m or 1.5h.")
    return seconds
