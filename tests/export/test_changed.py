"""Other images than those of its search can train a recipe: what changed is said, and that nothing scored it."""

import csv
import json
import shutil

import pytest
from kit.journals import restudied
from kit.runs import write_pool
from kit.shapes import write_shapes
from kit.spaces import SPACE

from search.analysis.judgement import Judgement
from search.analysis.outlook import promise
from search.export.changed import Image, pairs_of
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.record import read_record
from search.report.markdown import inert


@pytest.fixture
def place(finished, tmp_path):
    """A copy of the finished search, and of its images at ``other``, for a test to change."""
    shutil.copytree(finished / "results", tmp_path / "results")
    shutil.copytree(finished / "shapes", tmp_path / "other")
    return tmp_path


def rows(folder):
    with (folder / "changes.csv").open(newline="") as file:
        return [tuple(row.values()) for row in csv.DictReader(file)]


def test_images_are_the_same_by_content_and_class_first_then_by_content_then_by_id():
    was = [Image("a/1", "a", "x"), Image("b/1", "b", "x"), Image("a/2", "a", "y"), Image("a/3", "a", "z")]
    now = [Image("b/9", "b", "x"), Image("b/2", "b", "y"), Image("a/3", "a", "new"), Image("a/4", "a", "more")]
    assert pairs_of(was, now) == [(1, 0), (2, 1), (3, 2)]  # the copy of class a is gone, that of b has another name


def test_a_model_of_other_images_says_what_changed_and_that_no_search_scored_it(place, finished, search):
    other = place / "other"
    write_shapes(place / "new", {"across": 3, "down": 1}, seed=5)
    for number in range(3):
        shutil.copy(place / "new" / "across" / f"across_00{number}.png", other / "across" / f"=new{number}.png")
    (other / "down" / "down_001.png").unlink()
    (other / "down" / "down_002.png").rename(other / "across" / "down_002.png")
    (other / "down" / "down_003.png").rename(other / "down" / "renamed.png")
    shutil.copy(place / "new" / "down" / "down_000.png", other / "down" / "down_004.png")
    (other / "down" / "down_005.png").write_bytes(b"torn")
    journal = (place / "results" / "space-shapes" / "journal.jsonl").read_bytes()
    code, out, err = search("export", "space-shapes", "--to", "model", "--data", "other", "--cache", finished / "cache")
    assert not code, err
    out = " ".join(out.split())
    assert "Left out: 1 image cannot be read: down/down_005.png" in out
    assert (
        "Not scored by this search: other images train this model. 24 images are as they were, 3 added (across 3), "
        "2 removed (down 2), 1 of another class (down to across 1), 1 with another content under the same name (down "
        "1), 1 under another name (down 1)"
    ) in out
    record = read_record(place / "results" / "space-shapes")
    judgement = Judgement.of(record)
    expected = promise(judgement, judgement.recommended).expected.mean
    assert f"On the search's own 28 images, its recipe is expected to have a balanced accuracy of {expected:.3f}" in out
    assert "Expect at least that of new images like these" in out

    about = json.loads((place / "model" / "recipe.json").read_text())
    assert about["classes"] == {"across": 18, "down": 11}
    assert about["images"] == 29
    assert about["compared"]["largest_difference"] < 1e-4
    changed = about["other_images"]
    assert changed.pop("digest") != about["identity"]["data"] == record.about.identity["data"]
    assert changed == {
        "scored": False,
        "data": "other",
        "images": 29,
        "images_of_search": 28,
        "unchanged": 24,
        "added": {"across": 3},
        "removed": {"down": 2},
        "relabelled": {"down to across": 1},
        "replaced": {"down": 1},
        "renamed": {"down": 1},
        "unreadable": 1,
        "synthetic_left_out": 0,
        "list": "changes.csv",
    }
    assert rows(place / "model") == [
        *(("added", f"across/=new{number}.png", "across", "", "") for number in range(3)),
        ("removed", "", "", "down/down_001.png", "down"),
        ("removed", "", "", "down/down_005.png", "down"),
        ("relabelled", "across/down_002.png", "across", "down/down_002.png", "down"),
        ("replaced", "down/down_004.png", "down", "down/down_004.png", "down"),
        ("renamed", "down/renamed.png", "down", "down/down_003.png", "down"),
    ]
    card = (place / "model" / "README.md").read_text()
    assert "**Not scored by this search.** Other images trained it than those of the search: 24 images are" in card
    assert inert(f"is expected to have a balanced accuracy of {expected:.3f}") in card
    assert "| across | 18 |" in card
    assert "trained on other images, as said above, so nothing here has been measured on it" in card
    assert (place / "results" / "space-shapes" / "journal.jsonl").read_bytes() == journal
    code, out, err = search("predict", "model", "other/across", "--json")
    assert not code, err
    assert {one["label"] for one in json.loads(out)["predictions"]} <= {"across", "down"}


