"""Executors: what all of them keep to; and worker processes, of which one that dies takes one job with it."""

import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from kit import toys
from kit.ray import skip_without_ray
from kit.runs import materials
from kit.scripted import Script

from search.executors import holdings
from search.executors.base import Cancelled, Done, Failed, Fatal, Reporting
from search.executors.processes import Workers
from search.executors.table import DEFAULT, EXECUTORS, ExecutorOptions, check_settings
from search.journal.outcomes import JobKind
from search.options import Options
from search.racing import Job
from search.repertoire.recipe import Recipe
from search.system.cache import lock_of
from search.system.errors import UserError
from search.system.files import locked

RECIPE = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32, epochs=3)
OTHER_SHAPE = Recipe("SmallCNN", None, image_size=48, epochs=1)
DIVERGING = Recipe("SmallCNN", None, image_size=32, epochs=60, learning_rate=10.0, weight_decay=10.0)
WITHOUT_WEIGHTS = Recipe("MobileNet_0.25", image_size=32)
LONG = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32, epochs=100_000)


@pytest.fixture
def stuff(shapes, tmp_path):
    return materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,))


def job(recipe=RECIPE, number=1, *folds):
    return Job("0000", number, recipe, folds or ("f0",))


def ending_of(executor, seconds=600):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (ending := executor.wait(0.2)) is not None:
            return ending
    raise AssertionError("no job ended")


def scripted_ending(job):
    """Return how the scripted executor ends the jobs of the contract."""
    if job.recipe == DIVERGING:
        return Failed(job, "The loss is no number.", final=True)
    if job.recipe == WITHOUT_WEIGHTS:
        return Fatal(job, "The weights are gone.")
    if job.folds == ("no such fold",):
        return Failed(job, "KeyError: 'no such fold'")
    return None


ROWS = {**EXECUTORS, "scripted": Script(plan=scripted_ending).executors["processes"]}


def made(name, stuff, folder):
    return ROWS[name].make(stuff, ExecutorOptions(1, folder / "log"))


SETTING = toys.EXECUTOR.settings[0].name


@pytest.mark.parametrize(
    ("executor", "value", "words"),
    [
        ("inline", 1, "--count-from is a setting of --executor counting, not of inline"),
        ("counting", 0, "count_from=0 must be a whole number, 1 or more"),
        ("counting", "one", "count_from='one' must be a whole number, 1 or more"),
    ],
)
def test_a_setting_that_cannot_be_obeyed_is_refused(executor, value, words):
    rows = {**EXECUTORS, "counting": toys.EXECUTOR}
    check_settings(rows, "counting", {SETTING: 1})
    with pytest.raises(UserError, match=words):
        check_settings(rows, executor, {SETTING: value})


def test_the_default_executor_is_in_the_table():
    assert Options().executor == DEFAULT
    assert DEFAULT in EXECUTORS
    assert EXECUTORS[DEFAULT].has_slots


@pytest.mark.parametrize("name", ROWS)
def test_an_executor_keeps_the_contract(name, stuff, tmp_path):
    """Each line of ``expected`` is a job and the ending that it must have, in this order, with one slot."""
    if name == "ray":
        skip_without_ray()
    expected = [
        (job(RECIPE, 1, "f0", "f1"), Done),
        (job(RECIPE, 2, "f0", "f1"), Done),
        (job(OTHER_SHAPE), Done),
        (job(RECIPE, 3, "f1", "f0"), Done),
        (Job("0000", 1, RECIPE, (), JobKind.HELP), Done),
        (job(RECIPE, 4, "no such fold"), Failed),
        (job(DIVERGING), Failed),
        (job(WITHOUT_WEIGHTS), Fatal),
    ]
    endings = []
    with made(name, stuff, tmp_path) as executor:
        assert executor.wait(0) is None
        for one, _ in expected:
            assert executor.free() == 1
            executor.submit(one)
            assert executor.free() == 0
            executor.cancel("another trial")
            endings.append(ending_of(executor))
        executor.submit(job())
        executor.cancel("0000")
        last = ending_of(executor)
        assert executor.free() == 1
    assert [(ending.job, type(ending)) for ending in endings] == expected
    assert isinstance(last, Done | Cancelled)  # one that has begun may be waited for
    first, again, _, swapped, helped, unknown, diverged, _ = endings
    assert [run.fold for run in first.result.runs] == ["f0", "f1"]
    assert probabilities(again) == probabilities(first)
    assert probabilities(swapped) == probabilities(first)  # whatever was trained before, and beside it
    assert helped.result.runs == ()
    assert (unknown.error, unknown.final) == ("KeyError: 'no such fold'", False)
    assert diverged.final
    assert "no number" in diverged.error
    for ending in (again, swapped):  # a network of a known shape is not built again
        assert ending.stages.get("build", 0.0) <= first.stages.get("build", 0.0) / 5
    if name != "scripted":
        assert probabilities(first) == inline_probabilities(stuff, tmp_path)


