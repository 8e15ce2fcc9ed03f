"""Every form of an exported model gives its probabilities, in its own runtime, and so does the program for it."""

import contextlib
import io
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from kit.networks import linear_shape
from kit.shapes import write_shapes

from search import UserError
from search.export.forms.litert import LITERT
from search.export.forms.litert8 import LITERT8
from search.export.forms.onnx import ONNX
from search.export.forms.savedmodel import SAVEDMODEL
from search.export.forms.table import FORMS, check_packages, forms_named
from search.export.plain import averaged, plain_model
from search.system.digests import file_sha256
from search.system.machine import cores
from search.system.tf import keras
from search.training.heads.linear import LinearHead
from search.training.trainer import set_up

set_up(cores())
PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
LOSS_OF_8_BITS = 0.1  # in probability, at most, of the toys here
# Runs a file where this package cannot be imported.
ALONE = "import runpy, sys; sys.modules['search'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0])"
OWN = """
import keras
from search import Study

study = Study(data="shapes", folds=2, train_fractions=(1.0,), max_trials=1, image_size=32, baselines=False)

def space(hp):
    pixels = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 255)(pixels))
    x = keras.ops.erfinv(0.9 * keras.ops.tanh(keras.layers.GlobalAveragePooling2D()(x)))
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(1e-2), loss="sparse_categorical_crossentropy")
    return model
"""


