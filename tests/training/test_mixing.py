"""Mixed batches: inputs, targets and weights at one share, the same for a run alone and among others."""

import dataclasses
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from kit.runs import materials, run, small

from search.repertoire.heads import HEADS, Head
from search.repertoire.mixing import MIXERS, Mix, Mixer, blended
from search.repertoire.rates import first_step
from search.repertoire.recipe import Recipe
from search.system.errors import UserError
from search.training.batches import Batches, PaddedBatches, mixed_of_heads, mixed_of_run, one_hot
from search.training.trainer import Trainer, set_up

set_up(2)
MIXING = [name for name, mixer in MIXERS.items() if mixer.blend]
HEAD = Recipe("Embedded", 0, image_size=32, epochs=4, learning_rate=1e-2)
CLASSES = 3


def rng(seed=3):
    return np.random.default_rng(seed)


def batch(dtype=np.float32, images=6):
    draws = rng(1)
    inputs = draws.integers(0, 256, (images, 8, 8, 3)).astype(dtype)
    return inputs, one_hot(np.arange(images) % CLASSES, CLASSES), draws.uniform(1, 3, images).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("name", MIXING)
def test_the_loss_of_a_mixed_example_is_that_of_both_at_their_shares(name, dtype):
    inputs, targets, weights = batch(dtype)
    shown, mixed, total = blended(Mix(name, 1.0), inputs, targets, weights, rng())
    assert (shown.dtype, shown.shape, mixed.dtype, total.dtype) == (dtype, inputs.shape, np.float32, np.float32)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)
    partners = rng().permutation(len(inputs))
    own, other = weights * targets[np.arange(6), np.arange(6) % CLASSES], weights[partners]
    one = next(row for row in range(6) if row % CLASSES != partners[row] % CLASSES)
    share = mixed[one, one % CLASSES] * total[one] / own[one]
    assert 0 < share < 1
    np.testing.assert_allclose(total, share * own + (1 - share) * other, rtol=1e-5)
    losses = rng(2).uniform(size=(6, CLASSES))  # of each class
    np.testing.assert_allclose(
        total * (mixed * losses).sum(axis=1),
        share * own * (targets * losses).sum(axis=1) + (1 - share) * other * (targets[partners] * losses).sum(axis=1),
        rtol=1e-5,
    )


def test_mixup_averages_and_cutmix_pastes_as_much_as_the_targets_say():
    inputs, targets, _ = batch(np.uint8)
    weights, partners = np.ones(6, np.float32), rng().permutation(6)
    one = next(row for row in range(6) if row % CLASSES != partners[row] % CLASSES)
    averaged, mixed, _ = blended(Mix("mixup", 1.0), inputs, targets, weights, rng())
    share = mixed[one, one % CLASSES]
    np.testing.assert_allclose(averaged, share * inputs + (1 - share) * inputs[partners].astype(float), atol=0.51)
    pasted, mixed, _ = blended(Mix("cutmix", 1.0), inputs, targets, weights, rng())
    is_own = (pasted == inputs).all(axis=-1)
    assert (is_own | (pasted == inputs[partners]).all(axis=-1)).all()
    assert is_own[one].mean() == pytest.approx(mixed[one, one % CLASSES], abs=0.02)
    rows, columns = np.nonzero(~is_own[one])
    assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == len(rows)  # a rectangle


@pytest.mark.parametrize("name", MIXING)
def test_a_greater_alpha_mixes_more_evenly(name):
    inputs, targets, weights = batch()

    def evenness(alpha):
        mixed = [blended(Mix(name, alpha), inputs, targets, weights, rng(seed))[1] for seed in range(40)]
        return 1 - np.mean(np.max(mixed, axis=2))

    assert evenness(0.05) < evenness(2.0)


def test_batches_are_mixed_within_themselves_alike_for_a_run_alone_and_among_heads():
    features, targets, weights = batch(images=7)
    features, ends = features.reshape(7, -1), np.array([4, 7], np.int32)
    alone = mixed_of_run(Mix("mixup", 1.0), Batches(features, targets, weights, ends), 11, 3, 5)
    assert not np.array_equal(alone.inputs, features)
    np.testing.assert_array_equal(features, batch(images=7)[0].reshape(7, -1))  # what was given is as it was

    def padded(rows):
        whole = np.zeros((2, 2, 4, *rows.shape[1:]), np.float32)
        whole[0, 1], whole[1, 1, :3] = rows[:4], rows[4:]
        whole[0, 0], whole[1, 0, :3] = rows[3:], rows[:3]
        return whole

    shares = padded(np.full(7, 0.25, np.float32))
    given = PaddedBatches(padded(features), padded(targets), padded(weights), shares)
    together = mixed_of_heads(Mix("mixup", 1.0), given, [8, 11], 3, 5)
    for ours, theirs in zip(
        (together.features, together.targets, together.weights),
        (alone.inputs, alone.targets, alone.weights),
        strict=True,
    ):
        np.testing.assert_array_equal(ours[0, 1], theirs[:4])
        np.testing.assert_array_equal(ours[1, 1, :3], theirs[4:])
        assert not ours[1, :, 3:].any()
    later = mixed_of_run(Mix("mixup", 1.0), Batches(features[4:], targets[4:], weights[4:], ends[:1] - 1), 11, 3, 6)
    np.testing.assert_array_equal(later.inputs, alone.inputs[4:])  # however many steps are taken at a time
    assert mixed_of_run(Mix(), given, 11, 3, 5) is given
    assert mixed_of_heads(Mix(), given, [8, 11], 3, 5) is given


