"""Pairs of classes are named where chance does not explain their mistakes, and classes where they are missed more."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from search.analysis.stats.confusions import Confusions
from search.analysis.stats.scores import at_most, proportion


def confusions(table, times=1, together=1):
    """Return the confusions of predictions with this table; each image is predicted so often, so many are a group."""
    table = np.array(table)
    labels, predicted = (np.repeat(side.ravel(), table.ravel()) for side in np.indices(table.shape))
    image = np.arange(len(labels))
    rows = np.tile(image, times)
    return Confusions.of(labels[rows], predicted[rows], rows, rows // together, len(table))


KITCHEN = [[33, 7, 0, 0], [7, 33, 0, 0], [1, 0, 38, 1], [0, 0, 1, 39]]


@pytest.mark.parametrize("times", [1, 3])
def test_a_pair_that_is_taken_for_each_other_is_named_with_its_share(times):
    (pair,) = confusions(KITCHEN, times).pairs()
    assert pair.classes == (0, 1)
    assert (pair.mistakes, pair.images) == pytest.approx((14, 80))
    assert (pair.share.low, pair.share.high) == pytest.approx((proportion(14, 80).low, proportion(14, 80).high))


def test_the_p_of_a_pair_is_that_of_two_binomials():
    (pair,) = confusions(KITCHEN).pairs()
    seven = scipy_stats.binom.pmf(range(8), 7, 1 / 3)  # of 7 mistakes each, a third would fall on the other
    assert pair.p == pytest.approx(6 * seven[7] ** 2)  # the least of six, by Holm


def test_mistakes_that_are_spread_name_no_pair():
    even = [[30, 3, 3, 4], [4, 30, 3, 3], [3, 4, 30, 3], [3, 3, 4, 30]]
    assert confusions(even).pairs() == []
    assert confusions(even).weak() == []


def test_a_large_class_draws_mistakes_without_being_named():
    uneven = [[360, 2, 2], [9, 30, 1], [9, 1, 30]]  # there are ten times as many images of the first
    assert confusions(uneven).pairs() == []


def test_two_classes_are_no_pair_and_one_of_them_may_be_weak():
    told = confusions([[48, 2], [20, 30]])
    assert told.pairs() == []
    (weak,) = told.weak()
    assert weak.classes == (1,)
    assert (weak.mistakes, weak.images) == (20, 50)
    assert weak.p == pytest.approx(2 * scipy_stats.fisher_exact([[20, 30], [2, 48]], alternative="greater")[1])
    assert confusions([[44, 6], [10, 40]]).weak() == []


def test_copies_in_groups_count_as_one():
    few = [[12, 12, 0, 0], [0, 36, 0, 0], [0, 6, 30, 0], [0, 0, 6, 30]]
    assert confusions(few).pairs()[0].classes == (0, 1)
    assert confusions(few, together=6).pairs() == []


def test_nothing_is_named_without_mistakes_or_images():
    assert confusions(np.diag([20, 20, 20])).pairs() == []
    assert confusions([[20, 0, 0], [0, 0, 0], [1, 0, 20]]).pairs() == []
    assert confusions([[20, 0, 0], [0, 0, 0], [1, 0, 20]]).weak() == []


def test_noise_is_named_in_one_search_of_twenty_at_most():
    rng, searches, named = np.random.default_rng(5), 100, 0
    labels, image = np.repeat(np.arange(6), 40), np.arange(240)
    for _ in range(searches):
        wrong = rng.random(240) < 0.25
        other = (labels + rng.integers(1, 6, 240)) % 6
        told = Confusions.of(labels, np.where(wrong, other, labels), image, image, 6)
        named += bool(told.pairs() or told.weak())
    assert named / searches < 0.1  # 5 % each for pairs and for weak classes


@pytest.mark.parametrize(("hits", "of", "limit"), [(0, 60, 0.0487), (0, 300, 0.0099), (3, 3, 1.0), (0, 0, 1.0)])
def test_upper_limits_of_clopper_and_pearson(hits, of, limit):
    assert at_most(hits, of) == pytest.approx(limit, abs=1e-4)
    if hits < of:
        assert scipy_stats.binomtest(hits, of).proportion_ci(0.9, "exact").high == pytest.approx(limit, abs=1e-4)
