"""Ray: slots on two logical machines of a real cluster, on this one. Actors and machines die, and jobs go on.

pytest -m slow tests/test_ray.py      # the tests that wait for further actors to start
"""

import dataclasses
import signal
import time

import pytest
from kit.ray import kill, machines, wait_until
from kit.runs import materials
from kit.shapes import write_shapes

from search.executors import ray as subject
from search.executors.actor import Step
from search.executors.base import Cancelled, Done, Failed, Reporting
from search.executors.inline import Inline
from search.executors.table import EXECUTORS, ExecutorOptions
from search.racing import Job
from search.repertoire.recipe import Recipe
from search.training.trainer import set_up

set_up(2)
RECIPE = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32, epochs=3)
WIDER = Recipe("SmallCNN", None, image_size=48, epochs=1)
LONG = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32, epochs=100_000)
SLOWER = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32, epochs=150)


@pytest.fixture(scope="module")
def cluster():
    with machines(cpus=1, number=2) as made:
        yield made


@pytest.fixture(scope="module")
def stuff(tmp_path_factory):
    place = tmp_path_factory.mktemp("ray")
    shapes = write_shapes(place / "shapes", {"across": 12, "down": 12})
    return materials(shapes, place / "cache", folds=3, train_fractions=(1.0,))


@pytest.fixture(scope="module")
def made(cluster, stuff, tmp_path_factory):
    """Two slots, which the tests use one after another, and what they have said to people."""
    said = []
    log = tmp_path_factory.mktemp("log") / "workers.log"
    with EXECUTORS["ray"].make(stuff, ExecutorOptions(2, log, said.append, {"cpus_per_run": 1})) as slots:
        yield slots, said


@pytest.fixture
def slots(made):
    slots, said = made
    said.clear()
    assert slots.free() == 2
    return slots


def job(recipe=RECIPE, trial="0000"):
    return Job(trial, 1, recipe, ("f0", "f1"))


def ending_of(slots, seconds=600):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (ending := slots.wait(0.2)) is not None:
            return ending
    raise AssertionError("no job ended")


def probabilities(ending):
    return [run.probabilities.tolist() for run in ending.result.runs]


def of_inline(stuff, recipe):
    with Inline(stuff) as inline:
        inline.submit(job(recipe))
        return probabilities(inline.wait(0))


def running(slots, cluster):
    """Wait until a job is in its second epoch or later; return the machine and the process of its actor."""

    def is_on():
        slots.wait(0.05)
        return max([0, *slots.epochs().values()]) >= 2

    wait_until(is_on)
    (node,) = {actor.node for actor in slots._actors if actor.step is Step.RUNNING}
    return node, cluster.at_work()[node]


def test_actors_are_made_for_jobs_and_train_as_this_process_does(slots, stuff):
    assert isinstance(slots, Reporting)
    assert slots.wait(0) is None
    assert slots._actors == []
    slots.submit(job())
    slots.submit(job(WIDER, "0001"))
    assert slots.free() == 0
    endings = {ending.job.trial: ending for ending in (ending_of(slots), ending_of(slots))}
    assert probabilities(endings["0000"]) == of_inline(stuff, RECIPE)
    assert probabilities(endings["0001"]) == of_inline(stuff, WIDER)
    assert len({actor.node for actor in slots._actors}) == 2


def test_jobs_go_to_the_actor_that_had_their_shape(slots):
    for order in ((RECIPE, WIDER), (WIDER, RECIPE)):
        for number, recipe in enumerate(order):
            slots.submit(job(recipe, str(number)))
        for _ in range(2):
            assert ending_of(slots).stages.get("build", 0) < 0.1


def test_a_cancelled_job_ends_soon_and_its_actor_lives_on(slots, cluster):
    slots.submit(job(LONG))
    _, process = running(slots, cluster)
    slots.cancel("another trial")
    assert slots.wait(1.0) is None
    slots.cancel("0000")
    assert isinstance(ending_of(slots), Cancelled)
    slots.submit(job())
    assert isinstance(ending_of(slots), Done)
    assert process.is_running()


def test_an_actor_that_dies_costs_one_attempt(slots, cluster, made):
    slots.submit(job(LONG))
    _, process = running(slots, cluster)
    kill(process)
    assert ending_of(slots) == Failed(job(LONG), "the actor died (out of memory, or killed)")
    slots.submit(job())
    assert isinstance(ending_of(slots), Done)
    assert made[1] == []


