"""The report shows where an exported model looks in hard images, once somebody has asked for it."""

import dataclasses
import json
import re

import kinds
import pytest

from search.analysis.hard import hard_images
from search.analysis.judgement import Judgement
from search.data.depth import BY_FILE
from search.export.looks import look_at_hard
from search.export.opened import Opened
from search.report.contents import CHAPTERS
from search.report.exhibits.looked import LOOKED
from search.report.write import write_report
from search.system.errors import UserError
from search.system.tf import keras

IMAGES = [chapter for chapter in CHAPTERS if chapter.id == "images"]


@pytest.fixture
def made(tmp_path):
    return kinds.usual(tmp_path)


@pytest.fixture
def exported(made):
    pixels = keras.Input((32, 32, 3))
    maps = keras.layers.Conv2D(8, 8, 8, activation="relu")(pixels)
    probabilities = keras.layers.Dense(4, activation="softmax")(keras.layers.GlobalAveragePooling2D()(maps))
    about = {"trial": "0011", "identity": made.record.about.identity}
    classes = tuple(made.record.about.classes)
    return Opened(made.folder / "model", about, classes, (32,), BY_FILE, keras.Model(pixels, probabilities))


def looked_at(made, exported):
    hard = hard_images(Judgement.of(made.record))
    root = made.dataset.root.parent / "images"
    return look_at_hard(exported, made.record, hard, root, lambda *_: None)[0], hard


def test_hard_images_have_maps_in_the_report_once_they_are_made(made, exported, tmp_path):
    before = write_report(made.record, IMAGES, tmp_path / "before").paths
    assert "hard NAME --explain MODEL" in before["index.html"].read_text(encoding="utf-8")
    (tmp_path / "images" / hard_images(Judgement.of(made.record))[0].id).unlink()  # this one is gone
    looks, hard = looked_at(made, exported)
    assert looks.pictures == len(hard) - 1 > 0
    after = write_report(made.record, IMAGES, tmp_path / "after").paths
    page = after["index.html"].read_text(encoding="utf-8")
    assert "hard NAME --explain MODEL" not in page
    assert "exported of trial 0011, was trained on these images too" in " ".join(page.split())
    found = json.loads(after["report.json"].read_text(encoding="utf-8"))["tables"]["looked"]
    assert [row["id"] for row in found] == [image.id for image in hard[1:]]
    assert {row["predicted"] for row in found} <= set(exported.classes)
    stored = json.loads((made.folder / LOOKED).read_text(encoding="utf-8"))
    for image in stored["images"]:
        assert re.escape(image["picture"]) in re.escape(page)


def test_a_model_of_other_classes_is_refused(made, exported):
    with pytest.raises(UserError, match="other classes than made has"):
        looked_at(made, dataclasses.replace(exported, classes=("ants", "bees", "cats", "dogs")))
    assert not (made.folder / LOOKED).exists()


@pytest.mark.parametrize("text", ["", "[]", '{"images": [{"id": "x"}]}', '{"trial": 1, "images": 5}'])
def test_a_file_that_is_something_else_is_no_exhibit(made, text):
    (made.folder / LOOKED).write_text(text)
    document = kinds.contents.document(Judgement.of(made.record))
    (display,) = [display for display in document.displays if display.exhibit.name == "looked"]
    assert display.empty
