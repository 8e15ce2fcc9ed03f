"""Training in worker processes. A slot is one of them with a pool of its own: one that dies takes one job with it."""

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from search.executors.base import Ending, Failed, Fatal, execute
from search.executors.holdings import Holdings
from search.executors.server import HAS_SERVER, start_server
from search.executors.silence import Silence
from search.journal.outcomes import JobKind
from search.racing import Job
from search.system import heartbeat
from search.system.clock import duration
from search.system.devices import environment
from search.system.errors import UserError
from search.system.machine import die_with_parent

if TYPE_CHECKING:
    from search.training.materials import Materials
    from search.training.trainer import Trainer

CANNOT_START = (
    "Worker processes die while they start; workers.log in the results folder may say why. In a script of your own, "
    'call search() under `if __name__ == "__main__":`; executor="inline" trains without workers.'
)
STARTS = 5

State = Any  # numbers in memory that driver and worker share; without a lock, which a killed worker might keep
CANCELLED, EPOCH, BEATS, WAITING = range(4)  # their places
MOST_BEATS = 2**31  # that they can count


class Workers:
    """An executor that trains in ``slots`` worker processes, each replaced when it dies or has grown."""

    def __init__(self, materials: "Materials", slots: int, log: Path | None) -> None:
        """Prepare the slots; ``log`` takes what workers print."""
        start_server()
        self._context = multiprocessing.get_context("forkserver" if HAS_SERVER else "spawn")
        self._materials, self._log = materials, log
        self._patience = materials.run_timeout or math.inf
        self._slots: list[_Slot] = [
            _Slot(partial(self._new_pool, slot), self._context.RawArray("i", 4)) for slot in range(slots)
        ]

    def _new_pool(self, slot: int, state: State) -> ProcessPoolExecutor:
        variables = environment(self._materials.gpus, slot)
        worker = (self._materials, self._log, state, variables)
        return ProcessPoolExecutor(1, mp_context=self._context, initializer=_start_worker, initargs=worker)

    def free(self) -> int:
        """Return the number of idle slots."""
        return sum(slot.future is None for slot in self._slots)

    def submit(self, job: Job) -> None:
        """Send the job to an idle worker, preferably one that has compiled a network of its shape."""
        idle = [slot for slot in self._slots if slot.future is None]
        min(idle, key=lambda slot: slot.holdings.strangeness(job)).submit(job)

    def cancel(self, trial: str) -> None:
        """Tell the workers that train the trial to stop at the end of their epoch."""
        for slot in self._slots:
            slot.cancel(trial)

    def epochs(self) -> dict[tuple[str, int], int]:
        """Return the epoch that each running job is in, by the job's name; 0 before the first."""
        return dict(epoch for slot in self._slots if (epoch := slot.epoch()) is not None)

    def wait(self, timeout: float) -> Ending | None:
        """Return the next ending; a worker that died, or gave no sign of life for too long, gives a failed one."""
        running = {slot.future: slot for slot in self._slots if slot.future is not None}
        done, _ = wait(running, timeout, FIRST_COMPLETED)
        silent = [slot for slot in running.values() if slot.silence() > self._patience]
        if done:
            return running[done.pop()].take()
        return silent[0].give_up(self._patience) if silent else None

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

    def __init__(self, new_pool: Callable[[State], ProcessPoolExecutor], state: State) -> None:
        self._new_pool, self._state = new_pool, state
        self._pool = new_pool(state)
        self.holdings = Holdings()
        self._job: Job | None = None
        self._pid: Future[int] | None = None
        self._failed_starts = 0
        self._silence = Silence(time.monotonic())
        self.future: Future[Ending] | None = None

    def warm_up(self) -> None:
        """Start the worker. Raises UserError where that cannot be done."""
        for _ in range(STARTS):
            try:
                self._pid = self._pool.submit(os.getpid)
            except (EOFError, OSError):  # the server that forks workers was killed, and is not yet known to be gone
                self._pool.shutdown(wait=False, cancel_futures=True)
                time.sleep(0.5)
                self._pool = self._new_pool(self._state)
            else:
                return
        raise UserError(CANNOT_START)

    def epoch(self) -> tuple[tuple[str, int], int] | None:
        """Return the name of the job and its epoch; None while idle, or helping with another job's images."""
        if self.future is None or self._job is None or self._job.kind is JobKind.HELP:
            return None
        return self._job.name, self._state[EPOCH]

    def cancel(self, trial: str) -> None:
        if self.future is not None and self._job is not None and self._job.trial == trial:
            self._state[CANCELLED] = 1

    def submit(self, job: Job) -> None:
        self._job, self._state[:], self._silence = job, (0, 0, 0, 0), Silence(time.monotonic())
        self.holdings.add(job)
        try:
            self.future = self._pool.submit(_run_in_worker, job)
        except BrokenProcessPool:  # it died while idle
            self._replace()
            self.future = self._pool.submit(_run_in_worker, job)

    def take(self) -> Ending | None:
        """Return the ending of the job, or None if it had to be sent again."""
        assert self.future is not None
        assert self._job is not None
        future, job, self.future = self.future, self._job, None
        try:
            ending = future.result()
        except BrokenProcessPool:
            return self._died(job)
        except Exception as error:  # the ending could not be sent back
            self._replace()
            return Failed(job, f"{type(error).__name__}: {error}")
        if self.holdings.are_outgrown(ending):
            self._replace()
        return ending

    def silence(self) -> float:
        """Return for how many seconds the job has given no sign of life."""
        is_heard = self._has_started and not self._state[WAITING]
        self._silence.look(self._state[BEATS] if is_heard else None, time.monotonic())
        return self._silence.seconds

    def give_up(self, seconds: float) -> Failed:
        """Kill the worker, which was silent for so many seconds, and return the ending of its job."""
        assert self._job is not None
        job, self.future = self._job, None
        self._replace()
        return Failed(job, f"its worker made no progress for {duration(seconds)} (--run-timeout)")

    @property
    def _has_started(self) -> bool:
        return self._pid is not None and self._pid.done() and not self._pid.exception()

    def _died(self, job: Job) -> Ending | None:
        started = self._has_started
        self._failed_starts = 0 if started else self._failed_starts + 1
        if self._failed_starts > 1:
            self.kill()
            return Fatal(job, CANNOT_START)
        cancelled = bool(self._state[CANCELLED])
        self._replace()
        if started or cancelled:
            return Failed(job, "the worker process died (out of memory, or killed)")
        self.submit(job)
        return None

    def _replace(self) -> None:
        self.kill()
        self._pool, self.holdings = self._new_pool(self._state), Holdings()
        self.warm_up()

    def kill(self) -> None:
        # The pool's own shutdown would wait for the running job.
        if self._pid is not None and self._has_started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid.result(), signal.SIGKILL)
        self._pool.shutdown(wait=False, cancel_futures=True)


_trainer: "Trainer | None" = None


def _start_worker(materials: "Materials", log: Path | None, state: State, variables: Mapping[str, str]) -> None:
    """Get a new worker process ready: quiet, deaf to Ctrl-C, gone when its driver is, and with these variables."""
    global _trainer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what an interrupt means
    if log is not None:
        with contextlib.suppress(OSError):  # the driver says it better that its folder is gone or full
            _print_to(log)
    die_with_parent()
    from search.training.trainer import Trainer, set_up

    os.environ["KERAS_HOME"] = str(materials.keras_home)  # the server that forked us may be older than it
    os.environ.update(variables)
    set_up(materials.threads)

    def report(epoch: int) -> None:
        state[EPOCH] = epoch

    def beat() -> None:
        state[BEATS] = (state[BEATS] + 1) % MOST_BEATS

    def wait(is_waiting: bool) -> None:
        state[WAITING] = is_waiting

    heartbeat.attach(beat, wait)

    _trainer = Trainer(materials, cancelled=lambda: bool(state[CANCELLED]), report=report)


def _print_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)


def _run_in_worker(job: Job) -> Ending:
    assert _trainer is not None, "the worker was not started"
    return execute(_trainer, job)
