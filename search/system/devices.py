"""How many workers share a machine, and how many threads each has: a pure function of the machine and the work."""

from dataclasses import dataclass

WORKER_BYTES = 4 * 10**9  # of all memory, for each worker: it is replaced before it has grown so far


@dataclass(frozen=True)
class Machine:
    """What there is to share: processors, bytes of memory, and whether TensorFlow sees a GPU."""

    cores: int
    memory: int
    gpu: bool


@dataclass(frozen=True)
class Devices:
    """The worker slots of a search, and the threads of each."""

    slots: int
    threads: int


def workers(machine: Machine, work: int) -> int:
    """Return how many workers, of ``work`` that find some, suit the machine; one for a GPU.

    One for each core, as far as memory goes: TensorFlow makes little of a second core with networks
    and batches as small as ours, and two processes of one thread each do nearly twice the work
    (search/DECISIONS.md, "As many workers as cores, one thread each").
    """
    return 1 if machine.gpu else max(1, min(machine.cores, work, machine.memory // WORKER_BYTES))


# DECISIONS: As many workers as cores, one thread each
def devices(machine: Machine, work: int, slots: int | None = None, threads: int | None = None) -> Devices:
    """Return how a search shares a machine on which ``work`` workers find some.

    ``slots`` are those that a person asks for. ``threads`` are those of a search that has begun: it keeps them, as
    the last decimals of its results depend on them.
    """
    most = workers(machine, work)
    if threads is not None:
        return Devices(slots or max(1, min(most, machine.cores // threads)), threads)
    slots = slots or most
    return Devices(slots, max(1, machine.cores // slots))
