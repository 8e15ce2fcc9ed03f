"""How many workers a machine carries."""

import pytest

from search.options import Options
from search.prepare import _slots_and_threads
from search.system import machine


@pytest.fixture
def big(monkeypatch):
    """Sixteen cores and much memory."""
    monkeypatch.setattr(machine, "cores", lambda: 16)
    monkeypatch.setattr("search.prepare.cores", lambda: 16)
    monkeypatch.setattr(machine, "memory", lambda: 10**12)
    monkeypatch.setattr("search.prepare.has_gpu", lambda: False)


def test_workers_are_as_many_as_cores_runs_and_memory_allow(big, monkeypatch):
    assert machine.workers(gpu=False, most=10) == 10
    assert machine.workers(gpu=False, most=100) == 16
    assert machine.workers(gpu=True, most=100) == 1
    monkeypatch.setattr(machine, "memory", lambda: 2 * machine.WORKER_BYTES)
    assert machine.workers(gpu=False, most=100) == 2
    monkeypatch.setattr(machine, "memory", lambda: 10**9)
    assert machine.workers(gpu=False, most=100) == 1


def test_workers_and_their_threads_never_outnumber_the_cores(big):
    assert _slots_and_threads(Options(), 10, None) == (10, 1)
    assert _slots_and_threads(Options(), 4, None) == (4, 4)
    assert _slots_and_threads(Options(slots=2), 10, None) == (2, 8)
    assert _slots_and_threads(Options(executor="inline"), 10, None) == (1, 16)
    assert _slots_and_threads(Options(), 10, {"threads": 8}) == (2, 8)
    assert _slots_and_threads(Options(), 10, {"threads": 16}) == (1, 16)
    assert _slots_and_threads(Options(slots=3), 10, {"threads": 16}) == (3, 16)


@pytest.mark.parametrize(("text", "limit"), [("1000000", 10**6), ("max", None), (None, None)])
def test_a_container_may_limit_memory(text, limit, tmp_path, monkeypatch):
    file = tmp_path / "memory.max"
    if text is not None:
        file.write_text(text + "\n")
    monkeypatch.setattr(machine, "CONTAINER_LIMIT", tmp_path / "none")
    whole = machine.memory()
    monkeypatch.setattr(machine, "CONTAINER_LIMIT", file)
    assert machine.memory() == (limit or whole)
