"""Equal files share a group whatever the study says; near-duplicates, columns and patterns on request."""

import numpy as np
import pytest
from kit.shapes import write_shapes

from search.data.groups import joined, regrouped
from search.data.readers.folders import read_class_folders
from search.data.readers.manifest import read_manifest
from search.study import Study
from search.system.errors import UserError

pytestmark = pytest.mark.quick


def study(groups):
    return Study("data", groups=groups)


def alone(dataset):
    return np.arange(len(dataset))


def sets(dataset):
    return {frozenset(rows) for rows in dataset.table.groupby("group")["id"].agg(list)}


@pytest.fixture
def copies(tmp_path):
    """Names 0_x to 3_x in both classes; b/3_x equals a/0_x."""
    root = write_shapes(tmp_path / "copies", {"a": 4, "b": 4})
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"{number % 4}_x.png"))
    (root / "b" / "3_x.png").write_bytes((root / "a" / "0_x.png").read_bytes())
    return read_class_folders(root)


@pytest.mark.parametrize("groups", [None, "auto"])
def test_equal_files_share_a_group_across_names_and_classes(copies, groups):
    found = sets(regrouped(copies, study(groups), alone(copies)))
    assert {"a/0_x.png", "b/3_x.png"} in found
    assert len(found) == len(copies) - 1
    assert copies.copies == 1


def test_a_pattern_groups_across_folders_and_equal_files_join_its_groups(copies):
    found = sets(regrouped(copies, study(r"^(\d)"), alone(copies)))
    assert found == {
        frozenset({"a/0_x.png", "b/0_x.png", "a/3_x.png", "b/3_x.png"}),
        frozenset({"a/1_x.png", "b/1_x.png"}),
        frozenset({"a/2_x.png", "b/2_x.png"}),
    }


@pytest.mark.parametrize("pattern", [r"(\d\d)_", r"3|_(\w)\.", "a/(0)"])
def test_a_pattern_that_does_not_fit_names_the_image_and_the_way_out(copies, pattern):
    with pytest.raises(UserError) as error:
        regrouped(copies, study(pattern), alone(copies))
    message = str(error.value)
    assert message.startswith(f"groups={pattern!r} does not fit the file name of ")
    assert any(id_ in message for id_ in copies.ids)
    assert message.endswith('Mend the pattern, or leave it out: groups="auto" keeps near-duplicates together.')


PATTERN = r"^(\d)"


def test_near_duplicates_join_unless_they_are_switched_off(copies):
    near = np.array([0, 1, 1, 4, 2, 3, 5, 6])  # a/1_x and a/2_x
    assert {"a/1_x.png", "a/2_x.png"} in sets(regrouped(copies, study("auto"), near))
    both = {
        frozenset({"a/0_x.png", "b/0_x.png", "a/3_x.png", "b/3_x.png"}),
        frozenset({"a/1_x.png", "b/1_x.png", "a/2_x.png", "b/2_x.png"}),
    }
    for groups in (PATTERN, ("auto", PATTERN), f"auto+{PATTERN}", ["auto", PATTERN]):
        assert sets(regrouped(copies, study(groups), near)) == both
    for groups in (None, (None, PATTERN), ("none", PATTERN), f"none+{PATTERN}"):
        assert sets(regrouped(copies, study(groups), near)) == sets(regrouped(copies, study(groups), alone(copies)))
    assert len(sets(regrouped(copies, study((None, PATTERN)), near))) == 3


def test_a_column_joins_near_duplicates_too_unless_they_are_switched_off(listed):
    near = alone(listed)
    near[0] = near[2]
    for groups in ("room", ("auto", "room"), "auto+room"):
        assert sorted(map(len, sets(regrouped(listed, study(groups), near)))) == [2, 2, 4]
    assert sorted(map(len, sets(regrouped(listed, study((None, "room")), near)))) == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("groups", "recorded"),
    [
        (None, None),
        ("auto", "auto"),
        (PATTERN, f"auto+{PATTERN}"),
        (f"auto+{PATTERN}", f"auto+{PATTERN}"),
        (("auto", "room"), "auto+room"),
        ((None, PATTERN), PATTERN),
        ("none+room", "room"),
    ],
)
def test_what_an_older_search_recorded_alone_leaves_near_duplicates_apart(groups, recorded):
    assert study(groups).groups_recorded == recorded
    again = study("auto").as_recorded({"groups": recorded})
    assert again.groups_recorded == recorded
    assert again.joins_copies == study(groups).joins_copies
    assert (again.group_column, again.group_pattern) == (study(groups).group_column, study(groups).group_pattern)


def test_groups_change_the_digest(copies):
    assert len({regrouped(copies, study(groups), alone(copies)).digest for groups in (None, r"(\d)_", r"_(x)")}) == 3


@pytest.fixture
def listed(tmp_path):
    """Two classes of four images; patients p and q, and two images of nobody."""
    root = write_shapes(tmp_path / "listed", {"a": 4, "b": 4})
    patients = dict(
        zip(sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png")), "ppq  qpp", strict=True)
    )
    lines = [f"{id_},{id_[0]},{who.strip()},{number // 2}" for number, (id_, who) in enumerate(patients.items())]
    (tmp_path / "listed.csv").write_text("\n".join(["image,label,group,room", *lines]))
    return read_manifest(tmp_path / "listed.csv")


def test_the_column_group_counts_under_auto_together_with_near_duplicates(listed):
    near = alone(listed)
    near[3] = near[2]  # an image of nobody looks like one of q
    sizes = sorted(map(len, sets(regrouped(listed, study("auto"), near))))
    assert sizes == [1, 3, 4]


def test_another_column_groups_by_itself(listed):
    found = sets(regrouped(listed, study("room"), alone(listed)))
    assert sorted(map(len, found)) == [2, 2, 2, 2]


def test_an_empty_value_of_a_column_leaves_the_image_alone(listed):
    assert sorted(map(len, sets(regrouped(listed, study("group"), alone(listed))))) == [1, 1, 2, 4]


def test_an_unknown_column_is_told_with_those_there_are(listed, copies):
    with pytest.raises(UserError, match="has the columns group, room besides"):
        regrouped(listed, study("patient"), alone(listed))
    with pytest.raises(UserError, match="is no manifest"):
        regrouped(copies, study("patient"), alone(copies))


def test_bonds_chain():
    assert joined("abcde", [[0, 0, 1, 2, 3], [5, 6, 6, 7, 8]]) == ["a", "a", "a", "d", "e"]
    assert joined([], [[]]) == []
