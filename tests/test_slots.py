"""Several jobs at a time: the search is the one that a single worker would have made."""

import contextlib
import random

import pytest
from guessing import Guesser
from shapes import write_shapes

from search import KFoldTuner
from search import session as loop
from search.executors.processes import Outcome
from search.journal import read_events
from search.monitor.console import Lines, wide_console
from search.record import read_record

pytestmark = pytest.mark.usefixtures("without_charts")

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


class Disorderly(Guesser):
    """Several slots whose jobs end in any order; a cancelled one comes back late, as an error."""

    slots = 1
    most = cancelled = 0
    dies = 0.0

    def __init__(self, materials, slots, log):
        super().__init__(materials)
        self.random, self.given_up = random.Random(self.slots), []

    def free(self):
        return self.slots - len(self.waiting) - len(self.given_up)

    def submit(self, job):
        assert self.free() > 0
        super().submit(job)
        Disorderly.most = max(self.most, len(self.waiting))

    def cancel(self, trial):
        gone = [job for job in self.waiting if job.trial == trial]
        self.given_up += gone
        self.waiting = [job for job in self.waiting if job.trial != trial]
        Disorderly.cancelled += len(gone)

    def wait(self, timeout):
        if self.given_up and (not self.waiting or self.random.random() < 0.3):
            return Outcome(self.given_up.pop(0), error="cancelled")
        self.random.shuffle(self.waiting)
        if self.random.random() < self.dies:
            return Outcome(self.waiting.pop(), error="the worker process died")
        return super().wait(timeout)


def search(place, monkeypatch, slots, dies=0.0, trials=None):
    """Return the events of a search with so many slots, but for sessions, attempts and what came before its turn."""
    Disorderly.slots, Disorderly.dies, Disorderly.most, Disorderly.cancelled = slots, dies, 0, 0
    Disorderly.jobs = []
    monkeypatch.setattr(loop, "Workers", Disorderly)
    name = f"with-{slots}-{dies}"
    KFoldTuner("space.py", view=Lines(wide_console()), slots=slots, trials=trials, offline=True, name=name).search()
    return told(place / "results" / name)


def told(folder):
    events = read_events(folder / "journal.jsonl")
    return [event for event in events if event["event"] not in ("session", "attempt", "ahead", "profile")]


def test_the_journal_does_not_depend_on_the_number_of_slots_or_the_order_of_outcomes(place, monkeypatch):
    alone = search(place, monkeypatch, 1)
    verdicts = [event["status"] for event in alone if event["event"] == "verdict"]
    assert verdicts.count("stopped") >= 3
    assert verdicts.count("completed") >= 4
    assert Disorderly.most == 1
    assert Disorderly.cancelled == 0
    for slots in (2, 3, 6):
        assert search(place, monkeypatch, slots) == alone
        assert Disorderly.most == slots
        assert Disorderly.cancelled > 0  # begun in the hope that its trial would go on


def test_jobs_that_fail_out_of_turn_are_tried_again_in_their_turn(place, monkeypatch):
    events = search(place, monkeypatch, 3, dies=0.1)
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


def test_other_workers_help_with_the_views_of_heads(place, monkeypatch, imagenet):
    (place / "space.py").write_text(HEADS)
    alone = search(place, monkeypatch, 1)
    assert [event["event"] for event in alone].count("job") == 3
    assert () not in {folds for _, folds in Disorderly.jobs}
    assert search(place, monkeypatch, 3) == alone
    assert [folds for _, folds in Disorderly.jobs].count(()) > 0
    assert alone[-2]["event"] == "holdout"


class Interrupted(Disorderly):
    """Ends every job but the first, and then is interrupted."""

    def wait(self, timeout):
        for job in self.waiting:
            if job.number > 1:
                self.waiting.remove(job)
                self.waiting.append(job)
                return Guesser.wait(self, timeout)
        raise KeyboardInterrupt


def test_what_ended_before_its_turn_outlives_an_interruption(place, monkeypatch):
    whole = search(place, monkeypatch, 1)
    monkeypatch.setattr(loop, "Workers", Interrupted)
    Disorderly.slots = 3
    options = {"slots": 3, "offline": True, "name": "interrupted", "view": Lines(wide_console())}
    with pytest.raises(KeyboardInterrupt):
        KFoldTuner("space.py", **options).search()
    folder = place / "results" / "interrupted"
    assert not [event for event in told(folder) if event["event"] == "job"]
    kept = [event["job"] for event in read_events(folder / "journal.jsonl") if event["event"] == "ahead"]
    assert kept == [2, 3, 4]
    monkeypatch.setattr(loop, "Workers", Disorderly)
    Disorderly.jobs = []
    KFoldTuner("space.py", **options).search()
    trained = [folds for trial, folds in Disorderly.jobs if trial == "0000"]
    assert not {("f1@0.5",), ("f2@0.5",), ("f3@0.5",)} & set(trained)
    assert told(folder) == whole


class Slow(Disorderly):
    """Cancelled jobs come back when the same job has been begun again, or nothing else is left to wait for."""

    def wait(self, timeout):
        again = {(job.trial, job.number) for job in self.waiting}
        for job in self.given_up:
            if not self.waiting or (job.trial, job.number) in again:
                self.given_up.remove(job)
                return Outcome(job, error="cancelled")
        self.random.shuffle(self.waiting)
        return Guesser.wait(self, timeout)


def test_the_end_of_a_job_that_was_given_up_is_not_taken_for_that_of_the_same_job_begun_again(place, monkeypatch):
    alone = search(place, monkeypatch, 1, trials=10)  # whose last trial is stopped, and finished
    monkeypatch.setattr("test_slots.Disorderly", Slow)
    Slow.cancelled = 0
    assert search(place, monkeypatch, 4, trials=10) == alone
    assert not [event for event in alone if event["event"] == "failure"]
    assert Slow.cancelled > 0


LAST_IS_FINISHED = """
from search import Recipe, Study

study = Study(
    data="shapes", folds=4, train_fractions=(1.0, 0.5), max_trials=8, oracle="grid", seed=3, baselines=False,
)

def space(hp):
    rates = [1e-2, 8e-3, 9e-3, 7e-3, 1e-5, 2e-5, 3e-5, 5e-5]
    return Recipe("SmallCNN", None, learning_rate=hp.Choice("learning_rate", rates), epochs=1)
"""


class Impatient(Disorderly):
    """Is interrupted after some outcomes."""

    left = 0

    def wait(self, timeout):
        Impatient.left -= 1
        if Impatient.left < 0:
            raise KeyboardInterrupt
        return super().wait(timeout)


def test_a_stopped_trial_that_is_finished_after_an_interruption_keeps_all_its_files(place, monkeypatch):
    (place / "space.py").write_text(LAST_IS_FINISHED)
    whole = search(place, monkeypatch, 1)
    monkeypatch.setattr(loop, "Workers", Impatient)
    Disorderly.slots, Impatient.left = 4, 0
    options = {"slots": 4, "offline": True, "name": "interrupted", "view": Lines(wide_console())}
    record = None
    while record is None or not record.history.ended:
        Impatient.left = 7
        with contextlib.suppress(KeyboardInterrupt):
            KFoldTuner("space.py", **options).search()
        record = read_record(place / "results" / "interrupted")
    files = {run.file for trial in record.history.trials.values() for run in trial.runs.values()}
    assert not {file for file in files if not (record.folder / file).exists()}
    assert told(record.folder) == whole
