"""TensorBoard shows a search: a real server is asked what it has read."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import numpy as np
import pytest
from kit.drivers import outcome, prepare, start, wait_for_lines
from kit.journals import changed
from kit.searches import Search, held_out

from search.analysis.ledger import at_size
from search.monitor import tensorboard as boards
from search.racing import ranked, score, trial_score
from search.system.errors import UserError
from search.system.files import npz_bytes

PATIENCE = 120  # seconds
# As where TensorFlow is not installed: loading it would take most of the time, and it reads the same.
SERVE = """
import sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
from tensorboard.main import run_main
run_main()
"""


class Server:
    """A running TensorBoard, asked through its data API."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, body=None, **query):
        address = f"{self.url}/data/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def scalars(self, run, tag):
        """Return (step, value) of a curve."""
        return [(step, value) for _, step, value in self.ask("plugin/scalars/scalars", run=run, tag=tag)]

    def sessions(self):
        """Return by trial: values, metrics by tag, status."""
        experiment = self.ask("plugin/hparams/experiment", {"experimentName": ""})
        names = [metric["name"] for metric in experiment["metricInfos"]]
        body = {
            "experimentName": "",
            "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
            "colParams": [{"metric": name} for name in names],
            "startIndex": 0,
            "sliceSize": 1000,
        }
        groups = self.ask("plugin/hparams/session_groups", body).get("sessionGroups", [])
        told = {}
        for group in groups:
            (session,) = group["sessions"]  # one: nothing is there twice
            metrics = {value["name"]["tag"]: value["value"] for value in session.get("metricValues", [])}
            told[group["name"]] = group["hparams"], metrics, session.get("status", "STATUS_UNKNOWN")
        return told


