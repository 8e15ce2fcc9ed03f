"""Where jobs happen: in this process, or in worker processes.

The seam is small: ``submit`` a job to a free slot, ``wait`` for the next outcome. Names go in,
results come out; only the driver writes. A slot is one worker process with a pool of its own, so
that a worker that dies takes one job with it and no more.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from search.racing import Job
from search.system.errors import UserError
from search.system.machine import NETWORKS_KEPT, die_with_parent

if TYPE_CHECKING:
    from search.repertoire.shape import Shape
    from search.training.materials import Materials
    from search.training.trainer import JobResult, Trainer

HAS_SERVER = "forkserver" in multiprocessing.get_all_start_methods()
CANNOT_START = (
    "Worker processes die while they start; workers.log in the results folder may say why. In a script of your own, "
    'call search() under `if __name__ == "__main__":`; executor="inline" trains without workers.'
)
STARTS = 5
RECYCLE_BYTES = 2 * 2**30  # grown since its first job: TensorFlow leaks with every model that is built

Flag = Any  # a byte in memory that driver and worker share; without a lock, which a killed worker might keep


@dataclass(frozen=True)
class Outcome:
    """How a job ended: with a result, or with an error in words; ``stages`` are the seconds that it took.

    A job that was cancelled ends with an error too. ``final`` where a retry would do the same;
    ``fatal`` where no job can succeed until a person has mended something, so that the search must stop.
    """

    job: Job
    result: "JobResult | None" = None
    error: str = ""
    final: bool = False
    fatal: bool = False
    stages: dict[str, float] = field(default_factory=dict)


class Executor(Protocol):
    """What the search needs of an executor."""

    def free(self) -> int:
        """Return how many more jobs could begin now."""
        ...

    def submit(self, job: Job) -> None:
        """Begin a job; there must be a free slot."""
        ...

    def cancel(self, trial: str) -> None:
        """Let the jobs of a trial end soon, whatever their outcome."""
        ...

    def wait(self, timeout: float) -> Outcome | None:
        """Return the next outcome, or None if none came within ``timeout`` seconds."""
        ...

    def __enter__(self) -> Self:
        """Get ready."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End all work at once."""
        ...


def execute(trainer: "Trainer", job: Job) -> Outcome:
    """Run a job where we are, and turn whatever it raises into an outcome."""
    trainer.clock.lap()
    outcome = _executed(trainer, job)
    return dataclasses.replace(outcome, stages=trainer.clock.lap())


def _executed(trainer: "Trainer", job: Job) -> Outcome:
    from search.training.loop import DivergedError
    from search.training.trainer import CancelledError

    try:
        return Outcome(job, trainer.run(job))
    except DivergedError as error:
        return Outcome(job, error=str(error), final=True)
    except CancelledError:
        return Outcome(job, error="cancelled")
    except UserError as error:
        return Outcome(job, error=str(error), fatal=True)
    except OSError as error:  # a full or failing disk is no fault of the recipe
        where = error.filename or "A file"
        return Outcome(
            job, error=f"{where}: {error.strerror or error}. Mend that; the same command resumes.", fatal=True
        )
    except Exception as error:
        traceback.print_exc()
        first_line = (str(error).splitlines() or [""])[0]
        return Outcome(job, error=f"{type(error).__name__}: {first_line}"[:500])


class Inline:
    """Trains in the driver's own process, one job at a time: for debugging."""

    def __init__(self, materials: "Materials", cancelled: Callable[[], bool] = lambda: False) -> None:
        """Load TensorFlow and make it deterministic; ``cancelled`` is asked before each epoch whether to give up."""
        from search.training.trainer import Trainer, set_up

        set_up(materials.threads)
        self._trainer = Trainer(materials, cancelled)
        self._waiting: deque[Job] = deque()

    def free(self) -> int:
        """Return 1 if idle."""
        return 1 - len(self._waiting)

    def submit(self, job: Job) -> None:
        """Note the job; it runs inside ``wait``."""
        self._waiting.append(job)

    def cancel(self, trial: str) -> None:
        """Nothing to cancel: a job that has begun is waited for."""

    def wait(self, timeout: float) -> Outcome | None:  # noqa: ARG002 it takes as long as the job
        """Run the job."""
        return execute(self._trainer, self._waiting.popleft()) if self._waiting else None

    def __enter__(self) -> Self:
        """Nothing to start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Nothing to end."""


def start_server() -> None:
    """Begin to load TensorFlow in the server that forks workers ready for work, where the system has one.

    Returns at once. What a worker prints before it has a log (it can be killed while it starts)
    goes nowhere.
    """
    if not HAS_SERVER:
        return
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload(["search.training.trainer"])
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        forkserver.ensure_running()
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


