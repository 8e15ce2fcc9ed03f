"""The machine: its cores and memory, how many workers suit it, and how a worker ends with its driver."""

import multiprocessing
import os
import threading
from pathlib import Path

import psutil

NETWORKS_KEPT = 4  # compiled, in each worker; those not used for longest go
WORKER_BYTES = 4 * 10**9  # of all memory, for each worker: it is replaced before it has grown so far
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def cores() -> int:
    """Return the number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def memory() -> int:
    """Return the bytes of memory that this process may use: the machine's, or those of its container."""
    total: int = psutil.virtual_memory().total
    try:
        return min(total, int(CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # there is no container, or it has no limit ("max")
        return total


def workers(gpu: bool, most: int) -> int:
    """Return how many workers, of ``most`` that find work, suit the machine; one for a GPU.

    One for each core, as far as memory goes: TensorFlow makes little of a second core with networks
    and batches as small as ours, and two processes of one thread each do nearly twice the work
    (see the README's decisions).
    """
    return 1 if gpu else max(1, min(cores(), most, memory() // WORKER_BYTES))


def die_with_parent() -> None:
    """End this process as soon as the driver is gone, also if it was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
