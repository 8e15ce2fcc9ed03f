"""Two trials side by side: what is said of them, and what is not."""

import dataclasses
import json

import numpy as np
import pytest
from kit.searches import Search, strict_json
from scipy import stats as reference

from search.analysis.comparison import compare
from search.analysis.stats.comparing import difference
from search.monitor.console import wide_console
from search.racing import cells
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.report.comparison import as_json, on_these_images, sentences, show
from search.system.errors import UserError

LONG = {"each": 40, "folds": 5}


@pytest.fixture
def five(tmp_path):
    """Five complete trials, the last but one the best, and one of every other kind."""
    made = Search(tmp_path, **LONG)
    for skill in (0.2, 0.6, 0.7, 0.9):
        made.complete(skill)
    first = made.complete(0.65, Recipe("SmallCNN", None, image_size=32, augment=Augment("color", 0.3)))
    made.stop(0.3)
    made.fail()
    made.duplicate(first)
    made.begin()
    return made


def said(found):
    return " ".join(sentences(found))


def test_a_difference_is_that_of_the_pooled_t(five):
    found = compare(five.folder, "0001", "0003")
    complete = five.history.with_status("completed")
    expected = difference(np.stack([cells(trial, five.rules) for trial in complete]), 1, 3, 5)
    assert found.difference == expected
    assert found.p == pytest.approx(2 * min(expected.p, 1 - expected.p))
    assert found.pooled == 5
    assert np.mean(list(found.folds.values())) == pytest.approx(expected.mean)
    assert list(found.folds) == ["f0", "f1", "f2", "f3", "f4"]


def test_it_is_the_same_the_other_way_round(five):
    one, other = compare(five.folder, "0000", "0003"), compare(five.folder, "0003", "0000")
    assert one.difference.mean == pytest.approx(-other.difference.mean)
    assert one.p == pytest.approx(other.p)
    assert one.only_right == other.only_right[::-1]
    assert as_json(one)["better"] == as_json(other)["better"] == "0003"


def test_better_is_said_where_it_is_sure_and_that_it_was_picked(five):
    found = compare(five.folder, "best", "0000")
    assert found.a.name == "0003"
    assert said(found).startswith("0003 is better than 0000: by ")
    assert "0003 was picked, as the best of 5 complete trials" in said(found)


def test_equal_is_never_said(five):
    found = compare(five.folder, "1", "0002")
    assert said(found).startswith("0001 and 0002 cannot be told apart: their difference is")
    assert "equivalent" not in said(found)
    assert "picked" not in said(found)
    assert as_json(found)["better"] is None


def test_mcnemar_is_about_these_images(five):
    found = compare(five.folder, "0000", "0003")
    a, b = (_hits(five, trial) for trial in ("0000", "0003"))
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert found.only_right == (only_a, only_b)
    assert found.images == 80
    assert found.images_p == pytest.approx(reference.binomtest(only_a, only_a + only_b).pvalue)
    assert on_these_images(found).startswith("On these images")


def _hits(made, trial):
    right = {}
    for fold in made.folds:
        if fold.fraction == 1:
            run = made.history.trials[trial].runs[fold.id]
            with np.load(made.folder / run.file) as stored:
                hits = stored[f"{fold.id}/probabilities"].argmax(axis=1) == stored[f"{fold.id}/labels"]
                right.update(zip(stored[f"{fold.id}/ids"].tolist(), hits, strict=True))
    return np.array([right[id_] for id_ in sorted(right)])


def test_without_predictions_that_is_said(five):
    (five.folder / five.history.trials["0001"].runs["f0"].file).unlink()
    found = compare(five.folder, "0001", "0002")
    assert found.images_p is None
    assert "nothing can be said" in on_these_images(found)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("0005", "Trial 0005 of made is stopped"),
        ("0006", "Trial 0006 of made is failed"),
        ("0007", "Trial 0007 of made is duplicate (same recipe as 0004)"),
        ("0008", "Trial 0008 of made is open, not completed"),
        ("0099", "There is no trial '0099' in made. They are 0000 to 0008"),
        ("0001", "are both trial 0001"),
        ("other/0001", "There is no search in"),
    ],
)
def test_what_cannot_be_compared_is_said(five, told, words):
    with pytest.raises(UserError) as error:
        compare(five.folder, "0001", told)
    assert words in str(error.value)


