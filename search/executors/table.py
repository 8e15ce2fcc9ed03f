"""The table of executors: who may train the jobs of a search. Light: a row loads its executor when it makes one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from search.system.errors import UserError
from search.system.validation import one_of

if TYPE_CHECKING:
    from search.executors.base import Executor
    from search.training.materials import Materials


@dataclass(frozen=True)
class ExecutorRow:
    """One executor that can be chosen.

    ``words`` go on in the help text after its name, "" where there is nothing to say. ``has_slots`` tells whether it
    trains several jobs at a time, in worker slots that share the machine. ``make(materials, slots, log)`` returns one,
    whose workers print to the file ``log``. ``preload`` begins to load what its workers need, and returns at once.
    """

    words: str
    has_slots: bool
    make: Callable[["Materials", int, Path], "Executor"]
    preload: Callable[[], None]


def _processes(materials: "Materials", slots: int, log: Path) -> "Executor":
    from search.executors.processes import Workers

    return Workers(materials, slots, log)


def _preload_processes() -> None:
    from search.executors.processes import start_server

    start_server()


def _inline(materials: "Materials", _slots: int, _log: Path) -> "Executor":
    from search.executors.inline import Inline

    return Inline(materials)


def _preload_nothing() -> None:
    """There are no workers: the driver loads what it needs itself."""


DEFAULT = "processes"

Executors = Mapping[str, ExecutorRow]
EXECUTORS: Executors = MappingProxyType(
    {
        DEFAULT: ExecutorRow("", True, _processes, _preload_processes),
        "inline": ExecutorRow("is for debugging", False, _inline, _preload_nothing),
    }
)


def check_executor(name: str, run_timeout: float | None, executors: Executors = EXECUTORS) -> None:
    """Raise UserError for an executor that is not in the table, or has no workers that a timeout could end."""
    one_of("executor", name, executors)
    if run_timeout is not None and not executors[name].has_slots:
        raise UserError(
            f"--run-timeout kills a worker that makes no progress, and --executor {name} trains without workers. Leave "
            "out one of the two."
        )
