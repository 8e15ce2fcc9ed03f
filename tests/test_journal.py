"""The journal: what is appended is what is replayed, whatever happens to the tail."""

import json
import os

import pytest
from kit.journals import changed, sealed
from kit.lines import event

from search.journal.journal import FILE, Journal, read_events, replay
from search.repertoire.recipe import Recipe
from search.system.errors import UserError

pytestmark = pytest.mark.quick

RECIPE = Recipe("SmallCNN", unfrozen_blocks=None, image_size=32).to_dict()


def fill(journal):
    journal.append(event("session", max_trials=2, racing=True))
    journal.append(event("trial", trial="0000", values={"dropout": 0.2, "backbone": "SmallCNN"}, recipe=RECIPE))
    journal.append(event("attempt", trial="0000", job=1, folds=["f0"]))
    journal.append(event("failure", trial="0000", job=1, error="ValueError: é", final=False))
    journal.append(event("attempt", trial="0000", job=1, folds=["f0"]))
    run = {"fold": "f0", "scores": {"accuracy": 0.875}, "seconds": 1.5, "synthetic": {}}
    journal.append(event("job", trial="0000", job=1, file="runs/0000-1.npz", sha256="ab", runs=[run]))
    journal.append(event("verdict", trial="0000", status="completed", score=0.875, reason="accuracy 0.875"))
    journal.append(event("end", reason="all 1 trials are done"))


@pytest.fixture
def filled(tmp_path):
    journal = Journal(tmp_path)
    fill(journal)
    journal.close()
    return tmp_path


def test_history_tells_what_was_appended(filled):
    history = replay(read_events(filled / FILE))
    trial = history.trials["0000"]
    assert trial.values == {"dropout": 0.2, "backbone": "SmallCNN"}
    assert trial.recipe == Recipe.from_dict(RECIPE)
    assert trial.runs["f0"].scores == {"accuracy": 0.875}
    assert (trial.jobs, len(trial.failures)) == (1, 1)
    assert trial.verdict.status == "completed"
    assert history.order == [("trial", "0000"), ("verdict", "0000")]
    assert history.end_reason == "all 1 trials are done"


def test_every_prefix_of_bytes_opens_to_its_whole_lines(filled, tmp_path):
    data = (filled / FILE).read_bytes()
    events = list(read_events(filled / FILE))
    again = tmp_path / "again"
    again.mkdir()
    for cut in range(len(data) + 1):
        (again / FILE).write_bytes(data[:cut])
        journal = Journal(again)
        whole = data[:cut].count(b"\n")
        assert journal.history == replay(events[:whole])
        journal.close()
        assert (again / FILE).read_bytes() == b"".join(data.splitlines(keepends=True)[:whole])


def test_appending_after_a_torn_tail_leaves_only_whole_lines(filled):
    with (filled / FILE).open("ab") as file:
        file.write(b'{"event": "verd')
    for _ in range(2):
        journal = Journal(filled)
        journal.append(event("end", reason="again"))
        journal.close()
    assert [event["event"] for event in read_events(filled / FILE)][-3:] == ["end", "end", "end"]


def test_an_open_journal_has_the_history_of_its_file(tmp_path):
    journal = Journal(tmp_path)
    fill(journal)
    assert journal.history == replay(read_events(tmp_path / FILE))
    journal.close()


def test_a_second_driver_is_refused(filled):
    journal = Journal(filled)
    with pytest.raises(UserError, match=r"in use.*--name"):
        Journal(filled)
    journal.close()
    Journal(filled).close()


def test_a_damaged_line_in_the_middle_is_named(filled):
    lines = (filled / FILE).read_bytes().splitlines(keepends=True)
    lines[3] = b"\x00\x00garbage\n"
    (filled / FILE).write_bytes(b"".join(lines))
    with pytest.raises(UserError, match="line 4 is damaged"):
        Journal(filled)


def test_a_journal_that_cannot_be_made_is_a_user_error(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        Journal(tmp_path)


def test_a_second_result_of_one_job_is_ignored(filled):
    journal = Journal(filled)
    run = {"fold": "f0", "scores": {"accuracy": 0.1}, "seconds": 9.0, "synthetic": {}}
    journal.append(event("job", trial="0000", job=1, file="runs/other.npz", sha256="cd", runs=[run]))
    assert journal.history.trials["0000"].runs["f0"].scores == {"accuracy": 0.875}
    journal.close()


def test_a_verdict_is_final(filled):
    journal = Journal(filled)
    journal.append(event("verdict", trial="0000", status="stopped", score=0.1, reason="late"))
    assert journal.history.trials["0000"].verdict.status == "completed"
    journal.close()


def test_unknown_events_are_passed_over(filled):
    before = replay(read_events(filled / FILE))
    more = (filled / FILE).read_text() + '{"event": "weather", "trial": "0000", "score": 0.8}\n'
    (filled / FILE).write_text(sealed(more))
    assert replay(read_events(filled / FILE)) == before


LOOK = {"fold": "holdout", "scores": {"accuracy": 0.75}, "seconds": 2.5, "synthetic": {}}


def test_a_look_at_the_holdout_is_remembered_once_and_with_the_trials_before_it(filled):
    journal = Journal(filled)
    for score in (0.75, 0.99):
        run = {**LOOK, "scores": {"accuracy": score}}
        journal.append(event("holdout", trial="0000", file="runs/0000-holdout.npz", sha256="cd", run=run))
    journal.append(event("trial", trial="0001", values={}, recipe=RECIPE))
    journal.append(event("holdout", trial="0001", file="runs/0001-holdout.npz", sha256="ef", run=LOOK))
    journal.close()
    history = replay(read_events(filled / FILE))
    assert [(look.trial, look.run.scores["accuracy"], look.trials) for look in history.holdout_scores] == [
        ("0000", 0.75, 1),
        ("0001", 0.75, 2),
    ]
    assert history.holdout_score("0000").run.file == "runs/0000-holdout.npz"
    assert history.holdout_score("0002") is None
    assert set(history.trials["0000"].runs) == {"f0"}


def test_a_failed_look_is_no_failure_of_the_trial(filled):
    journal = Journal(filled)
    journal.append(event("failure", trial="0000", job=0, error="no memory", final=False))
    assert [(trial, failure.error) for trial, failure in journal.history.holdout_failures] == [("0000", "no memory")]
    assert len(journal.history.trials["0000"].failures) == 1
    journal.append(event("session", max_trials=2, racing=True))
    assert journal.history.holdout_failures == []
    journal.close()


def test_each_line_is_written_whole_and_in_one_write(tmp_path, monkeypatch):
    written = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: written.append(data) or write(file, data))
    journal = Journal(tmp_path)
    fill(journal)
    journal.close()
    assert [line[-1:] for line in written] == [b"\n"] * 8
    assert all(line.count(b"\n") == 1 for line in written)


