"""How far the running jobs are: the epoch that each is in, for the driver's screen and for those who watch.

It stands in a small file beside the journal while a driver is at work. It is no part of the search: nothing is lost
without it.
"""

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from search.executors.base import Executor, Reporting
from search.racing import Job
from search.system.errors import UserError
from search.system.files import write_text

FILE = "epochs.json"
WRITE_EVERY = 2.0  # seconds


class Epochs:
    """The epochs of the jobs that a driver has under way; a context that keeps their file."""

    def __init__(self, folder: Path) -> None:
        """Write nothing yet; ``folder`` is that of the search."""
        self._path, self._written, self._last = folder / FILE, 0.0, ""

    def jobs(self, executor: Executor, running: Iterable[Job]) -> list[Job]:
        """Return the running jobs with their epochs, as far as the executor knows them."""
        epochs = executor.epochs() if isinstance(executor, Reporting) else {}
        jobs = with_epochs(running, epochs)
        text = json.dumps([[*job.name, job.epoch] for job in jobs if job.epoch])
        if text != self._last and time.monotonic() - self._written > WRITE_EVERY:
            self._written, self._last = time.monotonic(), text
            with contextlib.suppress(OSError, UserError):  # a full disk stops the journal, and is told there
                write_text(self._path, text)
        return jobs

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def with_epochs(jobs: Iterable[Job], epochs: dict[tuple[str, int], int]) -> list[Job]:
    """Return the jobs with the epochs that they are in."""
    return [dataclasses.replace(job, epoch=epochs.get(job.name, 0)) for job in jobs]


def read_epochs(folder: Path) -> dict[tuple[str, int], int]:
    """Return the epochs of running jobs by name, as far as a driver has written them."""
    try:
        rows = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {(str(trial), int(number)): int(epoch) for trial, number, epoch in rows}
    except (OSError, ValueError, TypeError):
        return {}
