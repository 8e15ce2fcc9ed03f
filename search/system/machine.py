"""The machine: its cores and memory, and how a worker ends with its driver."""

import multiprocessing
import os
import threading
from pathlib import Path

import psutil

NETWORKS_KEPT = 4  # compiled, in each worker; those not used for longest go
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


def die_with_parent() -> None:
    """End this process as soon as the driver is gone, also if it was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
