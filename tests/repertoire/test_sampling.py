"""Sampling: every kind trains on as many images of each class as it says, and on those of its fold alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.repertoire.sampling import SAMPLINGS, Sampling, numbers_of, tally, views_of
from search.system.errors import UserError

pytestmark = pytest.mark.quick
KINDS = [name for name in SAMPLINGS if name != "none"]
samplings = st.builds(Sampling, st.sampled_from(KINDS), st.integers(1, 40))
numberless = st.sampled_from([Sampling(name) for name in KINDS if SAMPLINGS[name].of_counts])
folds = st.lists(st.integers(0, 30), min_size=2, max_size=5).filter(any)


def fold_of(counts, seed=0):
    """Return (rows, labels) of the training part of a fold, in any order; further rows are those that validate."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return rng.permutation(3 * len(labels))[: len(labels)], labels


def drawn(sampling, counts, fold="f0"):
    rows, labels = fold_of(counts)
    return rows, dict(zip(rows.tolist(), labels.tolist(), strict=True)), sampling.draw(rows, labels, 7, fold)


@settings(deadline=None)
@given(samplings | numberless, folds)
def test_counts_by_class_are_as_asked_and_no_row_is_of_another_part(sampling, counts):
    rows, label_of, (chosen, copies) = drawn(sampling, counts)
    wanted = sampling.wanted(np.array(counts))
    assert set(chosen.tolist()) <= set(rows.tolist())
    assert np.bincount([label_of[row] for row in chosen.tolist()], minlength=len(counts)).tolist() == wanted.tolist()
    times = np.bincount(chosen)[chosen]
    np.testing.assert_array_equal(copies[:, 1], times)
    assert sorted(map(tuple, np.stack([chosen, copies[:, 0]], 1))) == [
        (row, copy) for row in np.unique(chosen) for copy in range(np.bincount(chosen)[row])
    ]
    for label in range(len(counts)):  # fairly: all of a class come n or n + 1 times
        of_class = [np.count_nonzero(chosen == row) for row in rows.tolist() if label_of[row] == label]
        assert not of_class or max(of_class) - min(of_class) <= 1


@settings(deadline=None)
@given(folds, st.integers(1, 40))
def test_each_kind_is_what_its_name_says(counts, number):
    counts = np.array(counts)
    there = counts > 0
    wanted = {name: Sampling(name, number).wanted(counts) for name in KINDS}
    np.testing.assert_array_equal(wanted["undersample"], np.minimum(counts, number))
    np.testing.assert_array_equal(wanted["oversample"], np.where(there, np.maximum(counts, number), 0))
    np.testing.assert_array_equal(wanted["top_up"], wanted["oversample"])
    np.testing.assert_array_equal(wanted["exactly"], np.where(there, number, 0))
    np.testing.assert_array_equal(Sampling().wanted(counts), counts)
    assert set(Sampling("undersample").wanted(counts)[there]) == {counts[there].min()}
    assert set(Sampling("top_up").wanted(counts)[there]) == {counts.max()}


@settings(deadline=None)
@given(samplings | numberless, folds, st.integers(0, 9))
def test_a_draw_depends_on_seed_and_fold_and_not_on_the_order_of_rows(sampling, counts, seed):
    rows, labels = fold_of(counts)
    order = np.random.default_rng(seed).permutation(len(rows))
    for one, other in zip(
        sampling.draw(rows, labels, 7, "f0"), sampling.draw(rows[order], labels[order], 7, "f0"), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_folds_and_seeds_draw_otherwise_and_a_larger_number_holds_a_smaller():
    rows, labels = fold_of([40, 30])
    few, more = (set(Sampling("undersample", n).draw(rows, labels, 7, "f0")[0].tolist()) for n in (10, 15))
    assert few < more
    assert few != set(Sampling("undersample", 10).draw(rows, labels, 7, "f1")[0].tolist())
    assert few != set(Sampling("undersample", 10).draw(rows, labels, 8, "f0")[0].tolist())


def test_copies_of_an_image_show_other_views_by_the_rule_as_long_as_there_are_views():
    pairs = np.array([(copy, copies) for copies in range(1, 60) for copy in range(copies)])
    numbers = numbers_of(pairs)
    np.testing.assert_array_equal(numbers, np.arange(len(pairs)))
    for epoch in range(5):
        views = views_of(numbers, epoch, 8)
        np.testing.assert_array_equal(views, (epoch * pairs[:, 1] + pairs[:, 0]) % 8)
        for copies in range(1, 60):
            assert len(set(views[pairs[:, 1] == copies])) == min(copies, 8)


def test_the_tally_counts_by_class():
    assert tally(Sampling(), np.array([0, 1, 1]), ("cat", "dog")) == {}
    assert tally(Sampling("exactly", 5), np.array([0, 1, 1]), ("cat", "dog")) == {
        "there": {"cat": 1, "dog": 2},
        "trained": {"cat": 5, "dog": 5},
    }


def test_what_means_the_same_is_one_recipe_and_what_means_nothing_is_refused():
    augmented = Recipe("MobileNet", augment=Augment("flip_crop"), sampling=Sampling("top_up", 250))
    assert augmented.sampling == Sampling("top_up", 250)
    assert Recipe("MobileNet", sampling="none") == Recipe("MobileNet")
    for wrong, words in (
        (lambda: Sampling("exactly"), r"lacks the number of images: Sampling\('exactly', 120\)"),
        (lambda: Sampling("none", 3), "this kind has no number"),
        (lambda: Sampling("oversample", 0), "Sampling count=0 must be a whole number"),
        (lambda: Sampling("over_sample"), "Did you mean 'oversample'"),
    ):
        with pytest.raises(UserError, match=words):
            wrong()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "with augment='none': an image then has one view"),
        ({"augment": Augment("flip_crop"), "views": 1}, "with views=1: an image then has one view"),
    ],
)
def test_topping_up_without_other_views_is_refused(fields, words):
    with pytest.raises(UserError) as error:
        Recipe("MobileNet", sampling=Sampling("top_up", 250), **fields)
    assert str(error.value).startswith(f"sampling='top_up 250' {words}")
    assert "sampling=Sampling('oversample', 250), which shows the same view again." in str(error.value)
    with pytest.raises(UserError, match=r"sampling=Sampling\('oversample'\), which"):
        Recipe("MobileNet", sampling="top_up", **fields)
    assert Recipe("MobileNet", sampling=Sampling("oversample", 250), **fields).sampling.count == 250


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling("exactly", 120), "sampled to 120 of each class"),
        (Sampling("undersample"), "undersampled to the smallest class"),
        (Sampling("oversample"), "oversampled to the largest class"),
    ],
)
def test_the_line_of_a_recipe_says_it(sampling, words):
    assert words in Recipe("MobileNet", sampling=sampling).summary()
