"""The table of executors: who may train the jobs of a search. Light: a row loads its executor when it makes one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from search.system.commands import option
from search.system.devices import Devices, Machine
from search.system.errors import UserError
from search.system.progress import Say
from search.system.validation import one_of, real, whole

if TYPE_CHECKING:
    from search.executors.base import Executor
    from search.training.materials import Materials

MOST = 10**6  # of anything that a setting counts
Settings = Mapping[str, Any]  # the values that were given, by name
Share = Callable[[Machine, int, int | None, int | None, Settings], Devices]


@dataclass(frozen=True)
class Setting:
    """An option that only some executors have, on the command line and of ``KFoldTuner``; not given, it has no value.

    ``name`` is as in Python, and ``kind`` the type of its values; a number is ``least`` or more. ``help`` is the help
    text, and ``metavar`` stands in it for a value.
    """

    name: str
    help: str
    kind: type[bool] | type[float] | type[int] | type[str]
    metavar: str | None = None
    least: int = 0

    def check(self, value: Any) -> None:
        """Raise UserError for a value of another kind, and for a number that is too small."""
        if self.kind is int:
            whole(self.name, value, self.least)
        elif self.kind is float:
            real(self.name, value, self.least, MOST)
        elif not isinstance(value, self.kind):
            raise UserError(f"{self.name}={value!r} must be {'a text' if self.kind is str else 'True or False'}.")


@dataclass(frozen=True)
class ExecutorOptions:
    """How an executor is made: its number of slots, the file ``log`` that its workers print to, and its settings.

    ``settings`` has the values that were given. ``say`` shows people a line while the search runs.
    """

    slots: int
    log: Path
    say: Say = print
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class ExecutorRow:
    """One executor that can be chosen.

    ``words`` go on in the help text after its name, "" where there is nothing to say. ``has_slots`` tells whether it
    trains several jobs at a time, in worker slots that share the machine. ``make`` returns one. ``preload`` begins to
    load what its workers need, and returns at once. ``settings`` are the options that it has and not every other one.
    ``share`` returns how the slots share their machines, given this one, the work, the slots that a person asks for,
    the threads of a search that has begun, and the settings; None where they share this machine as ``devices`` does.
    """

    words: str
    has_slots: bool
    make: Callable[["Materials", ExecutorOptions], "Executor"]
    preload: Callable[[], None]
    settings: tuple[Setting, ...] = ()
    share: Share | None = None


def _processes(materials: "Materials", options: ExecutorOptions) -> "Executor":
    from search.executors.processes import Workers

    return Workers(materials, options.slots, options.log)


def _preload_processes() -> None:
    from search.executors.server import start_server

    start_server()


def _inline(materials: "Materials", _options: ExecutorOptions) -> "Executor":
    from search.executors.inline import Inline

    return Inline(materials)


def _ray(materials: "Materials", options: ExecutorOptions) -> "Executor":
    from search.executors.cluster import Cluster, need_of, processors
    from search.executors.ray import RaySlots
    from search.system.machine import cores

    settings = options.settings
    need = need_of(settings, materials.threads)
    cpus = processors(need, options.slots, cores())
    cluster = Cluster(settings.get("address"), cpus, trusts_network=settings.get("trust_network", False))
    return RaySlots(materials, options.slots, options.log, cluster, need, settings.get("node_cache"), options.say)


def _share_ray(machine: Machine, work: int, slots: int | None, threads: int | None, settings: Settings) -> Devices:
    from search.executors.cluster import share

    return share(machine, work, slots, threads, settings)


def _preload_nothing() -> None:
    """There are no workers: the driver loads what it needs itself."""


RAY_SETTINGS = (
    Setting(
        "address",
        "The Ray cluster: auto (this machine is in it) or ray://HOST:10001. Without it, a Ray of this machine's own.",
        str,
        "ADDRESS",
    ),
    Setting("cpus_per_run", "Processors for each run on Ray. [default: its threads]", int, "N", least=1),
    Setting("gpus_per_run", "GPUs for each run on Ray, such as 1 or 0.5. [default: 0]", float, "N"),
    Setting("node_cache", "Where machines of a Ray cluster cache, if not in the user's cache.", str, "FOLDER"),
    Setting("trust_network", "Use a Ray that asks for no token: nobody else can reach it.", bool),
)
DEFAULT = "processes"

Executors = Mapping[str, ExecutorRow]
EXECUTORS: Executors = MappingProxyType(
    {
        DEFAULT: ExecutorRow("", True, _processes, _preload_processes),
        "inline": ExecutorRow("is for debugging", False, _inline, _preload_nothing),
        "ray": ExecutorRow("trains on a cluster", True, _ray, _preload_nothing, RAY_SETTINGS, _share_ray),
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


def settings_of(rows: Iterable[ExecutorRow]) -> dict[str, Setting]:
    """Return the settings of these executors by name."""
    return {setting.name: setting for row in rows for setting in row.settings}


def check_settings(executors: Executors, chosen: str, settings: Settings) -> None:
    """Raise UserError for a setting that the executor ``chosen`` does not have, and for a value that cannot be."""
    own = settings_of([executors[chosen]])
    for name, value in settings.items():
        if name not in own:
            others = " or ".join(
                f"--executor {other}" for other, row in executors.items() if name in settings_of([row])
            )
            raise UserError(f"{option(name)} is a setting of {others}, not of {chosen}. Add that, or leave it out.")
        own[name].check(value)
