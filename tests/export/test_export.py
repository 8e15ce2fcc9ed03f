"""An exported model is the one that its trial describes, trained on everything, and needs nothing of ours."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from kit.journals import restudied
from PIL import Image

from search import KFoldTuner, UserError
from search.analysis.judgement import Judgement
from search.analysis.predictions import read_runs
from search.export.export import ALL, COMPARED, everything, export
from search.export.trained import read_trained_on
from search.journal.journal import read_events
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.record import read_record
from search.report.markdown import inert
from search.system.digests import file_sha256
from search.system.tf import keras
from search.training.trainer import Trainer

# Runs a file where this package cannot be imported.
ALONE = "import runpy, sys; sys.modules['search'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0])"
PHOTOGRAPHS = """
from search import Augment, Recipe, Study

study = Study(
    data="{data}", folds=2, train_fractions=(1.0,), max_trials=2, oracle="grid", image_size=64, baselines=False
)

def space(hp):
    return Recipe(
        "MobileNet_0.25", hp.Choice("unfrozen_blocks", [0, 1]), augment=Augment("flip_crop"), views=2, epochs=12,
        class_weight="balanced", learning_rate=3e-3,
    )
"""


@pytest.fixture
def place(finished, tmp_path, monkeypatch):
    """A copy of the finished search; images and cache are shared."""
    shutil.copytree(finished / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reopened(place, finished, screen=None):
    record, cache = read_record(place / "results" / "space-shapes"), str(finished / "cache")
    return KFoldTuner.reopen(record, screen=screen or Lines(wide_console()), executor="inline", cache=cache)


def journal(place):
    return (place / "results" / "space-shapes" / "journal.jsonl").read_bytes()


def looks(place):
    events = read_events(place / "results" / "space-shapes" / "journal.jsonl")
    return [event["trial"] for event in events if event["event"] == "holdout"]


def weights_of(folder):
    return [np.asarray(value) for value in keras.models.load_model(folder / "model.keras").get_weights()]


def run_snippet(folder, images):
    """Run the code of a card in its folder without this package: {image: (label, probability)}."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    (folder.parent / "snippet.py").write_text(code)
    command = [sys.executable, "-c", ALONE, folder.parent / "snippet.py", *images]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    rows = [line.split("\t") for line in told.stdout.splitlines()]
    return {image: (label, float(probability)) for image, label, probability in rows}


def test_an_export_holds_the_model_and_all_that_made_it(finished):
    folder, record = finished / "model", read_record(finished / "results" / "space-shapes")
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "labels.txt", "model.keras", "recipe.json", "trained_on.npz")
    }
    assert (folder / "labels.txt").read_text() == "across\ndown\n"
    about = json.loads((folder / "recipe.json").read_text())
    promise = about["promise"]
    assert (promise["trial"], promise["objective"]) == (about["trial"], about["scores"]["objective"])
    assert 0 <= promise["expected"]["mean"] <= 1
    best = Judgement.of(record).recommended
    assert (about["trial"], about["recipe"]) == (best.id, best.recipe.to_dict())
    assert about["scores"]["score"] == best.verdict.score
    assert about["scores"]["holdout"]["images"] == 6
    assert about["images"] == sum(about["classes"].values()) == 28
    assert about["identity"] == record.about.identity
    assert about["threads"] == record.about.threads
    assert about["compared"]["images"] == 28
    assert about["compared"]["largest_difference"] < 1e-4
    assert about["files"] == {name: file_sha256(folder / name) for name in ("model.keras", "trained_on.npz")}
    trained_on = read_trained_on(folder, about["files"]["trained_on.npz"])
    images = sorted((finished / "shapes").rglob("*.png"))
    assert sorted(trained_on.contents) == sorted(map(file_sha256, images))
    assert trained_on.pictures.shape == (28, 96, 96)
    card = (folder / "README.md").read_text()
    assert "| across | 14 |" in card
    assert inert(f"Hold-out: balanced accuracy {about['scores']['holdout']['balanced_accuracy']:.3f}") in card
    assert looks(finished) == [best.id]  # at the end of the search, and not again


def test_a_fold_of_everything_is_compared_on_some_images_of_all():
    fold = everything(1000)
    assert fold.id == ALL
    assert fold.train.tolist() == list(range(1000))
    assert COMPARED / 2 < len(fold.validation) <= COMPARED
    assert fold.validation[-1] > 900
    assert len(everything(5).validation) == 5


