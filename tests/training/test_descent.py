"""Optimizers, schedules and clipping in training: each run steps as its recipe says, in heads and in bodies."""

import dataclasses

import numpy as np
import pytest
from kit.runs import materials, run, small

import search.repertoire.schedules
from search.repertoire.recipe import Recipe
from search.repertoire.schedules import Schedule, rates_of
from search.training.compiled import CompiledNetwork
from search.training.heads.linear import Heads
from search.training.trainer import Trainer, set_up

set_up(2)
HEAD = Recipe("Embedded", 0, image_size=32, epochs=4, batch_size=8, learning_rate=0.01)
BODY = small(epochs=4, batch_size=8)


@pytest.fixture
def trainer(shapes, tmp_path):
    return Trainer(materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,), weights=["Embedded"]))


@pytest.fixture
def steps(monkeypatch):
    """The learning rates at which heads, and bodies, step: one array for each call."""
    told = []
    train, epoch = Heads.train, CompiledNetwork.epoch.func

    def heads(self, batches, rates):
        told.append(rates)
        return train(self, batches, rates)

    def body(self):
        compiled = epoch(self)

        def steps(**given):
            told.append(given["rates"][:, None])
            return compiled(**given)

        return steps

    monkeypatch.setattr(Heads, "train", heads)
    monkeypatch.setattr(CompiledNetwork, "trace", lambda self: None)
    monkeypatch.setattr(CompiledNetwork, "epoch", property(body))
    return told


@pytest.mark.parametrize("recipe", [HEAD, BODY], ids=["head", "body"])
def test_a_plateau_is_one_of_a_run_s_own_losses(trainer, steps, recipe, monkeypatch):
    """A fall counts from where half of the runs have one, so that these go on otherwise than the others."""
    wanted = dataclasses.replace(recipe, schedule=Schedule("plateau", factor=0.5, patience=1))
    every = run(trainer, wanted, "f0", "f1", "f2")
    falls = sorted(float(result.curve[0, 0] - result.curve[1, 0]) for result in every)
    monkeypatch.setattr(search.repertoire.schedules, "LOWER", (falls[0] + falls[2]) / 2)
    steps.clear()
    results = run(trainer, wanted, "f0", "f1", "f2")
    stepped = [np.concatenate(steps[at : at + 4]) for at in range(0, len(steps), 4)]
    stepped = np.concatenate(stepped, axis=1)  # (steps, runs), whether they were trained together or not
    for number, result in enumerate(results):
        count = len(stepped) // 4
        expected = [rates_of(wanted, count, result.curve[:epoch, 0]) for epoch in range(4)]
        np.testing.assert_array_equal(stepped[:, number], np.concatenate(expected))
    assert len({tuple(column) for column in stepped.T}) > 1
    assert (stepped[0] == np.float32(recipe.rate)).all()


@pytest.mark.parametrize("recipe", [HEAD, BODY], ids=["head", "body"])
def test_rates_run_as_the_schedule_says(trainer, steps, recipe):
    run(trainer, dataclasses.replace(recipe, schedule=Schedule("step", factor=0.5, epochs=2)), "f0")
    first, second, third, fourth = (np.unique(rates) for rates in steps)
    assert first == second == np.float32(recipe.rate)
    assert third == fourth == np.float32(recipe.rate / 2)


@pytest.mark.parametrize("recipe", [HEAD, BODY], ids=["head", "body"])
def test_an_optimizer_that_clips_gives_the_same_again(trainer, recipe, shapes, tmp_path):
    wanted = dataclasses.replace(recipe, optimizer="sgd", clip_norm=0.01, learning_rate=1e-3, epochs=2)
    results = run(trainer, wanted, "f0", "f1")
    run(trainer, dataclasses.replace(wanted, clip_norm=1.0), "f0")
    (again,) = run(trainer, wanted, "f0") if recipe is BODY else run(trainer, wanted, "f0", "f1")[:1]
    np.testing.assert_array_equal(again.probabilities, results[0].probabilities)
    other = Trainer(materials(shapes, tmp_path / "other", folds=3, train_fractions=(1.0,), weights=["Embedded"]))
    np.testing.assert_array_equal(run(other, wanted, "f0", "f1")[0].probabilities, results[0].probabilities)


@pytest.mark.parametrize("recipe", [HEAD, BODY], ids=["head", "body"])
def test_clipping_changes_the_length_of_steps_alone(trainer, recipe, monkeypatch):
    """At a norm that no gradient has it changes nothing but rounding; at a small one little is learnt."""
    monkeypatch.setattr(Recipe, "digest", "one seed for all")
    plain = dataclasses.replace(recipe, optimizer="sgd", weight_decay=0.0, learning_rate=1e-3, epochs=2)
    outputs = []
    for norm in (None, 1000.0, 1e-3):
        trained = trainer.train(dataclasses.replace(plain, clip_norm=norm), trainer.materials.folds["f0"], lambda: None)
        outputs.append(trained.run.probabilities)
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-5)
    assert np.abs(outputs[2] - outputs[0]).max() > 1e-4
