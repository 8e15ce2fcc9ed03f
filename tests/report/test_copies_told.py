"""The report shows copies as copies: groups by a pattern or a column hide no conflict of labels."""

import pandas as pd
import pytest
from kit.searches import Search

from search.analysis.judgement import Judgement
from search.report.exhibit import Subject
from search.report.exhibits.duplicates import EXHIBIT, rows


def judgement_of(folder, groups, **columns):
    """Return a search of 24 images whose images.csv has these columns."""
    identity = {"study": {"objective": "balanced_accuracy", "splits": "kfold", "val": 0.2, "groups": groups}}
    search = Search(folder, about={"identity": identity})
    search.complete(0.8)
    table = search.dataset.table.assign(label=[search.dataset.classes[label] for label in search.dataset.labels])
    table = table.assign(**{name: make(table) for name, make in columns.items()})
    table.to_csv(search.folder / "images.csv", index=False)
    return Judgement.of(search.record)


def houses(table):
    """Return groups that each hold images of both classes."""
    return [f"house {number % 6}" for number in range(len(table))]


def copies(table):
    """Return three sets: two images of one class, three of one class, and one image of each class."""
    names = [""] * len(table)
    for name, members in {"a": (0, 1), "b": (3, 4, 5), "c": (2, len(table) - 1)}.items():
        for row in members:
            names[row] = name
    return names


@pytest.mark.parametrize("groups", [r"auto+(\d+)_", r"(\d+)_", "room", "auto"])
def test_copies_are_shown_as_copies_and_the_one_conflict_first(tmp_path, groups):
    judgement = judgement_of(tmp_path / "search", groups, group=houses, copies=copies)
    assert isinstance(judgement, Judgement)
    shown = pd.DataFrame(rows(judgement))
    ids = judgement.record.folder / "images.csv"
    names = pd.read_csv(ids)["id"]
    assert shown[shown["group"] == 1]["id"].tolist() == [names.iloc[2], names.iloc[-1]]
    assert shown.groupby("group").size().tolist() == [2, 3, 2]
    assert shown["different_labels"].tolist() == [True, True, *[False] * 5]
    frame = EXHIBIT.sheet.frame(judgement)
    lead = EXHIBIT.gallery(Subject(judgement, frame)).lead
    assert lead.startswith("3 sets of images that show the same picture. ")
    apart = groups in {r"(\d+)_", "room"}
    assert ("Other copies can be in different ones" in lead) == apart
    assert ("share a fold too; images.csv has them." in lead) == (groups != "auto")


def test_an_older_search_with_a_pattern_shows_equal_files_alone(tmp_path):
    def contents(table):
        return ["same" if row in {1, len(table) - 1} else f"{row}" for row in range(len(table))]

    judgement = judgement_of(tmp_path / "search", r"(\d+)_", group=houses, content=contents)
    shown = pd.DataFrame(rows(judgement))
    assert len(shown) == 2
    assert shown["different_labels"].all()


def test_an_older_search_by_looks_alone_shows_its_groups(tmp_path):
    judgement = judgement_of(
        tmp_path / "search", "auto", group=lambda table: [f"{row // 3}" for row in range(len(table))]
    )
    assert len(pd.DataFrame(rows(judgement))) == 24