def test_a_search_without_complete_trials_has_no_best(made):
    with pytest.raises(UserError, match="no complete trial yet"):
        compare(made.folder, "best", "0000")


def test_few_trials_have_their_own_spread_alone(tmp_path):
    made = Search(tmp_path, **LONG)
    made.complete(0.6)
    made.complete(0.9)
    found = compare(made.folder, "0000", "0001")
    assert "only 2 complete trials" in said(found)
    assert found.difference.low > -1


def test_one_split_tells_nothing(tmp_path):
    made = Search(tmp_path, each=40, folds=1, splits="shuffle")
    made.complete(0.1)
    made.complete(0.99)
    found = compare(made.folder, "0000", "0001")
    assert "cannot be told apart: so few scores" in said(found)
    told = strict_json(json.dumps(as_json(found), allow_nan=False))
    assert told["p"] is told["difference"]["low"] is told["better"] is None
    show(found, wide_console())


def test_repeats_count_an_image_once(tmp_path):
    made = Search(tmp_path, each=20, folds=3, repeats=2)
    for skill in (0.5, 0.8, 0.7, 0.6):
        made.complete(skill)
    found = compare(made.folder, "0000", "0001")
    assert found.images == 40
    assert len(found.folds) == 6


@pytest.fixture
def two(tmp_path):
    """Two searches on the same data and folds."""
    searches = []
    for name, skills in (("one", (0.5, 0.6, 0.9)), ("two", (0.55, 0.8))):
        made = Search(tmp_path, **LONG)
        for skill in skills:
            made.complete(skill)
        made.journal.close()
        made.folder.rename(tmp_path / name)
        searches.append(tmp_path / name)
    return searches


def test_two_searches_are_pooled(two):
    one, other = two
    found = compare(one, "best", "two/best")
    assert (found.a.name, found.b.name) == ("0002", "two/0001")
    assert found.pooled == 5
    assert "Both were picked: 0002 is the best of 3 complete trials, two/0001 of 2." in said(found)
    by_path = compare(one, "best", f"{other}/best")
    assert by_path.difference == found.difference
    assert compare(one, "0000", "two/0000").a.trial.id == "0000"  # two trials of one id
    assert compare(one, "0000", "one/0002").pooled == 3  # another name of the same search


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "x"}, "the images, labels or groups differ"),
        ({"plan": "x"}, "the planned folds differ"),
        ({"study": {"objective": "accuracy", "splits": "kfold", "val": 0.2}}, "the objective is balanced_accuracy in"),
    ],
)
def test_searches_that_differ_are_not_compared(two, change, words):
    path = two[1] / "study.json"
    about = json.loads(path.read_text())
    about["identity"] |= change
    path.write_text(json.dumps(about))
    with pytest.raises(UserError, match="cannot be compared") as error:
        compare(two[0], "0000", "two/0000")
    assert words in str(error.value)


def test_recipes_are_told_apart_field_by_field(five):
    found = compare(five.folder, "0003", "0004")
    fields = {name: (a, b) for name, a, b in found.fields}
    assert fields["backbone"] == ("MobileNetV2", "SmallCNN")
    assert fields["augment"] == ("none", "color")
    assert fields["augment_strength"] == ("None", "0.3")
    assert "dropout" not in fields
    same = dataclasses.replace(found, fields=[])
    show(same, wide_console())


def test_the_verb_prints_it(five, search):
    results = five.folder.parent
    code, out, _ = search("compare", "made", "0000", "best", "--results", results)
    assert code == 0
    for words in ("0003 is better than 0000", "a − b by fold", "On these images", "whole training part", "flattered"):
        assert words in out
    code, out, _ = search("compare", five.folder, "0000", "best", "--json")
    told = strict_json(out)
    assert code == 0
    assert told["better"] == "0003"
    assert told["b"]["best_of"] == 5
    assert told["a"]["best_of"] is None
    code, _, err = search("compare", "made", "0000", "0005", "--results", results)
    assert code == 1
    assert err.startswith("Error: Trial 0005 of made is stopped")
