"""A search in other people's trackers: written by an option of ``report``, opened again by the real library."""

import shutil
import sqlite3
import sys
import warnings

import optuna
import pytest
from kit.lines import event
from kit.searches import Search

from search.analysis.judgement import Judgement
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.report.trackers.mlflow import shown
from search.report.trackers.optuna import parameters
from search.report.trackers.table import TRACKERS
from search.report.trackers.told import identity_of
from search.system.errors import UserError

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def made(tmp_path):
    """A search with a trial of every kind, and a baseline."""
    search = Search(tmp_path)
    first = search.complete(0.5)
    search.complete(0.95, Recipe("SmallCNN", None, image_size=32, augment=Augment("color", 0.3), learning_rate=0.1))
    search.stop(0.999)
    search.fail()
    search.duplicate(first)
    search.baseline(0.7)
    search.begin()
    return search


def optuna_study(path):
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def write(made, name, target):
    return TRACKERS[name].write(made.record, str(target))


def test_every_tracker_is_an_option_of_the_report(search):
    code, out, _ = search("report", "--help")
    assert not code
    assert all(f"--{name} {row.metavar}" in out for name, row in TRACKERS.items())


def test_optuna_opens_a_search_as_a_study(made, tmp_path):
    line = write(made, "optuna", tmp_path / "study.db")
    assert f"optuna-dashboard sqlite:///{tmp_path / 'study.db'}" in line
    study, record = optuna_study(tmp_path / "study.db"), made.record
    judgement = Judgement.of(record)
    assert (study.study_name, study.direction.name) == ("made", "MAXIMIZE")
    assert study.metric_names == ["balanced_accuracy"]
    assert study.user_attrs["best_score"] == judgement.winner.verdict.score
    assert study.user_attrs["recommended"] == judgement.recommended.id
    assert "partial" in study.user_attrs["note"]
    assert len(study.user_attrs["steps"]) == len(made.folds) == 6
    states = {trial.user_attrs["trial"]: trial.state.name for trial in study.trials}
    assert states == {
        "0000": "COMPLETE", "0001": "COMPLETE", "0002": "PRUNED", "0003": "FAIL", "0004": "PRUNED", "0005": "RUNNING",
        "b0": "COMPLETE",
    }  # fmt: skip
    for trial in study.trials:
        own = record.history.trials[trial.user_attrs["trial"]]
        assert trial.user_attrs["digest"] == own.recipe.digest
        assert list(trial.intermediate_values.values()) == [
            run.scores["balanced_accuracy"] for run in own.runs.values()
        ]
    assert study.best_trial.user_attrs["trial"] == judgement.winner.id == "0001"
    assert study.best_value == judgement.winner.verdict.score
    assert study.best_trial.user_attrs["score_low"] <= study.best_value <= study.best_trial.user_attrs["score_high"]
    stopped = study.trials[2]
    assert (stopped.value, stopped.user_attrs["predicted_score"], stopped.user_attrs["runs"]) == (None, 0.999, "2 of 6")
    assert "points behind" in stopped.user_attrs["reason"]
    assert study.trials[6].user_attrs["baseline"] == "head alone"
    assert "ValueError" in study.trials[3].user_attrs["failure"]


def test_parameters_are_what_differs_and_what_does_not_count_is_left_out(made, tmp_path):
    write(made, "optuna", tmp_path / "study.db")
    study = optuna_study(tmp_path / "study.db")
    first, second = study.trials[:2]
    assert (first.params["backbone"], second.params["backbone"]) == ("MobileNetV2", "SmallCNN")
    assert (first.params["learning_rate"], second.params["learning_rate"]) == (1e-3, 0.1)
    assert first.distributions["learning_rate"] == optuna.distributions.FloatDistribution(1e-3, 0.1, log=True)
    assert first.distributions["image_size"] == optuna.distributions.IntDistribution(32, 96)
    assert "optimizer" not in first.params  # all have the same
    rows = parameters([made.record.history.trials["0000"], made.record.history.trials["0001"]])
    assert [row.get("augment") for row in rows] == ["none", "color"]
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importances = optuna.importance.get_param_importances(study)  # needs parameters that all complete trials have
    assert set(importances) == set.intersection(*(set(trial.params) for trial in complete))


