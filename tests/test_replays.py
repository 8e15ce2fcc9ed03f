"""Racing keeps the winners of recorded full searches (``recordings/README.md`` says which and how)."""

import pytest
from kit.replays import RECORDINGS, WITHIN, Recording, kept, race, read, replay, told, unraced

from search import racing

NAMES = sorted(path.stem for path in RECORDINGS.glob("*.json"))
KEPT, KEPT_WITHIN = 0.97, 0.99


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


def test_there_are_three_data_sets():
    assert len({name.rsplit("-", 1)[0] for name in NAMES}) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_racing_keeps_the_winner_in_200_shuffled_orders(name):
    raced = race(read(name), 200)
    assert holds(raced), told(name, raced)


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_winners_of_random_halves(name):
    """Each half has a winner of its own to lose, and its folds run in another order."""
    raced = race(read(name), 100, part=0.5)
    assert holds(raced), told(name, raced)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [1, 0.5])
def test_it_does_so_with_full_size_folds_alone(name, part):
    raced = race(read(name).full_size_alone(), 50, part)
    assert holds(raced), told(name, raced)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lag", [2, 4, 8])
def test_it_does_so_with_several_trials_open(name, lag):
    raced = race(read(name).with_lag(lag), 40)
    assert holds(raced), told(name, raced)
    assert sum(outcome.runs for outcome in raced) < 0.98 * len(raced)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [1, 0.5])
def test_it_does_so_in_a_thousand_orders(name, part):
    """About three minutes: pytest -m slow tests/test_replays.py."""
    for recording in (read(name), read(name).full_size_alone()):
        raced = race(recording, 1000, part, seed=2)
        assert holds(raced), told(recording.name, raced)


def test_a_reckless_rule_misses_the_bar(monkeypatch):
    """So there is something to lose."""
    monkeypatch.setattr(racing, "PATIENCE", 0.3)
    raced = [outcome for name in NAMES for outcome in race(read(name), 50, part=0.5)]
    assert not holds(raced)
    assert kept(raced, WITHIN) < 0.95, told("reckless", raced)


def test_without_racing_a_replay_is_the_full_search():
    recording = read(NAMES[0])
    full = Recording(recording.name, unraced(recording.rules), recording.trials)
    raced = replay(full, range(len(full.trials)))
    assert (raced.regret, raced.runs, raced.completed) == (0, 1, len(full.trials))
    assert raced.seconds == pytest.approx(1)