RECIPES = {
    "everything": small(epochs=2),
    "a block": dataclasses.replace(HEAD, unfrozen_blocks=1, epochs=2, learning_rate=1e-3),
    "the head": HEAD,
}


@pytest.mark.parametrize("mixer", MIXING)
@pytest.mark.parametrize("kind", RECIPES)
def test_a_mixer_changes_what_a_step_is_given_and_nothing_else(kind, mixer, shapes, tmp_path, monkeypatch):
    """All runs share a seed. A mixer that leaves each example as it is gives, to the last bit, what none gives."""
    if kind == "the head" and MIXERS[mixer].needs_maps:
        pytest.skip("it is refused")
    monkeypatch.setattr("search.training.loop.seed_from", lambda *_: 5)
    monkeypatch.setitem(MIXERS, "idle", Mixer("idle", lambda inputs, *_: (inputs, 1.0), alpha=1.0))
    trainer = Trainer(materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,)))
    plain, idle, mixed, again = (
        run(trainer, dataclasses.replace(RECIPES[kind], mix=mix), "f0")[0]
        for mix in (Mix(), Mix("idle"), Mix(mixer, 1.0), Mix(mixer, 1.0))
    )
    for ours, theirs, equal in ((plain, idle, True), (mixed, again, True), (plain, mixed, False)):
        assert np.array_equal(ours.curve, theirs.curve) == equal
        assert np.array_equal(ours.probabilities, theirs.probabilities) == equal


def test_heads_and_bodies_of_a_run_meet_in_the_same_pairs_in_another_process_too():
    code = """
import numpy as np
from search.repertoire.mixing import Mix
from search.training.batches import Batches, mixed_of_run
rows = np.eye(6, dtype=np.float32)
print(mixed_of_run(Mix("mixup", 1.0), Batches(rows, rows, rows[0], np.array([6])), 11, 3, 5).inputs.tolist())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    rows = np.eye(6, dtype=np.float32)
    here = mixed_of_run(Mix("mixup", 1.0), Batches(rows, rows, rows[0], np.array([6])), 11, 3, 5).inputs
    assert json.loads(told) == here.tolist()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mix": "mixup", "batch_size": 1}, "mix='mixup 0.2' with batch_size=1: there is no other example"),
        ({"mix": "cutmix"}, "mix='cutmix 1' with unfrozen_blocks=0: what trains there sees vectors"),
        ({"mix": 3}, "mix=3 is not known"),
    ],
)
def test_what_cannot_be_mixed_is_refused_by_both_fields(fields, message):
    with pytest.raises(UserError, match=f"^{message}"):
        Recipe("MobileNet", **fields)


def test_a_head_that_is_not_trained_in_batches_is_not_mixed(monkeypatch):
    monkeypatch.setitem(HEADS, "whole", Head("whole", 0.0, lambda _runs: []))
    with pytest.raises(UserError, match=r"^mix='mixup 0.2' with head='whole': this head is not trained in batches"):
        Recipe("MobileNet", head="whole", mix="mixup")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("mixp",), "Mix mixer='mixp' is not known. Did you mean 'mixup'?"),
        (("mixup", 0), "Mix alpha=0 must be a number, above 0 and at most 10."),
        (("none", 0.2), "Mix('none', alpha=0.2): this mixer has no alpha."),
    ],
)
def test_a_wrong_mix_is_refused(values, message):
    with pytest.raises(UserError, match=re.escape(message)):
        Mix(*values)


def test_a_mix_is_written_by_name_or_whole_and_comes_back_from_json():
    recipe = Recipe("MobileNet", mix="mixup")
    assert recipe == Recipe("MobileNet", mix=Mix("mixup", 0.2))
    assert recipe.to_dict()["mix"] == {"mixer": "mixup", "alpha": 0.2}
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert "mixup 0.2" in recipe.summary()
    assert Recipe("MobileNet", mix="none").digest == Recipe("MobileNet").digest != recipe.digest
    assert "mix" not in Recipe("MobileNet").to_dict()


def test_a_fitted_start_is_fitted_without_mixing():
    first = first_step(Recipe("MobileNet", 1, mix="cutmix", tta="mirror", head_start="fitted"))
    assert (first.mix, first.tta, first.unfrozen_blocks) == (Mix(), "none", 0)
