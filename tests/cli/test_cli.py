"""The command line: exit codes, and one clear message for whatever a person can get wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from kit.shapes import write_shapes
from kit.spaces import SMALL, SPACE

MOBILENET_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"


def error_of(ended):
    """Return the one message of a user's error."""
    code, out, error = ended
    assert code == 1
    assert [line.startswith("Error: ") for line in error.splitlines()].count(True) == 1
    assert error.startswith("Error: ")
    assert "Traceback" not in out + error
    return error


def python(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
    )


# --- real processes


def test_help_loads_no_tensorflow(tmp_path):
    code = """
import atexit, runpy, sys
atexit.register(lambda: print({"tensorflow", "keras", "optuna", "pandas"} & set(sys.modules), file=sys.stderr))
sys.argv = ["search", "--help"]
runpy.run_module("search", run_name="__main__")
"""
    helped = python("-c", code, cwd=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "set()\n")
    assert all(verb in helped.stdout for verb in ("run ", "resume ", "report "))


def test_a_line_break_in_an_argument_makes_no_line_of_an_error(tmp_path):
    ended = python("-m", "search", "report", "x\nError: all is lost", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(r"Error: There is no search in results/x\nError: all is lost")
    assert "\nError" not in ended.stderr


def test_wrong_usage_exits_with_2_and_a_users_error_with_1(tmp_path):
    unused, unknown = (python("-m", "search", *words, cwd=tmp_path) for words in (["run"], ["report", "nothing"]))
    assert unused.returncode == 2
    assert "Missing argument 'SPACE'" in unused.stderr
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("Error: There is no search in results/nothing.")
    assert "Traceback" not in unused.stderr + unknown.stderr


def test_a_space_file_in_the_place_of_a_name_is_sent_to_run(tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    ended = python("-m", "search", "resume", "space.py", "--results", "elsewhere", cwd=tmp_path)
    error = error_of((ended.returncode, ended.stdout, ended.stderr))
    assert error.startswith("Error: space.py is a space file, where the name of a search is wanted.")
    assert error.endswith("python -m search run space.py --results elsewhere\n")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A real search in its own process, of images one of which is corrupt, without MobileNetV2's weights."""
    home = tmp_path_factory.mktemp("searched")
    write_shapes(home / "shapes", {"across": 7, "down": 6})
    (home / "shapes" / "across" / "torn.png").write_bytes(b"no image")
    (home / "space.py").write_text(SPACE.format(recipe=SMALL.replace('"SmallCNN"', AT_HAND)))
    options = ("--offline", "--executor", "inline", "--cache", "cache")
    ended = python("-m", "search", "run", "space.py", *options, cwd=home, KERAS_HOME=str(home / "keras"))
    return home, ended


AT_HAND = 'hp.Choice("backbone", at_hand(["MobileNetV2", "SmallCNN"]))'


def test_search_that_leaves_out_a_corrupt_image_and_missing_weights_says_so_and_exits_with_0(searched):
    home, ended = searched
    assert ended.returncode == 0, ended.stderr
    assert "across/torn.png: not an image" in ended.stdout
    (line,) = [line for line in ended.stdout.splitlines() if "MobileNetV2" in line]
    assert line.endswith(" not here: MobileNetV2 (--offline). How to have them: python -m search backbones")
    assert "https://" not in ended.stdout
    assert "0000 completed" in ended.stdout
    assert "Winner: trial 0000" in ended.stdout
    about = json.loads((home / "results" / "space-shapes" / "study.json").read_text())
    assert (about["images"], [id_ for id_, _ in about["unreadable"]]) == (13, ["across/torn.png"])


def test_labels_of_a_real_search_belong_to_their_images(searched):
    home, _ = searched
    told = pd.read_csv(home / "results" / "space-shapes" / "report" / "predictions.csv")
    assert sorted(told["id"]) == sorted(
        f"{path.parent.name}/{path.name}" for path in (home / "shapes").glob("*/*_*.png")
    )
    assert (told["id"].str.split("/").str[0] == told["label"]).all()


def test_report_is_written_again_in_words_and_files(searched, search, monkeypatch):
    home, _ = searched
    folder = home / "results" / "space-shapes" / "report"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(before) > 20
    shutil.rmtree(folder)
    monkeypatch.chdir(home)
    code, out, error = search("report", "space-shapes")
    assert (code, error) == (0, "")
    assert "Winner: trial 0000" in out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_resume_refuses_changed_images_and_names_the_ways_out(searched, search, monkeypatch):
    home, _ = searched
    monkeypatch.chdir(home)
    write_shapes(home / "shapes", {"later": 3})
    try:
        error = error_of(search("resume", "space-shapes", "--cache", "cache"))
    finally:
        for path in (home / "shapes" / "later").iterdir():
            path.unlink()
        (home / "shapes" / "later").rmdir()
    assert "the images, their labels or groups changed" in error
    assert "--name" in error
    assert "--fresh" in error


# --- what people get wrong


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "Missing argument"),
        (["run", "space.py", "--magic"], "No such option"),
        (["run", "space.py", "--oracle", "magic"], "'magic' is not one of"),
        (["run", "space.py", "--trials", "0"], "not in the range"),
        (["run", "space.py", "--seed", "x"], "not a valid int"),
        (["walk"], "No such command"),
    ],
)
def test_wrong_usage_exits_with_2(search, arguments, words):
    code, _, error = search(*arguments)
    assert code == 2
    assert words in error