@pytest.mark.slow
def test_an_actor_that_dies_while_idle_costs_nothing(slots, cluster, monkeypatch):
    slots.submit(job())
    assert isinstance(ending_of(slots), Done)
    monkeypatch.setattr(subject, "MACHINES", 1)  # however many of them die
    monkeypatch.setattr(subject, "STARTS", 1)
    processes = cluster.at_work()
    assert processes
    for process in processes.values():
        kill(process)
    slots.submit(job())
    assert isinstance(ending_of(slots), Done)


def test_a_machine_that_dies_costs_no_attempt(slots, cluster, stuff, made):
    slots.submit(job(SLOWER))
    node, _ = running(slots, cluster)
    cluster.lose(node)
    again = ending_of(slots)
    assert probabilities(again) == of_inline(stuff, SLOWER)
    assert [line.partition(" of the cluster ")[2] for line in made[1]] == [
        "is gone, and its run begins again elsewhere"
    ]


@pytest.mark.slow
def test_a_job_that_outlives_three_machines_is_the_one_to_blame(slots, monkeypatch):
    monkeypatch.setattr(subject, "MACHINES", 1)
    slots.submit(job(LONG))
    wait_until(lambda: slots.wait(0.05) or slots.epochs())
    actor = next(actor for actor in slots._actors if actor.job)
    slots._retry(actor)
    assert ending_of(slots) == Failed(job(LONG), "1 machines in a row were lost while they trained it")


@pytest.mark.slow
def test_idle_actors_end(slots, cluster, monkeypatch):
    slots.submit(job())
    assert isinstance(ending_of(slots), Done)
    processes = cluster.at_work()
    assert processes
    monkeypatch.setattr(subject, "IDLE_SECONDS", 0.0)
    assert slots.wait(0) is None
    assert slots._actors == []
    wait_until(lambda: not any(process.is_running() for process in processes.values()))


def test_people_are_told_once_what_a_cluster_lacks(cluster, stuff, tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "PLACE_SECONDS", 0.0)
    said = []
    options = ExecutorOptions(1, tmp_path / "log", said.append, {"cpus_per_run": 1, "gpus_per_run": 1})
    with EXECUTORS["ray"].make(stuff, options) as slots:
        slots.submit(job())
        assert slots.wait(0.3) is None
        assert slots.wait(0.3) is None
        slots.cancel("0000")
        assert isinstance(slots.wait(0), Cancelled)
    assert said == [
        (
            "Ray has found no place for a run, which needs 1 CPU and 1 GPU. None of its 3 machines has so much; the "
            "largest has 1 CPU. The search waits: add a machine, or interrupt it and ask for less with --cpus-per-run "
            "or --gpus-per-run."
        )
    ]


@pytest.mark.slow
def test_images_that_a_machine_does_not_see_are_sent_into_its_cache(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths that only this process can follow
    write_shapes(tmp_path / "shapes", {"across": 12, "down": 12})
    stuff = materials("shapes", tmp_path / "cache", folds=3, train_fractions=(1.0,))
    said, there = [], tmp_path / "there"
    settings = {"cpus_per_run": 1, "node_cache": str(there)}
    with EXECUTORS["ray"].make(stuff, ExecutorOptions(1, tmp_path / "log", said.append, settings)) as slots:
        slots.submit(job())
        ending = ending_of(slots)
    assert probabilities(ending) == of_inline(stuff, RECIPE)
    assert "does not see the files of this search here" in said[0]
    (folder,) = (path for path in (there / "unpacked").iterdir() if not path.name.startswith("."))
    assert len(list((folder / "images").iterdir())) == 24
    assert (there / "decoded").is_dir()


@pytest.mark.slow
def test_an_actor_without_a_sign_of_life_costs_one_attempt(cluster, stuff, tmp_path):
    stuff = dataclasses.replace(
        stuff, run_timeout=40.0
    )  # a network that is built shows nothing for so long on a busy machine
    with EXECUTORS["ray"].make(stuff, ExecutorOptions(1, tmp_path / "log", print, {"cpus_per_run": 1})) as slots:
        slots.submit(job(LONG))
        _, process = running(slots, cluster)
        process.send_signal(signal.SIGSTOP)
        assert ending_of(slots) == Failed(job(LONG), "its actor made no progress for 40 s (--run-timeout)")
