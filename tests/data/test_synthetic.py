"""A synthetic image trains a fold only where all that it came from trains it too."""

import csv
import dataclasses
import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.shapes import write_shapes
from PIL import Image

from search.data.dataset import Dataset
from search.data.digits import handwritten_digits
from search.data.folds import Fold, make_plan
from search.data.images import decode
from search.data.origins import read_pool
from search.data.readers.folders import read_class_folders
from search.data.synthetic import SyntheticPool, check_amounts, tally
from search.repertoire.synthetic import amount_of
from search.study import Study
from search.system.errors import UserError

pytestmark = pytest.mark.quick

CLASSES = ("cat", "dog")
HEADER = "image,label,sources\n"


@st.composite
def pools(draw):
    """Give real images, some of them in pairs that share a fold, and synthetic ones of up to two sources each."""
    count = draw(st.integers(8, 20))
    labels = [row % 2 for row in range(count)]
    paired = draw(st.integers(0, 2))
    groups = [f"pair {row // 2}" if row < 2 * paired else str(row) for row in range(count)]
    ids = [f"{CLASSES[label]}/{row}.png" for row, label in enumerate(labels)]
    table = pd.DataFrame({"id": ids, "label": labels, "group": groups, "content": ids})
    images = draw(st.lists(st.tuples(st.integers(0, 1), st.sets(st.integers(0, count - 1), max_size=2)), max_size=40))
    names = tuple(f"{number}.png" for number in range(len(images)))
    pool = SyntheticPool(
        Path("pool"),
        tuple(map(Path, names)),
        names,
        np.array([label for label, _ in images], dtype=np.int64),
        tuple(tuple(sorted(sources)) for _, sources in images),
        CLASSES,
        tuple(not sources for _, sources in images),
    )
    return Dataset(Path("data"), table, CLASSES), pool


@st.composite
def splits(draw):
    """Give any fold of 12 images: parts that train, validate, are held out, or none of these."""
    parts = np.array(draw(st.lists(st.sampled_from(["train", "validation", "holdout", ""]), min_size=12, max_size=12)))
    rows = {name: np.flatnonzero(parts == name) for name in ("train", "validation", "holdout")}
    return Fold(0, 0, 1.0, rows["train"], rows["validation"], "f0"), set(rows["holdout"].tolist())


def of_each(amount, classes=CLASSES):
    return dict.fromkeys(classes, amount)


def plan(data, **fields):
    return make_plan(data, Study(**{"data": "data", "folds": 2, "train_fractions": (1.0, 0.5), **fields})).folds


@settings(deadline=None, max_examples=60)
@given(pools(), st.integers(0, 12), st.integers(0, 2**40))
def test_no_drawn_image_comes_from_outside_the_training_part(data_and_pool, amount, seed):
    data, pool = data_and_pool
    for fold in plan(data, seed=seed):
        train, validation = set(fold.train), set(fold.validation)
        admissible = [row for row in range(len(pool)) if set(pool.sources[row]) <= train]
        assert pool.admissible(fold).tolist() == admissible
        drawn = pool.draw(fold, of_each(amount), seed).tolist()
        assert all(not set(pool.sources[row]) & validation for row in drawn)
        assert set(drawn) <= set(admissible)
        assert len(set(drawn)) == len(drawn)
        for label in range(len(CLASSES)):
            there = sum(pool.labels[row] == label for row in admissible)
            assert sum(pool.labels[row] == label for row in drawn) == min(amount, there)


@settings(deadline=None, max_examples=40)
@given(pools(), st.lists(st.integers(0, 8), min_size=2, max_size=4), st.integers(0, 2**40))
def test_a_larger_amount_holds_every_smaller_one_of_any_pool(data_and_pool, amounts, seed):
    data, pool = data_and_pool
    for fold in plan(data):
        draws = [set(pool.draw(fold, of_each(amount), seed)) for amount in sorted(amounts)]
        assert all(small <= large for small, large in itertools.pairwise(draws))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return handwritten_digits(tmp_path_factory.mktemp("digits") / "digits")


