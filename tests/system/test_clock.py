"""Stages add up to the whole."""

import time

import pytest

from search.system.clock import REST, Clock, duration

pytestmark = pytest.mark.quick


def busy(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def test_stages_add_up_and_the_innermost_counts():
    began = time.perf_counter()
    clock = Clock()
    with clock.stage("outer"):
        busy(0.02)
        with clock.stage("inner"):
            busy(0.05)
        busy(0.02)
    busy(0.01)
    with clock.stage("inner"):
        busy(0.01)
    seconds = clock.lap()
    whole = time.perf_counter() - began
    assert set(seconds) == {"outer", "inner", REST}
    assert sum(seconds.values()) == pytest.approx(whole, abs=0.005)
    assert seconds["inner"] >= 0.06 - 1e-4
    assert seconds["outer"] >= 0.04 - 1e-4


def test_an_error_leaves_its_stage_and_a_lap_begins_anew():
    clock = Clock()
    with pytest.raises(ValueError, match="no"), clock.stage("fails"):
        raise ValueError("no")
    busy(0.01)
    assert clock.lap()[REST] >= 0.01 - 1e-4
    assert "fails" not in clock.lap()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (90061, "25 h 01 min")],
)
def test_durations_are_said_in_two_units_at_most(seconds, words):
    assert duration(seconds) == words
