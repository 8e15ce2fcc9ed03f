"""Pools: each image is made of the training part of its fold, and an interrupted pool ends like any other."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from kit.searches import Search
from kit.shapes import write_shapes
from PIL import Image

from search.analysis.hard import hard_ids
from search.cli.main import cli
from search.data.loading import read_inputs, read_synthetic
from search.data.origins import read_pool
from search.options import Options
from search.repertoire.recipe import Recipe
from search.study import Study
from search.synthesis import making
from search.synthesis.card import CARD, write_card
from search.synthesis.extractor import Extractor
from search.synthesis.methods.method import Method, Picture
from search.synthesis.methods.table import METHODS
from search.synthesis.pool import WORK, PoolWriter, Wanted
from search.system.errors import UserError

COPIES = METHODS["copies"]
EACH = 4


def remember(material, request):
    """Give the mean image of each class, with a little noise: what a generator does that was fitted on everything."""
    for label, k in request.wanted():
        mean = material.pixels[material.labels == label].mean(axis=0)
        noise = request.rng(label, k).integers(-9, 10, mean.shape)
        yield Picture(np.clip(mean + noise, 0, 255).astype(np.uint8), label)


FITTED = Method("remember", "means of all images", remember, fitted=True)


@pytest.fixture(scope="module")
def extractor(make_inputs):
    return Extractor(make_inputs().images.pixels)


@pytest.fixture(scope="module")
def make_inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    root = write_shapes(folder / "shapes", {"across": 12, "down": 9})

    def inputs(**fields):
        study = Study(**{"data": str(root), "folds": 3, "train_fractions": (1.0, 0.5), "image_size": 32, **fields})
        return read_inputs(study, Options(cache=str(folder / "cache")), lambda _: None)

    return inputs


def wanted(method=COPIES, **fields):
    return Wanted(**{"method": method, "numbers": {"across": EACH, "down": EACH}, "strength": 0.5, "seed": 7, **fields})


def write(folder, inputs, extractor, asked=None, progress=lambda *_: None):
    said = []
    pool = PoolWriter(folder, inputs, asked or wanted(), extractor).write(said.append, progress)
    return pool, said


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("method", [COPIES, FITTED], ids=lambda method: method.name)
def test_every_fold_gets_as_many_images_as_asked_of_its_training_part_alone(method, make_inputs, extractor, tmp_path):
    inputs = make_inputs()
    made, _ = write(tmp_path / "pool", inputs, extractor, wanted(method))
    assert (len(made.made), made.lacking) == (6 * 2 * EACH, {})
    pool = read_pool(tmp_path / "pool", inputs.dataset)
    assert not any(pool.unsourced)
    for fold in inputs.plan.folds:
        drawn = pool.draw(fold, dict.fromkeys(pool.classes, EACH), seed=1, method=method.name)
        assert np.bincount(pool.labels[drawn]).tolist() == [EACH, EACH]
        assert {pool.made_for[row] for row in drawn} == {fold.id}
        behind = {row for at in drawn for row in (*pool.sources[at], *pool.fitted.get(pool.trained_on[at], ()))}
        assert behind <= set(fold.train.tolist())
        assert not behind & set(fold.validation.tolist())
    if method.fitted:
        whole = [fold for fold in inputs.plan.folds if fold.fraction == 1]
        small = {(fold.index): fold.id for fold in inputs.plan.folds if fold.fraction < 1}
        for fold in whole:  # what was fitted on a half of a training part may train the whole
            assert {pool.made_for[row] for row in pool.admissible(fold)} == {fold.id, small[fold.index]}


@pytest.mark.parametrize("method", [COPIES, FITTED], ids=lambda method: method.name)
@pytest.mark.parametrize("after", [1, 11, 47])
def test_an_interrupted_pool_goes_on_and_is_the_same(method, after, make_inputs, extractor, tmp_path):
    inputs = make_inputs()
    write(tmp_path / "whole", inputs, extractor, wanted(method))

    def stop(_what, done, _of):
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "pool", inputs, extractor, wanted(method), stop)
    with pytest.raises(UserError, match=r"no manifest\.csv"):
        read_pool(tmp_path / "pool", inputs.dataset)
    log = tmp_path / "pool" / WORK / "made.jsonl"
    log.write_text(log.read_text() + '{"image": "cut')  # as a power cut may leave it
    made, said = write(tmp_path / "pool", inputs, extractor, wanted(method))
    assert len(made.made) == 48
    assert said == [f"Going on: {after} of 48 images were made before"]
    assert files_of(tmp_path / "pool") == files_of(tmp_path / "whole")


def test_a_pool_whose_card_was_interrupted_gets_it_by_the_same_command(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    asked = {"--per-class": 3, "--method": "copies"}
    with monkeypatch.context() as patch:
        patch.setattr("search.synthesis.card.measured", stop)
        assert command(tmp_path, **asked).exit_code != 0
    manifest = (tmp_path / "pool" / "manifest.csv").read_bytes()
    assert not (tmp_path / "pool" / CARD).exists()
    answer = command(tmp_path, **asked)
    assert answer.exit_code == 0, answer.output
    assert "Going on: 12 of 12 images were made before" in answer.output
    assert (tmp_path / "pool" / "manifest.csv").read_bytes() == manifest
    assert (tmp_path / "pool" / CARD).exists()
    assert not (tmp_path / "pool" / WORK).exists()


def test_an_image_that_was_lost_is_made_again(make_inputs, extractor, tmp_path):
    def stop(_what, done, _of):
        if done == 9:
            raise KeyboardInterrupt

    write(tmp_path / "whole", make_inputs(), extractor)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "pool", make_inputs(), extractor, progress=stop)
    sorted((tmp_path / "pool").glob("across/*.png"))[2].unlink()
    write(tmp_path / "pool", make_inputs(), extractor)
    assert files_of(tmp_path / "pool") == files_of(tmp_path / "whole")


def test_a_pool_may_have_images_of_several_methods(make_inputs, extractor, tmp_path):
    inputs = make_inputs()
    write(tmp_path / "pool", inputs, extractor)
    alone = read_pool(tmp_path / "pool", inputs.dataset)
    write(tmp_path / "pool", inputs, extractor, wanted(FITTED))
    pool = read_pool(tmp_path / "pool", inputs.dataset)
    assert len(pool) == 96
    for fold in inputs.plan.folds:
        each = dict.fromkeys(pool.classes, EACH)
        rows, before = pool.draw(fold, each, 1, "copies"), alone.draw(fold, each, 1)
        assert [pool.paths[row] for row in rows] == [alone.paths[row] for row in before]


def test_an_image_whose_name_holds_what_separates_sources_may_be_one(extractor, tmp_path):
    root = write_shapes(tmp_path / "shapes", {"across": 5, "down": 5})
    next((root / "across").iterdir()).rename(root / "across" / "a;b.png")
    study = Study(data=str(root), folds=2, train_fractions=(1.0,), image_size=32, synthetic=str(tmp_path / "pool"))
    options = Options(cache=str(tmp_path / "cache"))
    inputs = read_inputs(study, options, lambda _: None)
    made, _ = write(tmp_path / "pool", inputs, extractor)
    named = {each.image: {inputs.dataset.ids.index(id_) for id_ in each.sources} for each in made.made}
    pool = read_synthetic(inputs, options, lambda _: None)
    odd = inputs.dataset.ids.index("across/a;b.png")
    assert any(odd in rows for rows in pool.sources)
    names = [path.relative_to(pool.root).as_posix() for path in pool.paths]
    assert all(named[name] <= set(rows) for name, rows in zip(names, pool.sources, strict=True))
    manifest = pd.read_csv(tmp_path / "pool" / "manifest.csv", dtype=str, keep_default_na=False)
    manifest.assign(made_for="").to_csv(tmp_path / "pool" / "manifest.csv", index=False)  # so that it is compared
    other = next(name for name, rows in named.items() if odd not in rows)
    pixels = np.asarray(Image.open(root / "across" / "a;b.png").convert("RGB")).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(tmp_path / "pool" / other)  # looks like an image that it does not name
    fresh = read_synthetic(inputs, options, lambda _: None)
    table = fresh.table(inputs.dataset.ids)
    assert any("a;b" in text for text in table["alike"])
    again = read_synthetic(inputs, options, lambda _: None, earlier=table)
    assert again.alike == fresh.alike  # what the table's list has cut in two is not left out


def test_a_pool_is_refused_whose_sources_have_other_names_now(extractor, tmp_path):
    root = write_shapes(tmp_path / "shapes", {"across": 5, "down": 5})
    study = Study(data=str(root), folds=2, train_fractions=(1.0,), image_size=32, synthetic=str(tmp_path / "pool"))
    options = Options(cache=str(tmp_path / "cache"))
    write(tmp_path / "pool", read_inputs(study, options, lambda _: None), extractor)
    first, second, third = sorted((root / "across").iterdir())[:3]
    third.with_name("further.png").write_bytes(next((root / "down").iterdir()).read_bytes())  # one more harms nothing
    assert len(read_pool(tmp_path / "pool", read_inputs(study, options, lambda _: None).dataset))
    first.rename(tmp_path / "aside.png")
    second.rename(first)
    (tmp_path / "aside.png").rename(second)
    with pytest.raises(UserError, match=r"'across/across_00\d.png' \(and 1 more\) is another image"):
        read_pool(tmp_path / "pool", read_inputs(study, options, lambda _: None).dataset)


def test_a_search_that_began_before_methods_were_known_goes_on_with_the_same_pool(make_inputs, extractor, tmp_path):
    inputs = make_inputs()
    write(tmp_path / "pool", inputs, extractor)
    inputs = dataclasses.replace(inputs, study=inputs.study.replace(synthetic=str(tmp_path / "pool")))
    options = Options(cache=str(tmp_path / "cache"))
    table = pd.read_csv(tmp_path / "pool" / "manifest.csv", dtype=str, keep_default_na=False)
    recorded = read_synthetic(inputs, options, lambda _: None).table(inputs.dataset.ids)
    old = recorded.drop(columns=["method", "made_for"])
    resumed = read_synthetic(inputs, options, lambda _: None, earlier=old)
    table[["image", "label", "sources"]].to_csv(tmp_path / "pool" / "manifest.csv", index=False)
    assert resumed.digest == read_synthetic(inputs, options, lambda _: None).digest


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, "has 48 images by copies already. Name another folder, or delete this one."),
        ({"inputs": {"seed": 8}, "method": FITTED}, "holds a pool that was made for other folds."),
        ({"inputs": {"folds": 4}, "method": FITTED}, "holds a pool that was made for other folds."),
    ],
)
def test_a_pool_that_cannot_be_added_to_is_left_as_it_is(change, problem, make_inputs, extractor, tmp_path):
    write(tmp_path / "pool", make_inputs(), extractor)
    before = files_of(tmp_path / "pool")
    with pytest.raises(UserError) as error:
        PoolWriter(
            tmp_path / "pool",
            make_inputs(**change.get("inputs", {})),
            wanted(change.get("method", COPIES)),
            extractor,
        )
    assert problem in str(error.value)
    assert files_of(tmp_path / "pool") == before


def test_an_unfinished_pool_goes_on_with_its_own_settings_alone(make_inputs, extractor, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    inputs = make_inputs()
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "pool", inputs, extractor, progress=stop)
    for other in (wanted(FITTED), wanted(strength=0.7), wanted(chosen=(1, 2, 12)), wanted(numbers={"down": 4})):
        with pytest.raises(UserError, match="holds an unfinished pool with other settings"):
            PoolWriter(tmp_path / "pool", inputs, other, extractor)


def test_other_files_are_never_touched(make_inputs, extractor, tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty and holds no pool"):
        PoolWriter(tmp_path / "pool", make_inputs(), wanted(), extractor)
    with pytest.raises(UserError, match="is a file"):
        PoolWriter(tmp_path / "pool" / "mine.txt", make_inputs(), wanted(), extractor)


def test_images_are_made_of_the_chosen_ones_and_what_has_no_sources_is_counted(make_inputs, extractor, tmp_path):
    inputs = make_inputs()
    chosen = (0, 1, 2)  # of the first class
    made, _ = write(tmp_path / "pool", inputs, extractor, wanted(chosen=chosen, origin="hard:shapes"))
    ids = {inputs.dataset.ids[row] for row in chosen}
    assert made.made
    assert {source for each in made.made for source in each.sources} <= ids
    short = {(name, fold.id) for fold in inputs.plan.folds for name in ("across", "down")} - {
        ("across", fold.id) for fold in inputs.plan.folds if set(chosen) & set(fold.train.tolist())
    }
    assert made.lacking == dict.fromkeys(short, EACH)


def test_the_card_tells_copies_from_others_and_holds_every_method(make_inputs, extractor, tmp_path):
    inputs = make_inputs()
    cards = {}
    for method in (COPIES, FITTED):
        asked = wanted(method)
        pool, _ = write(tmp_path / "pool", inputs, extractor, asked)
        cards[method.name] = write_card(pool, inputs, asked, extractor, lambda *_: None)
    held = json.loads((tmp_path / "pool" / CARD).read_text())
    assert held == {name: dataclasses.asdict(card) for name, card in cards.items()}
    assert held["copies"]["counts"] == {"across": 24, "down": 24}
    copies = cards["copies"].measured
    assert copies.agreement > 0.6
    assert 0 <= copies.distance <= 2
    text = (tmp_path / "pool" / "README.md").read_text()
    assert "| across | 24 | 24 |" in text
    assert all(method.words in text for method in (COPIES, FITTED))
    for name in cards:
        with Image.open(tmp_path / "pool" / f"sheet-{name}.png") as sheet:
            assert sheet.width > 200


def test_copies_are_near_copies(make_inputs, extractor, tmp_path):
    """Images that are nearly equal to real ones must be called so: memorisation is seen."""
    inputs = make_inputs()

    def same(material, request):
        for label, k in request.wanted():
            row, _ = request.first_source(material, label, k)
            yield Picture(material.pixels[row], label, (row,))

    asked = wanted(Method("same", "the images themselves", same))
    pool, _ = write(tmp_path / "pool", inputs, extractor, asked)
    measured = write_card(pool, inputs, asked, extractor, lambda *_: None).measured
    assert measured.near_copies == 1
    assert measured.distance < 1e-5 < measured.distance_real


SPACE = """
from search import Recipe, Study

