"""A slot on some machine: the process that trains there, as the driver calls it from elsewhere."""

import contextlib
import dataclasses
import io
import os
import platform
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search import __version__
from search.data.images import DECODING_VERSION
from search.executors.base import Ending, execute
from search.executors.parcel import Chunk, Item, are_here, moved, unpacked
from search.racing import Job
from search.system import heartbeat
from search.system.cache import claim, trim
from search.system.devices import VISIBLE, environment
from search.system.places import users_cache

if TYPE_CHECKING:
    from search.training.materials import Materials
    from search.training.trainer import Trainer

BOOT = Path("/proc/sys/kernel/random/boot_id")  # another one on every machine
TRIM_EVERY = 30.0  # seconds
ASIDE = "aside"  # the group of calls that are answered while a job runs


def program() -> dict[str, str]:
    """Return what must be the same of the program wherever a search trains."""
    from search.training.trainer import TRAINING_VERSION

    return {"program": __version__, "training": str(TRAINING_VERSION), "decoding": str(DECODING_VERSION)}


def identity_of(folder: Path) -> str:
    """Return what tells a folder from all others, also from one of its name on another machine; "" without any."""
    try:
        there, boot = folder.stat(), BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return f"{boot} {there.st_dev} {there.st_ino}"


@dataclass(frozen=True)
class Supplies:
    """What a slot needs: the ``materials``, their files as ``items``, and where to cache.

    ``cache`` is the folder to use; None stands for the driver's, known by its ``identity``, on the driver's own machine
    and for the user's cache elsewhere. Variables of the machine's environment may stand in it. ``has_gpu`` tells
    whether Ray gives the slot one, or a part of one.
    """

    materials: "Materials"
    items: tuple[Item, ...]
    cache: str | None
    identity: str
    has_gpu: bool = False


@dataclass(frozen=True)
class Arrival:
    """What a slot finds on its machine: the name of that, versions, and whether it sees the files of the search."""

    host: str
    program: dict[str, str]
    versions: dict[str, str]
    sees_files: bool


@dataclass(frozen=True)
class Pulse:
    """How far a job is: its epoch, 0 before the first, and its signs of life so far; None where none are due."""

    epoch: int = 0
    beats: int | None = None


class Place:
    """A slot with its compiled networks: it trains one job at a time, and answers how far it is meanwhile.

    Jobs have numbers, by which they are cancelled. Nothing is written but to the cache of its own machine.
    """

    _trainer: "Trainer"
    _supplies: Supplies

    def __init__(self) -> None:
        """Load nothing yet, so that it is soon known where the slot is."""
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what an interrupt means
        self._number = self._cancelled = self._epoch = self._beats = 0
        self._waits = False  # for another process, whose silence it is
        self._trimmed = time.monotonic()

    def node(self) -> str:
        """Return Ray's id of the machine that this is."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def arrive(self, supplies: Supplies) -> Arrival:
        """Load TensorFlow and get ready to train, if the files are here; return what there is on this machine.

        Raises UserError where nothing can be cached.
        """
        os.environ.update(environment([os.environ.get(VISIBLE, "")] if supplies.has_gpu else [], 0))
        from search.system.tf import versions
        from search.training.trainer import set_up

        set_up(supplies.materials.threads)
        cache = _cache(supplies)
        claim(cache)
        materials = dataclasses.replace(supplies.materials, cache=cache)
        self._supplies = dataclasses.replace(supplies, materials=materials)
        sees_files = are_here(supplies.items)
        if sees_files:
            self._settle(materials)
        return Arrival(platform.node(), program(), versions(), sees_files)

    def unpack(self, chunks: Sequence[Any]) -> None:
        """Get ready to train with the files that these chunks in Ray's store bring, unless they came before."""
        import ray

        def arriving() -> Iterator[Chunk]:
            for chunk in chunks:
                yield ray.get(chunk)

        supplies = self._supplies
        folder = unpacked(supplies.items, arriving, supplies.materials.cache)
        self._settle(moved(supplies.materials, supplies.items, folder))

    def _settle(self, materials: "Materials") -> None:
        from search.training.trainer import Trainer

        os.environ["KERAS_HOME"] = str(materials.keras_home)

        def report(epoch: int) -> None:
            self._epoch = epoch

        def beat() -> None:
            self._beats += 1

        def wait(waits: bool) -> None:
            self._waits = waits

        heartbeat.attach(beat, wait)
        self._trainer = Trainer(materials, lambda: self._cancelled == self._number, report)

    def run(self, number: int, job: Job) -> tuple[Ending, str]:
        """Return the ending of a job, and what was printed meanwhile."""
        self._epoch, self._number = 0, number
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            ending = execute(self._trainer, job)
        self._trim()
        return ending, printed.getvalue()

    def _trim(self) -> None:
        """Keep the cache within its bound, from time to time; the driver's own is kept so by the driver."""
        materials = self._supplies.materials
        is_due = time.monotonic() - self._trimmed > TRIM_EVERY
        if is_due and materials.cache_bytes and identity_of(materials.cache) != self._supplies.identity:
            self._trimmed = time.monotonic()
            trim(materials.cache, materials.cache_bytes)

    def cancel(self, number: int) -> None:
        """Let the job of this number end at its next epoch, also if it has not begun."""
        self._cancelled = number

    def pulse(self, number: int) -> Pulse:
        """Return how far the job of this number is."""
        if self._number != number:
            return Pulse()
        return Pulse(self._epoch, None if self._waits else self._beats)


def place_in(ray: Any) -> type[Place]:
    """Return Place as an actor of Ray has it: some calls are answered while a job runs, those of the group ASIDE.

    Through ``ray://`` the group of a call can be told by its method alone.
    """

    class Answering(Place):
        @ray.method(concurrency_group=ASIDE)  # type: ignore[untyped-decorator]  # Ray's are not typed
        def cancel(self, number: int) -> None:
            super().cancel(number)

        @ray.method(concurrency_group=ASIDE)  # type: ignore[untyped-decorator]  # Ray's are not typed
        def pulse(self, number: int) -> Pulse:
            return super().pulse(number)

    Answering.__name__ = Answering.__qualname__ = Place.__name__  # as its processes are called
    return Answering


def _cache(supplies: Supplies) -> Path:
    cache = supplies.materials.cache
    if supplies.cache is not None:
        cache = Path(os.path.expandvars(supplies.cache)).expanduser()
    elif not supplies.identity or identity_of(cache) != supplies.identity:
        cache = users_cache()
    return cache.resolve()