def test_the_digits_synthetic_images_never_show_a_fold_what_it_validates(digits):
    data = read_class_folders(digits)
    pool = read_pool(digits.with_name("digits-synthetic"), data)
    with (pool.root / "manifest.csv").open() as file:
        origin = {pool.root / line["image"]: set(line["sources"].split(";")) for line in csv.DictReader(file)}
    for fold in plan(data, folds=5, train_fractions=(1.0, 0.25)):
        drawn = pool.draw(fold, of_each(4, pool.classes), seed=1)
        assert np.bincount(pool.labels[drawn]).tolist() == [4] * 10
        sources = set().union(*(origin[pool.paths[row]] for row in drawn))
        assert sources <= {data.ids[row] for row in fold.train}
        assert not sources & {data.ids[row] for row in fold.validation}


def test_a_larger_amount_holds_every_smaller_one(digits):
    data = read_class_folders(digits)
    pool = read_pool(digits.with_name("digits-synthetic"), data)
    for fold in plan(data):
        draws = [set(pool.draw(fold, of_each(amount, pool.classes), seed=1)) for amount in (0, 1, 2, 4)]
        assert [len(draw) for draw in draws] == [0, 10, 20, 40]
        assert all(small < large for small, large in itertools.pairwise(draws))


def test_draws_depend_on_the_seed_and_the_fold_alone(digits):
    data = read_class_folders(digits)
    pool = read_pool(digits.with_name("digits-synthetic"), data)
    small, _, large, other = plan(data)
    five = of_each(5, pool.classes)
    assert pool.draw(large, five, seed=1).tolist() == pool.draw(large, five, seed=1).tolist()
    draws = [pool.draw(large, five, seed=1), pool.draw(large, five, seed=2), pool.draw(other, five, seed=1)]
    draws += [pool.draw(small, five, seed=1), pool.draw(dataclasses.replace(large, id="f9"), five, seed=1)]
    assert len({tuple(draw) for draw in draws}) == 5


@pytest.fixture
def data(tmp_path):
    for shade, label in enumerate(CLASSES):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (4, 4), 10 * shade + number).save(tmp_path / "data" / label / f"{number}.png")
    return read_class_folders(tmp_path / "data")


@pytest.fixture
def pool(tmp_path, data):
    """Write a pool of two images with this manifest, and read it."""
    folder = tmp_path / "data-synthetic"
    (folder / "deep").mkdir(parents=True)
    for shade, name in enumerate(("a.png", "deep/b.png")):
        Image.new("L", (4, 4), 100 + shade).save(folder / name)

    def read(manifest, data=data, **options):
        if manifest is not None:
            (folder / "manifest.csv").write_bytes(manifest.encode() if isinstance(manifest, str) else manifest)
        return read_pool(folder, data, **options)

    read.manifest = folder / "manifest.csv"
    return read


def test_a_manifest_gives_labels_and_sources(pool, data):
    found = pool(f"{HEADER}a.png,dog,dog/1.png\ndeep/b.png,cat,dog/0.png; cat/2.png ;\n")
    assert [path.name for path in found.paths] == ["a.png", "b.png"]
    assert found.labels.tolist() == [1, 0]
    assert [{data.ids[row] for row in rows} for rows in found.sources] == [{"dog/1.png"}, {"cat/2.png", "dog/0.png"}]
    assert (len(found), found.left_out) == (2, 0)


def test_columns_may_be_more_and_in_any_order(pool):
    plain = pool(f"{HEADER}a.png,dog,dog/1.png\n")
    assert pool("sources,prompt,label,image\ndog/1.png,a dog,dog,a.png\n").digest == plain.digest
    assert pool(f"\ufeff{HEADER}a.png,dog,dog/1.png\n").digest == plain.digest  # as Excel writes it


def test_a_class_may_be_called_like_a_missing_value(tmp_path):
    for name in ("NA", "null"):
        for root in ("data", "pool"):
            (tmp_path / root / name).mkdir(parents=True)
            Image.new("L", (4, 4)).save(tmp_path / root / name / "0.png")
    (tmp_path / "pool" / "manifest.csv").write_text(f"{HEADER}NA/0.png,NA,NA/0.png\nnull/0.png,null,null/0.png\n")
    found = read_pool(tmp_path / "pool", read_class_folders(tmp_path / "data"))
    assert found.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a.png,cow,cat/0.png", "label 'cow' is no class of {data} (cat, dog)."),
        ("a.png,cat,cat/9.png", "source 'cat/9.png' is no image of {data}."),
        ("a.png,cat,cat/0.png;0.png", "source '0.png' is no image of {data}."),
        ("a.png,cat,", "no sources are named."),
        ("a.png,cat, ; ", "no sources are named."),
        ("a.png,cat", "no sources are named."),
        ("no.png,cat,cat/0.png", "there is no image 'no.png' in {pool}."),
        ("deep,cat,cat/0.png", "there is no image 'deep' in {pool}."),
        (",cat,cat/0.png", "the path '' must be relative"),
        ("../data/cat/1.png,cat,cat/0.png", "the path '../data/cat/1.png' must be relative"),
    ],
)
def test_a_wrong_line_is_named_with_its_problem(pool, data, line, problem):
    with pytest.raises(UserError) as error:
        pool(f"{HEADER}deep/b.png,dog,dog/1.png\n{line}\n")
    expected = problem.format(data=data.root, pool=pool.manifest.parent)
    assert str(error.value).startswith(f"{pool.manifest}, line 3: {expected}")


