"""What is held out is in no fold, nor is anything that shares a group with it."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from search.data.dataset import Dataset
from search.data.folds import lacking_classes, make_plan, plan_digest, plan_table
from search.data.holdout import HOLDOUT
from search.study import Study
from search.system.errors import UserError

pytestmark = pytest.mark.quick

CLASSES = ("ant", "bee", "cat")


def dataset(labels, groups=None, splits="", order=None):
    ids = [f"{row:04d}.png" for row in range(len(labels))]
    groups = ids if groups is None else [f"g{group}" for group in groups]
    table = pd.DataFrame({"id": ids, "label": labels, "group": groups, "split": splits, "content": ids})
    if order is not None:
        table = table.iloc[list(order)].reset_index(drop=True)
    return Dataset(Path("data"), table, CLASSES[: max(labels) + 1], source=Path("data"))


def study(**fields):
    return Study(**{"data": "data", **fields})


ROOMS = {"Livingroom": 1273, "Bedroom": 1248, "Dinning": 1158, "Kitchen": 965, "Bathroom": 606}


def test_the_counts_of_a_published_split_are_met_exactly():
    labels = np.repeat(np.arange(5), list(ROOMS.values()))
    ids = [f"{row:05d}.png" for row in range(len(labels))]
    table = pd.DataFrame({"id": ids, "label": labels, "group": ids, "split": "", "content": ids})
    how = study(holdout=150, splits="shuffle", val=0.2, folds=1, train_fractions=(1.0, 0.8, 0.62, 0.46, 0.3, 0.2, 0.1))
    plan = make_plan(Dataset(Path("rooms"), table, tuple(ROOMS)), how)
    assert len(plan.holdout.validation) == 750
    assert np.bincount(labels[plan.holdout.validation]).tolist() == [150] * 5
    assert plan.in_folds == len(plan.holdout.train) == 4500
    assert [len(fold.train) for fold in plan.folds] == [357, 717, 1077, 1652, 2228, 2876, 3598]
    assert {len(fold.validation) for fold in plan.folds} == {902}


amounts = st.sampled_from([None, 0.1, 0.25, 1, 2, "test", "val"])
studies = st.builds(
    study,
    splits=st.sampled_from(["kfold", "shuffle"]),
    folds=st.integers(2, 4),
    repeats=st.integers(1, 2),
    val=st.sampled_from([0.1, 0.2, 0.29, 0.5]),
    holdout=amounts,
    train_fractions=st.lists(st.sampled_from([0.75, 0.5, 0.3]), unique=True).map(lambda some: (1.0, *some)),
    seed=st.integers(0, 2**40),
)


@st.composite
def tables(draw):
    """Rows of (class, group, split), groups of several images and sometimes of several classes."""
    groups = draw(st.sampled_from([8, 20, 60]))
    row = st.tuples(
        st.integers(0, 2), st.integers(0, groups), st.sampled_from(["train", "train", "validation", "test"])
    )
    rows = draw(st.lists(row, min_size=36, max_size=60))
    return list(zip(*rows, strict=True))


@st.composite
def single_class_groups(draw):
    """Groups of one to three images, each of one class."""
    sizes = draw(st.lists(st.lists(st.integers(1, 3), min_size=8, max_size=10), min_size=2, max_size=3))
    named = [(label, size) for label, some in enumerate(sizes) for size in some]
    rows = [(label, group, "") for group, (label, size) in enumerate(named) for _ in range(size)]
    return list(zip(*rows, strict=True))


def planned(data, how):
    try:
        return make_plan(data, how)
    except UserError:
        reject()


@settings(max_examples=60)
@given(tables() | single_class_groups(), studies)
def test_no_group_is_on_both_sides_of_anything(table, how):
    data = dataset(*table)
    plan = planned(data, how)
    groups = data.table["group"].to_numpy()
    everyone = set(range(len(CLASSES[: len(data.classes)])))
    for fold in plan.every:
        assert not set(groups[fold.train]) & set(groups[fold.validation])
        assert set(data.labels[fold.train]) == everyone
        judged = set(data.labels[fold.validation])  # a hold-out may lack a class, and then says so
        assert judged <= everyone if fold is plan.holdout else judged == everyone
    used = set(range(len(data))) - set(plan.left_out.tolist())
    if plan.holdout:
        held = set(plan.holdout.validation.tolist())
        used -= held
        assert set(plan.holdout.train.tolist()) == used
        for fold in plan.folds:
            assert not held & {*fold.train.tolist(), *fold.validation.tolist()}
            assert not set(groups[list(held)]) & {*groups[fold.train], *groups[fold.validation]}
        assert len(plan.left_out) == 0 or isinstance(how.holdout, str)
    for fold in plan.folds:
        assert {*fold.train.tolist(), *fold.validation.tolist()} <= used
        assert fold.fraction < 1 or len(fold.train) + len(fold.validation) == len(used) == plan.in_folds


@settings(max_examples=40)
@given(tables() | single_class_groups(), studies)
def test_shrunken_parts_are_nested_and_kfold_validates_every_image_once(table, how):
    data = dataset(*table)
    plan = planned(data, how)
    assert len(plan.folds) == how.folds * how.repeats * len(how.train_fractions)
    for split in {fold.split for fold in plan.folds}:
        sizes = [fold for fold in plan.folds if fold.split == split]
        for small, large in itertools.pairwise(sizes):
            assert set(small.train.tolist()) <= set(large.train.tolist())
            np.testing.assert_array_equal(small.validation, large.validation)
    if how.splits == "kfold":
        for repeat in range(how.repeats):
            parts = [fold.validation for fold in plan.folds if fold.repeat == repeat and fold.fraction == 1]
            assert len(np.concatenate(parts)) == len(set(np.concatenate(parts).tolist())) == plan.in_folds


@settings(max_examples=40)
@given(single_class_groups(), studies.map(lambda how: how.replace(splits="shuffle", holdout=None)))
def test_random_splits_validate_the_part_that_is_asked_within_one_group(table, how):
    data = dataset(*table)
    plan = make_plan(data, how)
    largest = data.table.groupby("group").size().groupby(data.table.groupby("group")["label"].first()).max()
    for fold in plan.folds:
        got = np.bincount(data.labels[fold.validation])
        sizes = np.bincount(data.labels)
        wanted = [n - int(n * (100 - round(100 * how.val)) // 100) for n in sizes.tolist()]
        assert (np.abs(got - wanted) <= largest.to_numpy()).all()


@settings(max_examples=30)
@given(tables() | single_class_groups(), studies, st.randoms(use_true_random=False))
def test_a_seed_gives_one_plan_whatever_the_order_of_files_and_the_names_of_groups(table, how, random):
    labels, groups, splits = table
    data = dataset(*table)
    plan = planned(data, how)
    names = random.sample(range(100, 100 + 2 * max(groups) + 2), max(groups) + 1)
    order = random.sample(range(len(labels)), len(labels))
    other = dataset(labels, [names[group] for group in groups], splits, order)
    again = make_plan(other, how)
    rows = {tuple(row) for row in plan_table(plan.every, data.ids).to_numpy().tolist()}
    assert rows == {tuple(row) for row in plan_table(again.every, other.ids).to_numpy().tolist()}
    assert plan.notes == again.notes or len(plan.left_out)
    assert plan_digest(plan.every) == plan_digest(make_plan(data, how).every)


def test_a_given_split_is_held_out_whole_and_what_shares_its_groups_is_left_out():
    splits = ["train"] * 8 + ["test"] * 4
    data = dataset([0, 1] * 6, [0, 1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11], splits)
    plan = make_plan(data, study(folds=2, holdout="test"))
    assert plan.holdout.id == HOLDOUT
    assert plan.holdout.validation.tolist() == [8, 9, 10, 11]
    assert plan.left_out.tolist() == [0]
    assert plan.holdout.train.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert plan.notes[:2] == (
        "Hold-out: 4 images (ant 2, bee 2) that no trial sees; scored once, at the end, for the winner",
        "Left out of the folds: 1 that share a group with an image of the hold-out, such as 0000.png",
    )


def test_a_given_split_that_lacks_a_class_is_held_out_and_the_class_named():
    splits = ["train"] * 9 + ["test"] * 6
    plan = make_plan(dataset([0, 1, 2] * 3 + [1, 2] * 3, None, splits), study(folds=2, holdout="test"))
    assert plan.holdout.validation.tolist() == [*range(9, 15)]
    assert lacking_classes(dataset([0, 1, 2] * 3 + [1, 2] * 3), plan.holdout) == ["ant"]
    assert lacking_classes(dataset([0, 1, 2] * 3), None) == []
    assert plan.notes[1] == (
        "The hold-out has no images of ant: its score says nothing of it, only how often other images are taken for it"
    )


def test_a_class_that_is_in_the_given_split_alone_cannot_be_trained():
    splits = ["train"] * 9 + ["test"] * 6
    with pytest.raises(UserError, match="Class 'cat' has 0 readable images beside the hold-out"):
        make_plan(dataset([0, 1, 0] * 3 + [1, 2] * 3, None, splits), study(folds=2, holdout="test"))


@pytest.mark.parametrize("name", ["val", "valid", "Val", "validation"])
def test_common_spellings_of_a_split_are_understood(name):
    data = dataset([0, 1] * 6, splits=["train"] * 8 + ["validation"] * 4)
    assert make_plan(data, study(folds=2, holdout=name)).holdout.validation.tolist() == [8, 9, 10, 11]


def test_a_split_of_any_name_will_do():
    data = dataset([0, 1] * 6, splits=["2023"] * 8 + ["2024"] * 4)
    assert make_plan(data, study(folds=2, holdout="2024")).holdout.validation.tolist() == [8, 9, 10, 11]


def test_without_a_holdout_a_given_split_is_merged():
    data = dataset([0, 1] * 6, splits=["train"] * 8 + ["test"] * 4)
    plan = make_plan(data, study(folds=2))
    assert plan.holdout is None
    assert plan.in_folds == 12


def test_the_table_and_the_digest_hold_the_holdout():
    data = dataset([0, 1] * 12)
    one, other = (make_plan(data, study(folds=2, holdout=2, seed=seed)) for seed in (1, 2))
    table = plan_table(one.every, data.ids)
    assert (table["part"] == "holdout").sum() == 4
    assert set(table[table["part"] == "holdout"]["fold"]) == {"holdout"}
    assert plan_digest(one.every) != plan_digest(other.every)
    assert plan_digest(one.every) != plan_digest(one.folds)


@pytest.mark.parametrize(
    ("labels", "splits", "fields", "says"),
    [
        ([0, 1] * 9, "", {"holdout": "test"}, "holdout='test': data has no given splits. Name one that there is, or"),
        ([0, 1] * 9, ["train", "dev"] * 9, {"holdout": "test"}, "has the splits dev, train."),
        ([0, 1] * 9, "", {"holdout": 9}, "holdout=9 takes all 9 images of class 'ant'. Hold out fewer"),
        ([0, 1] * 9, "", {"holdout": 0.1}, "holdout=0.1 of the 9 images of class 'ant' is less than one."),
        ([0, 1] * 9, "", {"holdout": 6}, "has 3 readable images beside the hold-out, fewer than the 5 folds"),
        ([0, 1] * 9, "", {"holdout": 6}, "hold out less, or use --folds 3 (folds=3 in the study)."),
        ([0, 0, 0, 1], "", {"splits": "shuffle"}, "Class 'bee' has 1 readable image, fewer than the 2 that a split"),
    ],
)
def test_a_holdout_that_cannot_be_had_is_refused_with_the_way_out(labels, splits, fields, says):
    with pytest.raises(UserError) as refusal:
        make_plan(dataset(labels, None, splits), study(**fields))
    assert says in str(refusal.value)


def test_a_class_of_one_group_cannot_be_held_out_and_trained_on():
    with pytest.raises(UserError, match=r"class 'bee' would be missing on one side"):
        make_plan(dataset([0] * 9 + [1] * 9, [*range(9), *[20] * 9]), study(holdout=3))


def test_repeated_random_splits_differ_and_are_named_as_folds_are():
    plan = make_plan(dataset([0, 1] * 20), study(splits="shuffle", folds=3, repeats=2, train_fractions=(1.0,)))
    assert [fold.id for fold in plan.folds] == ["r0f0", "r0f1", "r0f2", "r1f0", "r1f1", "r1f2"]
    assert len({tuple(fold.validation.tolist()) for fold in plan.folds}) == 6
