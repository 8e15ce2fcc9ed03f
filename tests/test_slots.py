"""Several jobs at a time: the search is the one that a single worker would have made."""

import contextlib
import dataclasses

import pytest
from kit.scripted import Script, disorderly, latest_first
from kit.shapes import write_shapes

from search import KFoldTuner, UserError
from search.executors.base import Fatal
from search.journal.journal import read_events
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.record import read_record
from search.reopening import reopening
from search.report.cautions import warnings
from search.system.machine import cores

SPACE = """
from search import Recipe, Study

study = Study(
    data="shapes", folds=4, train_fractions=(1.0, 0.5), holdout=2, max_trials=14,
    oracle="random", seed=3, baselines=False,
)

def space(hp):
    return Recipe("SmallCNN", None, learning_rate=hp.Float("learning_rate", 1e-5, 1e-2, sampling="log"), epochs=1)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "shapes", {"across": 14, "down": 14})
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "data").mkdir()
    return tmp_path


def search(place, slots, name, script=None, **options):
    """Return what the journal of a search with so many slots says of its trials, and its script."""
    script = script or Script(disorderly)
    options |= {"slots": slots, "offline": True, "name": name}
    KFoldTuner("space.py", screen=Lines(wide_console()), executors=script.executors, **options).search()
    return events_of_trials(place / "results" / name), script


def events_of_trials(folder):
    """Return all events but sessions, attempts and what came before its turn."""
    events = read_events(folder / "journal.jsonl")
    return [event for event in events if event["event"] not in ("session", "attempt", "ahead", "profile")]


def test_the_journal_does_not_depend_on_the_number_of_slots_or_the_order_of_endings(place):
    alone, script = search(place, 1, "one")
    verdicts = [event["status"] for event in alone if event["event"] == "verdict"]
    assert verdicts.count("stopped") >= 3
    assert verdicts.count("completed") >= 4
    assert (script.most, script.cancelled) == (1, 0)
    for slots in (2, 3, 6):
        events, script = search(place, slots, f"slots-{slots}")
        assert events == alone
        assert script.most == slots
        assert script.cancelled > 0  # begun in the hope that its trial would go on


LAGGING = """
from search import Recipe, Study

study = Study(
    data="shapes", folds=4, train_fractions=(1.0, 0.5), holdout=2, max_trials=14, seed=3, oracle="{oracle}",
)

def space(hp):
    rates = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2]
    hp.Choice("of no use", [0, 1])  # so that some recipes are equal
    return Recipe("SmallCNN", None, learning_rate=hp.Choice("learning_rate", rates), epochs=1)