@pytest.mark.parametrize("sources", ["cat/9.png", ""])
def test_an_image_of_unknown_origin_is_told_to_be_a_danger(pool, sources):
    with pytest.raises(UserError) as error:
        pool(f"{HEADER}a.png,cat,{sources}\n")
    assert "An image of unknown origin could leak validation images: name all that it came from" in str(error.value)
    assert "remove the line, or admit it with Study(trust_unsourced=True)" in str(error.value)


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (None, "have no manifest.csv. It must name each image, its label and the real images that it came from"),
        ("", "cannot be read as CSV"),
        (b"image,label,sources\n\xff.png,cat,cat/0.png\n", "cannot be read as CSV"),
        (f"{HEADER}a.png,cat,cat/0.png\na.png,cat,cat/0.png,cat/1.png\n", "cannot be read as CSV"),
        (
            "image,label,source\n",
            "lacks the column 'sources'; it needs image, label, sources, and has",
        ),
        (f"{HEADER}a.png,cat,cat/0.png,cat/1.png\n", "cannot be read as CSV"),
        ("a.png,cat,cat/0.png\n", "lacks the column 'image'"),
    ],
)
def test_what_is_no_manifest_is_told(pool, manifest, problem):
    with pytest.raises(UserError) as error:
        pool(manifest)
    assert problem in str(error.value)
    assert str(pool.manifest.parent) in str(error.value)


def test_a_pipe_among_what_cannot_be_read_is_not_waited_for(pool, data):
    os.mkfifo(data.root / "cat" / "pipe.png")
    lost = dataclasses.replace(data, unreadable=(("cat/pipe.png", "no ordinary file"),))
    found = pool(f"{HEADER}a.png,cat,cat/pipe.png\ndeep/b.png,cat,cat/1.png\n", lost)
    assert ([path.name for path in found.paths], found.left_out) == (["b.png"], 1)


def test_an_image_of_an_unreadable_source_is_left_out(pool, data, tmp_path):
    data.paths[0].write_bytes(b"garbage")
    damaged = read_class_folders(data.root)
    damaged = damaged.readable(decode(damaged.paths, damaged.contents, 4, tmp_path / "cache"))
    found = pool(f"{HEADER}a.png,cat,cat/1.png;{data.ids[0]}\ndeep/b.png,cat,cat/1.png\n", damaged)
    assert [path.name for path in found.paths] == ["b.png"]
    assert found.left_out == 1
    assert [damaged.ids[row] for row in found.sources[0]] == ["cat/1.png"]


def test_an_unreadable_image_is_left_out(pool, tmp_path):
    (pool.manifest.parent / "a.png").write_bytes(b"garbage")
    found = pool(f"{HEADER}a.png,dog,dog/1.png\ndeep/b.png,cat,cat/2.png\n")
    left = found.readable(decode(found.paths, found.contents, 4, tmp_path / "cache"))
    assert [path.name for path in left.paths] == ["b.png"]
    assert (left.labels.tolist(), left.sources, left.left_out) == ([0], found.sources[1:], 1)


def test_the_digest_changes_with_labels_and_sources_and_content(pool):
    manifests = ["a.png,dog,dog/1.png", "a.png,cat,dog/1.png", "a.png,dog,dog/2.png", "deep/b.png,dog,dog/1.png"]
    digests = {pool(f"{HEADER}{line}\n").digest for line in manifests}
    (pool.manifest.parent / "deep" / "b.png").write_bytes(b"other")
    digests.add(pool(None).digest)
    assert len(digests) == 5