study = Study(data="{data}", folds=2, image_size=32, train_fractions=(1.0,))


def space(hp):
    return Recipe("SmallCNN", None)
"""


def command(tmp_path, *words, **options):
    data = tmp_path / "data"
    if not data.exists():
        write_shapes(data, {"across": 6, "down": 6})
        (tmp_path / "space.py").write_text(SPACE.format(data=data))
    given = {"--to": tmp_path / "pool", "--cache": tmp_path / "cache", "--results": tmp_path / "results", **options}
    pairs = [text for name, value in given.items() for text in (name, str(value))]
    return CliRunner().invoke(cli, ["synthesize", str(tmp_path / "space.py"), *pairs, *words])


def test_the_command_makes_a_pool_with_card_and_sheet_and_says_what_it_is(tmp_path):
    answer = command(tmp_path, **{"--per-class": 3, "--method": "copies", "--strength": 0.2})
    assert answer.exit_code == 0, answer.output
    assert (
        "Images to make: 12 by copies (single real images, flipped, cropped and coloured), for 2 folds" in answer.output
    )
    assert f"Pool: {tmp_path / 'pool'}, 12 images by copies," in answer.output
    names = {path.name for path in (tmp_path / "pool").iterdir()}
    assert names == {"across", "down", "manifest.csv", "folds.csv", "card.json", "README.md", "sheet-copies.png"}


def test_amounts_by_class_are_what_is_made(tmp_path):
    answer = command(tmp_path, **{"--from": "across=2, down=1", "--method": "copies"})
    assert answer.exit_code == 0, answer.output
    counts = {name: len(list((tmp_path / "pool" / name).iterdir())) for name in ("across", "down")}
    assert counts == {"across": 4, "down": 2}


def test_a_pool_among_the_real_images_is_refused_as_it_would_be_read_with_them(tmp_path):
    answer = command(tmp_path, **{"--per-class": 3, "--method": "copies", "--to": tmp_path / "data" / "pool"})
    assert "lies within the images" in str(answer.exception)
    assert not (tmp_path / "data" / "pool").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "How many images? Give --per-class N, or amounts by class"),
        ({"--per-class": 3, "--from": "across=2"}, "says how many images of each class, as --per-class does."),
        ({"--from": "acros=2"}, "Did you mean 'across'?"),
        ({"--from": "across=two"}, "'two' is no number of images, 1 or more, for class across."),
        ({"--per-class": 3, "--from": "some"}, "must be all, hard:NAME of a search, or amounts by class"),
        ({"--per-class": 3, "--from": "hard:nothing"}, "nothing"),
        ({"--per-class": 3, "--method": "composed"}, "Did you mean 'compose'?"),
        ({"--per-class": 3, "--method": "copies", "--set": "epochs=3"}, "copies has no settings of its own."),
        ({"--per-class": 3, "--method": "gan", "--set": "epoch=3"}, "Did you mean 'epochs'?"),
        (
            {"--per-class": 3, "--method": "gan", "--set": "epochs"},
            "must be a name and a value, as in --set epochs=100.",
        ),
    ],
)
def test_what_cannot_be_made_is_said_with_the_way_out(options, problem, tmp_path):
    answer = command(tmp_path, **options)
    assert isinstance(answer.exception, UserError), answer.output
    assert problem in str(answer.exception)
    assert not Path(tmp_path / "pool").exists()


def test_prompts_of_the_space_and_settings_of_the_line_reach_the_method(tmp_path, monkeypatch):
    seen = []

    def make(material, request):
        seen.append((dict(request.prompts), dict(request.options)))
        yield from COPIES.make(material, request)

    row = Method("toy", "a toy", make, options={"model": "a folder"})
    monkeypatch.setitem(METHODS, "toy", row)
    command(tmp_path, **{"--per-class": 1, "--method": "copies"})
    space = tmp_path / "space.py"
    space.write_text(space.read_text() + 'prompts = {"across": "a bar from left to right"}\n')
    options = {"--to": tmp_path / "toy", "--per-class": 1, "--method": "toy", "--set": "model=there"}
    answer = command(tmp_path, **options)
    assert answer.exit_code == 0, answer.output
    assert seen == [({"across": "a bar from left to right"}, {"model": "there"})] * 2
    space.write_text(space.read_text() + "prompts = [1]\n")
    answer = command(tmp_path, **{**options, "--to": tmp_path / "other"})
    assert "prompts must be texts by the names of classes" in str(answer.exception)


def test_hard_images_of_another_data_set_are_not_taken_for_images_of_the_same_name(tmp_path):
    root = write_shapes(tmp_path / "shapes", {"across": 12, "down": 12})
    for file in list(root.glob("*/*.png")):
        file.rename(file.with_name(f"{int(file.stem.rpartition('_')[2])}.png"))
    inputs = read_inputs(Study(data=str(root), image_size=32), Options(cache=str(tmp_path / "c")), lambda _: None)
    search = Search(tmp_path)
    for dropout in (0.0, 0.1, 0.2):
        search.complete(0.0, Recipe("MobileNetV2", 1, image_size=96, dropout=dropout))
    chosen = making._chosen(inputs, making.Asked("copies", 1, "hard:made", search=search.record))
    assert {inputs.dataset.ids[row] for row in chosen} == set(hard_ids(search.record)) != set()
    table = pd.DataFrame({"id": inputs.dataset.ids, "content": inputs.dataset.contents})
    table.loc[table["id"] == inputs.dataset.ids[chosen[0]], "content"] = "another"
    table.to_csv(search.folder / "images.csv", index=False)
    assert making._chosen(inputs, making.Asked("copies", 1, "hard:made", search=search.record)) == chosen[1:]
    table.assign(content="another").to_csv(search.folder / "images.csv", index=False)
    with pytest.raises(UserError, match=r"None of the .* hard images of made is among the images of"):
        making._chosen(inputs, making.Asked("copies", 1, "hard:made", search=search.record))
