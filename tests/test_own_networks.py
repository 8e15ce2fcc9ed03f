"""A search of somebody's own network, killed, resumed without what lay beside its space, exported and predicted."""

import json

import pytest
from kit.drivers import lines_of, start, wait_for_lines
from kit.own import LAYERS, NETS, write_file
from kit.shapes import write_shapes

from search import KFoldTuner, UserError
from search.export.export import export
from search.export.predict import predict
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.options import Options
from search.prepare import prepare
from search.record import read_record
from search.report.write import PAGE, write_report
from search.space import load_space_file
from search.system.machine import cores
from search.training.trainer import set_up

set_up(cores())
SPACE = """
from search import Backbone, Recipe, Study, at_hand

study = Study("shapes", folds=3, train_fractions=(1.0,), max_trials=3, oracle="grid", image_size=32)
MINE = Backbone("mine", make="{make}")

def space(hp):
    backbone = hp.Choice("backbone", at_hand([MINE, "SmallCNN"]))
    with hp.conditional_scope("backbone", [MINE]):
        blocks = hp.Choice("blocks", [0, 1])
    return Recipe(backbone, blocks, learning_rate=1e-2, epochs=2)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with images and networks, where we are."""
    write_shapes(tmp_path / "shapes", {"across": 9, "down": 9})
    (tmp_path / "my_nets.py").write_text(NETS)
    (tmp_path / "my_layers.py").write_text(LAYERS)
    write_file(tmp_path / "flowers.keras")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begun(place, make):
    """Begin a search and kill it in its second trial."""
    (place / "space.py").write_text(SPACE.format(make=make))
    process = start(place, "--slots", "1")
    wait_for_lines(place, process, 5)
    process.kill()
    process.communicate()
    assert lines_of(place) >= 5
    return place / "results" / "broken"


def changed(place, make):
    """Change the network, and return why the search is refused then; undo it."""
    file = place / ("flowers.keras" if make == "flowers.keras" else "my_layers.py")
    before = file.read_bytes()
    if make == "flowers.keras":
        write_file(file, classes=4)
    else:
        file.write_text(LAYERS.replace("Conv2D", "SeparableConv2D"))
    with pytest.raises(UserError) as error:
        prepare(load_space_file(place / "space.py"), Options(name="broken", offline=True), lambda line: None)
    file.write_bytes(before)
    return str(error.value)


@pytest.mark.parametrize(
    ("make", "side", "change"),
    [
        ("my_nets:network", 32, "+my_layers.py:         x = keras.layers.SeparableConv2D("),
        (
            "flowers.keras",
            40,
            "  - the network of mine changed: its code, its weights or its file\nIts",
        ),
    ],
)
def test_a_killed_search_of_an_own_network_goes_on_is_exported_and_predicts(place, make, side, change):
    folder = begun(place, make)
    assert change in changed(place, make)
    for name in ("space.py", "my_nets.py", "my_layers.py"):  # all that it needs of them lies with it
        (place / name).rename(place / f"{name}.moved")
    tuner = KFoldTuner.reopen(read_record(folder), screen=Lines(wide_console()), executor="inline", offline=True)
    tuner.search()
    record = tuner.record
    recipes = [trial.recipe for trial in record.history.trials.values()]
    assert record.history.end_reason
    assert {recipe.architecture.name for recipe in recipes} == {"mine", "SmallCNN"}
    assert {recipe.image_size for recipe in recipes if recipe.architecture.name == "mine"} == {side}

    report = write_report(record)
    assert "mine, 1 block" in report.paths[PAGE].read_text(encoding="utf-8")
    rows = json.loads(report.paths["report.json"].read_text(encoding="utf-8"))["tables"]["trials"]
    assert {row["backbone"] for row in rows} == {"mine", "SmallCNN"}

    model = export(tuner, "0001", place / "model")
    assert len(predict(model, [place / "shapes"], lambda done, of: None).images) == 18