def test_an_image_listed_twice_is_refused(tmp_path):
    dataset = read_class_folders(write_shapes(tmp_path / "real", {"a": 4, "b": 4}))
    folder = tmp_path / "twice"
    folder.mkdir()
    (folder / "x.png").write_bytes(dataset.paths[0].read_bytes())
    one, two = dataset.ids[:2]
    label = one.split("/")[0]
    (folder / "manifest.csv").write_text(f"image,label,sources\nx.png,{label},{one}\nx.png,{label},{two}\n")
    with pytest.raises(UserError, match=r"line 3: 'x\.png' is listed twice"):
        read_pool(folder, dataset)


def test_a_copy_of_a_real_image_has_it_as_a_source_said_or_not(tmp_path):
    dataset = read_class_folders(write_shapes(tmp_path / "real", {"a": 4, "b": 4}))
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "x.png").write_bytes(dataset.paths[2].read_bytes())
    (folder / "manifest.csv").write_text(f"image,label,sources\nx.png,a,{dataset.ids[0]}\n")
    pool = read_pool(folder, dataset)
    assert pool.sources == ((0, 2),)


GENERATORS = ("", "f0", "all", "f0;all")


@settings(deadline=None, max_examples=200)
@given(
    splits(),
    st.lists(st.tuples(st.sets(st.integers(0, 11), max_size=2), st.sampled_from(GENERATORS)), max_size=12),
    st.lists(st.sets(st.integers(0, 11)), min_size=3, max_size=3),
    st.sampled_from([None, "gan", "other"]),
)
def test_an_image_trains_only_where_its_sources_and_all_that_its_generator_was_fitted_on_train(
    split, images, fitted, method
):
    fold, holdout = split
    behind = {"": set(), **dict(zip(GENERATORS[1:], fitted, strict=True))}
    count = len(images)
    made = SyntheticPool(
        Path("pool"),
        tuple(map(Path, map(str, range(count)))),
        tuple(map(str, range(count))),
        np.zeros(count, np.int64),
        tuple(tuple(sorted(rows)) for rows, _ in images),
        CLASSES,
        (False,) * count,
        methods=tuple("gan" if name else "" for _, name in images),
        trained_on=tuple(name for _, name in images),
        fitted={name: tuple(sorted(rows)) for name, rows in behind.items() if name},
    )
    train, forbidden = set(fold.train.tolist()), holdout | set(fold.validation.tolist())
    origins = [rows | behind[name] for rows, name in images]
    fit = [row for row in range(count) if origins[row] <= train]
    assert made.admissible(fold).tolist() == fit
    drawn = made.draw(fold, {"cat": 99}, 1, method).tolist()
    assert not any(origins[row] & forbidden for row in drawn)
    assert drawn == [row for row in fit if method in (None, "gan" if images[row][1] else "")]
    assert made.counts(fold, method) == {"cat": len(drawn), "dog": 0}


TABLE = "fold,part,id\nf0,train,cat/0.png\nf0,train,dog/0.png\nf0,validation,cat/1.png\nf1,train,cat/1.png\n"


def test_a_generator_is_named_by_the_fold_that_it_was_fitted_on_or_by_its_images(pool, data):
    (pool.manifest.parent / "folds.csv").write_text(TABLE)
    found = pool(
        "image,label,sources,trained_on,method\na.png,dog,,f0,gan\ndeep/b.png,cat,cat/2.png,f1; cat/0.png,guided\n"
    )
    ids = {name: {data.ids[row] for row in rows} for name, rows in found.fitted.items()}
    assert ids == {"f0": {"cat/0.png", "dog/0.png"}, "cat/0.png;f1": {"cat/0.png", "cat/1.png"}}
    assert found.trained_on == ("f0", "cat/0.png;f1")
    assert found.methods == ("gan", "guided")
    assert found.sources == ((), (data.ids.index("cat/2.png"),))
    assert found.unsourced == (False, False)
    assert found.table(data.ids)[["method", "trained_on"]].to_numpy().tolist() == [
        ["gan", "f0"],
        ["guided", "cat/0.png;f1"],
    ]