def toy(*sizes):
    """A network of an image at some sizes, whose probabilities depend on it."""
    keras.utils.set_random_seed(3)
    names = [f"pixels_{size}" if len(sizes) > 1 else "pixels" for size in sizes]
    pixels = [keras.Input((size, size, 3), name=name) for size, name in zip(sizes, names, strict=True)]
    pooled = []
    for each in pixels:
        x = keras.layers.Rescaling(1 / 127.5, -1.0)(each)
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", kernel_initializer="he_normal")(x)
        x = keras.layers.DepthwiseConv2D(3, activation="relu6")(x)
        pooled.append(keras.layers.GlobalAveragePooling2D()(x))
    x = keras.layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0]
    x = keras.layers.Dense(3, "softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=4))(x)
    return keras.Model(pixels if len(pixels) > 1 else pixels[0], x)


def backbone():
    """A real one, with the weights that come with this package."""
    rng = np.random.default_rng(4)
    shape, features = linear_shape("Embedded", 0, 32), 512
    head = LinearHead(rng.normal(0, 0.02, (features, 3)).astype(np.float32), np.zeros(3, np.float32))
    return plain_model(shape, {}, head, pretrained=True)


NETWORKS = {
    "one size": lambda: toy(32),
    "two sizes": lambda: toy(24, 40),
    "two views": lambda: averaged(toy(24), (0, 1)),
    "two views of two sizes": lambda: averaged(toy(24, 32), (0, 1)),
}


def images(model, count=12):
    """Random pictures of several kinds at each size of a model."""
    rng = np.random.default_rng(5)
    colours = rng.uniform(0, 255, (count, 1, 1, 3))
    return [(colours * rng.uniform(0, 1, (count, *each.shape[1:]))).astype(np.uint8) for each in model.inputs]


def probabilities(model, pixels):
    return np.asarray(model.predict_on_batch(pixels if len(pixels) > 1 else pixels[0]))


def written(form, model, pixels, path):
    """Write a model in a form, calibrated by these images, and return what the file sees in them."""
    calibration = lambda: ([each[at : at + 1].astype(np.float32) for each in pixels] for at in range(len(pixels[0])))  # noqa: E731
    form.write(model, path, calibration)
    return form.run(path, pixels)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_form_and_its_program_give_the_probabilities_of_the_model(form, network, tmp_path, monkeypatch):
    model = NETWORKS[network]()
    pixels = images(model)
    expected = probabilities(model, pixels)
    assert np.ptp(expected, axis=0).max() > LOSS_OF_8_BITS, "else a constant would do"
    told = written(form, model, pixels, tmp_path / form.file)
    assert told.shape == expected.shape
    allowed = form.tolerance or LOSS_OF_8_BITS
    assert np.abs(told - expected).max() <= allowed
    monkeypatch.chdir(tmp_path)
    first = {each.name: pixel[:1].astype(np.float32) for each, pixel in zip(model.inputs, pixels, strict=True)}
    names = {"images": first}
    lines = form.program.call({name: f'images["{name}"]' for name in first})
    exec(f"{form.program.imports}\n{form.program.opening}\n{lines}", names)
    assert names["probabilities"] == pytest.approx(expected[0], abs=allowed)


def test_a_real_backbone_and_what_8_bits_save(tmp_path):
    model = backbone()
    pixels = images(model)
    expected = probabilities(model, pixels)
    for form in (LITERT, LITERT8, ONNX):
        told = written(form, model, pixels, tmp_path / form.file)
        assert np.abs(told - expected).max() <= (form.tolerance or LOSS_OF_8_BITS), form.name
    sizes = [(tmp_path / form.file).stat().st_size for form in (LITERT, LITERT8)]
    assert 3 * sizes[1] < sizes[0]


def test_the_extras_have_what_the_forms_need():
    extras = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {form.extra for form in FORMS.values()} == {"litert", "onnx", ""}
    for form in FORMS.values():
        assert list(form.needs) == (extras[form.extra] if form.extra else []), form.name
    assert {need for form in FORMS.values() for need in form.needs} - {"keras>=3.13"} <= set(extras["test"])


def test_forms_are_named_with_commas_and_each_counts_once():
    assert forms_named("onnx, litert,onnx") == (ONNX, LITERT)
    with pytest.raises(UserError, match=r"'coreml': there is no such form. Name some of litert, litert8, onnx"):
        forms_named("onnx,coreml")


@pytest.mark.parametrize(
    ("need", "says"),
    [("no-such-package>=2", "which is not installed"), ("numpy>=999", r"and \d+.* is installed")],
)
def test_a_package_that_is_missing_or_old_is_named_with_the_extra(need, says):
    with pytest.raises(UserError, match=rf"--also toy needs {need}, {says}.*'finetune-search\[toys\]'"):
        check_packages("--also toy", ["pillow>=1", need], "toys")


@pytest.fixture(scope="module")
def exported(finished):
    """The recommended trial of the finished search in every form: the folder, and what the command printed."""
    from search.cli.main import main

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.chdir(finished)
        words = ["export", "space-shapes", "--to", "forms", "--cache", "cache", "--also", ",".join(FORMS)]
        patch.setattr(sys, "argv", ["search", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return finished / "forms", " ".join(out.getvalue().split())


def test_an_export_holds_the_forms_that_were_asked_for(exported):
    folder, out = exported
    about = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    assert set(about["also"]) == set(FORMS)
    for form in FORMS.values():
        entry = about["also"][form.name]
        assert entry["images"] == about["compared"]["images"]
        assert entry["largest_difference"] <= (form.tolerance or 1)
        assert ("unseen" in entry) == (form is LITERT8)
        assert f"{form.file} ({form.title}): " in out
    for name, sha256 in about["files"].items():
        assert file_sha256(folder / name) == sha256
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert present == {*about["files"], "README.md", "labels.txt", "recipe.json"}
    assert f"{SAVEDMODEL.file}/saved_model.pb" in about["files"]
    unseen = about["also"]["litert8"]["unseen"]
    assert unseen["images"] + unseen["trained_on"] == 22  # without the hold-out
    assert max(unseen["right"], unseen["right_in_float32"], unseen["same_answers"]) <= unseen["images"]
    assert f"Of {unseen['images']} others, that network has {unseen['right']} right" in out


def test_the_programs_of_the_card_run_without_this_package_and_agree(exported, finished):
    folder, _ = exported
    card = (folder / "README.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(programs) == 4  # LiteRT in 8 bits has that of LiteRT
    assert f"for {LITERT8.file}, put this name in place of {LITERT.file}" in card
    programs.append(programs[1].replace(LITERT.file, LITERT8.file))
    images = [finished / "shapes" / name for name in ("down/down_003.png", "across/across_002.png")]
    answers = []
    for program in programs:
        (folder.parent / "program.py").write_text(program)
        command = [sys.executable, "-c", ALONE, folder.parent / "program.py", *images]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        answers.append([line.split("\t") for line in told.stdout.splitlines()])
    for number, answer in enumerate(answers):
        allowed = LOSS_OF_8_BITS if number == len(answers) - 1 else 2e-4
        for (path, label, probability), (image, other, same) in zip(answer, answers[0], strict=True):
            assert (path, label) == (image, other)
            assert float(probability) == pytest.approx(float(same), abs=allowed)


def test_the_card_is_one_of_the_hugging_face_hub(exported):
    folder, _ = exported
    about = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    data = ModelCard((folder / "README.md").read_text(encoding="utf-8")).data
    assert (data.library_name, data.pipeline_tag, data.license) == ("keras", "image-classification", None)
    assert data.tags == ["image-classification", "keras", "tflite", "onnx", "tensorflow"]
    results = {result.metric_type: result for result in data.eval_results}
    promise = about["promise"]
    assert results.keys() == {promise["objective"], "accuracy"}
    assert results[promise["objective"]].metric_value == round(promise["expected"]["mean"], 4)
    assert results["accuracy"].metric_value == round(promise["accuracy"]["mean"], 4)
    assert {result.dataset_name for result in data.eval_results} == {"shapes"}


def test_a_form_that_cannot_hold_a_network_is_left_out_and_the_rest_is_there(search, tmp_path):
    write_shapes(tmp_path / "shapes", {"across": 8, "down": 8})
    (tmp_path / "own.py").write_text(OWN)
    code, _, err = search("run", "own.py", "--name", "own", "--executor", "inline")
    assert not code, err
    code, _, err = search("export", "own", "--to", "model", "--also", "litert,onnx,savedmodel")
    assert code == 1
    assert "LiteRT cannot hold this model (" in err
    assert "model has all the rest" in err
    about = json.loads(Path("model/recipe.json").read_text(encoding="utf-8"))
    assert not (tmp_path / "model" / LITERT.file).exists()
    assert "savedmodel" in about["also"]
    assert "litert" not in about["also"]
    assert search("predict", "model", "shapes")[0] == 0
