"""Training in the driver's own process, one job at a time: for debugging, and where there are no worker processes."""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from search.executors.base import Ending, execute
from search.racing import Job
from search.system.signals import check_signals

if TYPE_CHECKING:
    from search.training.materials import Materials


class Inline:
    """An executor that trains in the driver's own process, one job at a time."""

    def __init__(self, materials: "Materials", cancelled: Callable[[], bool] = lambda: False) -> None:
        """Load TensorFlow and make it deterministic; ``cancelled`` is asked before each epoch whether to give up."""
        from search.training.trainer import Trainer, set_up

        def given_up() -> bool:
            check_signals()
            return cancelled()

        set_up(materials.threads)
        self._trainer = Trainer(materials, given_up)
        self._queue: deque[Job] = deque()

    def free(self) -> int:
        """Return 1 if idle."""
        return 1 - len(self._queue)

    def submit(self, job: Job) -> None:
        """Note the job; it runs inside ``wait``."""
        self._queue.append(job)

    def cancel(self, trial: str) -> None:
        """Nothing to cancel: a job that has begun is waited for."""

    def wait(self, timeout: float) -> Ending | None:  # noqa: ARG002 it takes as long as the job
        """Run the job."""
        return execute(self._trainer, self._queue.popleft()) if self._queue else None

    def __enter__(self) -> Self:
        """Nothing to start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Nothing to end."""
