"""What an executor is, how a job can end, and how a job is run in any process.

The seam is small: ``submit`` a job to a free slot, ``wait`` for the next ending. Names go in,
results come out; only the driver writes.
"""

import dataclasses
import traceback
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from search.racing import Job
from search.system.errors import UserError, in_words, with_kind

if TYPE_CHECKING:
    from search.training.trainer import JobResult, Trainer


@dataclass(frozen=True)
class Done:
    """The ending of a job that succeeded, with its result; ``stages`` are the seconds that it took."""

    job: Job
    result: "JobResult"
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """The ending of a job that failed, with the error in words; ``final`` where a retry would fail alike."""

    job: Job
    error: str
    final: bool = False
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancelled:
    """The ending of a job that was cancelled."""

    job: Job
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fatal:
    """An ending after which no job can succeed until a person has mended what ``error`` says: the search must stop."""

    job: Job
    error: str
    stages: dict[str, float] = field(default_factory=dict)


Ending = Done | Failed | Cancelled | Fatal


class Executor(Protocol):
    """What the search needs of an executor."""

    def free(self) -> int:
        """Return how many more jobs could begin now."""
        ...

    def submit(self, job: Job) -> None:
        """Begin a job; there must be a free slot."""
        ...

    def cancel(self, trial: str) -> None:
        """Let the jobs of a trial end soon, with any kind of ending."""
        ...

    def wait(self, timeout: float) -> Ending | None:
        """Return the next ending, or None if none came within ``timeout`` seconds."""
        ...

    def __enter__(self) -> Self:
        """Get ready."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End all work at once."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """What an executor has besides if it knows how far its jobs are."""

    def epochs(self) -> dict[tuple[str, int], int]:
        """Return the epoch that each running job is in, by the job's name; 0 before the first."""
        ...


def execute(trainer: "Trainer", job: Job) -> Ending:
    """Run a job in this process, and turn whatever it raises into an ending."""
    trainer.clock.lap()
    ending = _ending(trainer, job)
    return dataclasses.replace(ending, stages=trainer.clock.lap())


def _ending(trainer: "Trainer", job: Job) -> Ending:
    from search.training.loop import DivergedError
    from search.training.trainer import CancelledError, MemoryExhaustedError

    try:
        return Done(job, trainer.run(job))
    except (DivergedError, MemoryExhaustedError) as error:
        return Failed(job, str(error), final=isinstance(error, DivergedError))  # other networks may have held memory
    except CancelledError:
        return Cancelled(job)
    except UserError as error:
        return Fatal(job, str(error))
    except OSError as error:  # a full or failing disk is no fault of the recipe
        return Fatal(job, in_words(error))
    except Exception as error:
        traceback.print_exc()
        return Failed(job, with_kind(error))
