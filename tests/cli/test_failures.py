"""``hard``: lists, sheets and class folders of a real search; images that moved; searches that say too little."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kit.searches import made  # noqa: F401 a fixture
from PIL import Image

from search.analysis.hard import hard_ids
from search.data.readers.folders import read_class_folders
from search.record import read_record

NAME = "space-shapes"
LISTS = {"hard": "predicted", "label_next": "votes", "label_errors": "suggested"}


@pytest.fixture
def results(finished, tmp_path):
    """A copy of the results of a finished search; its images lie where they lay."""
    shutil.copytree(finished / "results", tmp_path / "results")
    return tmp_path / "results"


def tables(folder):
    return {name: pd.read_csv(folder / f"{name}.csv") for name in LISTS}


def test_lists_are_printed_and_written_into_the_report_of_the_search(results, search):
    code, out, error = search("hard", NAME, "--share", 0.3)
    assert (code, error) == (0, "")
    folder = results / NAME / "report" / "hard"
    written = tables(folder)
    assert {name: list(table)[:2] for name, table in written.items()} == {name: ["id", "label"] for name in LISTS}
    assert all(column in written[name] for name, column in LISTS.items())
    hard = written["hard"]
    assert tuple(hard["id"]) == hard_ids(read_record(results / NAME), 0.3)
    assert len(hard)
    assert (hard["predicted"] != hard["label"]).all()
    assert (hard["share"] >= 0.3).all()
    assert f"Hard images: {len(hard)} image" in out
    assert hard["id"][0] in out
    for title in ("Label these next: ", "Labels to check: "):
        assert title in out
    assert out.count("Good for ") == out.count("Not good for ") == 3
    assert "Dagan & Engelson 1995" in out
    for name, table in written.items():
        assert (folder / f"{name}.png").exists() == bool(len(table))
    assert Image.open(folder / "hard.png").width > 144
    assert f"Lists: {folder.relative_to(results.parent)}, with hard.csv" in out


def test_the_share_decides_how_many_there_are_and_next_how_many_to_label(results, search):
    folder = results / NAME / "report" / "hard"
    numbers = []
    for share in (1, 0.5, 0.01):
        assert search("hard", NAME, "--share", share, "--next", 1)[0] == 0
        numbers.append(len(tables(folder)["hard"]))
        assert len(tables(folder)["label_next"]) <= 1
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[-1]


@pytest.mark.parametrize("copy", [False, True])
def test_class_folders_hold_the_images_and_are_a_data_set(results, search, finished, copy):
    code, out, _ = search("hard", NAME, "--share", 0.01, "--to", "mine", *(["--copy"] if copy else []))
    assert code == 0
    assert not (results / NAME / "report" / "hard").exists()
    hard = tables(Path("mine"))["hard"].set_index("id")
    found = {path.resolve(): path for path in Path("mine", "hard").rglob("*.png")}
    assert len(found) == len(hard)
    assert all(path.is_symlink() != copy for path in found.values())
    if not copy:
        where = {(finished / "shapes" / id_).resolve(): label for id_, label in hard["label"].items()}
        assert {path: link.parent.name for path, link in found.items()} == where
    assert len(read_class_folders(Path("mine", "hard"))) == len(hard)
    number = len([path for path in Path("mine").rglob("*.png") if path.parent != Path("mine")])
    assert f"{number} {'copies' if copy else 'links'}" in out


def test_a_folder_with_something_in_it_is_refused_before_the_work(results, search):
    Path("mine").mkdir()
    Path("mine", "other").touch()
    code, out, error = search("hard", NAME, "--to", "mine")
    assert (code, out) == (1, "")
    assert "mine is not empty. Name a new folder" in error


def test_images_that_moved_leave_the_lists_and_are_shown_from_where_they_are(results, search, finished):
    folder = results / NAME / "report" / "hard"
    Path("empty").mkdir()
    code, out, _ = search("hard", NAME, "--share", 0.3, "--data", "empty")
    assert code == 0
    assert len(tables(folder)["hard"])
    assert not list(folder.glob("*.png"))
    assert "There is no picture of" in out
    assert f"python -m search hard {NAME} --share 0.3 --next 48 --data FOLDER" in out
    shutil.copytree(finished / "shapes", "moved")
    code, out, _ = search("hard", NAME, "--share", 0.3, "--data", "moved")
    assert code == 0
    assert "no picture" not in out
    assert (folder / "hard.png").exists()


def test_a_changed_image_is_neither_shown_nor_filed(results, search, finished):
    shutil.copytree(finished / "shapes", "moved")
    id_ = hard_ids(read_record(results / NAME), 0.3)[0]
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(Path("moved", id_))
    code, out, _ = search("hard", NAME, "--share", 0.3, "--data", "moved", "--to", "mine")
    assert code == 0
    assert "There is no picture of 1 of" in out
    assert id_ in out
    assert len(list(Path("mine", "hard").rglob("*.png"))) == len(tables(Path("mine"))["hard"]) - 1
    again = next(line for line in out.splitlines() if "python -m search" in line).partition("python -m search ")[2]
    assert search(*again.replace("FOLDER", str(finished / "shapes")).split())[::2] == (0, "")
    assert len(list(Path("mine-2", "hard").rglob("*.png"))) == len(tables(Path("mine-2"))["hard"])


def test_images_in_a_cache_are_copied_as_it_may_be_deleted(results, search, finished):
    from search.system.cache import claim

    claim(Path("c"))
    shutil.copytree(finished / "shapes", "c/unpacked/shapes")
    code, out, _ = search("hard", NAME, "--share", 0.3, "--data", "c/unpacked/shapes", "--to", "mine")
    assert code == 0
    assert " copies" in out
    assert not any(path.is_symlink() for path in Path("mine").rglob("*.png"))


def test_a_search_that_says_too_little_is_refused(made, search):  # noqa: F811
    made.complete(0.9)
    code, out, error = search("hard", made.folder)
    assert (code, out) == (1, "")
    assert "Single images can be judged from 3 complete trials on, and made has 1." in error
    code, _, error = search("hard", "nothing")
    assert code == 1
    assert "There is no search in results/nothing" in error
    code, _, error = search("hard", made.folder, "--data", "nowhere")
    assert code == 1
    assert "There is no folder nowhere" in error


def test_odd_names_are_shown_and_written(tmp_path, search):
    from kit.searches import ODD, Search

    odd = Search(tmp_path, ODD, each=6)
    for number in range(4):
        odd.complete(0.3 + number / 10)
    code, out, error = search("hard", odd.folder, "--share", 0.5)
    assert (code, error) == (0, "")
    assert "[bold]x" in out
    assert "There is no picture of" in out
    assert set(tables(odd.folder / "report" / "hard")["hard"]["label"].astype(str)) & {"<script>", "a|b", "`"}


def test_what_cannot_be_written_is_said_with_a_way_out(results, search):
    (results / NAME / "report").mkdir(exist_ok=True)
    (results / NAME / "report" / "hard").write_text("in the way")
    code, out, error = search("hard", NAME)
    assert code == 1
    assert "Hard images" in out
    assert "The lists cannot be written." in error
    assert "name another folder with --to" in error
