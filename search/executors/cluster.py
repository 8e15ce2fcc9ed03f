"""The connection to Ray: a Ray of this machine's own, or a cluster; who may reach it, and what it has room for."""

import contextlib
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO
from urllib.parse import urlsplit

from search.system.commands import option
from search.system.devices import WORKER_BYTES, Devices, Machine, devices
from search.system.errors import UserError

INSTALL = "pip install 'finetune-search[ray]', or pip install -e '.[ray]' in a clone"
PAGE = "search/executors/README.md"
STORE_BYTES = 256 * 2**20  # of a Ray of our own: no images pass through its store
OPEN = (
    "Whoever reaches the ports of Ray can run code on its machines, as the user who started it. Start it with a token "
    f"(RAY_AUTH_MODE=token; {PAGE} says how), or, where nobody else can reach it, add --trust-network."
)


OF_ITS_OWN = {  # the environment of a Ray that listens to this machine alone, and to those who have its token
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # then it takes the loopback address, on Linux too
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # its workers would give way to all other work
}
IMPORTED = (
    "Ray was imported before this search, and so would listen to the network. Start Python anew and leave its import "
    "to the search, or connect to a Ray of yours with ray.init(…) first."
)


@dataclass(frozen=True)
class Need:
    """What one run needs of a machine: processors and GPUs."""

    cpus: int
    gpus: float = 0

    def __str__(self) -> str:
        """Return it in words."""
        return " and ".join([_amount(self.cpus, "CPU"), *([_amount(self.gpus, "GPU")] if self.gpus else [])])

    def fits(self, resources: Mapping[str, float]) -> bool:
        """Return whether a machine with these resources, by Ray's names, has as much."""
        return resources.get("CPU", 0) >= self.cpus and resources.get("GPU", 0) >= self.gpus

    def times(self, resources: Mapping[str, float]) -> int:
        """Return how many runs a machine with these resources has room for, in memory too."""
        if not self.fits(resources):
            return 0
        parts = [resources["CPU"] // self.cpus, max(1, resources.get("memory", WORKER_BYTES) // WORKER_BYTES)]
        return int(min([*parts, *([resources["GPU"] // self.gpus] if self.gpus else [])]))


def need_of(settings: Mapping[str, Any], threads: int) -> Need:
    """Return what a run with so many threads needs, by the settings of its executor.

    Raises UserError for more than one GPU and a part of another, which Ray cannot give.
    """
    gpus = settings.get("gpus_per_run", 0)
    if gpus > 1 and gpus % 1:
        raise UserError(
            f"{option('gpus_per_run')} {gpus:g}: Ray gives a run a part of one GPU, or whole ones. Give {gpus // 1:g} "
            f"or {gpus // 1 + 1:g}, or less than 1."
        )
    return Need(settings.get("cpus_per_run", threads), gpus)


def processors(need: Need, slots: int, cores: int) -> int:
    """Return the processors that a Ray of this machine's own counts: enough for all slots that a person asks for."""
    return max(cores, need.cpus * slots)


def _amount(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'s' * (number != 1)}"


def lack(need: Need, nodes: Sequence[Mapping[str, float]], free: Mapping[str, float]) -> str:
    """Return what a cluster lacks for one more run: ``nodes`` are the resources of each, ``free`` those left of all."""
    if not nodes:
        return "Ray has no machine any more."
    if not any(map(need.fits, nodes)):
        most = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)))
        largest = Need(int(most.get("CPU", 0)), most.get("GPU", 0))
        return f"None of its {_amount(len(nodes), 'machine')} has so much; the largest has {largest}."
    if not need.fits(free):
        left = Need(int(free.get("CPU", 0)), free.get("GPU", 0))
        return f"Other work has taken the machines that have so much; {left} of all are free."
    return "What is free may be scattered over its machines, or their processes do not start: `ray status` says more."


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine alone, not one of its addresses in a network."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def host_of(address: str) -> str | None:
    """Return the host that an address of Ray names; None where Ray finds that itself."""
    return None if address in {"auto", "local"} else urlsplit(address if "//" in address else f"//{address}").hostname


def has_token() -> bool:
    """Return whether this process shows Ray a token."""
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


def load_ray() -> ModuleType:
    """Return the library. Raises UserError where it is not installed."""
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError(f"--executor ray needs Ray, which is not installed: {INSTALL}.") from None
    return ray


class Cluster:
    """A connection to Ray, from when it is opened to when it is closed.

    ``address`` is that of a cluster; None begins a Ray of this machine's own, which listens to nobody else. A Ray that
    this process is connected to already is used, and stays. Raises UserError where there is none, or where others
    could reach it who have no token, unless the network is trusted.
    """

    def __init__(self, address: str | None, cpus: int, *, trusts_network: bool = False) -> None:
        """Connect; ``cpus`` are those of this machine that a Ray of its own has."""
        self._stack = contextlib.ExitStack()
        self.is_own = address is None
        with contextlib.ExitStack() as stack:
            if address is None and not _is_connected():
                stack.enter_context(own_environment())
            self.ray: Any = load_ray()
            if not self.ray.is_initialized():
                _check_host(address, trusts_network)
                self._connect(address, cpus)
                stack.callback(self.ray.shutdown)
                self._check_reach(trusts_network)
            self._here = self.ray.get_runtime_context().get_node_id()
            self._stack = stack.pop_all()

    def _connect(self, address: str | None, cpus: int) -> None:
        how: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            how |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": STORE_BYTES}
        with _signals_kept():
            try:
                self.ray.init("local" if address is None else address, **how)
            except Exception as error:
                where = f"There is no Ray at {address}" if address else "Ray does not start here"
                raise UserError(f"{where}: {type(error).__name__}: {error}") from None

    def _check_reach(self, trusts_network: bool) -> None:
        hosts = [node["NodeManagerAddress"] for node in self.ray.nodes() if node["Alive"]]
        outside = next((host for host in hosts if not is_loopback(host)), None)
        if outside and self.is_own:
            raise UserError(IMPORTED)
        if outside and not (trusts_network or has_token()):
            raise UserError(f"This Ray listens to the network, at {outside}. {OPEN}")

    def nodes(self) -> dict[str, Mapping[str, float]]:
        """Return the resources of the machines that live, by their ids. Raises UserError where this one is dead."""
        nodes = {node["NodeID"]: node["Resources"] for node in self.ray.nodes() if node["Alive"]}
        if self._here not in nodes:
            raise UserError("The part of Ray on this machine has died. Start it again; the same command then goes on.")
        return nodes

    def room(self, need: Need) -> int:
        """Return how many runs find room at the same time; 0 where none does."""
        return sum(map(need.times, self.nodes().values()))

    def lack(self, need: Need) -> str:
        """Return what it lacks for one more run."""
        return lack(need, list(self.nodes().values()), self.ray.available_resources())

    def close(self) -> None:
        """End the connection, and a Ray of our own with it; not one that was there before."""
        self._stack.close()


_is_loaded_here = False  # Ray reads its environment when it is imported


@contextlib.contextmanager
def own_environment() -> Iterator[None]:
    """Let Ray be imported and begun, within the block, as one of this machine's own.

    Raises UserError where it was imported otherwise.
    """
    global _is_loaded_here
    if "ray" in sys.modules and not _is_loaded_here:
        raise UserError(IMPORTED)
    before = {name: os.environ.pop(name, None) for name in (*OF_ITS_OWN, "RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH")}
    os.environ.update(OF_ITS_OWN)
    try:
        load_ray()
        _is_loaded_here = True
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


class Quiet:
    """A standard stream in which nothing of Ray's own threads is shown: they print pages when a machine is lost.

    What they say goes to a file, and all else to where it went.
    """

    def __init__(self, shown: TextIO, log: Path) -> None:
        """Show what is not Ray's on ``shown``."""
        self.shown, self._log = shown, log

    @classmethod
    def begin(cls, log: Path) -> None:
        """Let standard output and error be quiet from now on, if they are not."""
        for name in ("stdout", "stderr"):
            if not isinstance(stream := getattr(sys, name), cls):
                setattr(sys, name, cls(stream, log))

    @classmethod
    def end(cls) -> None:
        """Let both be what they were."""
        for name in ("stdout", "stderr"):
            if isinstance(stream := getattr(sys, name), cls):
                setattr(sys, name, stream.shown)

    def write(self, text: str) -> int:
        """Write a text where it belongs."""
        if not threading.current_thread().name.startswith("ray_"):
            return self.shown.write(text)
        with contextlib.suppress(OSError), self._log.open("a", encoding="utf-8") as log:
            log.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        """Be in all else what it was."""
        return getattr(self.shown, name)


def _is_connected() -> bool:
    return "ray" in sys.modules and bool(load_ray().is_initialized())


def _check_host(address: str | None, trusts_network: bool) -> None:
    host = host_of(address) if address else None
    if host and not is_loopback(host) and not trusts_network and not has_token():
        raise UserError(f"--address {address} is another machine, or this one as others see it. {OPEN}")


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep what answers SIGTERM: Ray would end the program without a word."""
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if is_main and handler is not None:
            signal.signal(signal.SIGTERM, handler)


def share(machine: Machine, work: int, slots: int | None, threads: int | None, settings: Mapping[str, Any]) -> Devices:
    """Return how many runs find room on a cluster, or on this machine, and the threads of each.

    The threads are those of a search that has begun, else as many as the processors of a run. Raises UserError as
    Cluster does.
    """
    cpus, address = settings.get("cpus_per_run"), settings.get("address")
    need = need_of(settings, threads or 1)
    if address is None:
        return devices(machine, work, slots, threads or cpus)
    threads = threads or cpus or 1
    if slots is None:
        cluster = Cluster(address, machine.cores, trusts_network=settings.get("trust_network", False))
        try:
            slots = max(1, cluster.room(need))
        finally:
            cluster.close()
    return Devices(slots, threads)