class Workers:
    """Trains in ``slots`` worker processes, each replaced when it dies or has grown."""

    def __init__(self, materials: "Materials", slots: int, log: Path | None) -> None:
        """Prepare the slots; ``log`` takes what workers print."""
        start_server()
        self._context = multiprocessing.get_context("forkserver" if HAS_SERVER else "spawn")
        self._materials, self._log = materials, log
        self._slots: list[_Slot] = [_Slot(self._new_pool, self._context.RawValue("b", 0)) for _ in range(slots)]

    def _new_pool(self, cancelled: Flag) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_start_worker, initargs=(self._materials, self._log, cancelled)
        )

    def free(self) -> int:
        """Return the number of idle slots."""
        return sum(slot.future is None for slot in self._slots)

    def submit(self, job: Job) -> None:
        """Send the job to an idle worker, if there is one to a worker that has compiled a network of its shape."""
        idle = [slot for slot in self._slots if slot.future is None]
        min(idle, key=lambda slot: slot.strangeness(job)).submit(job)

    def cancel(self, trial: str) -> None:
        """Tell the workers that have jobs of the trial to leave them at the end of their epoch."""
        for slot in self._slots:
            slot.cancel(trial)

    def wait(self, timeout: float) -> Outcome | None:
        """Return the next outcome; a worker that died gives an outcome with an error."""
        running = {slot.future: slot for slot in self._slots if slot.future is not None}
        done, _ = wait(running, timeout, FIRST_COMPLETED)
        return running[done.pop()].take() if done else None

    def __enter__(self) -> Self:
        """Start the first workers, so that they load while the driver does something else."""
        for slot in self._slots:
            slot.warm_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Kill the workers: what they were doing is not needed any more."""
        for slot in self._slots:
            slot.kill()


class _Slot:
    """One worker process, and the job that it has."""

    def __init__(self, new_pool: Callable[[Flag], ProcessPoolExecutor], cancelled: Flag) -> None:
        self._new_pool, self._cancelled = new_pool, cancelled
        self._pool = new_pool(cancelled)
        self._shapes: list[Shape] = []  # of its jobs, the latest first
        self._job: Job | None = None
        self._pid: Future[int] | None = None
        self._failed_starts = 0
        self._first_memory = 0
        self.future: Future[Outcome] | None = None

    def warm_up(self) -> None:
        """Start the worker. Raises UserError where that cannot be done."""
        for _ in range(STARTS):
            try:
                self._pid = self._pool.submit(os.getpid)
            except (EOFError, OSError):  # the server that forks workers was killed, and is not yet known to be gone
                self._pool.shutdown(wait=False, cancel_futures=True)
                time.sleep(0.5)
                self._pool = self._new_pool(self._cancelled)
            else:
                return
        raise UserError(CANNOT_START)

    def strangeness(self, job: Job) -> tuple[bool, int]:
        """Return what is smallest for the worker that should get this job: the one that had its shape last."""
        known = job.shape in self._shapes
        return not known, self._shapes.index(job.shape) if known else len(self._shapes)

    def cancel(self, trial: str) -> None:
        if self.future is not None and self._job is not None and self._job.trial == trial:
            self._cancelled.value = 1

    def submit(self, job: Job) -> None:
        self._job, self._cancelled.value = job, 0
        self._shapes = [job.shape, *(shape for shape in self._shapes if shape != job.shape)][:NETWORKS_KEPT]
        try:
            self.future = self._pool.submit(_run_in_worker, job)
        except BrokenProcessPool:  # it died while idle
            self._replace()
            self.future = self._pool.submit(_run_in_worker, job)

    def take(self) -> Outcome | None:
        """Return the outcome of the job, or None if it had to be sent again."""
        assert self.future is not None
        assert self._job is not None
        future, job, self.future = self.future, self._job, None
        try:
            outcome = future.result()
        except BrokenProcessPool:
            return self._died(job)
        except Exception as error:  # the outcome could not be sent back
            self._replace()
            return Outcome(job, error=f"{type(error).__name__}: {error}")
        if outcome.result is not None:
            self._first_memory = self._first_memory or outcome.result.memory
            if outcome.result.memory - self._first_memory > RECYCLE_BYTES:
                self._replace()
        return outcome

    def _died(self, job: Job) -> Outcome | None:
        started = self._pid is not None and self._pid.done() and not self._pid.exception()
        self._failed_starts = 0 if started else self._failed_starts + 1
        if self._failed_starts > 1:
            self.kill()
            return Outcome(job, error=CANNOT_START, fatal=True)
        cancelled = bool(self._cancelled.value)
        self._replace()
        if started or cancelled:
            return Outcome(job, error="the worker process died (out of memory, or killed)")
        self.submit(job)
        return None

    def _replace(self) -> None:
        self.kill()
        self._pool, self._first_memory, self._shapes = self._new_pool(self._cancelled), 0, []
        self.warm_up()

    def kill(self) -> None:
        # The pool's own shutdown would wait for the running job.
        if self._pid is not None and self._pid.done() and not self._pid.exception():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid.result(), signal.SIGKILL)
        self._pool.shutdown(wait=False, cancel_futures=True)


_trainer: "Trainer | None" = None


def _start_worker(materials: "Materials", log: Path | None, cancelled: Flag) -> None:
    """Get a new worker process ready: quiet, deaf to Ctrl-C, and gone when its driver is."""
    global _trainer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what an interrupt means
    if log is not None:
        _print_to(log)
    die_with_parent()
    from search.training.trainer import Trainer, set_up

    os.environ["KERAS_HOME"] = str(materials.keras_home)  # the server that forked us may be older than it
    set_up(materials.threads)
    _trainer = Trainer(materials, cancelled=lambda: bool(cancelled.value))


def _print_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)


def _run_in_worker(job: Job) -> Outcome:
    assert _trainer is not None, "the worker was not started"
    return execute(_trainer, job)