def test_interrupted_search_exits_with_130_and_says_how_to_go_on(search, space):
    code, _, error = search("run", space(text="raise KeyboardInterrupt"))
    assert code == 130
    assert "run the same command to resume" in error


def test_missing_space_file(search):
    assert "There is no space file nowhere.py" in error_of(search("run", "nowhere.py"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\nstudy = = 2", "space.py, line 2: invalid syntax"),
        ("\nfrom search import Recpie", "space.py, line 2: ImportError"),
        ("study = 1", "study must be a Study(…)"),
        ("x = 1", "defines no study"),
        ("from search import Study\nstudy = Study('shapes')", "defines no space"),
        ("from search import Study\nstudy = Study('shapes', folds=1)", "line 2: folds=1 must be a whole number"),
    ],
)
def test_broken_space_file_is_named_with_its_line(search, space, text, words):
    error = error_of(search("run", space(text=text)))
    assert words in error
    assert "space.py" in error


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ('"MobileNetV9"', ["backbone='MobileNetV9' is not known", "Did you mean 'MobileNetV"]),
        (f'{SMALL}, augment=Augment("colour")', ["'colour' is not known", "Did you mean 'color'?"]),
        (
            f'{SMALL}, augment=Augment(hp.Choice("augment", ["none", "colour"]))',
            ["'colour' is not known", "Did you mean 'color'?"],
        ),
        ('hp.Choice("backbone", at_hand(["SmallCnn"]))', ["'SmallCnn' is not known", "Did you mean 'SmallCNN'?"]),
        ('"SmallCNN", 1', ["unfrozen_blocks=1", "'SmallCNN'"]),
    ],
)
def test_unknown_word_in_the_space_is_named_with_the_nearest_known_one(search, space, shapes, recipe, words):
    error = error_of(search("run", space(recipe)))
    assert all(word in error for word in words)
    assert "space.py, line 7" in error


def missing(root):
    """No folder."""


def empty(root):
    root.mkdir()


def loose(root):
    write_shapes(root.parent, {root.name: 3})


def an_empty_class(root):
    write_shapes(root, {"across": 3, "down": 3})
    (root / "hollow").mkdir()


def a_class_of_two(root):
    write_shapes(root, {"across": 6, "few": 2})


def one_class(root):
    write_shapes(root, {"across": 6})


