"""Stages add up to the whole."""

import time

import pytest

from search.system.clock import REST, Clock, duration, seconds_of
from search.system.errors import UserError

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


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("10", 600), (2, 120), (0.5, 30), ("90s", 90), (" 10 M", 600), ("1.5h", 5400), (".5m", 30), ("10 min", 600)],
)
def test_a_time_span_is_minutes_or_has_a_unit(given, seconds):
    assert seconds_of("--run-timeout", given) == seconds


@pytest.mark.parametrize("given", ["", "0", "0s", "-5", "10 minutes", "m", "1e3", "inf", "nan", "9" * 400, True])
def test_what_is_no_time_span_is_refused_by_name(given):
    with pytest.raises(UserError, match=r"--run-timeout .* is no time span: give minutes, as 10, or a unit"):
        seconds_of("--run-timeout", given)