# v2 has a hold-out, and synthetic images by class; v3 a baseline, trials finished at the end, and a confirmation;
# v4 jobs that ended before their turn; v5 the same with checksums.
@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v4", "v5"])
def test_frozen_journals_replay_for_ever(version, request):
    folder = request.path.parent / "journals"
    history = replay(read_events(folder / f"{version}.jsonl"))
    expected = json.loads((folder / f"{version}.expected.json").read_text())
    looks = [[look.trial, look.run.scores["accuracy"], look.trials] for look in history.holdout_scores]
    assert looks == expected.pop("holdouts", [])
    more = {
        trial.id: [trial.baseline, len(trial.confirmations), trial.stop.score if trial.stop else None]
        for trial in history.trials.values()
    }
    assert more == expected.pop("more", more)
    drawn = {trial.id: trial.runs["f0"].synthetic for trial in history.trials.values() if "f0" in trial.runs}
    assert drawn == expected.pop("synthetic", drawn)
    assert {
        trial.id: [
            trial.verdict.status if trial.verdict else None,
            trial.verdict.score if trial.verdict else None,
            len(trial.runs),
            len(trial.failures),
            trial.recipe.summary(),
        ]
        for trial in history.trials.values()
    } == expected


def test_half_a_line_is_cut_off_so_that_the_next_is_whole(filled, monkeypatch):
    journal = Journal(filled)
    before = (filled / FILE).read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    with pytest.raises(UserError, match="cannot be written"):
        journal.append(event("end", reason="disk full"))
    monkeypatch.undo()
    assert (filled / FILE).read_bytes() == before
    journal.append(event("attempt", trial="0000", job=2, folds=[]))
    journal.close()
    assert [event["event"] for event in read_events(filled / FILE)][-2:] == ["end", "attempt"]


@pytest.mark.parametrize(
    "event",
    [
        {"event": "session"},
        {"event": "trial", "trial": "0001", "values": 3, "recipe": RECIPE},
        {"event": "trial", "trial": "0001", "values": {}, "recipe": {"backbone": "NoSuchNet"}},
        {"event": "job", "trial": "0000", "job": 2, "file": "", "sha256": "", "runs": [{"fold": "f1", "scores": 7}]},
        {"event": "job", "trial": "0000", "job": 2, "runs": []},
        {"event": "failure", "trial": "0000"},
        {"event": "holdout", "trial": "0000", "file": "", "sha256": "", "run": {"fold": "holdout", "scores": 3}},
    ],
)
def test_an_event_that_is_not_ours_is_told_by_its_number(filled, event):
    (filled / FILE).write_text(sealed((filled / FILE).read_text() + json.dumps(event) + "\n"))
    with pytest.raises(UserError, match=rf"{FILE}, line 9 cannot be understood \(.*--fresh"):
        Journal(filled)


@pytest.mark.parametrize("score", ["hi", float("nan"), [1]])
def test_a_score_that_is_no_number_is_told(tmp_path, score):
    journal = Journal(tmp_path)
    fill(journal)
    journal.close()
    changed(tmp_path / FILE, '"score": 0.875', f'"score": {json.dumps(score)}')
    with pytest.raises(UserError, match=rf"{FILE}, line 7 cannot be understood \(score is .*no finite number"):
        Journal(tmp_path)


@pytest.mark.parametrize("content", [b"my notes", b"{}", b"first\nsecond", b'{"a": 1}\nsecond', b"\n\nsecond"])
def test_a_file_that_is_no_journal_loses_nothing(tmp_path, content):
    (tmp_path / "mine").write_bytes(content)
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match=r"is no journal, so it is left|line 1 is damaged|cannot be understood"):
        Journal(tmp_path)
    assert (tmp_path / "mine").read_bytes() == content


@pytest.mark.parametrize("torn", [b"", b"{", b'{"event": "sess', b"\0" * 40])
def test_a_first_line_that_a_crash_cut_short_is_no_loss(tmp_path, torn):
    (tmp_path / "journal.jsonl").write_bytes(torn)
    Journal(tmp_path).close()
    assert (tmp_path / "journal.jsonl").read_bytes() == b""
