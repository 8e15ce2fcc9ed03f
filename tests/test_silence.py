"""How long a worker has been silent, by the beats that its driver sees."""

import pytest

from search.executors.silence import LONGEST_LOOK, Silence
from search.executors.table import EXECUTORS, check_executor
from search.system.errors import UserError

pytestmark = pytest.mark.quick


def seconds_after(looks, began=100.0):
    """Return the seconds of silence after (seconds since the job began, beats) of each look."""
    silence = Silence(began)
    for at, beats in looks:
        silence.look(beats, began + at)
    return silence.seconds


def test_silence_grows_between_beats_and_ends_with_one():
    assert seconds_after([(1, 0), (2, 0), (4, 0)]) == 3
    assert seconds_after([(1, 0), (2, 0), (4, 1)]) == 0
    assert seconds_after([(1, 0), (2, 0), (4, 1), (4.5, 1)]) == 0.5


def test_a_worker_that_starts_or_waits_is_not_silent():
    assert seconds_after([(at, None) for at in range(60)]) == 0
    assert seconds_after([(1, 7), (2, 7), (3, None), (4, 7)]) == 0  # what it waited for took its time
    assert seconds_after([(1, 7), (2, 7), (3, None), (4, 7), (5, 7)]) == 1


def test_time_in_which_the_driver_itself_was_stopped_hardly_counts():
    assert seconds_after([(1, 3), (10_000, 3)]) == LONGEST_LOOK


def test_only_an_executor_with_workers_takes_a_timeout():
    check_executor("inline", None)
    check_executor("processes", 600.0)
    with pytest.raises(UserError, match=r"--executor inline trains without workers\. Leave out one of the two"):
        check_executor("inline", 600.0)
    with pytest.raises(UserError, match="executor"):
        check_executor("nobody", None)
    assert {name for name, row in EXECUTORS.items() if not row.has_slots} == {"inline"}
