"""The folder of a search: it goes on only as it began, and nothing in it is overwritten."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from kit.lines import event

from search.integrity.differences import code_of
from search.journal.events import SessionEvent
from search.journal.history import History
from search.journal.journal import Journal
from search.options import Options, overridden
from search.record import (
    FORMAT,
    IDENTITY_FIELDS,
    RUNS,
    SPACE,
    STUDY,
    About,
    begin_record,
    check_same,
    move_aside,
    read_about,
    read_record,
    remove_half_written,
    rules_of,
)
from search.reopening import reopening
from search.system.errors import UserError
from search.system.places import make_folder

SPACE_TEXT = "def space(hp):\n    return 1  # größer\n"
TABLES = {"images.csv": pd.DataFrame({"id": ["a.png"]}), "folds.csv": pd.DataFrame({"fold": ["f0"]})}
IDENTITY = {
    "study": {
        "objective": "accuracy",
        "folds": 5,
        "repeats": 1,
        "train_fractions": [1.0, 0.25],
        "groups": None,
        "splits": "kfold",
        "val": 0.2,
        "holdout": None,
        "trust_unsourced": False,
        "oracle": "tpe",
        "seed": 7,
        "image_size": 32,
    },
    "space": "aaaa",
    "data": "bbbb",
    "synthetic": None,
    "plan": "cccc",
    "training": 1,
    "decoding": 4,
    "planning": 2,
}
ABOUT = {
    "identity": IDENTITY,
    "weights": {"SmallCNN": ""},
    "data": "images",
    "synthetic": None,
    "unreadable": [],
    "threads": 2,
    "images": 40,
    "classes": {"größer": 20, "<script>": 20},
    "folds": [{"id": "f0", "split": [0, 0], "fraction": 1.0}],
}
OTHER_STUDY = {
    "objective": "macro_f1",
    "folds": 4,
    "repeats": 2,
    "train_fractions": [1.0],
    "groups": r"(\d+)_",
    "splits": "shuffle",
    "val": 0.3,
    "holdout": 0.15,
    "trust_unsourced": True,
    "oracle": "grid",
    "seed": 8,
    "image_size": 64,
}


@pytest.fixture
def begun(tmp_path):
    folder = tmp_path / "begun"
    make_folder(folder)
    Journal(folder).close()
    begin_record(folder, About.of(ABOUT), SPACE_TEXT, TABLES)
    return folder


def refusal(folder, identity, text=SPACE_TEXT):
    with pytest.raises(UserError) as error:
        check_same(folder, read_about(folder), identity, text)
    message = str(error.value)
    assert str(folder) in message
    assert all(way_out in message for way_out in ("undo the change", "--name", "--fresh"))
    return message


def differences(message):
    return [line for line in message.splitlines() if line.startswith("  - ")]


def test_rules_of_a_search_begun_before_there_were_holdouts_and_random_splits():
    old = copy.deepcopy(ABOUT)
    for name in ("splits", "val", "holdout", "trust_unsourced"):
        del old["identity"]["study"][name]
    rules = rules_of(About.of(old), History())
    assert (rules.images, rules.val, rules.holdout, rules.parts) == (40, None, False, 1)


def test_rules_know_the_images_of_the_folds_and_the_part_that_validates():
    about = {**copy.deepcopy(ABOUT), "in_folds": 30, "holdout": 10}
    about["identity"]["study"] |= {"splits": "shuffle", "val": 0.25}
    rules = rules_of(About.of(about), History())
    assert (rules.images, rules.holdout, rules.parts, rules.validation_images) == (30, True, 4, 7.5)


def test_what_was_written_at_the_beginning_is_read_again(begun):
    assert read_about(begun) == About.of({"format": FORMAT, **ABOUT})
    assert read_about(begun).fields == {"format": FORMAT, **ABOUT}
    record = read_record(begun)
    assert record.name == "begun"
    assert record.history.trials == {}
    assert [fold.id for fold in record.rules.folds] == ["f0"]


def test_where_the_space_gives_others_though_its_text_is_the_same_changed_libraries_are_said(begun):
    journal = Journal(begun)
    journal.append(SessionEvent(racing=True, versions={"keras": "3.13.2", "tensorflow": "2.21.0"}))
    journal.close()
    identity = {**copy.deepcopy(IDENTITY), "space": "another"}
    now = {"keras": "3.14.0", "tensorflow": "2.21.0"}
    with pytest.raises(
        UserError, match=r"its text is the same.*\n  - versions .* may be why: keras 3.13.2 -> 3.14.0\n"
    ):
        check_same(begun, read_about(begun), identity, SPACE_TEXT, versions=now)


def test_code_of_networks_is_compared_without_the_study_comments_and_documentation():
    text = 'study = Study("a")\n\ndef space(hp):\n    """Text."""\n    return model(hp)  # comment\n'
    same = 'study = Study(\n    "b"\n)\ndef space(hp):\n    "Other text."\n    return model( hp )\n'
    assert code_of({"space.py": text}) == code_of({"space.py": same})
    for other in (text.replace("model(hp)", "model(1)"), "A = 1\n" + text):
        assert code_of({"space.py": text}) != code_of({"space.py": other})
    assert code_of({"space.py": text}) != code_of({"space.py": text, "layers.py": ""})
    assert code_of({"space.py": "lambda hp: (1,"}) == ["lambda hp: (1,"]


def test_same_search_may_go_on(begun):
    check_same(begun, read_about(begun), copy.deepcopy(IDENTITY), SPACE_TEXT)


@pytest.mark.parametrize(("field", "now"), OTHER_STUDY.items())
def test_other_study_is_refused_by_field_and_both_values(begun, field, now):
    message = refusal(begun, IDENTITY | {"study": IDENTITY["study"] | {field: now}})
    [difference] = differences(message)
    assert difference.startswith(f"  - {field} was {IDENTITY['study'][field]!r} and is now {now!r}")
    assert ("--groups none is what it was" in difference) == (field == "groups")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("data", "the images, their labels or groups changed"),
        ("synthetic", "the synthetic images changed"),
        ("plan", "the planned folds differ"),
        ("training", "this version trains otherwise than the one that began the search"),
        ("decoding", "this version decodes images otherwise"),
        ("planning", "this version plans folds otherwise"),
    ],
)
def test_other_material_is_refused_in_words(begun, field, words):
    [line] = differences(refusal(begun, IDENTITY | {field: "other"}))
    assert words in line


def test_other_space_is_refused_with_the_changed_lines_alone(begun):
    message = refusal(begun, IDENTITY | {"space": "other"}, SPACE_TEXT.replace("1", "2"))
    assert "-    return 1  # größer" in message
    assert "+    return 2  # größer" in message
    assert "def space" not in message


def test_all_differences_are_listed_at_once(begun):
    other = {
        "study": OTHER_STUDY,
        "space": "x",
        "data": "x",
        "synthetic": "x",
        "plan": "x",
        "training": 2,
        "decoding": 4,
        "planning": 2,
    }
    assert len(differences(refusal(begun, other, "other"))) == len(OTHER_STUDY) + 4  # other images, so other folds


def test_these_tests_cover_every_field_of_the_identity():
    assert set(OTHER_STUDY) == set(IDENTITY["study"]) == {*IDENTITY_FIELDS, "image_size"}


def test_moving_aside_never_overwrites(tmp_path):
    folder = tmp_path / "name"
    aside = []
    for number in range(5):  # within one second, so the names must be told apart otherwise
        folder.mkdir()
        Journal(folder).close()
        (folder / "kept").write_text(str(number))
        aside.append(move_aside(folder))
        assert not folder.exists()
    assert [(path / "kept").read_text() for path in aside] == ["0", "1", "2", "3", "4"]
    assert all(path.parent == tmp_path and path.name.startswith("name.old-") for path in aside)


def test_no_search_has_begun_where_there_is_no_study(tmp_path):
    assert read_about(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b'{"format": 1, ', b"[]", b"null", b"{}", b"\xff\xfe"])
def test_broken_study_is_a_users_error_that_names_the_file(tmp_path, content):
    Journal(tmp_path).close()
    (tmp_path / STUDY).write_bytes(content)
    with pytest.raises(UserError, match="cannot be read") as error:
        read_about(tmp_path)
    assert str(tmp_path / STUDY) in str(error.value)


def test_newer_study_is_a_users_error_that_names_both_formats(begun):
    (begun / STUDY).write_text(json.dumps(ABOUT | {"format": FORMAT + 1}))
    with pytest.raises(UserError, match=f"has format {FORMAT + 1}, this version reads {FORMAT}"):
        read_about(begun)


def test_unknown_search_is_a_users_error_that_names_the_known_ones(begun):
    with pytest.raises(UserError, match=r"no search in .*unknown.* There are: begun"):
        read_record(begun.parent / "unknown")


def test_search_below_a_regular_file_is_a_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be made: .*--results"):
        make_folder(tmp_path / "file" / "name")


def test_record_takes_racing_from_the_last_session(begun):
    journal = Journal(begun)
    for racing in (True, False):
        journal.append(event("session", racing=racing))
        assert read_record(begun).rules.racing is racing
    journal.close()


def test_study_is_written_last(tmp_path):
    (tmp_path / RUNS).write_text("a file where a folder should be")
    with pytest.raises(FileExistsError):
        begin_record(tmp_path, About.of(ABOUT), SPACE_TEXT, {})
    assert (tmp_path / SPACE).exists()
    assert not (tmp_path / STUDY).exists()


def test_what_was_said_of_the_data_is_said_again_when_a_search_is_reopened(tmp_path):
    folder = tmp_path / "begun"
    make_folder(folder)
    space = (
        'from search import Recipe, Study\n\nstudy = Study("x")\n\n\ndef space(hp):\n    return Recipe("SmallCNN")\n'
    )
    said = {"label_level": 2, "keep_masks": True, "root": "/tables"}
    about = {**ABOUT, "space_file": "spaces/x.py", "reading": said, "data": str(tmp_path)}
    begin_record(folder, About.of(about), space, TABLES)
    Journal(folder).close()
    _, options = reopening(read_record(folder), data="moved")
    assert {name: options[name] for name in said} == said
    _, options = reopening(read_record(folder), data="moved", root="/elsewhere")
    assert options["root"] == "/elsewhere"
    study = overridden(options["study"], Options(**{name: options[name] for name in (*said, "data")}))
    assert (study.label_level, study.keep_masks, study.root, study.data) == (2, True, "/elsewhere", Path("moved"))


def test_only_half_written_files_of_ours_are_removed(tmp_path):
    own = [".space.py.original", ".study.json.mybackup", "runs/.0000-1.npz.original", ".study.json.tmp-mine"]
    own += [".notes.txt.tmp-ab12cd34", "runs/.notes.npz.tmp-ab12cd34", "modules/.rates.py.original"]
    half = [".study.json.tmp-ab12cd34", "runs/.0000-1.npz.tmp-ab12cd34", "modules/.rates.py.tmp-ab12cd34"]
    for name in [*own, *half]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    remove_half_written(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == set(own)


def test_what_a_killed_driver_was_writing_is_removed(tmp_path):
    code = """
import os, sys
from pathlib import Path
from search.system import files
os.replace = lambda *_: os.kill(os.getpid(), 9)
files.write_text(Path(sys.argv[1]), "half")
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "study.json"], check=False)
    (half,) = tmp_path.iterdir()
    assert half.name.startswith(".study.json.tmp-")
    remove_half_written(tmp_path)
    assert list(tmp_path.iterdir()) == []
