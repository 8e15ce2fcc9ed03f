"""What study.json and a journal without checksums say is checked: a wrong value is named, with its file."""

import json
import shutil

import pandas as pd
import pytest
from kit.freezing import FROZEN
from kit.journals import unsealed

from search.integrity.differences import change_of
from search.journal.journal import FILE
from search.record import STUDY, read_about, read_record
from search.system.errors import UserError

pytestmark = pytest.mark.quick


@pytest.fixture
def old(tmp_path):
    """A search of a version whose journals had no checksums."""
    folder = shutil.copytree(FROZEN / "begun", tmp_path / "begun")
    text = unsealed((folder / FILE).read_text())
    if '"files": {' in text:
        at = text.index(', "files": {')
        text = text[:at] + text[text.index("}", at) + 1 :]
    (folder / FILE).write_text(text)
    assert read_record(folder).history.trials
    return folder


def rewrite(folder, *keys, value):
    fields = json.loads((folder / STUDY).read_text())
    inner = fields
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / STUDY).write_text(json.dumps(fields))


@pytest.mark.parametrize("value", [-1, "two", None, 10**30, 1.5, True, float("nan"), []])
@pytest.mark.parametrize("key", ["threads", "images", "in_folds", "holdout", "synthetic_unsourced"])
def test_a_count_out_of_its_range_is_named_with_its_file(old, key, value):
    rewrite(old, key, value=value)
    with pytest.raises(UserError) as error:
        read_about(old)
    assert str(error.value).startswith(f"{old / STUDY} cannot be read (")
    assert key in str(error.value)
    assert "Restore it from a copy. Begin anew with --fresh" in str(error.value)


def test_a_search_has_a_thread_and_an_image(old):
    for key in ("threads", "images"):
        rewrite(old, key, value=0)
        with pytest.raises(UserError, match=f"{key}=0 must be a whole number, from 1 to"):
            read_about(old)
        rewrite(old, key, value=1)
    assert read_about(old).threads == 1


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("folds", 0, "fraction"), 0),
        (("folds", 0, "split"), [0]),
        (("folds", 0), 7),
        (("folds",), []),
        (("classes", "0"), "five"),
        (("identity", "study", "folds"), 0),
        (("identity", "study", "val"), "much"),
        (("identity", "study", "seed"), -1),
        (("identity", "study"), None),
        (("identity", "ranges"), {"I;16": 0}),
        (("baselines",), {"mine": {"backbone": "NoSuchNet"}}),
    ],
)
def test_any_other_wrong_number_is_a_sentence_about_the_file(old, keys, value):
    rewrite(old, *keys, value=value)
    with pytest.raises(UserError, match=r"study\.json cannot be read \(.*\)\. Restore it from a copy"):
        read_about(old)


@pytest.mark.parametrize("score", ["NaN", "Infinity", "true", '"hi"', "1" + 400 * "0"])
def test_a_score_that_is_no_number_is_named_by_its_line(old, score):
    lines = (old / FILE).read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if '"event": "verdict"' in line and '"score": 0' in line)
    before, _, rest = lines[at].partition('"score": ')
    lines[at] = f'{before}"score": {score}, {rest.partition(", ")[2]}'
    (old / FILE).write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError) as error:
        read_record(old)
    assert f"{old / FILE}, line {at + 1} cannot be understood (score is {score}, which is no" in str(error.value)
    assert "Error(" not in str(error.value)


def test_a_changed_cell_of_a_table_is_named():
    now = pd.DataFrame({"fold": ["f0", "f0"], "id": ["a.png", "b.png"], "part": ["train", "train"]})
    assert change_of("folds.csv", now.drop(columns="part"), now) == ""
    assert change_of("folds.csv", None, now) == ""
    changed = now.assign(id=["a.png", "c.png"])
    assert change_of("folds.csv", changed, now) == (
        "folds.csv was changed: in row 2 below its header, id is 'c.png', where the search has 'b.png'"
    )
    assert "has 1 rows" not in change_of("folds.csv", now[:1], now)
    assert "has 1 row, where the search has 2" in change_of("folds.csv", now[:1], now)
