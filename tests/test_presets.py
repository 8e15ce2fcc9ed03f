"""A search of presets of KerasHub, killed, resumed, exported and predicted."""

import pytest
from kit.drivers import lines_of, start, wait_for_lines
from kit.presets import write_preset
from kit.shapes import write_shapes

from search import KFoldTuner
from search.export.export import export
from search.export.predict import predict
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.record import read_record
from search.system.machine import cores
from search.training.trainer import set_up

pytest.importorskip("keras_hub", reason="keras-hub is not here")
set_up(cores())
SPACE = """
from search import Recipe, Study, at_hand, hub

study = Study("shapes", folds=2, train_fractions=(1.0,), max_trials=3, oracle="grid", image_size=32, baselines=False)
VIT = hub("presets/vit", pool="tokens")

def space(hp):
    return Recipe(hp.Choice("backbone", at_hand([VIT])), hp.Choice("blocks", [0, 1, 4]), learning_rate=1e-2, epochs=2)
"""


def test_a_killed_search_of_a_preset_goes_on_is_exported_and_predicts(tmp_path, monkeypatch):
    write_shapes(tmp_path / "shapes", {"across": 8, "down": 8})
    write_preset(tmp_path / "presets" / "vit", "vit")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text(SPACE)
    process = start(tmp_path, "--slots", "1")
    wait_for_lines(tmp_path, process, 4)
    process.kill()
    process.communicate()
    assert lines_of(tmp_path) >= 4
    (tmp_path / "space.py").unlink()
    record = read_record(tmp_path / "results" / "broken")
    tuner = KFoldTuner.reopen(record, screen=Lines(wide_console()), executor="inline", offline=True)
    tuner.search()
    recipes = {trial: entry.recipe for trial, entry in tuner.record.history.trials.items()}
    assert sorted(recipe.unfrozen_blocks for recipe in recipes.values()) == [0, 1, 4]
    deep = next(trial for trial, recipe in recipes.items() if recipe.unfrozen_blocks == 1)
    model = export(tuner, deep, tmp_path / "model")
    assert len(predict(model, [tmp_path / "shapes"], lambda done, of: None).images) == 16