def test_a_generator_that_was_fitted_on_everything_is_refused_for_every_fold(pool, data):
    every = ";".join(data.ids)
    found = pool(f"image,label,sources,trained_on\na.png,dog,,{every}\ndeep/b.png,cat,cat/0.png,{every}\n")
    assert len(found) == 2
    assert [len(found.admissible(fold)) for fold in plan(data)] == [0] * 4
    trains = Fold(0, 0, 1.0, np.arange(len(data)), np.empty(0, int), "refit")
    assert found.admissible(trains).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("table", "trained_on", "problem"),
    [
        (None, "f0", "line 2: trained_on 'f0' is neither an image of {data} nor a fold of {pool}/folds.csv."),
        (TABLE, "f2", "line 2: trained_on 'f2' is neither an image"),
        (TABLE + "f1,train,cat/9.png\n", "f0", "{pool}/folds.csv names 'cat/9.png', which is no image of {data}."),
        ("fold,id\nf0,cat/0.png\n", "f0", "{pool}/folds.csv lacks the column 'part'"),
    ],
)
def test_a_generator_of_unknown_origin_is_refused(pool, data, table, trained_on, problem):
    folder = pool.manifest.parent
    if table is not None:
        (folder / "folds.csv").write_text(table)
    with pytest.raises(UserError) as error:
        pool(f"image,label,sources,trained_on\na.png,dog,dog/1.png,{trained_on}\n")
    assert problem.format(data=data.root, pool=folder) in str(error.value)


def test_on_trust_a_generator_of_unknown_origin_counts_as_unsourced(pool):
    found = pool("image,label,sources,trained_on\na.png,dog,dog/1.png,f7\n", trust_unsourced=True)
    assert (found.unsourced, found.trained_on) == ((True,), ("",))


@pytest.mark.parametrize("name", ["Trained_On", "trained on", "TrainedOn", " trained-on "])
def test_what_a_generator_was_fitted_on_is_known_however_its_column_is_spelt(pool, name):
    found = pool(f"image,label,sources,{name}\na.png,dog,dog/1.png,cat/0.png\n")
    assert found.trained_on == ("cat/0.png",)
    with pytest.raises(UserError, match="two columns 'trained_on'"):
        pool(f"image,label,sources,{name},trained_on\na.png,dog,dog/1.png,cat/0.png,\n")


def test_equal_files_share_what_their_generators_were_fitted_on(pool):
    (pool.manifest.parent / "deep" / "b.png").write_bytes((pool.manifest.parent / "a.png").read_bytes())
    found = pool("image,label,sources,trained_on\na.png,dog,dog/1.png,dog/0.png\ndeep/b.png,dog,dog/2.png,\n")
    assert found.trained_on == ("dog/0.png", "dog/0.png")
    assert found.sources[0] == found.sources[1]


def test_the_digest_changes_with_the_method_and_what_a_generator_was_fitted_on(pool):
    head = "image,label,sources,method,trained_on"
    lines = ["a.png,dog,dog/1.png,,", "a.png,dog,dog/1.png,gan,", "a.png,dog,dog/1.png,,dog/0.png"]
    digests = [pool(f"{head}\n{line}\n").digest for line in lines]
    assert len(set(digests)) == 3
    assert digests[0] == pool(f"{HEADER}a.png,dog,dog/1.png\n").digest


def test_what_names_its_fold_and_its_origin_is_taken_at_its_word(pool):
    lines = ["a.png,dog,dog/1.png,f0", "deep/b.png,dog,dog/1.png,"]
    found = pool("image,label,sources,made_for\n" + "\n".join(lines) + "\n")
    assert found.of_doubtful_origin.tolist() == [1]
    assert pool(f"{HEADER}a.png,dog,dog/1.png\n").of_doubtful_origin.tolist() == [0]
    unsourced = pool("image,label,sources,made_for\na.png,dog,,f0\n", trust_unsourced=True)
    assert unsourced.of_doubtful_origin.tolist() == [0]


def test_a_fold_takes_what_was_made_for_it_first(pool, data):
    lines = [f"{number}.png,dog,dog/1.png,{('f0', 'f1', '')[number % 3]}" for number in range(12)]
    for number in range(12):
        Image.new("L", (4, 4), 50 + number).save(pool.manifest.parent / f"{number}.png")
    found = pool("image,label,sources,made_for\n" + "\n".join(lines) + "\n")
    trains = Fold(0, 0, 1.0, np.arange(len(data)), np.empty(0, int), "f1")
    draws = [found.draw(trains, {"dog": number}, seed=1) for number in range(13)]
    assert [sum(found.made_for[row] == "f1" for row in rows) for rows in draws] == [*range(5), *[4] * 8]
    assert all(set(small) < set(large) for small, large in itertools.pairwise(draws))
    other = dataclasses.replace(trains, id="f9")
    assert len({found.made_for[row] for row in found.draw(other, {"dog": 9}, seed=1)}) == 3
    assert found.digest != pool("image,label,sources\n" + "\n".join(line[: line.rindex(",")] for line in lines)).digest


