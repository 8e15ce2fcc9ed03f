"""Predictions from an exported folder: the same as in training, whatever the files are called and hold."""

import csv
import io
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from search.data.decoding import read_image
from search.export.certain import doubt_of
from search.export.predict import Predictions, as_csv, as_json
from search.system.errors import UserError
from search.system.texts import visible
from search.system.tf import keras

ODD = ("[bold]x.png", "a,b\n'\"c.png", "=1+1.png", "-x.png", "größer 日本.png", "\x1b[31mred.png", b"\xff\xfe.png")


@pytest.fixture
def model(finished):
    return finished / "model"


@pytest.fixture
def images(finished, tmp_path):
    """Some images, one of them in a folder below, one cut off, one that is none, and what is no image."""
    root = tmp_path / "images"
    (root / "deep" / "deeper").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for number in (1, 2):
        shutil.copy(finished / "shapes" / "across" / f"across_00{number}.png", root)
    shutil.copy(finished / "shapes" / "down" / "down_003.png", root / "deep" / "deeper" / "no-suffix")
    shutil.copy(root / "across_001.png", root / ".hidden")
    (root / "cut.png").write_bytes((root / "across_001.png").read_bytes()[:400])
    (root / "no-image.jpg").write_text("words")
    (root / "note.txt").write_text("words")
    return root


def test_predictions_are_those_of_the_model_on_images_decoded_as_in_training(model, images, search):
    code, out, err = search("predict", model, images, "--json")
    assert not code, err
    told = json.loads(out)
    paths = [images / "across_001.png", images / "across_002.png", images / "deep" / "deeper" / "no-suffix"]
    assert [one["image"] for one in told["predictions"]] == [str(path) for path in paths]
    pixels = np.stack([read_image(path, 32) for path in paths])
    expected = keras.models.load_model(model / "model.keras").predict(pixels, verbose=0)
    for one, probabilities in zip(told["predictions"], expected, strict=True):
        assert one["label"] == ["across", "down"][probabilities.argmax()]
        assert one["probability"] == pytest.approx(probabilities.max(), abs=1e-5)
        assert sum(one["top"].values()) == pytest.approx(1, abs=1e-5)
    reasons = {one["image"]: one["reason"] for one in told["unreadable"]}
    assert reasons == {
        str(images / "cut.png"): "cut off: its end is missing",
        str(images / "no-image.jpg"): "not an image that Pillow can identify",
        str(images / "note.txt"): "not an image that Pillow can identify",
    }


def test_the_table_shows_label_probability_and_runner_up_and_counts_what_was_not_read(model, images, search):
    code, out, _ = search("predict", model, images)
    assert not code
    lines = out.splitlines()
    assert lines[0].split() == ["image", "label", "probability", "runner-up"]
    image, label, probability, other, rest = next(line for line in lines if "across_002" in line).split()
    assert image.endswith("across_002.png")
    assert {label, other} == {"across", "down"}
    assert float(probability) + float(rest) == pytest.approx(1, abs=2e-3)
    assert "3 files could not be read:" in lines
    assert f"  {images / 'cut.png'}: cut off: its end is missing" in lines


def test_csv_has_the_probabilities_of_all_classes(model, images, search):
    code, out, _ = search("predict", model, images, "--csv")
    assert not code
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["image", "label", "p(across)", "p(down)", "unreadable"]
    assert len(rows) == 6
    for row in rows[:3]:
        assert float(row["p(across)"]) + float(row["p(down)"]) == pytest.approx(1, abs=1e-5)
        assert row["label"] == max(("across", "down"), key=lambda name: float(row[f"p({name})"]))
    assert [bool(row["unreadable"]) for row in rows] == [False, False, False, True, True, True]


def test_every_file_has_a_row_with_the_reason_why_it_has_no_answer(model, images, tmp_path, search):
    (images / "pointer.jpg").write_text("version https://git-lfs.github.com/spec/v1\n")
    (images / "scan.dcm").write_bytes(bytes(128) + b"DICM" + bytes(2000))
    (images / "gone.jpg").symlink_to("/nowhere/gone.jpg")
    (tmp_path / "far").mkdir()
    (images / "linked").symlink_to(tmp_path / "far")
    os.mkfifo(images / "pipe.jpg")
    Image.fromarray(np.full((32, 32), 900, np.uint16)).save(images / "deep.png")
    code, out, err = search("predict", model, images, "--csv")
    assert not code, err
    told = {row["image"]: row["unreadable"] for row in csv.DictReader(io.StringIO(out))}
    files = {*images.rglob("[!.]*")} - {images / "deep", images / "deep" / "deeper"} - {*images.glob(".hidden/*")}
    assert set(told) == {str(path) for path in files}
    reasons = {
        "pointer.jpg": "a Git LFS pointer: the image was not downloaded; run git lfs pull",
        "scan.dcm": "a DICOM file: save its picture as PNG",
        "gone.jpg": "a link to a file that is not there",
        "linked": "a linked folder, which is not followed",
        "pipe.jpg": "no ordinary file",
        "deep.png": "a 16-bit grey image, of which there was none in the data set",
    }
    for name, reason in reasons.items():
        assert told[str(images / name)].startswith(reason), name


def test_top_says_how_many_classes_are_shown():
    told = Predictions(("a", "b", "c"), ("x.png",), np.array([[0.2, 0.5, 0.3]]), ())
    assert told.best(0, 2) == [("b", 0.5), ("c", pytest.approx(0.3))]
    assert list(json.loads(as_json(told, 1))["predictions"][0]["top"]) == ["b"]
    assert len(json.loads(as_json(told, 9))["predictions"][0]["top"]) == 3
    assert as_csv(told).splitlines()[1] == "x.png,b,0.200000,0.500000,0.300000,"