def test_a_study_of_the_same_search_is_replaced_and_nothing_else_is(made, tmp_path):
    path = tmp_path / "study.db"
    write(made, "optuna", path)
    made.complete(0.6)
    write(made, "optuna", path)
    assert len(optuna_study(path).trials) == 8
    assert {one.name for one in tmp_path.glob("*study*")} == {"study.db"}
    before = path.read_bytes()
    (tmp_path / "second").mkdir()
    study = {"objective": "balanced_accuracy", "splits": "kfold", "val": 0.2, "seed": 9}
    other = Search(tmp_path / "second", about={"identity": {"study": study}})
    other.complete(0.5)
    assert identity_of(other.record) != identity_of(made.record)
    with pytest.raises(UserError, match=r"study\.db holds another study, so it is not replaced"):
        write(other, "optuna", path)
    assert path.read_bytes() == before
    study = optuna_study(path)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(UserError, match="holds trials that were added since"):
        write(made, "optuna", path)
    for name, content in {"text.db": b"mine", "empty.db": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="is no study of Optuna"):
            write(made, "optuna", tmp_path / name)
        assert (tmp_path / name).read_bytes() == content
    with sqlite3.connect(tmp_path / "else.db") as base:
        base.execute("CREATE TABLE mine (a)")
    with pytest.raises(UserError, match="is no study of Optuna"):
        write(made, "optuna", tmp_path / "else.db")
    with pytest.raises(UserError, match="There is no folder"):
        write(made, "optuna", tmp_path / "nowhere" / "study.db")
    with sqlite3.connect(path) as base:
        base.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match=r"study\.db is in use by another program"):
            write(made, "optuna", path)
    there = set(tmp_path.iterdir())
    with pytest.raises(UserError, match="Name another file with --optuna"):
        write(made, "optuna", tmp_path / "which?.db")
    assert set(tmp_path.iterdir()) == there


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """An empty store of MLflow, which takes a while to make."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(empty_store, tmp_path):
    """The address of an empty store."""
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"


def mlflow_runs(target):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=target)
    experiment = client.get_experiment_by_name("made")
    runs = client.search_runs([experiment.experiment_id])
    return client, {run.data.tags.get("search.trial", ""): run for run in runs}


def test_mlflow_has_a_run_for_the_search_and_one_for_each_trial_below_it(made, store):
    made.journal.append(event("end", reason="all 6 trials are done"))
    line = write(made, "mlflow", store)
    assert line == f"MLflow: experiment made in {store}, 8 runs written, 0 there already"
    client, runs = mlflow_runs(store)
    record = made.record
    judgement = Judgement.of(record)
    assert set(runs) == {"", *record.history.trials}
    parent = runs[""]
    assert parent.info.run_name == "made"
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best_score"] == pytest.approx(judgement.winner.verdict.score)
    assert parent.data.tags["search.recommended"] == judgement.recommended.id
    statuses = {name: run.info.status for name, run in runs.items() if name}
    assert statuses == {
        "0000": "FINISHED", "0001": "FINISHED", "0002": "KILLED", "0003": "FAILED", "0004": "KILLED",
        "0005": "RUNNING", "b0": "FINISHED",
    }  # fmt: skip
    for name, run in runs.items():
        if name:
            own = record.history.trials[name]
            assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
            assert run.data.tags["search.digest"] == own.recipe.digest
            assert run.data.params["backbone"] == own.recipe.architecture.name
            history = client.get_metric_history(run.info.run_id, "fold_balanced_accuracy") if own.runs else []
            steps = {metric.step: metric.value for metric in history}
            scores = [each.scores["balanced_accuracy"] for each in own.runs.values()]
            assert [steps[step] for step in sorted(steps)] == pytest.approx(scores)
    assert runs["0001"].data.metrics["score"] == pytest.approx(judgement.winner.verdict.score)
    assert "partial" in runs["0002"].data.tags["mlflow.note.content"]
    assert runs["b0"].data.tags["search.baseline"] == "head alone"


def test_mlflow_gets_nothing_twice_and_what_has_changed_anew(made, store):
    write(made, "mlflow", store)
    assert write(made, "mlflow", store).endswith("0 runs written, 8 there already")
    made.train(made.history.trials["0005"], 0.6)
    made.judge(made.history.trials["0005"])
    assert write(made, "mlflow", store).endswith("2 runs written, 6 there already")
    _, runs = mlflow_runs(store)
    assert len(runs) == 8
    assert runs["0005"].info.status in {"FINISHED", "KILLED"}


def test_what_a_store_cannot_take_is_said_with_the_way_out(made, tmp_path):
    with pytest.raises(UserError, match=r"Give a database, such as sqlite:///mlflow\.db"):
        write(made, "mlflow", tmp_path / "mlruns")
    text = b"some lines of text, which are long enough to be looked at"
    (tmp_path / "text.db").write_bytes(text)
    with pytest.raises(UserError, match=r"text\.db cannot be read as a database of MLflow: file is not a database"):
        write(made, "mlflow", f"sqlite:///{tmp_path / 'text.db'}")
    assert (tmp_path / "text.db").read_bytes() == text
    write(made, "optuna", tmp_path / "study.db")
    before = (tmp_path / "study.db").read_bytes()
    with pytest.raises(UserError, match=r"study\.db is a database of another program, and stays as it is"):
        write(made, "mlflow", f"sqlite:///{tmp_path / 'study.db'}")
    assert (tmp_path / "study.db").read_bytes() == before
    assert shown("http://me:secret@host:5000/x") == "http://host:5000/x"
    with pytest.raises(UserError) as refused:
        write(made, "mlflow", "http://me:secret@127.0.0.1:9")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("name", "package"), [("optuna", "optuna"), ("mlflow", "mlflow-skinny")])
def test_a_missing_library_is_named_with_its_extra(made, tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"--{name} needs the package {package}.*\[{name}\]"):
        write(made, name, tmp_path / "target.db")
    assert not list(tmp_path.glob("*target*"))


def test_a_folder_may_have_any_name(made, tmp_path, monkeypatch):
    (tmp_path / "50%?").mkdir()
    monkeypatch.chdir(tmp_path / "50%?")
    write(made, "optuna", "study.db")
    assert len(optuna_study("study.db").trials) == 7
    assert [path.name for path in (tmp_path / "50%?").iterdir()] == ["study.db"]


def test_the_report_writes_them_after_itself(made, store, search, tmp_path):
    code, out, err = search("report", "made", "--results", tmp_path, "--optuna", "s.db", "--mlflow", store)
    assert not code, err
    assert out.index("Report: ") < out.index("Optuna: study made in s.db") < out.index("MLflow: experiment made in")
    assert optuna_study(tmp_path / "s.db").best_value == Judgement.of(made.record).winner.verdict.score
