"""Going on with a search: only with what it began with, and a refusal says what differs."""

import dataclasses
import shutil

import pytest
from kit.journals import unsealed
from kit.scripted import Script
from kit.shapes import write_shapes

from search import KFoldTuner, UserError
from search.journal.journal import FILE, read_events
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.record import About, read_record
from search.reopening import reopening
from search.space import load_space_file

DRAWN = 'hp.Choice("dropout", [0.0, 0.2, 0.4])'
SPACE = f"""
from search import Recipe, Study

study = Study("shapes", folds=3, train_fractions=(1.0,), max_trials=2, oracle="random", seed=3, baselines=False)

def space(hp):
    return Recipe("SmallCNN", None, dropout={DRAWN}, learning_rate=hp.Float("rate", 1e-4, 1e-2), epochs=1)
"""

GRID = """
from search import Augment, Recipe, Study

study = Study("shapes", folds=3, train_fractions=(1.0,), STUDY)

def space(hp):
    choices = {"learning_rate": hp.Choice("rate", [3e-3, 1e-3]), "dropout": hp.Choice("dropout", [0.2, 0.4])}
    return Recipe("SmallCNN", None, augment=Augment("flip_crop"), epochs=1, **choices)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_shapes(tmp_path / "shapes", {"across": 6, "down": 6})
    (tmp_path / "space.py").write_text(SPACE)
    return tmp_path


def tuner(script=None, space="space.py", **options):
    executors = (script or Script()).executors
    return KFoldTuner(
        space, screen=Lines(wide_console()), executors=executors, offline=True, **{"name": "made", **options}
    )


@pytest.fixture
def begun(place):
    tuner().search()
    return place / "results" / "made"


def refusal(**options):
    with pytest.raises(UserError) as error:
        tuner(**options)
    return str(error.value)


# --- a changed folder


def test_a_changed_folder_is_refused_with_its_files(place, begun):
    shapes = place / "shapes"
    names = sorted(path.name for path in (shapes / "down").iterdir())
    others = sorted((shapes / "across").iterdir())
    shutil.copy(others[0], shapes / "across" / "more.png")
    (shapes / "down" / names[0]).unlink()
    (shapes / "down" / names[1]).write_bytes(others[1].read_bytes())
    text = refusal(trials=3)
    assert "results/made holds another search:" in text
    assert "      1 image more: across/more.png\n" in text
    assert f"      1 image fewer: down/{names[0]}\n" in text
    assert f"      1 image with another content: down/{names[1]}\n" in text
    assert "the planned folds differ" not in text  # of course they do


def test_images_of_another_class_or_group_are_named(place):
    rows = [f"{path.relative_to(place).as_posix()},{path.parent.name}" for path in place.glob("shapes/*/*.png")]
    table = place / "table.csv"

    def write(some):
        table.write_text("\n".join(["image,label,house", *some]) + "\n")

    write([f"{row},{number // 2}" for number, row in enumerate(rows)])
    options = {"data": "table.csv", "groups": "house"}
    tuner(**options).search()
    other = {"across": "down", "down": "across"}
    path, label = rows[0].split(",")
    write([f"{path},{other[label]},0", f"{rows[1]},9", *(f"{row},{n // 2}" for n, row in enumerate(rows) if n > 1)])
    text = refusal(**options)
    assert f"1 image of another class: {path}\n" in text
    assert f"in another group: {path}" in text or f"in another group: {rows[1].split(',')[0]}" in text


def test_images_that_were_moved_are_told_from_images_that_changed(place, begun):
    (place / "shapes").rename(place / "elsewhere")
    with pytest.raises(UserError, match=r"were in .*shapes, where there is nothing now.*resume.*--data FOLDER"):
        reopening(read_record(begun))
    with pytest.raises(UserError, match=r"export made --to m1 --trial 0001 --data FOLDER$"):
        reopening(read_record(begun), verb="export", typed={"to": "m1", "trial": "0001", "cache": None})
    space, options = reopening(read_record(begun), data="elsewhere", trials=3)
    again = KFoldTuner(space, screen=Lines(wide_console()), executors=Script().executors, offline=True, **options)
    again.search()
    assert len(again.record.history.trials) == 3


def test_only_a_search_whose_groups_left_near_duplicates_apart_says_so(place, begun, capsys):
    line = "alone, as when the search began; a new one joins near-duplicates too"
    pattern = r"_(\d+)\."
    for groups in (pattern, f"none+{pattern}"):
        tuner(groups=groups, fresh=True).search()
        for again in dict.fromkeys((groups, pattern)):
            capsys.readouterr()
            tuner(groups=again, trials=3)
            assert (line in capsys.readouterr().out) is (groups != again)
        space, options = reopening(read_record(begun))
        KFoldTuner(space, screen=Lines(wide_console()), executors=Script().executors, offline=True, **options)
        assert line not in capsys.readouterr().out


def test_files_that_do_not_fit_the_pattern_are_listed_when_a_search_goes_on(place):
    options = {"groups": r"_(\d+)\."}
    tuner(**options).search()
    shapes = place / "shapes"
    some = sorted((shapes / "across").iterdir())
    shutil.copy(some[0], shapes / "across" / "one_more.png")
    some[1].unlink()
    text = refusal(**options)
    assert "      1 image more: across/one_more.png\n" in text
    assert f"      1 image fewer: across/{some[1].name}\n" in text
    assert "does not fit" not in text


@pytest.mark.parametrize(
    ("study", "reason"),
    [
        ('oracle="grid", max_trials=9, baselines=True', "the space is exhausted: its 4 points have all been tried"),
        ('oracle="grid", max_trials=9, baselines=False', "the space is exhausted: its 4 points have all been tried"),
        ('oracle="grid", max_trials=1, baselines=False', "the only trial is done"),
    ],
)
def test_an_ending_counts_what_was_tried(place, study, reason):
    (place / "space.py").write_text(GRID.replace("STUDY", study))
    searched = tuner()
    searched.search()
    history = searched.record.history
    assert history.end_reason == reason
    assert bool(history.with_status("duplicate")) is ("baselines=True" in study)


# --- a space that is another one each time


@pytest.mark.parametrize(
    ("top", "value"),
    [
        ("import random", "random.choice([0.0, 0.2, 0.4])"),
        ("import numpy as np", "float(np.random.default_rng().random()) / 2"),
        ("import numpy as np; rng = np.random.default_rng(3)", "float(rng.random()) / 2"),
        ("import itertools; count = itertools.count()", "next(count) % 3 / 10"),
        ("import time", "time.time_ns() % 1000 / 2000"),
        ("import random; one = random.random() / 2", "one"),
        ("import secrets; rates = [secrets.randbelow(10**6) / 1e7]", "rates[0]"),
        ("import uuid; ours = uuid.uuid4().int % 1000 / 2000", 'ours + hp.Choice("dropout", [0.0, 0.2])'),
    ],
)
def test_a_space_that_draws_itself_is_refused_before_anything_is_written(place, top, value):
    (place / "space.py").write_text(f"{top}\n{SPACE.replace(DRAWN, value)}")
    text = refusal()
    assert "gives another recipe each time it is" in text
    assert "at the same values dropout is " in text
    assert "Take every choice from hp" in text
    assert not (place / "results").exists()


def test_a_space_that_declares_what_it_draws_is_refused(place):
    (place / "space.py").write_text(f"import random; top = random.random()\n{SPACE.replace('0.4]', 'top / 2]')}")
    assert "declares other hyperparameters each time it is read" in refusal()


@pytest.mark.parametrize(
    ("top", "value", "line"),
    [
        ("", 'hp.Choice("dropout", [len(name) / 10 for name in {"a", "bcd"}])', '{"a", "bcd"}'),
        ('NAMES = ["a", "bcd", "efghi"]', "len([*set(NAMES)][0]) / 10", "space.py, line 8: set(…): "),
        ("from beside_us import DROPOUT", "DROPOUT", "beside_us.py, line 1: hash(…): "),
        ("import os", "os.getpid() % 1000 / 2000", "getpid(…): "),
    ],
)
def test_a_space_that_depends_on_its_process_is_refused_before_anything_is_written(place, top, value, line):
    (place / "beside_us.py").write_text('DROPOUT = hash("us") % 1000 / 2000\n')
    (place / "space.py").write_text(f"{top}\n{SPACE.replace(DRAWN, value)}")
    text = refusal()
    assert "space.py gives other trials in another process" in text
    assert line in text
    assert ("sorted(…)" in text) is ("hash" not in line and "getpid" not in line)
    assert not (place / "results").exists()


def test_a_space_whose_sets_have_an_order_is_a_space(place):
    (place / "space.py").write_text(SPACE.replace("[0.0, 0.2, 0.4]", "sorted({0.0, 0.2, float(len({'a', 'b'})) / 5})"))
    tuner().search()


def test_a_space_that_seeds_its_draws_anew_is_a_space(place):
    drawn = "__import__('random').Random(3).choice([0.0, 0.2])"
    (place / "space.py").write_text(SPACE.replace(DRAWN, drawn))
    tuner().search()
    tuner(trials=3).search()


@pytest.mark.parametrize(("given", "sizes"), [(None, [112, 160]), (128, [128])])
def test_sizes_of_photographs_are_those_with_which_the_search_began(place, given, sizes):
    write_shapes(place / "photographs", {"across": 6, "down": 6}, side=112)
    sized = SPACE.replace("import Recipe", "import Recipe, image_sizes").replace(
        "epochs=1", 'epochs=1, image_size=hp.Choice("size", image_sizes())'
    )
    (place / "space.py").write_text(sized)
    study = load_space_file(place / "space.py").study.replace(data="photographs", image_size=given)
    tuner(study=study).search()
    record = read_record(place / "results" / "made")
    again = KFoldTuner.reopen(record, screen=Lines(wide_console()), offline=True)
    assert again.setup.hyperparameters.get("size") == sizes[0]
    (choice,) = [each for each in again.setup.hyperparameters.space if each.name == "size"]
    assert list(choice.values) == sizes


def test_no_refusal_shows_an_empty_difference(place, begun, monkeypatch):
    (place / "space.py").write_text(SPACE.replace(DRAWN, "float(__import__('os').environ.get('DROP', '0.2'))"))
    tuner(fresh=True).search()
    monkeypatch.setenv("DROP", "0.4")
    text = refusal()
    assert "though its text is the same" in text
    assert "the space changed:\n" not in text


@pytest.mark.parametrize("top", ["", "LENGTHS = sorted({len(name) for name in ('a', 'bcd')})"])
def test_a_number_whose_last_step_rounding_misses_is_of_a_space_that_goes_on(place, top):
    steps = SPACE.replace(DRAWN, 'hp.Float("dropout", 0.0, 0.6, step=0.1)')
    (place / "space.py").write_text(f"{top}\n{steps}")
    tuner().search()
    tuner(trials=3).search()


# --- the journal


def test_a_search_names_its_files_once_and_goes_on_after_an_older_version(begun):
    tuner(trials=3).search()
    sessions = [event for event in read_events(begun / FILE) if event["event"] == "session"]
    assert [sorted(session.get("files", {})) for session in sessions] == [
        ["folds.csv", "images.csv", "space.py", "study.json"],
        [],
    ]
    text = unsealed((begun / FILE).read_text())
    (begun / FILE).write_text(
        text.replace(text[text.index(', "files"') : text.index("}", text.index('"files"')) + 1], "")
    )
    tuner(trials=4).search()
    record = read_record(begun)
    assert len(record.history.with_status("completed")) == 4
    assert [bool(session.files) for session in record.history.sessions] == [False, False, True]


@pytest.mark.parametrize(
    ("name", "old", "new"), [("study.json", "across", "crosswise"), ("folds.csv", "train", "left")]
)
def test_a_changed_file_stops_a_resume(begun, name, old, new):
    path = begun / name
    path.write_text(path.read_text().replace(old, new))
    assert f"{name} was changed since the search began" in refusal(trials=3)


def test_a_class_renamed_in_an_older_search_is_noticed_on_resuming(begun):
    text = unsealed((begun / FILE).read_text())
    (begun / FILE).write_text(
        text.replace(text[text.index(', "files"') : text.index("}", text.index('"files"')) + 1], "")
    )
    study = begun / "study.json"
    study.write_text(study.read_text().replace('"across"', '"crosswise"'))
    assert "study.json was changed: its classes (crosswise, down) are not those of the images" in refusal(trials=3)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("folds.csv", ",across/", ",across/x"),
        ("images.csv", ",across,", ",down,"),
        ("images.csv", ".png,across,", None),
    ],
)
def test_a_changed_table_of_an_older_search_is_noticed_on_resuming(begun, name, old, new):
    text = unsealed((begun / FILE).read_text())
    (begun / FILE).write_text(
        text.replace(text[text.index(', "files"') : text.index("}", text.index('"files"')) + 1], "")
    )
    tuner(trials=3)
    table = (begun / name).read_text()
    at = next(number for number, line in enumerate(table.splitlines()) if old in line)
    lines = table.splitlines(keepends=True)
    lines[at] = lines[at].replace(old, new) if new else ""
    (begun / name).write_text("".join(lines))
    assert f"{name} was changed: " in refusal(trials=3)


def test_a_lost_journal_is_not_begun_anew(begun):
    (begun / FILE).unlink()
    assert "is gone, but its search had begun" in refusal()
    assert not (begun / FILE).exists()
    tuner(fresh=True).search()


@pytest.mark.parametrize("replacement", [None, b""])
def test_a_journal_that_is_taken_away_stops_the_search(place, replacement):
    journal = place / "results" / "made" / FILE

    def take_away(job):
        if (job.trial, job.number) == ("0001", 1):
            journal.rename(place / "taken")
            if replacement is not None:
                journal.write_bytes(replacement)

    with pytest.raises(UserError, match="while this search ran"):
        tuner(Script(plan=take_away)).search()
    [kept] = journal.parent.glob("*.rescued")
    assert kept.read_bytes() == (place / "taken").read_bytes()
    kept.replace(journal)
    tuner().search()
    assert len(read_record(journal.parent).history.with_status("completed")) == 2


# --- folders that are not ours


def test_fresh_moves_no_folder_that_holds_no_search(place):
    ours = place / "results" / "made"
    ours.mkdir(parents=True)
    (ours / "thesis.txt").write_text("mine")
    assert "holds no search, so --fresh leaves it where it is" in refusal(fresh=True)
    assert (ours / "thesis.txt").read_text() == "mine"


def test_a_search_does_not_replace_files_that_no_search_wrote(place):
    ours = place / "results" / "made"
    ours.mkdir(parents=True)
    (ours / "space.py").write_text("mine")
    with pytest.raises(UserError, match=r"holds space\.py, but no search. Give the search another --name"):
        tuner().search()
    assert (ours / "space.py").read_text() == "mine"


def test_a_search_that_goes_on_with_other_devices_says_so(place, capsys):
    """The first session is one of a machine with a GPU: only what it computes on is made up."""
    first = tuner(trials=1)
    first.setup = dataclasses.replace(
        first.setup, devices=dataclasses.replace(first.setup.devices, gpus={"1": "NVIDIA T4"})
    )
    first.search()
    capsys.readouterr()
    tuner(trials=2).search()
    said = capsys.readouterr().out
    assert "Devices changed since this search began, so last decimals may too: NVIDIA T4 -> processors" in said
    sessions = read_record(place / "results" / "made").history.sessions
    assert [session.gpus for session in sessions] == [{"1": "NVIDIA T4"}, {}]
    tuner(trials=2, name="other").search()
    tuner(trials=3, name="other").search()
    assert "Devices changed" not in capsys.readouterr().out


def test_gpus_that_are_not_there_are_refused_before_anything_is_written(place):
    with pytest.raises(UserError, match="--gpus 64: TensorFlow sees"):
        tuner(gpus="64")
    assert not (place / "results" / "made").exists()


def test_the_precision_is_part_of_what_a_search_is(place, capsys):
    """The first session is one of a machine with a GPU: only the precision that it records is made up."""
    first = tuner(trials=1)
    fields = first.setup.about.fields
    identity = {**fields["identity"], "precision": "mixed_float16"}
    first.setup = dataclasses.replace(first.setup, about=About.of({**fields, "identity": identity}))
    first.search()
    told = refusal(trials=2)
    assert "precision was 'mixed_float16' and is now 'float32' (--precision mixed_float16 is what it was)" in told
    capsys.readouterr()
    space, options = reopening(read_record(place / "results" / "made"), trials=2)
    resumed = tuner(space=space, **{name: value for name, value in options.items() if name not in ("study", "name")})
    assert resumed.setup.materials.precision == "mixed_float16"
    assert "Warning: Processors have no kernels for float16" in capsys.readouterr().out
    with pytest.raises(UserError, match="--precision mixed_float16 is no gain"):
        tuner(name="new", precision="mixed_float16")
    assert "precision" not in tuner(name="usual").setup.about.identity
