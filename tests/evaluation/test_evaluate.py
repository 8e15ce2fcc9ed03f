"""``evaluate``: an exported model on labelled images, some of which may have trained it."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
from kit.shapes import write_shapes
from PIL import Image

from search.analysis.stats.scores import proportion
from search.system.digests import file_sha256

NEW = 14  # images of each class that the model has not seen


@pytest.fixture
def model(finished):
    return finished / "model"


@pytest.fixture
def new(tmp_path):
    """New images of both classes; a few of them bear the wrong label, so that the model is wrong on some."""
    root = write_shapes(tmp_path / "new", {"across": NEW, "down": NEW}, seed=5)
    for number in range(3):
        shutil.move(root / "down" / f"down_00{number}.png", root / "across" / f"odd_{number}.png")
    return root


@pytest.fixture
def evaluated(search, model):
    """Evaluate the model, and return what it says as JSON."""

    def call(data, *options, of=model):
        code, out, err = search("evaluate", of, data, *options, "--json")
        assert not code, err
        return json.loads(out)

    return call


def altered(model, to, **fields):
    """Return a copy of an export with other fields in recipe.json, or without those that are None."""
    shutil.copytree(model, to)
    about = {**json.loads((to / "recipe.json").read_text()), **fields}
    (to / "recipe.json").write_text(json.dumps({name: value for name, value in about.items() if value is not None}))
    return to


def mixed(finished, new):
    """Put images that trained the model among new ones: a copy, a JPEG of one, one mirrored, and a copy of that."""
    trained = finished / "shapes"
    shutil.copy(trained / "across" / "across_003.png", new / "across" / "copy.png")
    with Image.open(trained / "down" / "down_004.png") as image:
        image.save(new / "down" / "again.jpg", quality=90)
    with Image.open(trained / "across" / "across_005.png") as image:
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(new / "across" / "mirrored.png")
    mirrored.save(new / "across" / "mirrored.bmp")
    return ["across/copy.png", "across/mirrored.bmp", "across/mirrored.png", "down/again.jpg"]


def test_scores_are_those_of_the_predictions_and_stand_beside_the_promise(evaluated, search, model, new):
    told = evaluated(new)
    code, out, err = search("predict", model, new, "--json")
    assert not code, err
    seen = {one["image"].removeprefix(f"{new}/"): one for one in json.loads(out)["predictions"]}
    assert len(told["images"]) == len(seen) == 2 * NEW
    for one in told["images"]:
        assert one["label"] == one["image"].split("/")[0]
        assert one["predicted"] == seen[one["image"]]["label"]
        assert one["probability"] == pytest.approx(seen[one["image"]]["probability"], abs=1e-5)
        assert one["right"] == (one["label"] == one["predicted"])
    right = sum(one["right"] for one in told["images"])
    assert 0 < right < 2 * NEW
    accuracy = told["scores"]["accuracy"]
    assert (accuracy["mean"], accuracy["low"]) == (right / (2 * NEW), proportion(right, 2 * NEW).low)
    assert told["trained"] == {"known": True, "images": 0, "ways": {}}
    first = told["agreement"][0]
    promise = json.loads((model / "recipe.json").read_text())["promise"]
    assert (first["metric"], first["promised"]["mean"]) == (promise["objective"], promise["expected"]["mean"])
    assert first["found"] == {name: told["scores"][first["metric"]][name] for name in ("mean", "low", "high")}


def test_images_that_trained_the_model_are_told_and_left_out(evaluated, search, model, finished, new):
    before = evaluated(new)
    known = mixed(finished, new)
    told = evaluated(new)
    assert [one["image"] for one in told["images"] if one["trained"]] == known
    ways = {one["image"]: one["how"] for one in told["images"] if one["trained"]}
    assert ways["across/copy.png"] == "the same file"
    assert ways["down/again.jpg"] == "the same picture"
    assert ways["across/mirrored.bmp"].startswith("mirrored")
    assert ways["across/mirrored.png"] == "a copy of another image here that did"
    assert told["trained"]["images"] == sum(told["trained"]["ways"].values()) == 4
    assert told["scores"] == before["scores"]
    assert told["scored"]["images"] == 2 * NEW
    assert told["all_images"]["scored"]["images"] == 2 * NEW + 4
    code, out, _ = search("evaluate", model, new)
    assert not code
    assert f"Warning: 4 of {2 * NEW + 4} images, or near-duplicates of them, trained the model" in out
    assert re.search(
        rf"^Of {2 * NEW} new images, \d+ are right: [\d.]+ % \(95 % interval [\d.]+ to [\d.]+\)\.$", out, re.MULTILINE
    )


def test_a_page_replaces_no_file_but_a_page(search, model, new, tmp_path):
    picture, page = new / "down" / "down_007.png", tmp_path / "page.html"
    before = picture.read_bytes()
    code, out, err = search("evaluate", model, new, "--html", picture)
    assert (code, out) == (1, "")
    assert "is no HTML page, so it is not replaced" in err
    assert picture.read_bytes() == before
    page.write_text("<!DOCTYPE HTML>\n<title>of before</title>")
    assert not search("evaluate", model, new, "--html", page)[0]
    assert "of before" not in page.read_text()


def test_copies_of_one_image_have_no_limits(search, model, new):
    for path in new.rglob("*.png"):
        if path.name != "across_000.png":
            path.unlink()
    for name in ("across/b.png", "down/c.png"):
        shutil.copy(new / "across" / "across_000.png", new / name)
    code, out, err = search("evaluate", model, new)
    assert not code, err
    assert "Its weakest class is" in out
    assert "nan" not in out


def test_guessing_one_class_has_no_loss_below_zero(evaluated, new):
    shutil.rmtree(new / "down")
    assert str(evaluated(new)["scores"]["log_loss"]["guessing"]) == "0.0"


def test_where_all_trained_the_model_nothing_is_said_of_new_images(evaluated, finished):
    told = evaluated(finished / "shapes")
    assert told["flattered"]
    assert not told["agreement"]
    assert "All 28 images trained the model (the same file: 28). So nothing here says" in told["answer"][0]


def test_an_export_without_its_training_images_says_so(evaluated, finished, model, new, tmp_path):
    mixed(finished, new)
    older = altered(model, tmp_path / "older", promise=None)
    (older / "trained_on.npz").unlink()
    told = evaluated(new, of=older)
    assert told["trained"] == {"known": False, "images": 0, "ways": {}}
    assert told["scored"]["images"] == 2 * NEW + 4
    assert told["images"][0]["trained"] is None
    assert any("does not say which images trained the model" in line for line in told["answer"])
    assert any("does not say what its search promised: an older version" in line for line in told["answer"])


def test_a_promise_is_not_judged_by_a_few_images_of_a_class(evaluated, new):
    for image in sorted((new / "down").iterdir())[9:]:
        image.unlink()
    told = evaluated(new)
    assert any(
        line.startswith("There are fewer than 10 images of down: too few to set this") for line in told["answer"]
    )
    assert not told["agreement"]


def test_a_model_of_other_images_than_those_of_its_search_is_told(evaluated, model, new, tmp_path):
    told = evaluated(new, of=altered(model, tmp_path / "other", other_images={"added": 3}))
    assert any("The model was trained on other images than those of the search" in line for line in told["answer"])


def test_a_damaged_record_of_training_images_is_an_error(search, model, new, tmp_path):
    broken = altered(model, tmp_path / "broken")
    (broken / "trained_on.npz").write_bytes(b"words")
    code, out, err = search("evaluate", broken, new)
    assert (code, out) == (1, "")
    assert "trained_on.npz is damaged" in err
    np.savez(broken / "trained_on.npz", contents=np.zeros((3, 32), np.uint8), pictures=np.zeros((2, 8, 8), np.uint8))
    about = json.loads((broken / "recipe.json").read_text())
    about["files"]["trained_on.npz"] = file_sha256(broken / "trained_on.npz")
    (broken / "recipe.json").write_text(json.dumps(about))
    code, out, err = search("evaluate", broken, new)
    assert (code, out) == (1, "")
    assert "trained_on.npz cannot be read" in err


def test_groups_of_a_manifest_widen_the_interval(evaluated, new, tmp_path):
    ids = sorted(path.relative_to(new).as_posix() for path in new.rglob("*.png"))
    with (tmp_path / "new.csv").open("w") as file:
        for line in ["image,label,person", *(f"{id_},{id_.split('/')[0]},{id_[:8]}" for id_ in ids)]:
            print(line, file=file)
    alone, told = evaluated(tmp_path / "new.csv"), evaluated(tmp_path / "new.csv", "--groups", "person")
    assert told["scored"] == alone["scored"] | {"groups": len({id_[:8] for id_ in ids})}
    widths = [each["scores"]["accuracy"]["high"] - each["scores"]["accuracy"]["low"] for each in (alone, told)]
    assert widths[1] > widths[0]


def test_a_class_that_the_model_does_not_know_is_named_with_a_way_out(evaluated, search, model, new):
    write_shapes(new, {"slanted": 5}, seed=9)
    (new / "across").rename(new / "Across")
    code, out, err = search("evaluate", model, new)
    assert (code, out) == (1, "")
    assert f"'Across' ({NEW + 3}), 'slanted' (5), which the model does not know. It knows across, down." in err
    assert "Name 'Across' as 'across'; or leave its images out with --skip-unknown" in err
    (new / "Across").rename(new / "across")
    told = evaluated(new, "--skip-unknown")
    assert told["scored"]["images"] == 2 * NEW
    assert told["data"]["unknown_classes"] == {"slanted": 5}
    assert any("5 images of classes that the model does not know (slanted)" in line for line in told["answer"])


def test_nothing_left_is_an_error(search, model, tmp_path):
    write_shapes(tmp_path / "other", {"a": 3, "b": 3})
    code, _, err = search("evaluate", model, tmp_path / "other", "--skip-unknown")
    assert code == 1
    assert "Nothing would be left" in err
    (tmp_path / "empty").mkdir()
    code, _, err = search("evaluate", model, tmp_path / "empty")
    assert code == 1
    assert "is empty. It must hold one folder of images for each class" in err
    (tmp_path / "torn" / "across").mkdir(parents=True)
    (tmp_path / "torn" / "across" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, _, err = search("evaluate", model, tmp_path / "torn")
    assert code == 1
    assert "No image of" in err


def test_unreadable_images_are_counted_and_not_scored(evaluated, search, model, new):
    whole = (new / "down" / "down_005.png").read_bytes()
    (new / "down" / "torn.png").write_bytes(whole[:400])
    told = evaluated(new)
    assert told["unreadable"] == [{"image": "down/torn.png", "reason": "cut off: its end is missing"}]
    assert told["scored"]["images"] == 2 * NEW
    assert any("1 image could not be read, and is not counted" in line for line in told["answer"])
    code, out, err = search("evaluate", model, new, "--csv")
    assert not code, err
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0])[:8] == ["image", "label", "predicted", "right", "probability", "trained", "how", "group"]
    assert len(rows) == 2 * NEW + 1
    assert rows[-1]["unreadable"] == "cut off: its end is missing"
    for row in rows[:-1]:
        assert float(row["p(across)"]) + float(row["p(down)"]) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == max(float(row["p(across)"]), float(row["p(down)"]))
        assert row["right"] == str(row["label"] == row["predicted"])


def test_one_class_alone_can_be_evaluated_and_the_others_are_said_to_be_absent(evaluated, new):
    shutil.rmtree(new / "down")
    told = evaluated(new)
    assert told["scored"]["images"] == NEW + 3
    assert not told["agreement"]
    assert any("Only 1 of its 2 classes have images here" in line for line in told["answer"])
    assert any("There are no images of down, of which this says nothing" in line for line in told["answer"])


def test_arrays_and_given_splits_are_read(evaluated, search, model, new, tmp_path):
    images, labels = [], []
    for path in sorted(new.rglob("*.png")):
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB")))
        labels.append(path.parent.name)
    np.savez(tmp_path / "new.npz", x_train=images[:6], y_train=labels[:6], x_test=images[6:], y_test=labels[6:])
    told = evaluated(tmp_path / "new.npz")
    expected = evaluated(new)["scores"]
    assert told["scores"]["balanced_accuracy"] == expected["balanced_accuracy"]
    assert told["scores"]["log_loss"]["mean"] == pytest.approx(expected["log_loss"]["mean"])
    assert evaluated(tmp_path / "new.npz", "--split", "test")["scored"]["images"] == 2 * NEW - 6
    code, _, err = search("evaluate", model, tmp_path / "new.npz", "--split", "nothing")
    assert code == 1
    assert "has the splits test, train" in err


def test_the_page_shows_each_wrong_image(evaluated, search, model, finished, new):
    known = mixed(finished, new)
    (new / "across" / "odd_0.png").rename(new / "across" / "<b>odd.png")
    told = evaluated(new)
    wrong = [one["image"] for one in told["images"] if not one["right"] and not one["trained"]]
    code, out, err = search("evaluate", model, new, "--html", "page.html")
    assert not code, err
    page = (new.parent / "page.html").read_text()
    assert "Evaluation of a model" in page
    assert re.search("<h1>space-shapes, trial [0-9]{4}, on new</h1>", page)
    assert "Page: page.html" in out
    assert page.count('<img src="data:image/jpeg') == len(wrong) + len(known)
    assert "<b>odd" not in page
    assert "&lt;b&gt;odd.png" in page
    for image in {*wrong, *known} - {"across/<b>odd.png"}:
        assert f'<p class="soft file">{image}</p>' in page
    assert {"figure-confusion", "figure-recall", "figure-calibration"} <= set(re.findall(r'id="(figure-\w+)"', page))
    assert told["answer"][-1].rstrip(".") in page


def test_a_page_that_cannot_be_written_is_told_before_the_work(search, model, new):
    code, out, err = search("evaluate", model, new, "--html", "nowhere/page.html")
    assert (code, out) == (1, "")
    assert "cannot be written" in err
