"""A real Ray of several logical machines on this one, each of which can be lost."""

import contextlib
import importlib.util
import os
import signal
import time

import psutil
import pytest

from search.executors.cluster import own_environment

SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}


class Machines:
    """A head without processors, and logical machines with so many each; this process is connected."""

    def __init__(self, cpus, number):
        import ray
        from ray.cluster_utils import Cluster

        self.ray = ray
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 10**8, "_system_config": SOON}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        ray.init(self.cluster.address, log_to_driver=False, logging_level="ERROR")  # to the only one there is, the head
        self.cpus = cpus
        self.nodes = [self.add() for _ in range(number)]

    def add(self):
        return self.cluster.add_node(num_cpus=self.cpus, object_store_memory=10**8)

    def at_work(self, title="ray::Place"):
        """Return the processes of actors, those with a job if the title says so, by the machine's id."""
        found = {}
        for node in self.nodes:
            for process in psutil.Process(raylet_of(node)).children(recursive=True):
                with contextlib.suppress(psutil.Error, IndexError):
                    if process.cmdline()[0].startswith(title):
                        found[node.node_id] = process
        return found

    def lose(self, node_id):
        """Kill a machine, actors and all, and put another one in its place."""
        (node,) = (node for node in self.nodes if node.node_id == node_id)
        processes = [psutil.Process(raylet_of(node)), *psutil.Process(raylet_of(node)).children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.nodes.remove(node)
        self.nodes.append(self.add())

    def end(self):
        self.ray.shutdown()
        self.cluster.shutdown()


def raylet_of(node):
    return node.all_processes["raylet"][0].process.pid


def skip_without_ray():
    """Skip a test where Ray is not installed; it is not imported, as it then reads its environment."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray: pip install -e '.[ray]'")


@contextlib.contextmanager
def machines(cpus, number):
    """Give so many machines with so many processors each, which listen to this computer alone and ask for a token."""
    skip_without_ray()
    with own_environment():
        handler = signal.getsignal(signal.SIGTERM)
        made = Machines(cpus, number)
        signal.signal(signal.SIGTERM, handler)
        try:
            yield made
        finally:
            made.end()


def kill(process):
    """Kill a process, and wait until it is gone."""
    os.kill(process.pid, signal.SIGKILL)
    with contextlib.suppress(psutil.Error):
        process.wait(20)


def wait_until(holds, seconds=600):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)