@contextlib.contextmanager
def served(folder, runs):
    """Serve a folder, from when TensorBoard has read so many runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, "--logdir", str(folder), "--port", str(port), "--reload_interval", "1"]
    process = subprocess.Popen([*command, "--host", "127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(f"http://127.0.0.1:{port}")
    try:
        until = time.monotonic() + PATIENCE
        seen = []
        while len(seen) < runs and time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError):
                seen = server.ask("runs")
            time.sleep(0.2)
        assert len(seen) == runs, seen
        yield server
    finally:
        process.terminate()
        process.wait()


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def runs_of(made):
    """The runs that TensorBoard should have read: one a run, one a trial that has ended and is no duplicate."""
    trials = made.history.trials.values()
    ended = [trial for trial in trials if trial.verdict and trial.verdict.status != "duplicate"]
    return sum(len(trial.runs) for trial in trials) + len(ended)


def test_a_server_shows_every_curve_and_every_trial_that_has_ended(filled):
    board = boards.Board(filled.folder)
    assert board.update(filled.record) == []
    with served(board.folder, runs_of(filled)) as server:
        told = server.sessions()
        for trial in filled.history.trials.values():
            for fold in trial.runs:
                losses = server.scalars(f"{trial.id}/{fold}/train", "epoch_loss")
                assert losses == [(1, 1.0), (2, pytest.approx(0.55)), (3, pytest.approx(0.1))]
                assert server.scalars(f"{trial.id}/{fold}/train", "epoch_accuracy")[-1] == (3, pytest.approx(0.9))
    assert set(told) == {"0000", "0001", "0002", "0003", "0005"}  # 0004 is a duplicate, 0006 has not ended
    for trial in ranked(filled.history.trials.values()):
        values, metrics, status = told[trial.id]
        sizes = {f"accuracy@{q:g}": at_size(trial, filled.rules, q, "accuracy") for q in (1.0, 0.25)}
        assert metrics == pytest.approx({"score": score(trial), **sizes})
        assert status == "STATUS_SUCCESS"
        assert values["learning_rate"] == pytest.approx(trial.recipe.learning_rate)
        assert values["backbone"] == trial.recipe.backbone
    assert told["0001"][0]["augment"] == "color 0.3"
    assert (told["0003"][1], told["0003"][2]) == ({}, "STATUS_FAILURE")
    assert "score" not in told["0002"][1]  # stopped: what was predicted is no score
    assert told["0002"][2] == "STATUS_UNKNOWN"


def with_validation(made, trial, points):
    """Let the first job of a trial also have stored what validation was at some epochs."""
    run = next(iter(trial.runs.values()))
    with np.load(made.folder / run.file) as stored:
        arrays = {**stored, f"{run.fold}/validation": np.array(points)}
    data = npz_bytes(arrays)
    (made.folder / run.file).write_bytes(data)
    changed(made.journal.path, run.sha256, hashlib.sha256(data).hexdigest())
    return f"{trial.id}/{run.fold}/validation"


def test_validation_is_shown_where_it_was_stored_and_the_look_at_the_hold_out(tmp_path):
    made = Search(tmp_path, holdout=0.2, each=20)
    held_out(made)
    run = with_validation(made, made.history.trials["0000"], [[1, 0.5, 0.25], [3, 0.25, 0.75]])
    board = boards.Board(made.folder)
    board.update(made.record)
    looks = len(made.history.holdout_scores)
    with served(board.folder, runs_of(made) + 1 + looks) as server:
        assert server.scalars(run, "epoch_loss") == [(1, 0.5), (3, 0.25)]
        assert server.scalars(run, "epoch_accuracy") == [(1, 0.25), (3, 0.75)]
        assert len(server.scalars("0000/holdout/train", "epoch_loss")) == 3


def test_a_stopped_trial_that_is_finished_at_the_end_gets_its_score_while_the_server_runs(made):
    made.complete(0.5)
    trial = made.stop(0.9)
    board = boards.Board(made.folder)
    board.update(made.record)
    with served(board.folder, runs_of(made)) as server:
        assert (server.sessions()[trial.id][1], server.sessions()[trial.id][2]) == ({}, "STATUS_UNKNOWN")
        made.train(trial, 0.9, made.folds[2:])
        made.conclude(trial, "completed", trial_score(trial, made.rules), "finished at the end")
        board.update(made.record)
        until = time.monotonic() + PATIENCE
        while server.sessions()[trial.id][2] != "STATUS_SUCCESS" and time.monotonic() < until:
            time.sleep(0.5)
        told = server.sessions()[trial.id]
    assert told[1]["score"] == pytest.approx(score(trial))
    assert told[2] == "STATUS_SUCCESS"
    assert told[0]["backbone"] == trial.recipe.backbone


def test_what_is_there_stays_and_what_is_missing_comes_later(made):
    made.complete(0.5)
    board = boards.Board(made.folder)
    board.update(made.record)
    first = files(board.folder)
    stamps = {path: path.stat().st_ino for path in board.folder.rglob(f"{boards.FILE}*")}
    lost = board.folder / "0000" / "f0" / "train" / boards.FILE
    lost.unlink()
    emptied = board.folder / "hparams" / "0000" / boards.PARTS["result"]
    emptied.write_bytes(b"")  # as a power cut can leave it
    made.complete(0.7)
    again = boards.Board(made.folder)
    again.update(made.record)
    now = files(board.folder)
    assert {name: now[name] for name in first} == first
    assert len(now) == 2 * len(first)
    kept = set(stamps) - {lost, emptied}
    assert {path: path.stat().st_ino for path in kept} == {path: stamps[path] for path in kept}


def test_halves_of_a_killed_driver_are_unseen_and_swept(made):
    made.complete(0.5)
    boards.Board(made.folder).update(made.record)
    half = made.folder / boards.FOLDER / f".{boards.HALF}.tmp-x1234567"
    half.write_bytes(b"half")
    assert "tfevents" not in half.name
    boards.Board(made.folder)
    assert half.exists()  # somebody may be writing it
    os.utime(half, (0, 0))
    boards.Board(made.folder)
    assert not half.exists()


def test_a_damaged_run_is_named_and_written_when_it_is_restored(made):
    trial = made.complete(0.5)
    run = trial.runs["f1"]
    good = (made.folder / run.file).read_bytes()
    (made.folder / run.file).write_bytes(b"damaged")
    board = boards.Board(made.folder)
    assert board.update(made.record) == [run.file]
    (made.folder / run.file).write_bytes(good)
    assert board.update(made.record) == []
    assert (board.folder / trial.id / "f1" / "train" / boards.FILE).exists()


def test_every_search_can_be_shown(any_search):
    board = boards.Board(any_search.folder)
    board.update(any_search.record)


def test_report_writes_it_without_tensorflow(search, filled):
    filled.journal.close()
    code, printed, _ = search("report", "made", "--results", filled.folder.parent, "--tensorboard")
    assert code == 0
    assert f"tensorboard --logdir {filled.folder / 'tensorboard'}" in printed
    shutil.rmtree(filled.folder / "tensorboard")
    code = "import sys; from pathlib import Path; from search.record import read_record\n"
    code += f"from search.monitor.tensorboard import Board; f = Path({str(filled.folder)!r}); b = Board(f)\n"
    code += "b.update(read_record(f)); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_package_is_said_before_any_work(search, space, monkeypatch, shapes):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("tensorboard.")]:
        monkeypatch.delitem(sys.modules, name)
    code, printed, error = search("run", space(), "--data", shapes, "--tensorboard")
    assert code == 1
    assert "pip install tensorboard" in error
    assert "Loading" not in printed
    from search import KFoldTuner

    with pytest.raises(UserError, match="pip install tensorboard"):
        KFoldTuner(space(), data=str(shapes), tensorboard=True)


@pytest.mark.slow
def test_a_killed_search_that_is_resumed_ends_with_all_of_it_once(tmp_path):
    folder = prepare(tmp_path / "place", trials=6)
    driver = start(folder, "--tensorboard")
    wait_for_lines(folder, driver, 12)
    driver.kill()
    driver.communicate()
    command = [sys.executable, "-m", "search", "resume", "broken"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TensorBoard: tensorboard --logdir results/broken/tensorboard" in done.stdout
    _, trials, ended = outcome(folder / "results" / "broken")
    assert ended
    board = folder / "results" / "broken" / "tensorboard"
    parts = ("train", "validation")
    expected = {f"{name}/{fold}/{part}" for name, trial in trials.items() for fold in trial[3] for part in parts}
    shown = {str(path.parent.relative_to(board)) for path in board.rglob(f"{boards.FILE}*")}
    assert shown == expected | {f"hparams/{name}" for name, trial in trials.items() if trial[2].status != "duplicate"}
    with served(board, len(shown)) as server:
        assert set(server.sessions()) == {name.split("/")[1] for name in shown if name.startswith("hparams/")}
        assert [step for step, _ in server.scalars("0000/f0/train", "epoch_loss")] == [1, 2]
        assert server.scalars("0000/f0/validation", "epoch_loss")[-1][0] == 2
