"""From groups to synthetic images, nothing of what validates or is held out ever trains.

Random data sets as tables, without a file: who belongs together is known from the way they were
made, and is worked out here anew, so that no part of the way can err unseen.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from search.data import loading as inputs
from search.data.dataset import MANIFEST_COLUMN, Dataset
from search.data.duplicates import Pair, grouped
from search.data.folds import make_plan, plan_digest, plan_table
from search.data.groups import regrouped
from search.data.images import Decoded
from search.data.synthetic import SyntheticPool
from search.study import AUTO, Study
from search.system.errors import UserError

CLASSES = ("ant", "bee", "cat")
PIXELS = Decoded(np.zeros((0, 1, 1, 3), np.uint8), (), {}, (), "")


@dataclass(frozen=True)
class World:
    """A table of images, which of them look alike, synthetic ones with sources, and a study.

    ``alike`` are pairs of rows; the synthetic images are numbered after the real ones. ``made`` are their (class,
    sources, whether those are all that they came from).
    """

    table: pd.DataFrame
    alike: list
    made: list
    study: Study

    def __len__(self):
        return len(self.table)


studies = st.builds(
    Study,
    data=st.just("data"),
    groups=st.sampled_from([AUTO, AUTO, None, "room", (None, "room")]),
    splits=st.sampled_from(["kfold", "shuffle"]),
    folds=st.integers(2, 4),
    repeats=st.integers(1, 2),
    val=st.sampled_from([0.15, 0.29, 0.5]),
    holdout=st.sampled_from([None, 0.1, 0.25, 1, 3, "test"]),
    train_fractions=st.lists(st.sampled_from([0.75, 0.5, 0.3]), unique=True).map(lambda some: (1.0, *some)),
    seed=st.integers(0, 2**40),
)


def spread(draw, n, names, most):
    """Give each of ``n`` images a name; up to ``most`` of them one of ``names``, which others have too."""
    some = draw(st.dictionaries(st.integers(0, n - 1), st.sampled_from(names), max_size=most))
    return [some.get(row, "") for row in range(n)]


@st.composite
def worlds(draw):
    """Give any world; groups are few enough that most of them can be planned."""
    counts = draw(st.lists(st.integers(14, 20), min_size=2, max_size=3))
    labels = np.repeat(np.arange(len(counts)), counts)
    n, ids = len(labels), [f"{CLASSES[label]}/{row:03d}.png" for row, label in enumerate(labels)]
    contents = [name or id_ for name, id_ in zip(spread(draw, n, "xyz", 6), ids, strict=True)]
    columns = {f"{MANIFEST_COLUMN}room": spread(draw, n, "abcdef", 14)}
    if draw(st.booleans()):
        columns[f"{MANIFEST_COLUMN}group"] = spread(draw, n, "pqrstuv", 14)
    splits = [
        "test" if row in {0, counts[0], n - 1} else split for row, split in enumerate(spread(draw, n, ["test"], 8))
    ]
    table = pd.DataFrame({"id": ids, "label": labels, "group": ids, "split": splits, "content": contents, **columns})
    synthetic = st.tuples(st.integers(0, len(counts) - 1), st.sets(st.integers(0, n - 1), max_size=3), st.booleans())
    made = [
        (label, sources, known and bool(sources)) for label, sources, known in draw(st.lists(synthetic, max_size=20))
    ]
    anyone = st.integers(0, n - 1)
    alike = draw(st.lists(st.tuples(anyone, anyone), max_size=10))
    if made:
        anything = st.integers(0, n + len(made) - 1)
        alike += draw(st.lists(st.tuples(st.integers(n, n + len(made) - 1), anything), max_size=6))
    return World(table, alike, made, draw(studies))


def data_of(world, order=None):
    """Return the data set, its files in this order, grouped as the study asks."""
    rows = range(len(world)) if order is None else order
    place = {row: at for at, row in enumerate(rows)}
    near = near_of(world, place)
    table = world.table.iloc[list(rows)].reset_index(drop=True)
    return regrouped(Dataset(Path("data"), table, CLASSES[: table["label"].max() + 1]), world.study, near)


def near_of(world, place):
    """Return the groups of near-duplicates of images that lie at these places."""
    found = [(one, other) for one, other in world.alike if max(one, other) < len(world)]
    return grouped(len(world), [pair_of(place[one], place[other]) for one, other in found])


def pair_of(one, other):
    return Pair(min(one, other), max(one, other), 1.0, "")


def pool_of(world, data):
    """Return the synthetic images; all follow the real ones that they look like, too."""
    row_of = {id_: row for row, id_ in enumerate(data.ids)}
    place = [row_of[id_] for id_ in world.table["id"]] + list(range(len(world), len(world) + len(world.made)))
    names = tuple(f"{number}.png" for number in range(len(world.made)))
    pool = SyntheticPool(
        Path("pool"),
        tuple(map(Path, names)),
        names,
        np.array([label for label, _, _ in world.made], dtype=np.int64),
        tuple(tuple(sorted(place[row] for row in sources)) for _, sources, _ in world.made),
        data.classes,
        tuple(not known for _, _, known in world.made),
    )
    pairs = [pair_of(place[one], place[other]) for one, other in world.alike if max(one, other) >= len(world)]
    near = near_of(world, {row: place[row] for row in range(len(world))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "find_near_duplicates", lambda *_: pairs)
        pictures, thumbnails = (
            dataclasses.replace(PIXELS, pixels=np.zeros((len(some), 1, 1, 3), np.uint8)) for some in (data, pool)
        )
        real = SimpleNamespace(dataset=data, thumbnails=pictures, cache=Path(), near=near)
        return pool.linked(inputs._alike(pool, thumbnails, real, inputs.silent, None))


def reached(n, links):
    """Return for each of ``n`` things the set of those that links lead to, itself among them."""
    sets = [{thing} for thing in range(n)]
    for one, other in links:
        if sets[one] is not sets[other]:
            sets[one] |= sets[other]
            for thing in sets[other]:
                sets[thing] = sets[one]
    return sets


def kin_of(world):
    """Return for each real image all that must not be on another side than it, by what the study asks."""
    table, study = world.table, world.study
    equals = [table["content"]]
    column = MANIFEST_COLUMN + ("group" if study.groups == AUTO else study.group_column or "")
    if column in table:
        equals.append(table[column])
    links = [
        (one, other)
        for values in equals
        for one, other in itertools.combinations(range(len(world)), 2)
        if values[one] == values[other] != ""
    ]
    if study.joins_copies:
        links += [(one, other) for one, other in world.alike if max(one, other) < len(world)]
    return reached(len(world), links)


def origins_of(world, kin):
    """Return for each synthetic image the real ones that its like must not be shown with."""
    n = len(world)
    near = reached(n, [(one, other) for one, other in world.alike if max(one, other) < n])
    family = reached(len(world.made), [(one - n, other - n) for one, other in world.alike if min(one, other) >= n])
    origins = []
    for number in range(len(world.made)):
        rows = set().union(*(world.made[kin_number][1] for kin_number in family[number]))
        seen = [min(pair) for pair in world.alike if max(pair) - n in family[number] and min(pair) < n]
        rows |= set().union(*(near[row] for row in seen))
        origins.append(set().union(*(kin[row] for row in rows)))
    return origins


def planned(data, study):
    try:
        return make_plan(data, study)
    except UserError:
        reject()


def held_by(plan):
    return set(plan.holdout.validation.tolist()) if plan.holdout else set()


@settings(max_examples=100)
@given(worlds())
def test_no_kin_of_what_validates_or_is_held_out_trains(world):
    data, kin = data_of(world), kin_of(world)
    plan = planned(data, world.study)
    held = set().union(*(kin[row] for row in held_by(plan)))
    for fold in plan.every:
        train, validation = set(fold.train.tolist()), set(fold.validation.tolist())
        assert not train & set().union(*(kin[row] for row in validation))
        assert not train & held
        assert fold is plan.holdout or not validation & held


@settings(max_examples=100)
@given(worlds(), st.integers(0, 8), st.integers(0, 2**40))
def test_no_synthetic_image_shows_a_fold_what_it_validates_or_what_is_held_out(world, amount, seed):
    data = data_of(world)
    plan, pool = planned(data, world.study), pool_of(world, data)
    origins, held = origins_of(world, kin_of(world)), held_by(plan)
    for fold in plan.every:
        hidden = held | set(fold.validation.tolist())
        admissible = set(pool.admissible(fold).tolist())
        drawn = pool.draw(fold, dict.fromkeys(data.classes, amount), seed).tolist()
        assert not any(origins[number] & hidden for number in admissible)
        assert set(drawn) <= admissible
        whole = set(fold.train.tolist())
        assert all(number in admissible for number, from_ in enumerate(origins) if from_ <= whole)


@settings(max_examples=50)
@given(worlds())
def test_training_parts_are_nested_and_every_image_in_folds_validates_as_often_as_it_should(world):
    data = data_of(world)
    plan = planned(data, world.study)
    free = set(range(len(data))) - held_by(plan) - set(plan.left_out.tolist())
    for split in {fold.split for fold in plan.folds}:
        sizes = [fold for fold in plan.folds if fold.split == split]
        assert [fold.fraction for fold in sizes] == sorted(world.study.train_fractions)
        for small, large in itertools.pairwise(sizes):
            assert set(small.train.tolist()) <= set(large.train.tolist())
            np.testing.assert_array_equal(small.validation, large.validation)
        assert {*sizes[-1].train.tolist(), *sizes[-1].validation.tolist()} == free
    if world.study.splits == "kfold":
        for repeat, fraction in itertools.product(range(world.study.repeats), world.study.train_fractions):
            parts = [fold.validation for fold in plan.folds if (fold.repeat, fold.fraction) == (repeat, fraction)]
            assert sorted(np.concatenate(parts).tolist()) == sorted(free)


@settings(max_examples=50)
@given(worlds())
def test_only_what_shares_a_group_with_a_given_hold_out_is_left_out(world):
    data, kin = data_of(world), kin_of(world)
    plan = planned(data, world.study)
    held = held_by(plan)
    assert set(plan.left_out.tolist()) == set().union(*(kin[row] for row in held)) - held
    if world.study.holdout == "test":
        assert held == set(np.flatnonzero(world.table["split"] == "test").tolist())
    else:
        assert not len(plan.left_out)
        assert bool(held) == (world.study.holdout is not None)


def listed(plan, ids):
    return {tuple(row) for row in plan_table(plan.every, ids).to_numpy().tolist()}


@settings(max_examples=50)
@given(worlds(), st.randoms(use_true_random=False))
def test_a_seed_gives_one_plan_and_one_draw_in_whatever_order_files_come(world, random):
    data, moved = data_of(world), data_of(world, random.sample(range(len(world)), len(world)))
    plan, again = planned(data, world.study), make_plan(moved, world.study)
    assert listed(plan, data.ids) == listed(again, moved.ids)
    assert {data.ids[row] for row in plan.left_out} == {moved.ids[row] for row in again.left_out}
    pools = pool_of(world, data), pool_of(world, moved)
    for fold, other in zip(plan.every, again.every, strict=True):
        draws = [
            pool.draw(at, dict.fromkeys(data.classes, 3), 1).tolist()
            for pool, at in zip(pools, (fold, other), strict=True)
        ]
        assert draws[0] == draws[1]


GOLDEN = {
    "kfold": ({"groups": None}, "991b7a91abab5a63"),
    "kfold, groups": ({"groups": "room"}, "ebe97d694de0eff0"),
    "shuffle": ({"groups": None, "splits": "shuffle", "folds": 3, "repeats": 2}, "f5b5a6a46c4ab145"),
    "shuffle, groups": ({"groups": "room", "splits": "shuffle", "folds": 3}, "fff9b7aff0796f13"),
    "hold-out": ({"groups": "room", "holdout": 0.2, "folds": 3}, "866be308c8443377"),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_a_fixed_table_and_seed_give_the_plan_that_they_always_gave(case):
    """A machine, or a version of a library, that plans otherwise would answer with other scores."""
    fields, expected = GOLDEN[case]
    labels = [0] * 17 + [1] * 23 + [2] * 12
    ids = [f"{CLASSES[label]}/{row:03d}.png" for row, label in enumerate(labels)]
    rooms = [f"{label}{row * row % 11}" for row, label in enumerate(labels)]
    table = pd.DataFrame({"id": ids, "label": labels, "group": ids, "split": "", "content": ids, "given_room": rooms})
    study = Study("data", seed=7, train_fractions=(1.0, 0.5, 0.25), **fields)
    data = regrouped(Dataset(Path("data"), table, CLASSES), study, np.arange(len(ids)))
    assert plan_digest(make_plan(data, study).every) == expected