def probabilities(ending):
    return {run.fold: run.probabilities.tolist() for run in ending.result.runs}


def inline_probabilities(stuff, folder):
    with made("inline", stuff, folder) as inline:
        inline.submit(job(RECIPE, 1, "f0", "f1"))
        return probabilities(ending_of(inline))


def pid_of(workers):
    """Return the process id of the first worker, once it is up."""
    return workers._slots[0]._pid.result(60)


def gone(pid, seconds=20):
    try:
        psutil.Process(pid).wait(seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_a_dying_worker_costs_one_job(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        assert workers.free() == 1
        workers.submit(job())
        assert workers.free() == 0
        good = ending_of(workers)
        workers.submit(job(LONG))
        time.sleep(1.0)
        os.kill(pid_of(workers), signal.SIGKILL)
        dead = ending_of(workers)
        assert isinstance(dead, Failed)
        assert "died" in dead.error
        assert not dead.final
        workers.submit(job())
        again = ending_of(workers)
    np.testing.assert_array_equal(again.result.runs[0].probabilities, good.result.runs[0].probabilities)


def test_a_worker_tells_the_epoch_of_its_job(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        assert isinstance(workers, Reporting)
        assert workers.epochs() == {}
        workers.submit(job(LONG))
        numbers = []
        until = time.monotonic() + 60
        while time.monotonic() < until and len(set(numbers) - {0}) < 3:
            (name, epoch), *others = workers.epochs().items()
            assert (name, others) == (("0000", 1), [])
            numbers.append(epoch)
            time.sleep(0.02)
        assert numbers == sorted(numbers)
        assert len(set(numbers) - {0}) >= 3


def test_a_worker_that_hangs_is_killed_and_costs_one_job(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        workers.submit(job())
        good = ending_of(workers)  # its network is built, which nothing tells of while it lasts
        workers._patience = 2.0
        workers.submit(job(LONG))
        assert workers.wait(5.0) is None  # it is longer at work than that, and tells of it
        assert workers.wait(1.0) is None
        pid = pid_of(workers)
        os.kill(pid, signal.SIGSTOP)
        hanging = ending_of(workers)
        assert hanging == Failed(job(LONG), "its worker made no progress for 2 s (--run-timeout)")
        assert gone(pid)
        assert workers.free() == 1
        workers._patience = math.inf
        workers.submit(job())
        again = ending_of(workers)
    assert probabilities(again) == probabilities(good)


def test_a_worker_that_waits_for_what_another_makes_does_not_hang(stuff, tmp_path):
    wider = job(OTHER_SHAPE)
    with made("inline", stuff, tmp_path) as inline:
        inline.submit(wider)  # for which the images are decoded
        expected = probabilities(ending_of(inline))
    (entry,) = (path for path in (stuff.cache / "decoded").iterdir() if np.load(path / "pixels.npy").shape[1] == 48)
    shutil.rmtree(entry)
    with Workers(stuff, 1, tmp_path / "log") as workers:
        workers.submit(job())
        assert isinstance(ending_of(workers), Done)
        workers._patience = 3.0
        with locked(lock_of(entry)):
            workers.submit(wider)
            for _ in range(12):
                assert workers.wait(0.5) is None
            workers._patience = math.inf
        assert probabilities(ending_of(workers)) == expected


def test_leaving_ends_the_running_job_at_once(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        pid = pid_of(workers)
        workers.submit(job(LONG))
        time.sleep(1.0)
        assert psutil.pid_exists(pid)
    assert gone(pid)


def test_an_error_inside_a_job_is_in_the_log_and_the_worker_lives_on(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        workers.submit(job(RECIPE, 1, "no such fold"))
        failed = ending_of(workers)
        workers.submit(job())
        assert isinstance(ending_of(workers), Done)
    assert failed.error == "KeyError: 'no such fold'"
    assert "Traceback" in (tmp_path / "log").read_text()


def test_missing_weights_stop_the_search_instead_of_failing_a_trial(stuff, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with made("inline", stuff, tmp_path) as inline:
        inline.submit(job(WITHOUT_WEIGHTS))
        ending = ending_of(inline)
    assert isinstance(ending, Fatal)
    assert "are gone" in ending.error


def test_a_worker_that_has_grown_is_replaced_between_jobs(stuff, tmp_path, monkeypatch):
    monkeypatch.setattr(holdings, "RECYCLE_BYTES", -1)  # every job grows by more than that
    with Workers(stuff, 1, tmp_path / "log") as workers:
        pids = set()
        for _ in range(2):
            workers.submit(job())
            pids.add(pid_of(workers))
            assert isinstance(ending_of(workers), Done)
    assert len(pids) == 2


def test_two_slots_work_at_the_same_time(stuff, tmp_path):
    with Workers(stuff, 2, tmp_path / "log") as workers:
        workers.submit(job())
        workers.submit(Job("0001", 1, RECIPE, ("f1",)))
        assert workers.free() == 0
        names = {ending_of(workers).job.trial, ending_of(workers).job.trial}
    assert names == {"0000", "0001"}


def test_jobs_go_to_the_worker_that_had_their_shape(stuff, tmp_path):
    wider = Job("0001", 1, OTHER_SHAPE, ("f0",))
    with Workers(stuff, 2, tmp_path / "log") as workers:
        for first, second in ((job(), wider), (wider, job())):
            workers.submit(first)
            workers.submit(second)
            shapes = [slot._job.shape for slot in workers._slots]
            assert shapes == [job().shape, wider.shape]
            for _ in range(2):
                assert isinstance(ending_of(workers), Done)


def test_a_cancelled_job_ends_soon_and_its_worker_lives_on(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        pid = pid_of(workers)
        workers.submit(job(LONG))
        workers.cancel("another trial")
        assert workers.wait(3.0) is None
        workers.cancel("0000")
        assert isinstance(ending_of(workers), Cancelled)
        workers.submit(job())
        assert isinstance(ending_of(workers), Done)
        assert pid_of(workers) == pid


def test_a_killed_server_of_workers_is_started_again(stuff, tmp_path):
    from multiprocessing import forkserver

    with Workers(stuff, 1, tmp_path / "log") as workers:
        pid_of(workers)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        workers.submit(job(LONG))
        assert "died" in ending_of(workers).error  # its workers cannot be watched any more
        workers.submit(job())
        assert isinstance(ending_of(workers), Done)


def test_each_worker_process_sees_the_gpu_of_its_slot_and_no_other(stuff, tmp_path):
    with Workers(dataclasses.replace(stuff, gpus=("7", "GPU-9")), 3, tmp_path / "log") as workers:
        there = [slot._pool.submit(_environment).result(120) for slot in workers._slots]
    assert [gpu for gpu, _ in there] == ["7", "GPU-9", "7"]
    assert {growth for _, growth in there} == {"true"}


def test_workers_of_a_machine_without_gpus_are_shown_none(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        before = workers._slots[0]._pool.submit(_environment).result(120)
        os.kill(pid_of(workers), signal.SIGKILL)
        gone(pid_of(workers))
        workers.submit(job())
        assert isinstance(ending_of(workers), Done | Failed)
        after = workers._slots[0]._pool.submit(_environment).result(120)
    assert before == after == ("-1", "true")  # also of one that replaces another


def _environment():
    return os.environ["CUDA_VISIBLE_DEVICES"], os.environ["TF_FORCE_GPU_ALLOW_GROWTH"]


def test_the_server_that_forks_workers_starts_before_libraries_are_imported():
    code = "import sys, search.executors.table, search.executors.server; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pandas", "scipy", "sklearn", "tensorflow"} & set(loaded)
