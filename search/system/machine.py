"""The machine: its cores and memory, and how a worker ends with its driver."""

import contextlib
import gc
import mmap
import multiprocessing
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from search.system.errors import UserError

NETWORKS_KEPT = 4  # compiled, in each worker; those not used for longest go
ADDRESS_SPACE = 3 * 10**9  # bytes, with which a small search still runs; with 2 e9 TensorFlow may end with a signal
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


def check_address_space() -> None:
    """Raise UserError where this process may have too little address space to load TensorFlow."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE:
        raise UserError(
            f"The address space of this process is limited to {limit / 1e9:.1f} GB, and TensorFlow needs "
            f"{ADDRESS_SPACE / 1e9:.0f} GB or more. Raise the limit: `ulimit -v unlimited`, or ask the batch system "
            "for more."
        )


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Look for no circles of garbage within the block, whose hundreds of thousands of objects hold none.

    What there is when the block begins is passed over also where a library asks for a collection.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def release(array: np.ndarray) -> None:
    """Give back the memory of what was read or written of a mapped file; it is read again when it is asked for."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def die_with_parent() -> None:
    """End this process as soon as the driver is gone, also if it was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
