"""``preview``: every policy and mixer of a space on the images themselves, as training shows them."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from kit.runs import materials, small, write_pool
from kit.shapes import write_shapes
from PIL import Image

from search.data.loading import read_inputs
from search.options import Options
from search.preview.choices import MOST, choices_in
from search.preview.pictures import camera_for, rows_shown, sections_of
from search.repertoire.augmentation import Augment
from search.repertoire.mixing import Mix
from search.study import Study
from search.system.clock import Clock
from search.system.errors import UserError
from search.system.modules import Home
from search.training.activations import Pixels
from search.training.inputs import Feed

SPACE = """
from search import Augment, Mix, Recipe, Study

study = Study("shapes", folds=3, image_size=32, seed=3)

def space(hp):
    policy = hp.Choice("augment", ["none", "flip", "color", "generator"])
    with hp.conditional_scope("augment", ["color"]):
        strength = hp.Choice("strength", [0.3, 0.7])
    with hp.conditional_scope("augment", ["generator"]):
        rotation = hp.Fixed("rotation", 40)
    mix = hp.Choice("mix", ["none", "mixup", "cutmix"])
    return Recipe({backbone}, augment=Augment(policy, strength, rotation_range=rotation), mix=mix, epochs=3)
"""
TITLES = [
    "No augmentation",
    "Augmentation: flip",
    "Augmentation: color 0.3",
    "Augmentation: color 0.7",
    "Augmentation: generator rotation_range 40",
    "Mixing: mixup 0.2",
    "Mixing: cutmix 1",
]


class Page(HTMLParser):
    """The headings and images of a page."""

    def __init__(self, text):
        super().__init__()
        self.titles, self.images, self._in_title = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._in_title = tag == "h2"
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, text):
        if self._in_title and text.strip():
            self.titles.append(text.strip())


def write_space(backbone='"SmallCNN", None'):
    Path("space.py").write_text(SPACE.replace("{backbone}", backbone))


@pytest.fixture
def inputs(shapes, tmp_path):
    study = Study(str(shapes), folds=3, image_size=32, seed=3)
    return read_inputs(study, Options(cache=str(tmp_path / "c")), silent_words)


def silent_words(_text):
    pass


def test_every_policy_and_mixer_is_on_the_page_and_on_a_sheet(search, shapes):
    write_space()
    write_pool(Path("pool"), shapes)
    code, out, error = search("preview", "space.py", "--synthetic", "pool", "--cache", "c", "--to", "pictures")
    assert (code, error) == (0, "")
    page = Page(Path("pictures", "index.html").read_text())
    assert set(page.titles) == {*TITLES, "Synthetic images"}
    assert page.titles[0] == "No augmentation"
    sheets = list(Path("pictures").glob("*.png"))
    assert len(sheets) == len(page.titles)
    assert "8 contact sheets" in out
    assert all(image["alt"] and image["src"].startswith("data:image/png;base64,") for image in page.images)
    alts = "\n".join(image["alt"] for image in page.images)
    assert re.search(r"Mixing: mixup 0\.2, Batch 1: \d\.\d\d (?:across|down)", alts)
    assert "Augmentation: color 0.3, One image, 3 views: view 3" in alts
    assert "Synthetic images, source, across, across_" in alts


def test_the_page_needs_no_other_file_and_runs_nothing(search, shapes):
    write_space()
    assert search("preview", "space.py", "--cache", "c")[0] == 0
    text = Path("space-shapes-preview", "index.html").read_text()
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)


def test_weights_are_not_needed(search, shapes, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    write_space('"VGG16", 1')
    code, _, error = search("preview", "space.py", "--cache", "c", "--offline")
    assert (code, error) == (0, "")
    assert not (tmp_path / "keras").exists()


def test_views_are_those_that_training_shows(shapes, tmp_path, inputs):
    given = materials(shapes, tmp_path / "c", seed=3)
    camera = camera_for(inputs, 5, None, Home(tmp_path, {}))
    for augment in (Augment("flip"), Augment("color", 0.7), Augment("generator", rotation_range=40)):
        recipe = small(augment=augment, views=3)
        feed = Feed(given, Clock())
        for epoch in range(3):
            shown = feed.view(Pixels(32), recipe, epoch).take(np.array(camera.rows))
            assert (camera.views(augment, 32, epoch) == shown).all()


def test_targets_in_captions_are_those_of_the_mixed_images(inputs, tmp_path):
    recipe = small(mix=Mix("mixup", 5.0))
    (section,) = [
        each
        for each in sections_of(choices_in([recipe]), camera_for(inputs, 4, None, Home(tmp_path, {})), None)
        if each.name == "mix-1"
    ]
    assert [len(group.tiles) for group in section.groups] == [8, 8, 8]
    shares = [
        [float(line.split()[0]) for line in tile.caption.splitlines()]
        for group in section.groups
        for tile in group.tiles
    ]
    assert all(sum(each) == pytest.approx(1, abs=0.011) for each in shares)
    assert any(len(each) == 2 for each in shares)
    for start in range(0, len(shares), 8):  # the images of a batch are all mixed alike
        assert len({tuple(each) for each in shares[start : start + 8] if len(each) == 2}) <= 1


def test_of_many_strengths_a_few_are_shown_from_the_weakest_to_the_strongest():
    recipes = [small(augment=Augment("color", strength / 100)) for strength in range(1, 100)]
    choices = choices_in([*recipes, small(), small(image_size=48), small(image_size=48)])
    plain, *colours = choices.augments
    assert [drawn.recipe.augment.strength for drawn in colours] == [0.01, 0.34, 0.66, 0.99]
    assert {drawn.of for drawn in colours} == {99}
    assert (len(colours), plain.of) == (MOST, 0)
    assert (plain.image_size, plain.other_sizes) == (48, [32])
    assert choices.mixes == ()
    assert choices.points == 102


def test_images_come_from_all_classes_in_turn_or_from_one(inputs):
    dataset = inputs.dataset
    rows = rows_shown(dataset, 6, None, 3)
    assert dataset.labels[list(rows)].tolist() == [0, 1, 0, 1, 0, 1]
    assert rows == rows_shown(dataset, 6, None, 3)
    assert rows_shown(dataset, 4, None, 3) == rows[:4]
    assert set(dataset.labels[list(rows_shown(dataset, 6, "down", 3))]) == {1}
    assert len(set(rows_shown(dataset, 1000, None, 3))) == len(dataset)


def test_an_unknown_class_is_refused(inputs, tmp_path):
    with pytest.raises(UserError, match=r"--class='dawn' is not known. Did you mean 'down'"):
        camera_for(inputs, 3, "dawn", Home(tmp_path, {}))


def test_an_earlier_preview_is_replaced_and_nothing_else(search, shapes):
    write_space()
    assert search("preview", "space.py", "--cache", "c", "--to", "p")[0] == 0
    Path("p", "augment-99.png").touch()
    assert search("preview", "space.py", "--cache", "c", "--to", "p", "--images", 1, "--class", "down")[0] == 0
    assert not Path("p", "augment-99.png").exists()
    assert Image.open("p/augment-1.png").size[0] < 200
    Path("p", "mine.txt").touch()
    code, _, error = search("preview", "space.py", "--cache", "c", "--to", "p")
    assert code == 1
    assert "p is not empty. Name a new folder" in error
    code, _, error = search("preview", "space.py", "--cache", "c", "--to", shapes / "p")
    assert code == 1
    assert "lies within the images" in error


@pytest.mark.parametrize(("page", "picture"), [("a page of somebody's", "augment-1.png"), (None, "mine.png")])
def test_pictures_that_no_preview_made_are_never_deleted(page, picture, search, shapes):
    write_space()
    assert search("preview", "space.py", "--cache", "c", "--to", "p")[0] == 0
    if page:
        Path("p", "index.html").write_text(page)
    Path("p", picture).write_bytes(b"mine")
    code, _, error = search("preview", "space.py", "--cache", "c", "--to", "p")
    assert code == 1
    assert "p is not empty. Name a new folder" in error
    assert Path("p", picture).read_bytes() == b"mine"


def test_a_space_that_fails_is_said_before_anything_is_written(search, shapes):
    write_space('"SmallCNN", None, dropout=7')
    code, _, error = search("preview", "space.py", "--cache", "c", "--to", "p")
    assert code == 1
    assert "dropout=7" in error
    assert not Path("p").exists()


def test_names_of_strangers_stay_texts(search, tmp_path):
    write_shapes(tmp_path / "shapes", {"<b>bold": 6, "a&b": 6})
    write_space()
    assert search("preview", "space.py", "--cache", "c", "--to", "p")[0] == 0
    text = Path("p", "index.html").read_text()
    assert "<b>" not in text
    assert "&lt;b&gt;bold" in text