def a_corrupt_class(root):
    write_shapes(root, {"across": 6, "down": 6})
    for path in (root / "down").iterdir():
        path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (missing, ["no data folder mine"]),
        (empty, ["mine is empty"]),
        (loose, ["3 images but no class folders"]),
        (an_empty_class, ["Class 'hollow' of mine holds no images"]),
        (a_class_of_two, ["'few' has 2 readable images", "fewer than the 3 folds", "Add some to mine"]),
        (one_class, ["one class only (across)"]),
        (a_corrupt_class, ["No image of class 'down' of mine can be read"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_unusable_data_is_refused_before_anything_is_written(search, space, tmp_path, make, words):
    make(tmp_path / "mine")
    error = error_of(search("run", space(), "--data", "mine"))
    assert all(word in error for word in words)
    assert not (tmp_path / "results").exists()


def test_strict_names_corrupt_images_and_refuses_them(search, space, shapes):
    (shapes / "down" / "torn.png").write_bytes(b"no image")
    error = error_of(search("run", space(), "--strict"))
    assert "down/torn.png: not an image" in error
    assert "without --strict" in error


def test_strict_names_missing_weights_and_refuses_to_go_without(search, space, shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    error = error_of(search("run", space(f"{AT_HAND}, None"), "--offline", "--strict"))
    assert MOBILENET_FILE in error
    assert str(tmp_path / "keras" / "models") in error
    assert "--strict makes that an error" in error


def test_space_of_nothing_but_missing_weights_is_refused(search, space, shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    error = error_of(search("run", space('hp.Choice("backbone", at_hand(["MobileNetV2"]))'), "--offline"))
    assert "no weights of any of them are at hand" in error


def test_results_that_cannot_be_written_are_refused_before_training(search, space, shapes, tmp_path):
    Path("file").write_text("")
    error = error_of(search("run", space(), "--results", "file/results"))
    assert "file/results/space-shapes cannot be made" in error
    assert "--results" in error


def test_cache_that_cannot_be_written_is_refused(search, space, shapes):
    Path("file").write_text("")
    error = error_of(search("run", space(), "--cache", "file/cache"))
    assert "file/cache cannot be made" in error
    assert "--cache" in error


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "/tmp/x"])
def test_name_that_is_no_folder_name_is_refused(search, space, shapes, name):
    assert f"--name {name!r}" in error_of(search("run", space(), "--name", name))


@pytest.mark.parametrize("verb", ["report", "resume"])
def test_unknown_search_is_refused_with_the_known_ones(searched, search, monkeypatch, verb):
    monkeypatch.chdir(searched[0])
    error = error_of(search(verb, "unknown"))
    assert "There is no search in results/unknown. There are: space-shapes." in error


# --- folds


@pytest.fixture
def few(tmp_path, space):
    write_shapes(tmp_path / "shapes", {"across": 8, "down": 8})
    return space(text=SPACE.replace("folds=3", "folds=2, holdout=2"))


def test_folds_are_written_as_folders(search, few, tmp_path):
    code, out, _ = search("folds", few, "--to", "out", "--fractions", "0.8,0.4")
    assert code == 0
    assert "Hold-out: 4 images (across 2, down 2) that no trial sees" in out
    assert "Folds: out, 64 links and plan.csv" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["f0", "f0@0.4", "f0@0.8", "f1", "f1@0.4", "f1@0.8", "holdout", "plan.csv"]
    )
    plan = pd.read_csv(tmp_path / "out" / "plan.csv")
    assert (plan["fold"] == "f0@0.4").sum() == 2 + 6
    assert all((tmp_path / "out" / file).is_file() for file in plan["file"])
    assert not (tmp_path / "results").exists()


def test_folders_of_folds_are_those_of_the_search(search, few, tmp_path):
    assert search("folds", few, "--to", "out", "--copy")[0] == 0
    assert search("run", few, "--executor", "inline", "--name", "found")[0] == 0
    columns = ["fold", "id", "part"]
    searched = pd.read_csv(tmp_path / "results" / "found" / "folds.csv")[columns]
    searched = searched[(searched["fold"] != "holdout") | (searched["part"] == "holdout")]
    written = pd.read_csv(tmp_path / "out" / "plan.csv")[columns]
    pd.testing.assert_frame_equal(written, searched.reset_index(drop=True))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--to", "shapes/inside"), "lies within the images"),
        (("--to", "."), "is not empty. Name a new folder"),
        (("--to", "space.py"), "is a file"),
        (("--to", "out", "--fractions", "0.5,half"), "--fractions '0.5,half' must be numbers in (0, 1]"),
        (("--to", "out", "--fractions", "1.5"), "train_fractions=1.5 must be a number"),
        (("--to", "out", "--data", "nowhere"), "There is no data folder nowhere"),
    ],
)
def test_folds_that_cannot_be_written_are_refused(search, few, tmp_path, arguments, says):
    assert says in error_of(search("folds", few, *arguments))
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "shapes" / "inside").exists()
