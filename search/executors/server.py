"""The server that forks workers. Light: it starts before anything else is imported, and loads TensorFlow meanwhile."""

import multiprocessing
import os

HAS_SERVER = "forkserver" in multiprocessing.get_all_start_methods()


# DECISIONS: The fork server starts at once
def start_server() -> None:
    """Start the server that forks workers, where the system has one, and let it load TensorFlow for them.

    Returns at once. What a worker prints before it has a log (it can be killed while it starts)
    goes nowhere.
    """
    if not HAS_SERVER:
        return
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload(["search.training.trainer"])
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        forkserver.ensure_running()
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
