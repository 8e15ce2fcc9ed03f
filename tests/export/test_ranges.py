"""The range of deep images that a search chose: recorded with it, kept when it resumes, and in its exported model."""

import csv
import io
import json

import numpy as np
import pytest
from kit.shapes import write_shapes
from PIL import Image, ImageOps

from search.data.decoding import read_image
from search.data.depth import Ranges
from search.record import read_about

SPACE = """
from search import Recipe, Study

study = Study(data="scans", max_trials=1, folds=2, train_fractions=(1.0,), baselines=False, image_size=32)


def space(hp):
    return Recipe("SmallCNN", None, epochs=hp.Choice("epochs", [3]), views=1, learning_rate=3e-3)
"""
RANGES = {"16-bit grey": 4095}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A search over 12 bits in 16, run twice, and its exported model beside it."""
    place = tmp_path_factory.mktemp("scans")
    for path in sorted(write_shapes(place / "scans", {"across": 8, "down": 8}).rglob("*.png")):
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L")).astype(np.uint16)
        Image.fromarray(grey << 4).save(path)
    (place / "space.py").write_text(SPACE)
    from search import KFoldTuner
    from search.export.export import export
    from search.monitor.console import wide_console
    from search.monitor.screen import Lines

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for _ in range(2):
            screen = Lines(wide_console())
            tuner = KFoldTuner("space.py", screen=screen, executor="inline", cache="cache", offline=True)
            tuner.search()
        export(tuner, "0000", place / "model")
    return place


def predictions(search, model, images):
    code, out, err = search("predict", model, images, "--csv")
    assert not code, err
    return {row["image"].split("/")[-1]: row for row in csv.DictReader(io.StringIO(out))}


@pytest.fixture
def images(exported, tmp_path):
    """One picture as 12 bits in 16, as 8 bits, with a few specks above, as 16 bits, and as floating-point numbers."""
    with Image.open(min((exported / "scans" / "down").iterdir())) as image:
        values = np.asarray(image)
    specks = values.copy()
    specks[0, 0] = 60_000
    kinds = {
        "scan.png": values,
        "scan.tif": values,
        "plain.png": (values >> 4).astype(np.uint8),
        "specks.png": specks,
        "wide.png": values << 4,
        "floats.tif": (values / 4095).astype(np.float32),
    }
    (tmp_path / "new").mkdir()
    for name, array in kinds.items():
        Image.fromarray(array).save(tmp_path / "new" / name)
    return tmp_path / "new"


def test_the_range_is_part_of_what_a_search_is(exported):
    about = read_about(exported / "results" / "space-scans")
    assert about.identity["ranges"] == RANGES
    assert about.identity["decoding"] == 4
    assert json.loads((exported / "model" / "recipe.json").read_text())["ranges"] == RANGES
    assert "16-bit grey: 0 is black, 4095 is white" in (exported / "model" / "README.md").read_text()


def test_the_model_sees_a_deep_picture_as_its_8_bit_original(exported, images, search):
    told = predictions(search, exported / "model", images)
    likely = {name: row["p(down)"] for name, row in told.items() if row["label"]}
    assert set(likely) == {"scan.png", "scan.tif", "plain.png", "specks.png"}
    assert likely["scan.png"] == likely["scan.tif"] == likely["plain.png"]
    assert "lie above 4095, which is white in the 16-bit grey images" in told["wide.png"]["unreadable"]
    assert "a floating-point image, of which there was none" in told["floats.tif"]["unreadable"]


def test_the_program_in_the_card_sees_deep_pictures_as_predict_does(exported, images):
    card = (exported / "model" / "README.md").read_text()
    function = card[card.index("def pixels") : card.index("for path in")]
    names = {"np": np, "Image": Image, "ImageOps": ImageOps}
    exec(function, names)
    for name in ("scan.png", "scan.tif", "plain.png", "specks.png"):
        seen = read_image(images / name, 32, Ranges(RANGES))
        np.testing.assert_array_equal(names["pixels"](images / name), seen.astype(np.float32))


def test_a_model_of_an_earlier_version_guesses_file_by_file(exported, images, search):
    path = exported / "model" / "recipe.json"
    text = path.read_text()
    about = json.loads(text)
    del about["ranges"]
    path.write_text(json.dumps(about))
    try:
        told = predictions(search, exported / "model", images)
    finally:
        path.write_text(text)
    assert all(row["label"] for row in told.values())
    assert told["wide.png"]["p(down)"] == told["plain.png"]["p(down)"]
    assert told["scan.png"]["p(down)"] != told["plain.png"]["p(down)"]
