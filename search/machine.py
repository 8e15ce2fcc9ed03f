"""The machine that we are on: its cores and memory, and how many workers they carry."""

import os

import psutil

WORKER_BYTES = 4 * 10**9  # of all memory, for each worker: it is replaced before it has grown so far


def cores() -> int:
    """Return the number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def workers(gpu: bool) -> int:
    """Return how many workers suit the machine: one for each core, as far as memory goes; one for a GPU.

    TensorFlow makes little of a second core with networks and batches as small as ours, two processes of one
    thread each nearly double the work (see the README's decisions).
    """
    return 1 if gpu else max(1, min(cores(), psutil.virtual_memory().total // WORKER_BYTES))