def test_csv_shows_what_a_terminal_would_obey():
    told = Predictions(("a", "b"), ("n\u202egnp.png",), np.array([[0.25, 0.75]]), (("x\n\x1b[2J.png", "torn\n\x9b"),))
    first, second = as_csv(told).splitlines()[1:]
    assert first == r"n\u202egnp.png,b,0.250000,0.750000,"
    assert second == r"x\n\x1b[2J.png,,,,torn\n\x9b"


def test_names_can_hold_anything(model, finished, tmp_path, search):
    root = tmp_path / "odd"
    root.mkdir()
    source = (finished / "shapes" / "down" / "down_003.png").read_bytes()
    for name in ODD:
        path = root / (name.decode(errors="surrogateescape") if isinstance(name, bytes) else name)
        path.write_bytes(source)
    names = {str(path) for path in root.iterdir()}
    code, out, err = search("predict", model, root)
    assert not code, err
    assert "\x1b" not in out
    assert "[bold]x.png" in out
    code, out, _ = search("predict", model, root, "--json")
    assert not code
    told = json.loads(out)
    assert {one["image"] for one in told["predictions"]} == names
    assert len({one["probability"] for one in told["predictions"]}) == 1
    code, _, err = search("predict", model, root, "--csv")
    assert not code, err


def test_what_a_terminal_would_obey_is_shown_as_an_escape():
    assert visible("a\x1b[31m\nb\udcffé日") == r"a\x1b[31m\nb\udcffé日"


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_it_ends_with_1_only_where_nothing_could_be_read(model, images, search, form):
    code, out, _ = search("predict", model, images / "cut.png", images / "gone.png", *form)
    assert code == 1
    assert "cut off: its end is missing" in out
    assert "there is no such file" in out
    assert not search("predict", model, images / "cut.png", images / "across_001.png", *form)[0]


def test_a_folder_without_images_is_an_error(model, tmp_path, search):
    (tmp_path / "none").mkdir()
    code, out, err = search("predict", model, tmp_path / "none", "--json")
    assert (code, out) == (1, "")
    assert "There are no images in" in err


def drop(name):
    return lambda folder: (folder / name).unlink()


def cut(folder):
    (folder / "model.keras").write_bytes((folder / "model.keras").read_bytes()[:1000])


def retell(**fields):
    def change(folder):
        path = folder / "recipe.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, "There is no folder"),
        (drop("model.keras"), "holds no model.keras, so it is no exported model"),
        (drop("recipe.json"), "holds no recipe.json, so it is no exported model"),
        (cut, "is damaged: it is not the file that was exported"),
        (lambda folder: (folder / "recipe.json").write_text("{"), "recipe.json cannot be read"),
        (lambda folder: (folder / "recipe.json").write_text("[]"), "is not as an export writes it ($: [] is"),
        (retell(format=2), "has format 2, this version reads 1. Use a newer version"),
        (retell(classes=3), "is not as an export writes it ($.classes: 3 is not of type 'object')"),
        (retell(classes=["cross", "down"]), "is not as an export writes it ($.classes: "),
        (
            retell(classes={"cross": "8"}),
            "writes it ($.classes.cross: '8' is not of type 'integer')",
        ),
        (retell(image_size=True), "is not as an export writes it ($.image_size: "),
        (retell(image_sizes=[]), "is not as an export writes it ($.image_sizes: "),
        (retell(ranges={"RGB": "white"}), "is not as an export writes it ($.ranges.RGB: "),
        (retell(members=2), "is not as an export writes it ($.members: "),
        (retell(files={"model.keras": None}), "is not as an export writes it ($.files['model.keras']: "),
        (retell(promise="0.9"), "is not as an export writes it ($.promise: "),
        (retell(unsure={"answers": 9, "steps": []}), "is not as an export writes it ($.unsure.steps: "),
        (retell(unsure={"answers": 0, "steps": [[0.5, 3, 0]]}), "is not as an export writes it ($.unsure.answers: "),
        (
            retell(unsure={"answers": 9, "steps": [["0.5", 3, 0]]}),
            "writes it ($.unsure.steps[0][0]: ",
        ),
        (retell(unsure={"answers": 9, "steps": [[float("nan"), 3, 0]]}), "NaN is no number"),
        (retell(classes={"a": 1, "b": 1, "c": 1}), "is not the model that recipe.json describes"),
        (retell(image_size=64), "is not the model that recipe.json describes"),
    ],
)
def test_what_is_no_whole_export_is_refused(model, images, tmp_path, search, damage, says):
    shutil.copytree(model, tmp_path / "broken")
    damage(tmp_path / "broken")
    code, out, err = search("predict", "broken", images)
    assert (code, out) == (1, "")
    assert says in err
    assert "Traceback" not in err


def test_a_share_that_is_no_number_is_refused(model):
    with pytest.raises(UserError, match="is no share of wrong answers"):
        doubt_of({"unsure": {"answers": 9, "steps": [[0.5, 9, 0]]}}, float("nan"), model)


def test_a_file_that_keras_cannot_load_is_an_error(model, images, tmp_path, search):
    from search.system.digests import file_sha256

    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken" / "model.keras").write_bytes(b"words")
    retell(files={"model.keras": file_sha256(tmp_path / "broken" / "model.keras")})(tmp_path / "broken")
    code, _, err = search("predict", "broken", images)
    assert code == 1
    assert "cannot be loaded with Keras" in err
