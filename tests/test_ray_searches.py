"""Whole searches on a Ray cluster equal those of this process, journal for journal, whatever dies meanwhile.

pytest -m slow tests/test_ray_searches.py
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
from kit.drivers import heed_interrupts, jobs_by_name, outcome, wait_for_lines
from kit.ray import kill, machines, skip_without_ray
from kit.shapes import write_shapes

from search.journal.journal import read_events

pytestmark = pytest.mark.slow

SPACE = """
from search import Augment, Recipe, Study

study = Study(data="shapes", folds=3, train_fractions=(1.0, 0.5), holdout=3, max_trials=8, seed=3, baselines=True)

def space(hp):
    return Recipe(
        backbone="SmallCNN",
        unfrozen_blocks=None,
        image_size=32,
        augment=Augment(hp.Choice("augment", ["none", "flip_crop"])),
        dropout=hp.Choice("dropout", [0.0, 0.2, 0.4]),
        learning_rate=hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
        epochs=100,
    )
"""
OPTIONS = ("--offline", "--confirm", "1", "--cache", "cache")
RAY = ("--executor", "ray", "--slots", "2", "--cpus-per-run", "1")
MOMENTS = (4, 12)  # lines of the journal after which something is killed


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a space and images, and the search that this machine makes of it alone."""
    skip_without_ray()
    place = tmp_path_factory.mktemp("searches")
    write_shapes(place / "shapes", {"across": 12, "down": 12})
    (place / "space.py").write_text(SPACE)
    printed, code = run(place, "alone", "--executor", "inline", "--slots", "2")  # one thread, as on Ray
    assert code == 0, printed
    return place


@pytest.fixture(autouse=True)
def nothing_broken_yet(place):
    shutil.rmtree(place / "results" / "broken", ignore_errors=True)


def begin(place, name, *options):
    command = [sys.executable, "-m", "search", "run", "space.py", "--name", name, *OPTIONS, *options]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    output |= {"preexec_fn": heed_interrupts}
    return subprocess.Popen(command, cwd=place, **output)


def run(place, name, *options):
    process = begin(place, name, *options)
    printed, _ = process.communicate(timeout=1500)
    return printed, process.returncode


def decisions(folder):
    """Return the journal without what depends on how long things took, and on who died."""
    events = read_events(folder / "journal.jsonl")
    kept = [event for event in events if event["event"] not in ("session", "attempt", "ahead", "profile")]
    return [without_times(event) for event in kept]


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in ("seconds", "stages", "sum")}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def is_equal(place, name):
    results = place / "results"
    assert decisions(results / name) == decisions(results / "alone")
    assert outcome(results / name) == outcome(results / "alone")
    assert jobs_by_name(results / name) == jobs_by_name(results / "alone")
    return True


def test_a_search_that_loses_a_machine_and_an_actor_equals_that_of_one_process(place):
    with machines(cpus=1, number=2) as cluster:
        process = begin(place, "broken", *RAY, "--address", cluster.cluster.address)
        output = []
        reader = threading.Thread(target=lambda: output.extend(process.stdout))
        reader.start()
        killed = []
        for number, (lines, name) in enumerate(zip(MOMENTS, ("machine", "actor"), strict=True)):
            wait_for_lines(place, process, lines)
            while not (at_work := cluster.at_work("ray::Place.run")):
                assert process.poll() is None, output
                time.sleep(0.05)
            node, actor = next(iter(at_work.items()))
            cluster.lose(node) if number == 0 else kill(actor)
            killed.append(name)
        code = process.wait(1500)
        reader.join(60)
    printed = "".join(output)
    assert code == 0, printed
    assert killed == ["machine", "actor"]
    assert "is gone, and its run begins again elsewhere" in printed
    assert "(raylet)" not in printed
    failures = [event["error"] for event in decisions(place / "results" / "broken") if event["event"] == "failure"]
    assert set(failures) <= {"the actor died (out of memory, or killed)"}
    assert len(failures) <= 1
    without = [event for event in decisions(place / "results" / "broken") if event["event"] != "failure"]
    assert without == decisions(place / "results" / "alone")


def test_a_driver_is_killed_and_interrupted_and_goes_on(place):
    for number, lines in enumerate(MOMENTS):
        process = begin(place, "broken", *RAY)
        wait_for_lines(place, process, lines)
        process.send_signal(signal.SIGINT if number else signal.SIGKILL)
        printed, _ = process.communicate(timeout=600)
        assert process.returncode == (130 if number else -signal.SIGKILL), printed
        assert "Traceback" not in printed
    printed, code = run(place, "broken", *RAY)
    assert code == 0, printed
    assert "Resuming after" in printed
    assert is_equal(place, "broken")


@contextlib.contextmanager
def client_server(cluster):
    """Give the address by which Ray's client reaches a cluster: that of a server as ``ray start --head`` has one."""
    host, port = cluster.cluster.head_node.node_ip_address, str(free_port())
    command = [sys.executable, "-m", "ray.util.client.server", "--host", host, "--port", port]
    command += ["--mode", "specific-server", "--address", cluster.cluster.address]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"ray://{host}:{port}"
    finally:
        for process in (*psutil.Process(server.pid).children(recursive=True), server):
            process.kill()
        server.wait()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_search_over_ray_client_equals_that_of_one_process(place):
    with machines(cpus=1, number=2) as cluster, client_server(cluster) as address:
        printed, code = run(place, "broken", *RAY, "--address", address)
    assert code == 0, printed
    assert is_equal(place, "broken")
