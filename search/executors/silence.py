"""For how long a job has given no sign of life."""

LONGEST_LOOK = 5.0  # seconds between two looks that count: a driver that was stopped itself knows nothing of its jobs


class Silence:
    """The time in which a worker gave no sign of life, as its driver saw it."""

    def __init__(self, now: float) -> None:
        """Begin with a job that begins ``now``, in seconds of a clock that only goes forward."""
        self._beats: int | None = None
        self._last_look = now
        self.seconds = 0.0

    def look(self, beats: int | None, now: float) -> None:
        """Take in the number of beats so far; None where silence means nothing: a worker that starts, or waits."""
        passed = min(now - self._last_look, LONGEST_LOOK)
        self.seconds = self.seconds + passed if beats is not None and beats == self._beats else 0.0
        self._beats, self._last_look = beats, now
