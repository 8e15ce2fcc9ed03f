"""Racing keeps the winners of recorded full searches (``recordings/README.md`` says which and how)."""

import numpy as np
import pytest
import replays
from replays import RECORDINGS, WITHIN, kept, read, replay, shuffled

from search import racing

NAMES = sorted(path.stem for path in RECORDINGS.glob("*.json"))
KEPT, KEPT_WITHIN = 0.97, 0.99


def race(recording, times, part=1.0):
    return [replay(recording, order) for order in shuffled(recording, times, seed=1, part=part)]


def holds(raced):
    return kept(raced) >= KEPT or kept(raced, WITHIN) >= KEPT_WITHIN


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_a_full_search_of_recipes_that_differ(name):
    recording = read(name)
    assert len(recording.trials) >= 40
    assert sum(trial.recipe["unfrozen_blocks"] != 0 for trial in recording.trials) >= 15
    assert len({str(trial.recipe) for trial in recording.trials}) == len(recording.trials)
    for trial in recording.trials:
        assert trial.scores.keys() == trial.seconds.keys() == {fold.id for fold in recording.rules.folds}
    assert (RECORDINGS / f"{name}.json").stat().st_size < 100_000


@pytest.mark.parametrize("name", NAMES)
def test_racing_keeps_the_winner_in_200_orders(name, record_property):
    raced = race(read(name), 200)
    record_property("runs", np.mean([replay.runs for replay in raced]))
    assert holds(raced), replays.told(name, raced)
    assert np.mean([replay.runs for replay in raced]) < 0.8


@pytest.mark.parametrize("name", NAMES)
def test_it_does_so_with_full_size_folds_alone(name):
    raced = race(read(name).full_size_alone(), 50)
    assert holds(raced), replays.told(name, raced)


def test_a_reckless_rule_falls_below_the_bar(monkeypatch):
    """So the bar can be missed: half a sigma of patience loses winners."""
    monkeypatch.setattr(racing, "PATIENCE", 0.3)
    assert not all(holds(race(read(name), 50)) for name in NAMES)


def test_without_racing_a_replay_is_the_full_search():
    recording = read(NAMES[0])
    full = replays.Recording(recording.name, replays.unraced(recording.rules), recording.trials)
    raced = replay(full, range(len(full.trials)))
    assert (raced.regret, raced.runs, raced.completed) == (0, 1, len(full.trials))
    assert raced.seconds == pytest.approx(1)
