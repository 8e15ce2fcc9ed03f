"""Workers: a process that dies takes one job with it, and gives the same results as the driver's own."""

import os
import signal
import time

import numpy as np
import psutil
import pytest
from runs import materials

from search.executors import processes as executors
from search.executors.processes import Inline, Workers
from search.racing import Job
from search.repertoire.recipe import Recipe

RECIPE = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32, epochs=3)
LONG = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32, epochs=100_000)


@pytest.fixture
def stuff(shapes, tmp_path):
    return materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,))


def job(recipe=RECIPE, number=1, *folds):
    return Job("0000", number, recipe, folds or ("f0",))


def outcome_of(executor, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (outcome := executor.wait(0.2)) is not None:
            return outcome
    raise AssertionError("no outcome came")


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


def test_a_dying_worker_costs_one_job_and_results_equal_inline(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        assert workers.free() == 1
        workers.submit(job())
        assert workers.free() == 0
        good = outcome_of(workers)
        workers.submit(job(LONG))
        time.sleep(1.0)
        os.kill(pid_of(workers), signal.SIGKILL)
        dead = outcome_of(workers)
        assert dead.result is None
        assert "died" in dead.error
        assert not dead.final
        workers.submit(job())
        again = outcome_of(workers)
    inline = Inline(stuff)
    inline.submit(job())
    own = inline.wait(0)
    for outcome in (again, own):
        np.testing.assert_array_equal(outcome.result.runs[0].probabilities, good.result.runs[0].probabilities)


def test_leaving_ends_the_running_job_at_once(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        pid = pid_of(workers)
        workers.submit(job(LONG))
        time.sleep(1.0)
        assert psutil.pid_exists(pid)
    assert gone(pid)


def test_an_error_inside_a_job_is_an_outcome_and_the_worker_lives_on(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        workers.submit(job(RECIPE, 1, "no such fold"))
        failed = outcome_of(workers)
        workers.submit(job())
        assert outcome_of(workers).result is not None
    assert failed.error == "KeyError: 'no such fold'"
    assert "Traceback" in (tmp_path / "log").read_text()


def test_a_diverging_run_is_final(stuff):
    inline = Inline(stuff)
    inline.submit(job(Recipe("SmallCNN", None, image_size=32, epochs=60, learning_rate=10.0, weight_decay=10.0)))
    outcome = inline.wait(0)
    assert outcome.final
    assert "no number" in outcome.error


def test_missing_weights_stop_the_search_instead_of_failing_a_trial(stuff, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    inline = Inline(stuff)
    inline.submit(job(Recipe("MobileNet_0.25", image_size=32)))
    outcome = inline.wait(0)
    assert outcome.fatal
    assert "are gone" in outcome.error


def test_a_worker_that_has_grown_is_replaced_between_jobs(stuff, tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "RECYCLE_BYTES", -1)  # every job grows by more than that
    with Workers(stuff, 1, tmp_path / "log") as workers:
        pids = set()
        for _ in range(2):
            workers.submit(job())
            pids.add(pid_of(workers))
            assert outcome_of(workers).result is not None
    assert len(pids) == 2


def test_two_slots_work_at_the_same_time(stuff, tmp_path):
    with Workers(stuff, 2, tmp_path / "log") as workers:
        workers.submit(job())
        workers.submit(Job("0001", 1, RECIPE, ("f1",)))
        assert workers.free() == 0
        names = {outcome_of(workers).job.trial, outcome_of(workers).job.trial}
    assert names == {"0000", "0001"}


def test_jobs_go_to_the_worker_that_had_their_shape(stuff, tmp_path):
    wider = Job("0001", 1, Recipe("SmallCNN", None, image_size=48, epochs=1), ("f0",))
    with Workers(stuff, 2, tmp_path / "log") as workers:
        for first, second in ((job(), wider), (wider, job())):
            workers.submit(first)
            workers.submit(second)
            shapes = [slot._job.shape for slot in workers._slots]
            assert shapes == [job().shape, wider.shape]
            for _ in range(2):
                assert outcome_of(workers).result is not None


def test_a_cancelled_job_ends_soon_and_its_worker_lives_on(stuff, tmp_path):
    with Workers(stuff, 1, tmp_path / "log") as workers:
        pid = pid_of(workers)
        workers.submit(job(LONG))
        workers.cancel("another trial")
        assert workers.wait(3.0) is None
        workers.cancel("0000")
        outcome = outcome_of(workers)
        assert outcome.result is None
        assert outcome.error == "cancelled"
        workers.submit(job())
        assert outcome_of(workers).result is not None
        assert pid_of(workers) == pid


def test_a_killed_server_of_workers_is_started_again(stuff, tmp_path):
    from multiprocessing import forkserver

    with Workers(stuff, 1, tmp_path / "log") as workers:
        pid_of(workers)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        workers.submit(job(LONG))
        assert "died" in outcome_of(workers).error  # its workers cannot be watched any more
        workers.submit(job())
        assert outcome_of(workers).result is not None
