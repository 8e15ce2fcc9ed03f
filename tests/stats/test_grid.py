"""A full grid of few trials says what each of its choices does; anything else is no grid."""

import itertools
import math

import numpy as np
import pytest

from search.analysis.stats.effects import adjusted
from search.analysis.stats.grid import in_grid, is_full

pytestmark = pytest.mark.quick

SPLITS = 5
GRID = list(itertools.product(("small", "large"), ("none", "flip", "color")))
FACTORS = {"size": [size for size, _ in GRID], "policy": [policy for _, policy in GRID]}


def cells(effects, rng, noise=0.02):
    """The scores of a grid, whose folds are of unlike difficulty."""
    luck = 0.08 * rng.normal(size=SPLITS)
    means = np.array([0.6 + effects.get(size, 0) + effects.get(policy, 0) for size, policy in GRID])
    return (means[:, None] + luck + noise * rng.normal(size=(len(GRID), SPLITS)))[:, None, :]


def test_a_grid_of_six_trials_says_what_the_size_does(rng):
    size, policy = in_grid(cells({"large": 0.1}, rng), FACTORS, SPLITS, [SPLITS] * 6)
    assert size.name == "size"
    assert size.matters == "yes"
    effects = {level.level: level for level in size.levels}
    assert effects["large"].effect == pytest.approx(0.05, abs=0.02)
    assert effects["large"].low < 0.05 < effects["large"].high
    assert effects["large"].low > 0
    assert size.below("large") == ["small"]
    assert size.below("small") == []
    assert [level.trials for level in size.levels] == [3, 3]
    assert [level.runs for level in size.levels] == [15, 15]
    assert sum(level.effect for level in policy.levels) == pytest.approx(0)
    assert policy.matters != "yes"
    assert "6 trials are a full grid" in size.note


def test_pairs_are_told_apart_by_the_pooled_corrected_t(rng):
    scores = cells({}, rng)
    size, _ = in_grid(scores, FACTORS, SPLITS, [SPLITS] * 6)
    values = scores[:, 0]
    residuals = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    error = (residuals**2).sum() / (5 * 4) * (1 / SPLITS + 1 / (SPLITS - 1))
    gap = values[3:].mean() - values[:3].mean()  # small comes first
    half = size.levels[0].high - size.levels[0].effect
    assert abs(size.levels[0].effect) == pytest.approx(abs(gap) / 2)
    assert half == pytest.approx(2.085963 * math.sqrt(error / 6))  # t of 20 degrees of freedom; 1/3 - 1/6


def test_the_levels_of_a_grid_are_in_the_order_of_their_numbers(rng):
    factors = {"size": FACTORS["size"], "rate": [("1e-05", "10", "2")[at % 3] for at in range(len(GRID))]}
    _, rate = in_grid(cells({}, rng), factors, SPLITS, [SPLITS] * 6)
    assert [level.level for level in rate.levels] == ["1e-05", "2", "10"]


def test_a_grid_of_equal_recipes_is_seldom_said_to_differ(rng):
    said = 0
    for _ in range(15):  # Holm by statsmodels collects garbage, which takes its time
        found = in_grid(cells({}, rng), FACTORS, SPLITS, [SPLITS] * 6)
        said += any(
            factor.matters == "yes" or any(factor.below(level.level) for level in factor.levels) for factor in found
        )
    assert said <= 2  # the correction for folds that share training images makes it rare


@pytest.mark.parametrize(
    "levels",
    [
        {"size": ["a", "a", "b", "b", "b", "a"], "policy": ["x", "y", "x", "y", "y", "x"]},  # one twice, none lacking
        {"size": ["a", "a", "b"], "policy": ["x", "y", "x"]},  # one lacking
        {"size": ["a", "b", "c"]},  # one factor: nothing is held equal
        {"size": ["a", "b"] * 3, "twin": ["x", "y"] * 3},  # they always go together
    ],
)
def test_what_is_no_full_grid_is_not_taken_for_one(levels, rng):
    trials = len(levels["size"])
    assert not is_full(levels, trials)
    assert in_grid(rng.random((trials, 1, SPLITS)), levels, SPLITS, [SPLITS] * trials) == []


def test_a_choice_with_one_level_does_not_spoil_a_grid(rng):
    found = in_grid(cells({"large": 0.1}, rng), FACTORS | {"head": ["linear"] * 6}, SPLITS, [SPLITS] * 6)
    assert [factor.name for factor in found] == ["size", "policy"]


def test_scores_without_any_spread_say_nothing(rng):
    flat = np.tile(np.linspace(0.5, 0.8, 6)[:, None, None], (1, 1, SPLITS))
    assert in_grid(flat, FACTORS, SPLITS, [SPLITS] * 6) == []
    assert in_grid(rng.random((6, 1, 1)), FACTORS, SPLITS, [1] * 6) == []
    assert adjusted([]) == []
