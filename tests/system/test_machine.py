"""How many workers a machine carries."""

import pytest

from search.executors.placement import placed
from search.executors.table import EXECUTORS
from search.options import Options
from search.system import machine
from search.system.devices import WORKER_BYTES, Devices, Machine, devices, workers
from search.system.errors import UserError

BIG = Machine(cores=16, memory=10**12)


def test_workers_are_as_many_as_cores_work_and_memory_allow():
    assert workers(BIG, 10) == 10
    assert workers(BIG, 100) == 16
    assert workers(Machine(16, 2 * WORKER_BYTES), 100) == 2
    assert workers(Machine(16, 10**9), 100) == 1


def test_workers_and_their_threads_never_outnumber_the_cores():
    assert devices(BIG, 10) == Devices(slots=10, threads=1)
    assert devices(BIG, 4) == Devices(4, 4)
    assert devices(BIG, 10, slots=2) == Devices(2, 8)
    assert devices(BIG, 1) == Devices(1, 16)
    assert devices(BIG, 10, threads=8) == Devices(2, 8)
    assert devices(BIG, 10, threads=16) == Devices(1, 16)
    assert devices(BIG, 10, slots=3, threads=16) == Devices(3, 16)


@pytest.mark.parametrize(("text", "limit"), [("1000000", 10**6), ("max", None), (None, None)])
def test_a_container_may_limit_memory(text, limit, tmp_path, monkeypatch):
    file = tmp_path / "memory.max"
    if text is not None:
        file.write_text(text + "\n")
    monkeypatch.setattr(machine, "CONTAINER_LIMIT", tmp_path / "none")
    whole = machine.memory()
    monkeypatch.setattr(machine, "CONTAINER_LIMIT", file)
    assert machine.memory() == (limit or whole)


def test_an_executor_without_slots_has_one_worker_and_the_whole_machine():
    lines = []
    assert placed(Options(executor="inline"), EXECUTORS["inline"], 10, None, lines.append) == Devices(
        1, machine.cores()
    )
    assert lines == []  # nobody needs to hear of GPUs that are not there


def test_the_gpus_of_this_machine_are_not_chosen_for_another():
    with pytest.raises(UserError, match=r"--gpus chooses among the GPUs of this machine.*--gpus-per-run"):
        placed(Options(executor="ray", gpus="0"), EXECUTORS["ray"], 10, None, print)