def test_the_code_of_the_card_gives_the_same_predictions_without_this_package(finished, search, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    pixels = np.random.default_rng(3).integers(0, 256, (50, 90, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(odd / "transparent.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels[..., :3]).resize((900, 1500)).save(odd / "turned.jpg", exif=turned)
    Image.fromarray(pixels[..., 0]).save(odd / "grey.gif")
    shutil.copy(finished / "shapes" / "down" / "down_003.png", odd)
    code, out, err = search("predict", finished / "model", odd, "--json")
    assert not code, err
    told = {one["image"]: (one["label"], one["probability"]) for one in json.loads(out)["predictions"]}
    alone = run_snippet(finished / "model", sorted(odd.iterdir()))
    assert alone.keys() == told.keys()
    for image, (label, probability) in told.items():
        assert alone[image] == (label, pytest.approx(probability, abs=1e-3)), image


def test_the_code_that_trained_the_runs_trains_the_export(place, finished):
    record = read_record(place / "results" / "space-shapes")
    trial = Judgement.of(record).recommended
    materials = reopened(place, finished).setup.materials
    trained = Trainer(materials).train(trial.recipe, materials.folds["holdout"], lambda: None)
    stored = read_runs(record.folder, [record.history.holdout_score(trial.id).run])["holdout"]
    np.testing.assert_array_equal(trained.run.probabilities, stored["probabilities"])


def test_the_same_export_gives_the_same_weights_and_leaves_the_journal_alone(place, finished, search):
    before = journal(place)
    code, out, err = search("export", "space-shapes", "--to", "again", "--cache", finished / "cache")
    assert not code, err
    assert "Export: again, trial" in out
    assert journal(place) == before
    for one, other in zip(weights_of(place / "again"), weights_of(finished / "model"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_trial_is_scored_on_the_holdout_once_and_the_search_stays_ended(place, finished, search):
    record = read_record(place / "results" / "space-shapes")
    best = Judgement.of(record).recommended.id
    other = next(name for name in record.history.trials if name != best)
    for target in ("one", "two"):
        code, _, err = search(
            "export", "space-shapes", "--trial", int(other), "--to", target, "--cache", finished / "cache"
        )
        assert not code, err
        assert looks(place) == [best, other]
    after = read_record(place / "results" / "space-shapes")
    assert after.history.end_reason == record.history.end_reason
    assert [trial.verdict for trial in after.history.trials.values()] == [
        trial.verdict for trial in record.history.trials.values()
    ]
    assert f"looked at with {best}, {other}" in (place / "two" / "README.md").read_text()


class Interrupting(Lines):
    """A screen whose person presses Ctrl-C while something is done."""

    at = ""

    def progress(self, what, done, of):
        if self.at and what.endswith(self.at) and done:
            raise KeyboardInterrupt


def test_an_interrupted_export_leaves_nothing_and_can_be_repeated(place, finished):
    record = read_record(place / "results" / "space-shapes")
    other = next(name for name in record.history.trials if name != Judgement.of(record).recommended.id)
    screen = Interrupting(wide_console())
    tuner = reopened(place, finished, screen)
    for at, looked in (("without the hold-out", 1), (f"to {other}", 2)):
        screen.at = at
        with pytest.raises(KeyboardInterrupt):
            export(tuner, other, place / "model")
        assert len(looks(place)) == looked
        assert read_record(record.folder).history.end_reason == record.history.end_reason
        assert {path.name for path in place.iterdir()} == {"results"}
    screen.at = ""
    export(tuner, other, place / "model")
    assert len(looks(place)) == 2
    assert (place / "model" / "model.keras").is_file()


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("mine", "mine is a file. Name a new folder with --to"),
        ("mine/deeper", "mine/deeper cannot be made"),
        ("results", "results is not empty. Name a new folder with --to"),
        ("{images}/model", "Name a folder elsewhere with --to"),
    ],
)
def test_nothing_is_overwritten_nor_mixed_with_images(place, finished, search, to, says):
    (place / "mine").write_text("mine")
    before = {path.name for path in place.iterdir()}
    code, _, err = search("export", "space-shapes", "--to", to.format(images=finished / "shapes"))
    assert code == 1
    assert says in err
    assert {path.name for path in place.iterdir()} == before
    assert (place / "mine").read_text() == "mine"
    assert not (finished / "shapes" / "model").exists()


def test_changed_images_are_refused(finished, search, tmp_path, monkeypatch):
    shutil.copytree(finished / "results", tmp_path / "results")
    shutil.copytree(finished / "shapes", tmp_path / "shapes")
    restudied(tmp_path / "results" / "space-shapes", data=str(tmp_path / "shapes"))
    (tmp_path / "shapes" / "down" / "down_001.png").unlink()
    code, _, err = search("export", "space-shapes", "--to", "model")
    assert code == 1
    assert "the images, their labels or groups changed" in err
    assert not (tmp_path / "model").exists()


def test_best_models_are_had_by_an_export(place, finished):
    with pytest.raises(UserError, match=r"python -m search export space-shapes --to space-shapes-model"):
        reopened(place, finished).get_best_models()


def test_photographs_heads_and_deeper_recipes(photographs, imagenet, tmp_path, search):
    (tmp_path / "space.py").write_text(PHOTOGRAPHS.format(data=photographs / "tiny_flowers3"))
    KFoldTuner("space.py", screen=Lines(wide_console()), name="flowers", executor="inline", racing=False).search()
    truths = {str(path): path.parent.name for path in sorted((photographs / "tiny_flowers3").rglob("*.jpg"))[::2]}
    for trial in ("0000", "0001"):
        code, _, err = search("export", "flowers", "--trial", trial, "--to", trial)
        assert not code, err
        code, out, _ = search("predict", trial, *truths, "--json")
        told = {one["image"]: (one["label"], one["probability"]) for one in json.loads(out)["predictions"]}
        assert np.mean([told[path][0] == truth for path, truth in truths.items()]) > 0.7  # it saw them in training
    alone = run_snippet(tmp_path / "0001", truths)
    assert {path: label for path, (label, _) in alone.items()} == {path: label for path, (label, _) in told.items()}
    for path, (_, probability) in told.items():
        assert alone[path][1] == pytest.approx(probability, abs=1e-3)


def test_images_that_were_moved_are_named_with_data(finished, search, tmp_path):
    shutil.copytree(finished / "results", tmp_path / "results")
    shutil.copytree(finished / "shapes", tmp_path / "moved")
    restudied(tmp_path / "results" / "space-shapes", data=str(tmp_path / "gone"))
    code, _, err = search("export", "space-shapes", "--to", "model")
    assert code == 1
    assert "give the new place with --data: python -m search export space-shapes --to model --data" in err
    assert search("export", "space-shapes", "--to", "model", "--data", "moved")[0] == 0
    assert (tmp_path / "model" / "model.keras").is_file()
