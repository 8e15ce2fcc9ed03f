"""Several backbones and image sizes in one recipe: a head on their features, side by side."""

import json
import sys

import keras
import pytest
from kit.shapes import write_shapes

from search import KFoldTuner, Recipe, UserError
from search.data.images import decode
from search.export.export import export
from search.export.predict import predict
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.repertoire.shape import shape_of
from search.report.write import write_report
from search.system.digests import file_sha256
from search.system.machine import cores
from search.training.trainer import set_up

set_up(cores())
SPACE = """
from search import Augment, Backbone, Recipe, Study, at_hand

study = Study("shapes", folds=3, train_fractions=(1.0,), max_trials=4, oracle="grid", image_size=32, baselines=False)
MINE = Backbone("mine", make="my_nets:network")

def space(hp):
    backbone = hp.Choice("backbone", at_hand([("Embedded", MINE), "Embedded"]))
    size = hp.Choice("size", [(32, 48), 48])
    return Recipe(backbone, 0, image_size=size, augment=Augment("flip_crop"), views=2, learning_rate=1e-2, epochs=3)
"""
NETS = """
import keras

def network():
    keras.utils.set_random_seed(4)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for filters in (8, 16):
        x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    return keras.Model(inputs, x)
"""
PAIR = ("Embedded", "MobileNet_0.25")


def test_recipes_with_several_say_so_and_come_back_from_json():
    one, other = Recipe(PAIR, image_size=(224, 160)), Recipe(PAIR[:1], image_size=(160, 224))
    assert one.image_size == (160, 224)
    assert one.architecture.name == "Embedded + MobileNet_0.25 at 160 and 224 px"
    assert other.summary().startswith("Embedded at 160 and 224 px, head only")
    assert json.loads(json.dumps(one.to_dict()))["backbone"] == ["Embedded", "MobileNet_0.25"]
    for recipe in (one, other):
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert [(each.backbone, each.image_size) for each in shape_of(one).branches] == [
        ("Embedded", 160),
        ("Embedded", 224),
        ("MobileNet_0.25", 160),
        ("MobileNet_0.25", 224),
    ]
    assert Recipe(PAIR[:1], image_size=(160,)).digest == Recipe("Embedded", image_size=160).digest


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"unfrozen_blocks": 1},
            r"=1 with several backbones or image sizes \(Embedded \+ MobileNet_0.25\)",
        ),
        ({"unfrozen_blocks": None}, "only a head trains on their features"),
        ({"backbone": ("Embedded", "Embedded")}, "each once"),
        ({"backbone": ("Embedded", "SmallCNN")}, "SmallCNN starts from random weights"),
        ({"backbone": ("VGG16", "Embeded")}, "Did you mean 'Embedded'"),
        ({"backbone": ()}, "must have several backbones"),
        ({"backbone": ["Embedded", "VGG16"]}, r"write backbone=hp.Choice\('backbone', \['Embedded', 'VGG16'\]\)"),
        ({"image_size": (160, 160)}, "must have several sizes, each once"),
        ({"image_size": (160, 20)}, "image_size=20 must be a whole number"),
    ],
)
def test_what_cannot_stand_together_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        Recipe(**{"backbone": PAIR, **fields})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with images, a space and a network, where we are."""
    write_shapes(tmp_path / "shapes", {"across": 9, "down": 9}, side=64)
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "my_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_search_among_several_together_and_single_ones_is_reported_exported_and_predicts(place, monkeypatch, capsys):
    options = {"executor": "inline", "offline": True, "cache": "cache", "racing": False}
    tuner = KFoldTuner("space.py", screen=Lines(wide_console()), **options)
    tuner.search()
    record = tuner.record
    trials = {trial.recipe.architecture.name: trial for trial in record.history.trials.values()}
    joint = "Embedded + mine at 32 and 48 px"
    assert set(trials) == {joint, "Embedded + mine", "Embedded at 32 and 48 px", "Embedded"}
    # Two backbones at two sizes: two augmented views and the plain one of each, which all recipes share.
    assert len(list((place / "cache" / "activations").iterdir())) == 2 * 2 * 3

    rows = json.loads(write_report(record).paths["report.json"].read_text(encoding="utf-8"))["tables"]["trials"]
    assert {(row["trial"], row["image_size"]) for row in rows} == {(trial.id, 48) for trial in trials.values()}
    assert joint in (record.folder / "report" / "report.md").read_text(encoding="utf-8").replace("\\", "")

    model = export(tuner, trials[joint].id, place / "model")
    about = json.loads((model / "recipe.json").read_text(encoding="utf-8"))
    assert (about["image_size"], about["image_sizes"], set(about["weights"])) == (48, [32, 48], {"Embedded", "mine"})
    assert about["compared"]["largest_difference"] < 1e-5
    seen = predict(model, [place / "shapes"], lambda done, of: None)
    paths = sorted((place / "shapes").rglob("*.png"))
    contents = [file_sha256(path) for path in paths]
    pixels = [decode(paths, contents, side, place / "other").pixels for side in (32, 48)]
    plain = keras.models.load_model(model / "model.keras")
    assert seen.probabilities == pytest.approx(plain.predict(pixels, verbose=0), abs=1e-6)
    card = (model / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(model)
    monkeypatch.setattr(sys, "argv", ["card", *map(str, paths[:2])])
    capsys.readouterr()
    exec(card.partition("```python\n")[2].partition("```")[0], {})
    shares = [float(line.split("\t")[2]) for line in capsys.readouterr().out.splitlines()]
    assert shares == pytest.approx(seen.probabilities[:2].max(axis=1), abs=1e-4)