"""


def known_at_proposals(events):
    """Return for each trial how many trials before it had no verdict when it was proposed."""
    ended, counts = 0, []
    for event in events:
        ended += event["event"] == "verdict" and ended < len(counts)
        if event["event"] == "trial":
            counts.append(len(counts) - ended)
    return counts


@pytest.mark.parametrize(("oracle", "lag"), [("tpe", 2), ("random", 4), ("bayesian", 2), ("grid", 4)])
def test_with_a_lag_several_trials_are_open_and_the_journal_is_still_the_same(place, oracle, lag):
    (place / "space.py").write_text(LAGGING.format(oracle=oracle))
    alone, _ = search(place, 1, "one", lag=lag, confirm=2)
    counts = known_at_proposals(alone)
    assert counts[:lag] == list(range(lag))
    assert set(counts[lag:]) <= set(range(lag))
    assert counts.count(lag - 1) >= 8
    assert "duplicate" in {event.get("status") for event in alone}  # one that had to wait for its equal, perhaps
    for slots in (2, 5):
        events, script = search(place, slots, f"slots-{slots}", lag=lag, confirm=2)
        assert events == alone
        assert script.most == slots


def test_a_search_with_a_lag_that_is_interrupted_at_every_turn_is_the_same_search(place):
    (place / "space.py").write_text(LAGGING.format(oracle="tpe"))
    whole, _ = search(place, 1, "whole", lag=3)
    folder, sessions = place / "results" / "interrupted", 0
    while not folder.exists() or not read_record(folder).history.end_reason:
        sessions += 1
        with contextlib.suppress(KeyboardInterrupt):
            search(place, 4, "interrupted", Script(disorderly_for(8)), lag=3)
    assert sessions > 4
    assert events_of_trials(folder) == whole


def test_a_lag_is_part_of_a_search(place):
    search(place, 2, "lagging", lag=2, trials=3)
    assert read_record(place / "results" / "lagging").rules.lag == 2
    for other in (1, 3):
        with pytest.raises(UserError, match=f"lag was 2 and is now {other}"):
            search(place, 2, "lagging", lag=other, trials=3)
    search(place, 2, "usual", trials=3)
    with pytest.raises(UserError, match="lag was 1 and is now 2"):
        search(place, 2, "usual", lag=2, trials=3)


def test_a_search_that_began_without_the_lag_of_its_space_goes_on_without_it(place):
    (place / "space.py").write_text(SPACE.replace('oracle="random"', 'oracle="random", lag=2'))
    search(place, 1, "one-by-one", lag=1, trials=2)
    folder = place / "results" / "one-by-one"
    space, options = reopening(read_record(folder), trials=3, slots=1, offline=True)
    KFoldTuner(space, screen=Lines(wide_console()), executors=Script(disorderly).executors, **options).search()
    record = read_record(folder)
    assert (record.rules.lag, len(record.history.trials)) == (1, 3)


def test_the_lag_that_fits_is_proposed_to_a_search_that_begins(place, capsys):
    for slots, trials, words in (
        (2, 3, "--lag 2 would keep more workers busy, and propose each trial without the verdict of the one before it"),
        (5, 4, "--lag 4 would keep more workers busy, and propose each trial without the verdicts of the 3 before it"),
    ):
        search(place, slots, f"slots-{slots}", trials=trials)
        assert words in capsys.readouterr().out
        search(place, slots, f"slots-{slots}", trials=trials + 1)
        search(place, slots, f"lag-{slots}", trials=trials, lag=min(slots, trials))
        assert "--lag" not in capsys.readouterr().out


@pytest.mark.parametrize("lag", [1, 3])
def test_a_search_that_is_extended_is_the_one_that_had_all_its_trials_from_the_start(place, lag):
    (place / "space.py").write_text(LAGGING.format(oracle="tpe"))
    script = Script(disorderly, luck=0.15)
    search(place, 1, "whole", script, lag=lag)
    search(place, 3, "extended", script, lag=lag, trials=7)
    begun = read_record(place / "results" / "extended").history
    assert lag > 1 or any(trial.stop for trial in begun.trials.values())  # one was stopped, and finished at the end
    search(place, 3, "extended", script, lag=lag, trials=14)
    assert first_verdicts(place / "results" / "extended") == first_verdicts(place / "results" / "whole")


def first_verdicts(folder):
    return [(trial.values, trial.first_verdict) for trial in read_record(folder).history.trials.values()]


def test_jobs_that_fail_out_of_turn_are_tried_again_in_their_turn(place):
    events, _ = search(place, 3, "dying", Script(disorderly, death_rate=0.1))
    failures = [event for event in events if event["event"] == "failure"]
    jobs = [(event["trial"], event["job"]) for event in events if event["event"] == "job"]
    assert failures
    assert jobs == sorted(set(jobs), key=jobs.index)
    for trial in {trial for trial, _ in jobs}:
        numbers = [number for other, number in jobs if other == trial]
        assert numbers == list(range(1, len(numbers) + 1))
    assert len({event["trial"] for event in events if event["event"] == "verdict"}) == 14
    retried = [failure for failure in failures if (failure["trial"], failure["job"]) in jobs]
    assert retried


HEADS = """
from search import Augment, Recipe, Study

study = Study(data="shapes", folds=2, holdout=2, max_trials=3, oracle="random", seed=3, baselines=False)

def space(hp):
    rate = hp.Float("learning_rate", 1e-5, 1e-2, sampling="log")
    return Recipe("MobileNet_0.25", augment=Augment("flip_crop"), learning_rate=rate)