@settings(deadline=None, max_examples=200)
@given(splits(), st.lists(st.sets(st.integers(0, 11), max_size=3), max_size=12), st.integers(0, 20), st.data())
def test_what_came_from_the_hold_out_or_the_validation_part_never_trains(split, sources, amount, choose):
    fold, holdout = split
    made = SyntheticPool(
        Path("pool"),
        tuple(map(Path, map(str, range(len(sources))))),
        tuple(map(str, range(len(sources)))),
        np.zeros(len(sources), np.int64),
        tuple(tuple(sorted(rows)) for rows in sources),
        CLASSES,
        (False,) * len(sources),
    )
    last = len(sources) - 1
    pairs = choose.draw(st.lists(st.tuples(st.integers(0, last), st.integers(0, 11)), max_size=6)) if sources else []
    near = [known | {real for row, real in pairs if row == number} for number, known in enumerate(sources)]
    for drawn, known in ((made, sources), (made.linked(pairs), near)):
        forbidden = holdout | set(fold.validation.tolist())
        shown = drawn.draw(fold, {"cat": amount}, seed=1).tolist()
        assert not any(known[row] & forbidden for row in shown)
        assert len(shown) == min(amount, sum(known_of <= set(fold.train.tolist()) for known_of in known))
        assert drawn.counts(fold) == {"cat": len(drawn.admissible(fold)), "dog": 0}


def test_what_an_image_resembles_counts_like_its_sources_but_does_not_name_the_pool(pool):
    found = pool(f"{HEADER}a.png,dog,dog/1.png\ndeep/b.png,cat,cat/2.png\n")
    linked = found.linked([(1, 0), (1, 2), (1, 5), (1, 0)])
    assert linked.alike == ((), (0, 5))
    assert linked.sources == found.sources
    assert found.digest == linked.digest
    trains = Fold(0, 0, 1.0, np.array([2, 4, 5]), np.array([0, 1, 3]), "f0")
    assert found.admissible(trains).tolist() == [0, 1]
    assert linked.admissible(trains).tolist() == [0]


def test_as_a_table_it_names_what_was_told_and_what_was_found(pool, data):
    found = pool(f"{HEADER}a.png,dog,dog/1.png\ndeep/b.png,cat,cat/2.png;cat/1.png\n").linked([(1, 0)])
    table = found.table(data.ids)
    assert table["image"].tolist() == ["a.png", "deep/b.png"]
    assert table["sources"].tolist() == ["dog/1.png", "cat/1.png;cat/2.png"]
    assert table["alike"].tolist() == ["", "cat/0.png"]


@pytest.mark.parametrize(
    "source", ["cat/1.png", "data/cat/1.png", "../data/cat/1.png", "./cat/../cat/1.png", "{data}/cat/1.png"]
)
def test_a_source_may_be_a_path_from_the_folder_above_or_the_manifest(pool, data, source):
    found = pool(f"{HEADER}a.png,cat,{source.format(data=data.root.resolve())}\n")
    assert found.sources == ((1,),)
    assert found.unsourced == (False,)


@pytest.mark.parametrize("source", ["CAT/1.png", "1.png", "../data/cat", "../data-synthetic/a.png", "../cat/1.png"])
def test_a_path_to_anything_else_is_no_source(pool, source):
    with pytest.raises(UserError, match="is no image of"):
        pool(f"{HEADER}a.png,cat,{source}\n")


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_source_may_be_content_which_stands_for_all_its_copies(pool, data, case):
    (data.root / "cat" / "copy.png").write_bytes(data.paths[4].read_bytes())
    copied = read_class_folders(data.root)
    both = tuple(row for row, id_ in enumerate(copied.ids) if id_ in ("cat/copy.png", "dog/1.png"))
    found = pool(f"{HEADER}a.png,dog,{case(copied.contents[both[0]])}\n", copied)
    assert len(both) == 2
    assert found.sources == (both,)
    with pytest.raises(UserError, match="line 2: source '0000"):
        pool(f"{HEADER}a.png,dog,{64 * '0'}\n", copied)


