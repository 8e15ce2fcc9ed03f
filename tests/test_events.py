"""Events: what is read from a line is what is written to it, whatever its version."""

import json

import pytest
from kit.lines import event

from search.journal.events import KINDS, HoldoutEvent, event_of
from search.journal.journal import read_events
from search.journal.outcomes import JobKind, Status
from search.system.errors import UserError

FAILURE = {"error": "no memory", "final": False}


def lines_of(request, version):
    return list(read_events(request.path.parent / "journals" / f"{version}.jsonl"))


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v4", "v5"])
def test_all_that_a_line_says_is_written_again(version, request):
    for line in lines_of(request, version):
        again = json.loads(json.dumps(event_of(line).to_json()))
        assert line.items() <= again.items()


def test_the_newest_frozen_journal_is_written_again_to_the_letter(request):
    for line in lines_of(request, "v5"):
        assert json.dumps(event_of(line).to_json()) == json.dumps(line)


def test_a_job_that_ended_early_is_written_as_any_other_but_for_its_name(request):
    job = next(line for line in lines_of(request, "v3") if line["event"] == "job")
    early = event_of({**job, "event": "ahead"})
    assert json.dumps(early.to_json()) == json.dumps({**job, "event": "ahead"})
    assert json.dumps(early.job.to_json()) == json.dumps(job)


def test_an_unknown_kind_is_no_event():
    assert event_of({"event": "weather", "trial": "0000"}) is None
    with pytest.raises(KeyError):  # a line that lost its kind is damaged
        event_of({"trial": "0000", "job": 1})


def test_the_number_of_a_job_and_its_folds_tell_its_kind():
    kinds = {
        JobKind.FOLDS: event("attempt", trial="0000", job=1, folds=["f0"]),
        JobKind.CONFIRM: event("attempt", trial="0000", job=9, folds=["confirm-f0"]),
        JobKind.HOLDOUT: event("attempt", trial="0000", job=0, folds=["holdout"]),
    }
    assert {kind: attempt.kind for kind, attempt in kinds.items()} == {kind: kind for kind in kinds}
    assert event("failure", trial="0000", job=0, **FAILURE).kind is JobKind.HOLDOUT
    assert event("failure", trial="0000", job=1, **FAILURE).kind is JobKind.FOLDS


def test_a_status_is_a_word_of_the_journal():
    assert event("verdict", trial="0000", status="stopped", score=0.5, reason="late").verdict.status is Status.STOPPED
    with pytest.raises(UserError, match="lost"):
        event("verdict", trial="0000", status="lost", score=0.5, reason="late")


def test_what_an_older_journal_does_not_say_has_the_value_that_it_had_then():
    session = event("session", racing=1)
    assert (session.racing, session.baselines, session.confirm, session.tensorboard) == (True, True, 0, False)
    assert (session.max_trials, session.at, session.versions, session.holdout_trial) == (None, None, {}, "")
    assert session.line == {"event": "session", "racing": True, "versions": {}}


def test_every_kind_has_a_class_of_its_own(request):
    seen = {line["event"]: type(event_of(line)) for line in lines_of(request, "v3")}
    assert seen["holdout"] is HoldoutEvent
    assert len(set(seen.values())) == len(seen)
    assert set(seen) <= set(KINDS)