"""


def test_other_workers_help_with_the_views_of_heads(place, imagenet):
    (place / "space.py").write_text(HEADS)
    alone, script = search(place, 1, "one")
    assert [event["event"] for event in alone].count("job") == 3
    assert () not in {folds for _, folds in script.jobs}
    helped, script = search(place, 3, "three")
    assert helped == alone
    assert [folds for _, folds in script.jobs].count(()) > 0
    assert alone[-2]["event"] == "holdout"


def all_but_the_first(executor):
    """End every job but the first, and then be interrupted."""
    for job in executor.waiting:
        if job.number > 1:
            return executor.end(job)
    raise KeyboardInterrupt


def test_what_ended_before_its_turn_outlives_an_interruption(place):
    whole, _ = search(place, 1, "whole")
    with pytest.raises(KeyboardInterrupt):
        search(place, 3, "interrupted", Script(all_but_the_first))
    folder = place / "results" / "interrupted"
    assert not [event for event in events_of_trials(folder) if event["event"] == "job"]
    early = [event["job"] for event in read_events(folder / "journal.jsonl") if event["event"] == "ahead"]
    assert early == [2, 3, 4]
    resumed, script = search(place, 3, "interrupted")
    trained = [folds for trial, folds in script.jobs if trial == "0000"]
    assert not {("f1@0.5",), ("f2@0.5",), ("f3@0.5",)} & set(trained)
    assert resumed == whole


def cancelled_late(executor):
    """End cancelled jobs when the same job has been begun again, or nothing else is left to wait for."""
    again = {job.name for job in executor.waiting}
    for job in executor.cancelled:
        if not executor.waiting or job.name in again:
            executor.cancelled.remove(job)
            executor.cancelled.insert(0, job)
            return executor.end_cancelled()
    executor.random.shuffle(executor.waiting)
    return latest_first(executor)


def test_the_end_of_a_job_that_was_given_up_is_not_taken_for_that_of_the_same_job_begun_again(place):
    alone, _ = search(place, 1, "one", trials=10)  # whose last trial is stopped, and finished
    events, script = search(place, 4, "four", Script(cancelled_late), trials=10)
    assert events == alone
    assert not [event for event in alone if event["event"] == "failure"]
    assert script.cancelled > 0


LAST_IS_FINISHED = """
from search import Recipe, Study

study = Study(
    data="shapes", folds=4, train_fractions=(1.0, 0.5), max_trials=8, oracle="grid", seed=3, baselines=False,
)

def space(hp):
    rates = [1e-2, 8e-3, 9e-3, 7e-3, 1e-5, 2e-5, 3e-5, 5e-5]
    return Recipe("SmallCNN", None, learning_rate=hp.Choice("learning_rate", rates), epochs=1)
"""


def disorderly_for(endings):
    """Return a choice that is interrupted after so many endings."""
    left = iter(range(endings))

    def choose(executor):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return disorderly(executor)

    return choose


def test_a_stopped_trial_that_is_finished_after_an_interruption_keeps_all_its_files(place):
    (place / "space.py").write_text(LAST_IS_FINISHED)
    whole, _ = search(place, 1, "whole")
    record = None
    while record is None or not record.history.end_reason:
        with contextlib.suppress(KeyboardInterrupt):
            search(place, 4, "interrupted", Script(disorderly_for(7)))
        record = read_record(place / "results" / "interrupted")
    files = {run.file for trial in record.history.trials.values() for run in trial.runs.values()}
    assert not {file for file in files if not (record.folder / file).exists()}
    assert events_of_trials(record.folder) == whole


def test_an_ending_that_is_fatal_stops_the_search_and_fails_no_trial(place):
    script = Script(disorderly, plan=lambda job: Fatal(job, "the disk is full") if job.trial == "0001" else None)
    with pytest.raises(UserError, match="the disk is full"):
        search(place, 2, "fatal", script)
    history = read_record(place / "results" / "fatal").history
    assert list(history.trials) == ["0000", "0001"]
    assert not [trial for trial in history.trials.values() if trial.failures]


def inexact(executor):
    """End a job like one whose network has an operation without a deterministic kernel."""
    ending = latest_first(executor)
    return dataclasses.replace(ending, result=dataclasses.replace(ending.result, inexact="Stir has no such kernel."))


def test_runs_that_repeat_only_nearly_are_journalled_said_once_and_in_the_report(place, capsys):
    events, _ = search(place, 1, "nearly", Script(inexact), trials=2)
    assert {event["inexact"] for event in events if event["event"] == "job"} == {"Stir has no such kernel."}
    line = "Runs repeat only nearly, if trained again, on this device: Stir has no such kernel."
    assert capsys.readouterr().out.count(line) == 1
    nearly = cautions_of(place / "results" / "nearly")
    exact, _ = search(place, 1, "exact", trials=2)
    assert not [event for event in exact if "inexact" in event]
    (caution,) = nearly - cautions_of(place / "results" / "exact")
    assert caution.endswith("would give nearly the same, not the very same. Why: Stir has no such kernel.")


def cautions_of(folder):
    return set(warnings(read_record(folder)))


@pytest.mark.skipif(cores() < 2, reason="one core is one worker")
def test_more_open_trials_find_work_for_more_workers(place):
    text = SPACE.replace("folds=4, train_fractions=(1.0, 0.5)", 'folds=1, train_fractions=(1.0,), splits="shuffle"')
    (place / "space.py").write_text(text)
    assert [KFoldTuner("space.py", lag=lag, offline=True).setup.devices.slots for lag in (1, 2)] == [1, 2]