def test_the_content_of_an_unreadable_image_is_known_to_be_lost(pool, data, tmp_path):
    data.paths[0].write_bytes(b"garbage")
    damaged = read_class_folders(data.root)
    content = damaged.contents[0]
    damaged = damaged.readable(decode(damaged.paths, damaged.contents, 4, tmp_path / "cache"))
    found = pool(f"{HEADER}a.png,cat,{content}\ndeep/b.png,cat,cat/1.png\n", damaged)
    assert (len(found), found.left_out) == (1, 1)


def test_on_trust_images_of_unknown_origin_obey_what_is_known_and_are_counted(pool, data, tmp_path):
    lines = ["a.png,cat,", "deep/b.png,dog,who.png;dog/1.png", "c.png,dog,dog/2.png", "copy.png,cat,"]
    folder = pool.manifest.parent
    Image.new("L", (4, 4), 200).save(folder / "c.png")
    (folder / "copy.png").write_bytes(data.paths[2].read_bytes())
    found = pool(HEADER + "\n".join(lines) + "\n", trust_unsourced=True)
    assert [path.name for path in found.paths] == ["a.png", "c.png", "copy.png", "b.png"]
    assert found.sources == ((), (5,), (2,), (4,))
    assert found.unsourced == (True, False, False, True)  # a plain copy is known for what it is
    without, within = (Fold(0, 0, 1.0, np.array(train), np.array([2]), "f0") for train in ([0, 5], [4]))
    assert found.admissible(without).tolist() == [0, 1]
    assert found.admissible(within).tolist() == [0, 3]
    (folder / "a.png").write_bytes(b"garbage")
    left = pool(None, trust_unsourced=True)
    left = left.readable(decode(left.paths, left.contents, 4, tmp_path / "cache"))
    assert left.unsourced == (False, False, True)


def test_equal_synthetic_files_share_their_sources_whatever_each_line_says(pool):
    folder = pool.manifest.parent
    (folder / "again.png").write_bytes((folder / "a.png").read_bytes())
    told = pool(f"{HEADER}a.png,dog,dog/1.png\nagain.png,dog,dog/2.png\n")
    assert told.sources == ((4, 5), (4, 5))
    trusted = pool(f"{HEADER}a.png,dog,dog/1.png\nagain.png,dog,\n", trust_unsourced=True)
    assert trusted.sources == ((4,), (4,))
    assert trusted.unsourced == (False, True)


def test_the_order_of_lines_is_no_other_pool(pool):
    lines = ["a.png,dog,dog/1.png", "deep/b.png,cat,cat/2.png"]
    one, other = (pool(HEADER + "\n".join(some) + "\n") for some in (lines, lines[::-1]))
    assert one.digest == other.digest


def test_what_is_asked_follows_the_real_training_images_of_each_class(pool, data):
    found = pool(f"{HEADER}a.png,dog,dog/1.png\n")
    fold = Fold(0, 0, 1.0, np.array([0, 1, 2, 3]), np.array([5]), "f0")

    def asked(amount):
        return found.asked(amount_of("amount", amount), fold, data.labels)

    assert asked(7) == {"cat": 7, "dog": 7}
    assert asked(0.5) == {"cat": 1, "dog": 0}
    assert asked(2.0) == {"cat": 6, "dog": 2}
    assert asked({"dog": 480, "cat": 0.5}) == {"cat": 1, "dog": 480}
    assert asked({"dog": 1.0}) == {"dog": 1}


def test_a_tally_tells_what_was_asked_and_admissible_and_drawn():
    assert tally({"cat": 5, "dog": 0}, {"cat": 3, "dog": 9, "owl": 1}) == {
        "asked": {"cat": 5, "dog": 0},
        "admissible": {"cat": 3, "dog": 9},
        "drawn": {"cat": 3, "dog": 0},
    }


def test_amounts_of_unknown_classes_or_of_no_pool_are_refused(pool):
    found, space = pool(f"{HEADER}a.png,dog,dog/1.png\n"), Path("space.py")
    check_amounts(amount_of("amount", {"dog": 3}), CLASSES, found, space)
    check_amounts(amount_of("amount", 0), CLASSES, None, space)
    with pytest.raises(UserError) as error:
        check_amounts(amount_of("amount", {"Dog": 3}), CLASSES, found, space)
    assert "'Dog' is not known. Did you mean 'dog'? Choose one of: cat, dog." in str(error.value)
    with pytest.raises(UserError, match=r"^space\.py asks for synthetic images where the study has none\."):
        check_amounts(amount_of("amount", 8), CLASSES, None, space)