def test_the_same_images_elsewhere_are_those_that_the_search_scored(place, finished, search):
    restudied(place / "results" / "space-shapes", data=str(place / "gone"))
    code, out, err = search("export", "space-shapes", "--to", "model", "--data", "other", "--cache", finished / "cache")
    assert not code, err
    assert "Not scored" not in out
    assert "other_images" not in json.loads((place / "model" / "recipe.json").read_text())
    assert not (place / "model" / "changes.csv").exists()


def test_images_that_changed_where_they_are_need_data_to_be_trained_on(place, finished, search):
    restudied(place / "results" / "space-shapes", data=str(place / "other"))
    for number in (1, 2):
        (place / "other" / "down" / f"down_00{number}.png").unlink()
    code, _, err = search("export", "space-shapes", "--to", "model", "--cache", finished / "cache")
    assert code == 1
    assert "the images, their labels or groups changed since its search began: 26 images are as they were, 2" in err
    assert f"--data {place / 'other'}" in err
    assert not (place / "model").exists()
    again = err.split("python -m search ")[1].split()
    code, out, err = search(*again)
    assert not code, err
    assert "This model has fewer images to learn from, so expect rather less." in " ".join(out.split())
    assert json.loads((place / "model" / "recipe.json").read_text())["other_images"]["removed"] == {"down": 2}


def test_classes_that_the_search_does_not_know_and_those_that_vanished_are_refused(place, search):
    (place / "other" / "down").rename(place / "other" / "[red]slanted")
    code, _, err = search("export", "space-shapes", "--to", "model", "--data", "other")
    assert code == 1
    assert "other has classes that space-shapes does not know: '[red]slanted' (14 images)" in err
    assert "other has no image of 'down'. A model of space-shapes answers with each of its classes" in err
    assert "Or search these images anew: python -m search run space.py --data other" in err
    assert not (place / "model").exists()


def test_synthetic_images_train_it_whose_sources_are_still_there(tmp_path, search):
    from search import KFoldTuner

    write_shapes(tmp_path / "shapes", {"across": 8, "down": 8})
    write_pool(tmp_path / "shapes-synthetic", tmp_path / "shapes")
    recipe = '"SmallCNN", None, epochs=1, synthetic_per_class=8, learning_rate=hp.Choice("learning_rate", [1e-3])'
    (tmp_path / "space.py").write_text(SPACE.format(recipe=recipe).replace("folds=3", "folds=2"))
    KFoldTuner(
        tmp_path / "space.py", screen=Lines(wide_console()), data=str(tmp_path / "shapes"), executor="inline",
        results=str(tmp_path / "results"), cache=str(tmp_path / "cache"), offline=True, racing=False,
    ).search()  # fmt: skip
    shutil.copytree(tmp_path / "shapes", tmp_path / "other")
    (tmp_path / "other" / "across" / "across_002.png").unlink()  # of which two images of four were made
    line = "export", "space-shapes", "--data", "other", "--cache", tmp_path / "cache", "--to"
    code, out, err = search(*line, "model")
    assert not code, err
    assert "2 synthetic images left out, as real images that they came from are not there any more" in out
    about = json.loads((tmp_path / "model" / "recipe.json").read_text())
    assert about["other_images"]["synthetic_left_out"] == 2
    assert about["synthetic"]["drawn"] == {"across": 6, "down": 8}

    shutil.rmtree(tmp_path / "other")
    write_shapes(tmp_path / "other", {"across": 2, "down": 2}, seed=4)
    code, out, err = search(*line, "second")
    assert code == 1
    assert "trains on synthetic images, and each of those in" in err
    shutil.rmtree(tmp_path / "shapes-synthetic")
    code, out, err = search(*line, "second")
    assert code == 1
    assert "The synthetic images of space-shapes were in" in err
