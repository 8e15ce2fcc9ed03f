"""How many workers share a machine, and the threads or the GPU of each: pure functions of the machine and the work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from search.system.errors import UserError

WORKER_BYTES = 4 * 10**9  # of all memory, for each worker: it is replaced before it has grown so far
VISIBLE = "CUDA_VISIBLE_DEVICES"  # which GPUs a process sees, by the names that this variable gives them
NO_GPU = "-1"  # as a value of it
NONE = "none"  # as --gpus has it

Gpus = Mapping[str, str]  # what kind each is, by its name in CUDA_VISIBLE_DEVICES, in the order of TensorFlow's numbers


@dataclass(frozen=True)
class Machine:
    """What there is to share: processors, bytes of memory, and the GPUs that TensorFlow sees."""

    cores: int
    memory: int
    gpus: Gpus = field(default_factory=dict)


@dataclass(frozen=True)
class Devices:
    """The worker slots of a search, the threads of each, and the GPUs that they use, one each; none compute on cores.

    Where there are more slots than GPUs, they take turns: slot 2 of two GPUs has the first.
    """

    slots: int
    threads: int
    gpus: Gpus = field(default_factory=dict)


def workers(machine: Machine, work: int) -> int:
    """Return how many workers, of ``work`` that find some, suit the machine: one for each GPU, or for each core.

    They are no more than memory allows. TensorFlow makes little of a second core with networks
    and batches as small as ours, and two processes of one thread each do nearly twice the work
    (search/DECISIONS.md, "As many workers as cores, one thread each").
    """
    return max(1, min(len(machine.gpus) or machine.cores, work, machine.memory // WORKER_BYTES))


# DECISIONS: As many workers as cores, one thread each
def devices(machine: Machine, work: int, slots: int | None = None, threads: int | None = None) -> Devices:
    """Return how a search shares a machine on which ``work`` workers find some.

    ``slots`` are those that a person asks for. ``threads`` are those of a search that has begun: it keeps them, as
    the last decimals of its results depend on them.
    """
    most = workers(machine, work)
    if threads is None:
        slots = slots or most
        threads = max(1, machine.cores // slots)
    slots = slots or max(1, min(most, machine.cores // threads))
    return Devices(slots, threads, dict(list(machine.gpus.items())[:slots]))


def seen(kinds: Sequence[str], visible: str | None) -> Gpus:
    """Return the GPUs of these kinds, in TensorFlow's order; ``visible`` is CUDA_VISIBLE_DEVICES as it is, or None.

    A worker sees one of them if that variable has its name.
    """
    names = visible.split(",") if visible else [str(number) for number in range(len(kinds))]
    return {name.strip(): kind for name, kind in zip(names, kinds, strict=False)}


def with_gpus(machine: Machine, choice: str | None) -> Machine:
    """Return a machine with those of its GPUs that ``choice`` names: numbers as in "0,1", "none", or None for all.

    Numbers count what TensorFlow sees, from 0. Raises UserError where there is no such GPU.
    """
    if choice is None:
        return machine
    names, numbers = list(machine.gpus), []
    for text in [] if choice.strip().lower() == NONE else choice.split(","):
        number = int(text) if text.strip().isdecimal() else -1
        if not 0 <= number < len(names) or number in numbers:
            raise UserError(f"--gpus {choice}: {_there(names)} Give {_ways(names)}.")
        numbers.append(number)
    return replace(machine, gpus={names[number]: machine.gpus[names[number]] for number in numbers})


def _there(names: Sequence[str]) -> str:
    if not names:
        return (
            "TensorFlow sees no GPU here. It needs the driver of NVIDIA, and CUDA: "
            'pip install "tensorflow[and-cuda]". Then `nvidia-smi` lists the GPUs.'
        )
    return f"TensorFlow sees {len(names)} GPU{'s' * (len(names) > 1)} here, and {VISIBLE} decides which these are."


def _ways(names: Sequence[str]) -> str:
    numbers = [str(number) for number in range(len(names))]
    some = f"numbers from {numbers[0]} to {numbers[-1]}, each once, with commas between them" if numbers[1:] else "0"
    return f"{some}, or {NONE}" if names else f"--gpus {NONE}, or leave it out"


def environment(gpus: Sequence[str], slot: int) -> dict[str, str]:
    """Return the variables that the worker in a slot, from 0, must have before TensorFlow looks for GPUs.

    It sees one of ``gpus`` at most, and takes memory of it as it needs it.
    """
    return {VISIBLE: gpus[slot % len(gpus)] if gpus else NO_GPU, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def in_words(shares: Devices) -> str:
    """Return which GPUs the workers use; "" where they use none."""
    if not shares.gpus:
        return ""
    each = [f"{name} ({kind})" for name, kind in shares.gpus.items()]
    workers_ = f"{shares.slots} worker{'s' * (shares.slots > 1)}"
    return f"GPUs: {', '.join(each)}, for {workers_}"


def changed_devices(first: Gpus | None, now: Gpus | None) -> str:
    """Return how the kinds of devices differ between two sessions, "" where they do not or nobody knows."""
    if first is None or now is None:
        return ""
    was, is_ = (", ".join(sorted(set(gpus.values()))) or "processors" for gpus in (first, now))
    return f"{was} -> {is_}" if was != is_ else ""
