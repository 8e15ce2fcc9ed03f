"""A beat reaches whoever is attached; a process that only waits for another says so."""

import fcntl
import os
import threading

import pytest

from search.system import heartbeat
from search.system.files import locked

pytestmark = pytest.mark.quick


@pytest.fixture
def signs(monkeypatch):
    """What was heard, in its order."""
    for name in ("_beat", "_wait"):
        monkeypatch.setattr(heartbeat, name, getattr(heartbeat, name))
    heard = []
    heartbeat.attach(lambda: heard.append("beat"), heard.append)
    return heard


def test_beats_reach_whoever_is_attached(signs):
    heartbeat.beat()
    heartbeat.beat()
    assert signs == ["beat", "beat"]


def test_waiting_ends_with_a_beat_whatever_ends_it(signs):
    with pytest.raises(ValueError, match="it"), heartbeat.waiting():
        raise ValueError("it")
    assert signs == [True, False, "beat"]


def test_who_waits_for_a_lock_says_so_and_who_asks_for_it_does_not(tmp_path, signs):
    lock = tmp_path / "lock"
    handle = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with locked(lock, wait=False) as is_ours:
        assert not is_ours
    assert signs == []

    def wait():
        with locked(lock):
            signs.append("held")

    waiter = threading.Thread(target=wait)
    waiter.start()
    while signs != [True]:
        pass
    fcntl.flock(handle, fcntl.LOCK_UN)
    waiter.join()
    os.close(handle)
    assert signs == [True, False, "beat", "held"]
