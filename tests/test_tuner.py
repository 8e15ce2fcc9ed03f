"""A whole search: from a notebook's face, resumed, refused, exhausted, failing."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from kit.journals import changed
from kit.shapes import write_shapes

from search import KFoldTuner, Recipe, Study, Synthetic, UserError
from search.analysis.ledger import profile
from search.journal.journal import read_events
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.options import Options
from search.oracles import BaseTuner
from search.prepare import prepare
from search.racing import ranked
from search.record import About, begin_record, read_record, tables_of
from search.reopening import reopening
from search.space import load_space_file
from search.system.places import make_folder
from search.training.cost import further_images

SPACE = """
from search import Augment, Recipe, Study, amounts_at_hand, at_hand

study = Study(data="shapes", folds=3, train_fractions=(1.0, 0.5), max_trials=5, seed=3, baselines=False)

def space(hp):
    return Recipe(
        backbone=hp.Choice("backbone", at_hand(["MobileNet_0.25", "SmallCNN"])),
        unfrozen_blocks=None,
        dropout=hp.Choice("dropout", [0.0, 0.2, 0.4]),
        learning_rate=hp.Choice("learning_rate", [1e-3, 3e-3, 1e-2]),
        epochs=2,
    )
"""


def go_to_project(folder, patch):
    """Make a project folder with images and a space, where no weights are at hand, the current one."""
    patch.chdir(folder)
    patch.setenv("KERAS_HOME", str(folder / "no-weights"))
    write_shapes(folder / "shapes", {"across": 9, "down": 9})
    (folder / "space.py").write_text(SPACE)
    (folder / "data").mkdir()
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project folder with images and a space; no weights are at hand."""
    return go_to_project(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def one_trial(tmp_path_factory):
    """The results of a search of one trial in such a folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = go_to_project(tmp_path_factory.mktemp("one-trial"), patch)
        tuner(trials=1).search()
    return folder / "results"


@pytest.fixture
def begun(place, one_trial):
    """A project folder in which one trial has been searched."""
    shutil.copytree(one_trial, place / "results")
    return place


def test_the_oracle_of_a_finished_search_knows_its_trials(begun):
    again = tuner(trials=1)
    (best,) = again.oracle.get_best_trials(1)
    (trial,) = again.record.history.proposed
    assert (best.trial_id, best.hyperparameters.values) == (trial.id, trial.values)
    assert best.score == trial.verdict.score
    assert begun.is_dir()
    assert tuner(trials=1, fresh=True).oracle.get_best_trials(1) == []


def tuner(space="space.py", **options):
    """Search inline, where no process has to load TensorFlow first."""
    return KFoldTuner(space, screen=Lines(wide_console()), **{"offline": True, "executor": "inline", **options})


def outcome(record):
    """What must be equal: trials, values, verdicts, folds and scores; not seconds, sessions or attempts."""
    return [
        (
            trial.id,
            trial.values,
            trial.recipe,
            trial.verdict,
            {fold: (run.scores, run.sha256) for fold, run in trial.runs.items()},
        )
        for trial in record.history.trials.values()
    ]


def test_a_search_from_a_notebook_keeps_the_face_of_keras_tuner(place, capsys):
    searched = tuner(trials=3, executor="processes")
    assert isinstance(searched, BaseTuner)
    assert not (place / "results").exists()  # nothing is written before the search
    searched.search()
    record = searched.record
    best = ranked(record.history.trials.values())
    assert len(best) == 3
    values = [hp.values for hp in searched.get_best_hyperparameters(2)]
    assert values == [trial.values for trial in best[:2]]
    searched.results_summary()
    printed = capsys.readouterr().out
    assert f"Winner: trial {best[0].id}" in printed
    assert "weights are not here: MobileNet_0.25 (--offline)" in printed
    assert {trial.recipe.backbone for trial in best} == {"SmallCNN"}
    assert list(record.about.weights) == ["SmallCNN"]
    assert record.history.end_reason == "all 3 trials are done"
    left = {path.name for path in place.iterdir()} - {"no-weights"}  # Keras makes its home when first imported
    assert left == {"data", "results", "shapes", "space.py"}


def test_the_folder_of_a_lambda_has_a_plain_name(place):
    study = Study("shapes", folds=3, max_trials=1, baselines=False)
    made = KFoldTuner(lambda hp: Recipe("SmallCNN", None, epochs=1), study, offline=True, executor="inline")
    assert made.setup.folder.name == "space-shapes"


def test_a_function_is_not_taken_for_the_space_file_of_its_name(place):
    def space(hp):
        return Recipe("SmallCNN", None, epochs=1)

    options = {"name": "made", "offline": True, "executor": "inline"}
    searched = KFoldTuner(space, Study("shapes", folds=3, max_trials=1, baselines=False), **options)
    searched.search()  # beside space.py
    with pytest.raises(UserError, match="begun from a function in a notebook"):
        reopening(searched.record)


def test_stored_predictions_give_the_journalled_scores(place):
    searched = tuner(trials=1)
    searched.search()
    record = searched.record
    plan = list(csv.DictReader((record.folder / "folds.csv").open()))
    trial = record.history.trials["0000"]
    for fold in ("f0", "f1@0.5"):
        run = trial.runs[fold]
        stored = np.load(record.folder / run.file)
        ids = [row["id"] for row in plan if row["fold"] == fold and row["part"] == "validation"]
        labels, probabilities = stored[f"{fold}/labels"], stored[f"{fold}/probabilities"]
        assert [id_.split("/")[0] for id_ in ids] == [["across", "down"][label] for label in labels]
        assert run.scores["accuracy"] == pytest.approx((probabilities.argmax(1) == labels).mean())


def test_more_trials_extend_a_search_and_finished_runs_are_not_trained_again(place):
    tuner(trials=2).search()
    folder = place / "results" / "space-shapes"
    before = {path.name: path.read_bytes() for path in (folder / "runs").iterdir()}
    stamps = {path.name: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    tuner(trials=4).search()
    assert {name: (folder / "runs" / name).read_bytes() for name in before} == before
    assert {name: (folder / "runs" / name).stat().st_mtime_ns for name in stamps} == stamps
    shutil.move(folder, place / "extended")
    tuner(trials=4).search()
    assert outcome(read_record(folder)) == outcome(read_record(place / "extended"))


def test_a_finished_search_run_again_does_nothing(begun):
    def done():
        events = read_events(begun / "results" / "space-shapes" / "journal.jsonl")
        return [event for event in events if event["event"] not in ("session", "end", "profile")]

    before = done()
    tuner(trials=1).search()
    assert done() == before


def test_a_report_says_where_each_second_went(place):
    for trials in (1, 2):
        searched = tuner(trials=trials, executor="processes")
        searched.search()
    told = profile(searched.record)
    assert told["sessions"] == "2 of 2"
    assert {"prepare", "ask", "decide", "write", "wait", "show"} <= set(told["driver"])
    assert {"images", "build", "train"} <= set(told["workers"]["unfrozen"])
    assert told["workers"]["heads"] == {}
    trained = sum(run.seconds for trial in searched.record.history.trials.values() for run in trial.runs.values())
    assert told["workers"]["unfrozen"]["train"] <= trained * 1.01
    assert min(seconds for stages in (told["driver"], told["workers"]["unfrozen"]) for seconds in stages.values()) >= 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda place: (place / "shapes" / "down" / "down_000.png").unlink(), "the images, their labels"),
        (lambda place: (place / "space.py").write_text(SPACE.replace("0.4]", "0.5]")), "the space changed"),
        (
            lambda place: (place / "space.py").write_text(SPACE.replace("folds=3", "folds=2")),
            "folds was 3 and is now 2",
        ),
        (lambda place: (place / "space.py").write_text(SPACE.replace("seed=3", "seed=4")), "seed was 3 and is now 4"),
        (lambda place: (place / "space.py").write_text(SPACE.replace("(1.0, 0.5)", "(1.0,)")), "train_fractions was"),
    ],
)
def test_a_changed_search_is_refused_with_what_differs_and_the_ways_out(begun, change, says):
    change(begun)
    with pytest.raises(UserError) as refusal:
        tuner(trials=1)
    text = str(refusal.value)
    assert says in text
    assert "--name" in text
    assert "--fresh" in text
    for way_out in ({"name": "another"}, {"fresh": True}):
        tuner(trials=1, **way_out)


def test_both_ways_out_of_a_changed_search_lead_to_the_end(begun):
    (begun / "space.py").write_text(SPACE.replace("folds=3", "folds=2"))
    (begun / "shapes" / "down" / "down_000.png").unlink()
    tuner(trials=1, name="another").search()
    tuner(trials=1, fresh=True).search()
    asides = list((begun / "results").glob("space-shapes.old-*"))
    assert len(asides) == 1
    assert (asides[0] / "journal.jsonl").exists()


def test_comments_and_more_trials_are_no_change(begun):
    (begun / "space.py").write_text("# a comment\n" + SPACE.replace("max_trials=5", "max_trials=2"))
    again = tuner()
    again.search()
    assert len(again.record.history.trials) == 2


def test_weights_that_come_later_stay_out_of_a_resumed_search(place, imagenet):
    import os

    os.environ["KERAS_HOME"] = str(place / "no-weights")
    tuner(trials=1).search()
    os.environ["KERAS_HOME"] = str(imagenet)
    resumed = tuner(trials=2)
    assert list(resumed.setup.weights) == ["SmallCNN"]
    resumed.search()
    fresh = tuner(trials=1, name="later")
    assert set(fresh.setup.weights) == {"SmallCNN", "MobileNet_0.25"}


def test_weights_that_go_missing_are_refused_on_resume(place, imagenet, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(imagenet))
    tuner(trials=1).search()
    monkeypatch.setenv("KERAS_HOME", str(place / "no-weights"))
    with pytest.raises(UserError, match=r"weights of MobileNet_0.25 are gone"):
        tuner(trials=2)


def test_an_exhausted_space_ends_the_search_with_a_message(place, capsys):
    searched = tuner(trials=50, racing=False)
    searched.search()
    assert " for 9 trials of 6 runs, as the space has no more (rough; racing off)\n" in capsys.readouterr().out
    history = searched.record.history
    assert len(history.trials) == 9
    assert history.end_reason == "the space is exhausted: its 9 points have all been tried"
    assert len({json.dumps(trial.values, sort_keys=True) for trial in history.trials.values()}) == 9


def test_equal_recipes_are_trained_once(place):
    (place / "space.py").write_text(
        SPACE.replace('dropout=hp.Choice("dropout", [0.0, 0.2, 0.4])', 'dropout=0.2 * (hp.Choice("d", [1, 2]) > 0)')
    )
    searched = tuner(trials=50, racing=False)
    searched.search()
    history = searched.record.history
    duplicates = history.with_status("duplicate")
    assert len(history.trials) == 6
    assert len(duplicates) == 3
    assert all(not trial.runs for trial in duplicates)


def test_a_diverging_trial_fails_and_the_search_goes_on(place):
    (place / "space.py").write_text(
        SPACE.replace("[1e-3, 3e-3, 1e-2]", "[1e-3, 10.0]").replace("epochs=2", "epochs=60, weight_decay=10.0")
    )
    searched = tuner(trials=50, racing=False)
    searched.search()
    history = searched.record.history
    assert len(history.with_status("failed")) == 3
    assert len(history.with_status("completed")) == 3
    failed = history.with_status("failed")[0]
    assert "no number" in failed.verdict.reason
    assert len(failed.failures) == 1  # the same seed would diverge again
    assert ranked(history.trials.values())[0].verdict.status == "completed"


def on_one_thread(setup):
    return dataclasses.replace(
        setup,
        devices=dataclasses.replace(setup.devices, threads=1),
        about=About.of({**setup.about.fields, "threads": 1}),
        materials=dataclasses.replace(setup.materials, threads=1),
    )


def test_two_workers_give_the_very_search_that_one_gives(place):
    searches = []
    for slots in (1, 2):
        searched = tuner(trials=7, executor="processes", slots=slots, name=f"slots-{slots}")
        searched.setup = on_one_thread(searched.setup)  # the last decimals depend on it
        searched.search()
        searches.append(outcome(searched.record))
    assert len(searches[0]) == 7
    assert searches[0] == searches[1]


def test_a_space_function_and_a_study_do_as_well(place):
    from search import Recipe

    def my_space(hp):
        rate = hp.Choice("learning_rate", [1e-3, 1e-2])
        return Recipe("SmallCNN", unfrozen_blocks=None, learning_rate=rate, epochs=1)

    study = Study(data="shapes", folds=3, train_fractions=(1.0,), max_trials=2, oracle="random", baselines=False)
    searched = tuner(my_space, study=study)
    searched.search()
    assert searched.record.name == "my_space-shapes"
    assert len(searched.get_best_hyperparameters(5)) == 2
    with pytest.raises(UserError, match="needs a study"):
        tuner(my_space)
    with pytest.raises(UserError, match="no option 'trial'"):
        tuner(my_space, study=study, trial=3)


def test_an_unknown_executor_is_refused_before_the_images_are_read(place):
    with pytest.raises(UserError, match=r"executor='inlin' is not known\. Did you mean 'inline'\? Choose one of: proc"):
        tuner(executor="inlin", data="nowhere")


def test_unreadable_images_are_named_and_left_out(place, capsys):
    (place / "shapes" / "down" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    (place / "shapes" / "down" / "notes.txt").write_text("not an image")
    searched = tuner(trials=1)
    printed = capsys.readouterr().out
    assert "down/broken.png" in printed
    assert "down/notes.txt" in printed
    assert len(searched.setup.dataset) == 18
    with pytest.raises(UserError, match=r"down/broken.png"):
        tuner(trials=1, strict=True)


@pytest.mark.parametrize("file", ["study.json", "journal.jsonl"])
def test_fresh_begins_anew_whatever_became_of_the_old_folder(begun, file):
    (begun / "results" / "space-shapes" / file).write_text('{"format": 1,\nxx\nyy\n')
    with pytest.raises(UserError, match="--fresh"):
        tuner(trials=1).search()
    tuner(trials=1, fresh=True).search()
    assert len(read_record(begun / "results" / "space-shapes").history.trials) == 1
    assert len(list((begun / "results").glob("*.old-*"))) == 1


def test_a_backbone_written_out_is_looked_for_before_anything_is_written(place):
    (place / "space.py").write_text(
        SPACE.replace('hp.Choice("backbone", at_hand(["MobileNet_0.25", "SmallCNN"]))', '"MobileNetV2"')
    )
    with pytest.raises(UserError, match=r"uses MobileNetV2, whose weights are not at hand"):
        tuner(trials=1)
    assert not (place / "results").exists()


def test_data_may_be_the_current_folder(place, monkeypatch):
    monkeypatch.chdir(place / "shapes")
    elsewhere = {"results": str(place / "results"), "cache": str(place / "cache")}
    assert tuner(place / "space.py", data=".", **elsewhere).setup.dataset.counts == {"across": 9, "down": 9}


def test_a_value_that_the_space_imports_is_part_of_it(place, monkeypatch):
    monkeypatch.syspath_prepend(str(place))
    (place / "my_rates.py").write_text("RATES = [1e-3, 3e-3]")
    (place / "space.py").write_text(SPACE.replace("[1e-3, 3e-3, 1e-2]", "__import__('my_rates').RATES"))
    tuner(trials=1).search()
    (place / "my_rates.py").write_text("RATES = [1e-3, 0.005]")  # of another length: Python then sees the change
    with pytest.raises(UserError, match="the space changed"):
        tuner(trials=1)


def test_a_cache_or_results_among_the_images_is_refused(place):
    for option in ("cache", "results"):
        with pytest.raises(UserError, match=f"Give another folder with --{option}"):
            tuner(trials=1, **{option: "shapes/inside"})
    assert not (place / "shapes" / "inside").exists()


def test_the_oracle_knows_the_trials_after_a_search(place):
    searched = tuner(trials=2)
    searched.search()
    assert [trial.trial_id for trial in searched.oracle.get_best_trials(2)] == [
        trial.id for trial in ranked(searched.record.history.trials.values())
    ]


def test_a_failed_beginning_gives_the_lock_back(place):
    searched = tuner(trials=1)
    searched.search()
    journal = place / "results" / "space-shapes" / "journal.jsonl"
    whole = journal.read_text()
    changed(journal, '"epochs": 2', '"epochs": 3')
    for _ in range(2):
        with pytest.raises(UserError, match=r"another recipe for trial 0000 .*: epochs was 3 and is now 2"):
            searched.search()
    journal.write_text(whole)
    searched.search()


def test_another_driver_that_began_meanwhile_is_noticed_under_the_lock(place):
    slow = tuner(trials=1, seed=99)  # it has read the images, and found no search there
    tuner(trials=1).search()
    with pytest.raises(UserError, match="seed was 3 and is now 99"):
        slow.search()


def test_a_journal_without_its_study_is_refused(begun):
    (begun / "results" / "space-shapes" / "study.json").unlink()
    with pytest.raises(UserError, match=r"study\.json is gone"):
        tuner(trials=2).search()


def test_hidden_files_of_others_and_lost_predictions_do_not_stop_a_resume(begun):
    folder = begun / "results" / "space-shapes"
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".mynotes").write_text("mine")
    shutil.rmtree(folder / "runs")
    tuner(trials=2).search()
    assert (folder / ".mynotes").read_text() == "mine"
    assert len(read_record(folder).history.with_status("completed")) == 2


def test_a_full_disk_stops_the_search_and_fails_no_trial(place, monkeypatch):
    from search.training import inputs as feed
    from search.training import trainer as train

    def full(*_args):
        raise OSError(28, "No space left on device", "cache/x")

    monkeypatch.setattr(feed.Activations, "of", full)
    from search.executors.base import Fatal, execute
    from search.racing import Job

    setup = tuner(trials=1).setup
    recipe = setup.recipe({"backbone": "SmallCNN", "dropout": 0.0, "learning_rate": 1e-3})
    ending = execute(train.Trainer(setup.materials), Job("0000", 1, recipe, ("f0",)))
    assert isinstance(ending, Fatal)
    assert ending.error.startswith("cache/x: No space left on device. Make room")


def test_a_script_without_a_guard_is_told_so(place):
    import subprocess
    import sys

    (place / "script.py").write_text(
        "from search import KFoldTuner\nKFoldTuner('space.py', trials=1, offline=True).search()\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "__main__" in done.stderr
    assert not read_record(place / "results" / "space-shapes").history.with_status("failed")


def test_fresh_is_fresh_once(begun):
    searched = tuner(trials=2, fresh=True)
    searched.search()
    searched.search()  # resumes what it began
    assert len(list((begun / "results").glob("*.old-*"))) == 1
    assert len(searched.record.history.sessions) == 2


def prepared(place, amounts, study="trust_unsourced=True", make_pool=True):
    """Prepare a search for these amounts by name, with a pool of one image of unknown origin and a known one."""
    pool = place / "shapes-synthetic"
    if make_pool and not pool.is_dir():
        write_shapes(pool, {"across": 2, "down": 1}, seed=9)
        lines = ["across/across_000.png,across,", "down/down_000.png,down,down/down_001.png"]
        (pool / "manifest.csv").write_text("image,label,sources\n" + "\n".join(lines) + "\n")
    text = SPACE.replace("folds=3", f"folds=3, {study}").replace("def space", f"AMOUNTS = {amounts}\n\ndef space")
    chosen = 'AMOUNTS[hp.Choice("synthetic", amounts_at_hand(AMOUNTS))]'
    (place / "space.py").write_text(text.replace("        epochs=2", f"        synthetic_per_class={chosen}, epochs=2"))
    said = []
    return prepare(load_space_file(place / "space.py"), Options(offline=True), said.append), said


def test_synthetic_images_of_unknown_origin_are_said_at_the_start_and_recorded(place):
    ready, said = prepared(place, {"none": 0, "some": {"across": 1, "down": 0.5}})
    assert "Warning: synthetic images of unknown origin, used on trust: 1. Scores may be flattered" in said
    assert (ready.about.fields["synthetic_images"], ready.about.synthetic_unsourced) == (2, 1)
    assert ready.recipe({**ready.hyperparameters.values, "synthetic": "some"}).synthetic_per_class == Synthetic(
        by_class={"across": 1, "down": Synthetic(ratio=0.5)}
    )
    with pytest.raises(UserError, match=r"line 2: no sources are named\..*Study\(trust_unsourced=True\)"):
        prepared(place, {"none": 0}, study="repeats=1")


def test_the_estimate_counts_the_synthetic_images_that_are_drawn(place):
    ready, _ = prepared(place, {"none": 0, "some": 5})
    drawn = further_images(ready.pool, ready.plan.folds, ready.dataset.labels)
    recipe = ready.recipe({**ready.hyperparameters.values, "synthetic": "some"})
    for fold in ready.plan.folds:
        assert drawn(recipe, fold) == len(ready.pool.admissible(fold))
        assert drawn(ready.recipe({**ready.hyperparameters.values, "synthetic": "none"}), fold) == 0
    assert ready.estimate(ready.sample(), ready.study.max_trials).high > 0


def test_an_amount_of_an_unknown_class_is_refused_before_anything_is_written(place):
    with pytest.raises(UserError, match=r"'acros' is not known\. Did you mean 'across'\? Choose one of: across, down"):
        prepared(place, {"none": 0, "some": {"acros": 1}})
    assert not (place / "results").exists()


def test_without_a_pool_the_first_name_must_mean_none(place):
    ready, said = prepared(place, {"none": 0, "some": 5}, make_pool=False)
    assert "Synthetic images: none" in said
    assert ready.hyperparameters.values["synthetic"] == "none"
    with pytest.raises(UserError, match="asks for synthetic images where the study has none"):
        prepared(place, {"some": 5, "none": 0}, make_pool=False)


def test_a_module_beside_the_space_belongs_to_the_search(place, capsys):
    folder = place / "elsewhere"
    folder.mkdir()
    (folder / "space.py").write_text("from helpers.rates import RATES\n" + SPACE.replace("[0.0, 0.2, 0.4]", "RATES"))
    (folder / "helpers").mkdir()
    (folder / "helpers" / "__init__.py").write_text("")
    (folder / "helpers" / "rates.py").write_text("RATES = [0.0, 0.2]\n")
    tuner("elsewhere/space.py", trials=1).search()
    kept = place / "results" / "space-shapes" / "modules" / "helpers"
    assert (kept / "rates.py").read_text() == "RATES = [0.0, 0.2]\n"
    (folder / "helpers" / "rates.py").write_text("RATES = [0.0, 0.3]\n")
    with pytest.raises(UserError, match=r"the space changed:\n(.*\n)* +-helpers/rates\.py: RATES = \[0\.0, 0\.2\]"):
        tuner("elsewhere/space.py", trials=1)
    shutil.rmtree(folder)
    record = read_record(place / "results" / "space-shapes")
    assert {"modules/helpers/__init__.py", "modules/helpers/rates.py"} < record.history.sessions[0].files.keys()
    again = KFoldTuner.reopen(record, screen=Lines(wide_console()), executor="inline", offline=True, trials=2)
    again.search()
    assert len(again.record.history.proposed) == 2
    estimates = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Estimated cost")]
    assert len(estimates) == 2
    assert estimates[0].endswith("for 1 trial of 6 runs (rough; racing on)")
    assert estimates[1].startswith("Estimated cost of what is left: ")
    assert again.setup.trials_left(again.record.history) == 0


def test_baselines_are_those_of_the_space_and_a_search_keeps_what_it_began_with(place):
    text = SPACE.replace(", baselines=False", "").replace(
        "epochs=2", 'epochs=hp.Choice("epochs", [3, 5]), batch_size=8, image_size=48'
    )
    (place / "space.py").write_text(text)

    def ready():
        return prepare(load_space_file(place / "space.py"), Options(offline=True), lambda line: None)

    def scratch(setup):
        (recipe,) = setup.baselines.values()
        return recipe.image_size, recipe.epochs, recipe.batch_size

    setup = ready()
    assert scratch(setup) == (48, 3, 8)
    tables = tables_of(setup.dataset, setup.pool, setup.plan)
    make_folder(setup.folder)
    (setup.folder / "journal.jsonl").touch()
    begin_record(setup.folder, setup.about, text, tables)
    assert scratch(ready()) == (48, 3, 8)
    older = {name: value for name, value in setup.about.fields.items() if name != "baselines"}
    begin_record(setup.folder, About.of(older), text, tables)
    assert scratch(ready()) == (32, 15, 32)
