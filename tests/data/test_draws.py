"""Whole groups are drawn, as near as can be to what is wanted."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.data.draws import deal_folds, draw_groups, prefix, random_order, table_of
from search.repertoire.synthetic import floored

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("part", "count", "whole"), [(0.29, 100, 29), (0.57, 100, 57), (0.8, 1123, 898), (0.1, 9, 0), (1.0, 7, 7)]
)
def test_parts_are_rounded_down_as_they_are_written(part, count, whole):
    assert floored(part, count) == whole


units = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), min_size=6, max_size=30)  # (class, size) of groups
seeds = st.integers(1, 2**31 - 1)


def rows_of(some):
    some = [(0, 1), (1, 2), (2, 3), *some, (0, 2), (1, 1), (2, 2)]  # each class has two groups at least
    rows = [(label, group) for group, (label, size) in enumerate(some) for _ in range(size)]
    labels, groups = np.array(rows).T
    return labels, groups


@given(units, st.floats(0.01, 0.99), seeds)
def test_a_draw_is_within_one_group_of_what_is_wanted(some, part, seed):
    labels, groups = rows_of(some)
    sizes = np.bincount(labels)
    wanted = np.maximum(1, (part * sizes).astype(int))
    taken = draw_groups(labels, groups, wanted, seed)
    largest = table_of(labels, groups, 3).max(axis=0)
    got = np.bincount(labels[taken], minlength=3)
    assert (np.abs(got - wanted) <= largest).all()
    assert (got > 0).all()
    assert (got < sizes).all()
    assert not set(groups[taken]) & set(groups[~taken])


def test_groups_of_several_classes_come_near_to_what_is_wanted():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 5, 5000), rng.integers(0, 400, 5000)
    for seed in range(1, 6):
        taken = draw_groups(labels, groups, np.full(5, 150), seed)
        assert np.abs(np.bincount(labels[taken]) - 150).max() <= 10  # groups hold 12 or 13


@given(st.lists(st.integers(0, 2), min_size=3, max_size=40), st.floats(0, 0.99), seeds)
def test_a_draw_of_single_images_is_exact(some, part, seed):
    labels = np.array([0, 0, 1, 1, 2, 2, *some])
    wanted = (part * np.bincount(labels)).astype(int)
    taken = draw_groups(labels, np.arange(len(labels)), wanted, seed)
    assert np.bincount(labels[taken], minlength=3).tolist() == wanted.tolist()


@given(units, seeds, st.integers(0, 3))
def test_dealt_groups_validate_once(some, seed, attempt):
    labels, groups = rows_of(some)
    parts = list(deal_folds(labels, groups, 2, seed, attempt))
    assert sorted(np.concatenate([validation for _, validation in parts])) == list(range(len(labels)))
    for train, validation in parts:
        assert not set(groups[train]) & set(groups[validation])
        assert len(train) + len(validation) == len(labels)


def test_later_attempts_deal_otherwise():
    labels, groups = rows_of([(0, size) for size in range(1, 12)])
    kinds = {tuple(next(deal_folds(labels, groups, 2, 7 + attempt, attempt))[1]) for attempt in range(1, 8)}
    assert len(kinds) > 3


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), seeds)
def test_a_smaller_prefix_lies_in_every_larger_one(groups, seed):
    order = random_order(np.array(groups), seed)
    parts = [set(prefix(order, wanted).tolist()) for wanted in range(1, len(groups) + 1)]
    assert all(small <= large for small, large in itertools.pairwise(parts))
    assert len(parts[-1]) == len(groups)
