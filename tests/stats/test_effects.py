"""Effects of factors agree with least squares by statsmodels' formulas, and say what cannot be said."""

import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests

from search.analysis.stats.effects import ALONE, FEWEST_FREE, additive, ascending, interaction, thirds

pytestmark = pytest.mark.quick

FOLDS = 10


def runs(levels, scores, rng, noise=0.02, ran=None):
    """Return (values, trials, folds, factors) of trials with these levels and scores, ``ran`` folds of each."""
    ran = [FOLDS] * len(scores) if ran is None else ran
    trials = np.repeat(np.arange(len(scores)), ran)
    folds = np.concatenate([np.arange(count) for count in ran])
    luck = 0.05 * rng.normal(size=FOLDS)
    luck -= luck.mean()
    values = np.asarray(scores)[trials] + luck[folds] + noise * rng.normal(size=len(trials))
    factors = {name: [each[trial] for trial in trials] for name, each in levels.items()}
    return values, trials, folds, factors


@pytest.fixture
def levels(rng):
    return {
        "backbone": [str(each) for each in rng.permutation(np.arange(30) % 3)],
        "depth": [str(each) for each in rng.permutation(np.arange(30) % 2)],
        "policy": [str(each) for each in rng.permutation(np.arange(30) % 4)],
    }


def test_full_searches_have_the_effects_of_an_additive_model(levels, rng):
    scores = 0.7 + 0.05 * (np.array(levels["backbone"]) == "1") + 0.02 * rng.normal(size=30)
    values, trials, folds, factors = runs(levels, scores, rng)
    means = [values[trials == trial].mean() for trial in range(30)]
    told = pd.DataFrame({"score": means, **levels})
    fitted = ols("score ~ C(backbone, Sum) + C(depth, Sum) + C(policy, Sum)", told).fit()
    table, limits = anova_lm(fitted, typ=3), fitted.conf_int()
    found = additive(values, trials, folds, factors)
    assert [factor.name for factor in found] == list(levels)
    for factor in found:
        name = f"C({factor.name}, Sum)"
        assert factor.p == pytest.approx(table.loc[name, "PR(>F)"])
        for level in factor.levels[:-1]:  # the last is minus the sum of the others
            row = f"{name}[S.{level.level}]"
            assert level.effect == pytest.approx(fitted.params[row], abs=1e-9)
            assert (level.low, level.high) == pytest.approx(tuple(limits.loc[row]), abs=1e-9)
        assert sum(level.effect for level in factor.levels) == pytest.approx(0, abs=1e-9)
    adjusted = multipletests([factor.p for factor in found], method="holm")[1]
    assert [factor.p_holm for factor in found] == pytest.approx(adjusted)
    assert found[0].matters == "yes"


def test_trials_are_known_from_the_folds_that_they_ran(levels, rng):
    """A trial that ran only hard folds is no worse for it."""
    scores = 0.7 + 0.1 * (np.array(levels["depth"]) == "1")
    ran = np.where(rng.random(30) < 0.6, 3, FOLDS)
    found = additive(*runs(levels, scores, rng, noise=0.0, ran=ran))
    effects = {level.level: level.effect for factor in found if factor.name == "depth" for level in factor.levels}
    assert effects == pytest.approx({"0": -0.05, "1": 0.05}, abs=1e-9)
    depth = next(factor for factor in found if factor.name == "depth")
    assert sum(level.runs for level in depth.levels) == ran.sum()
    assert sum(level.trials for level in depth.levels) == 30


def test_levels_that_surely_differ_by_little_do_not_matter(levels):
    rng = np.random.default_rng(2)
    found = additive(*runs(levels, 0.7 + 0.01 * rng.normal(size=30), rng, noise=0.01))
    assert {factor.matters for factor in found} == {"no"}
    for factor in found:
        effects = [level.effect for level in factor.levels]
        assert max(effects) - min(effects) < 0.02
    wild = additive(*runs(levels, 0.7 + 0.1 * rng.normal(size=30), rng, noise=0.01))
    assert {factor.matters for factor in wild} == {"unknown"}


def test_what_one_backbone_alone_has_cannot_be_separated(levels, rng):
    levels["backbone"] = ["SmallCNN" if each == "2" else each for each in levels["backbone"]]
    levels["depth"] = [
        "all" if backbone == "SmallCNN" else depth
        for backbone, depth in zip(levels["backbone"], levels["depth"], strict=True)
    ]
    scores = 0.7 + 0.1 * (np.array(levels["depth"]) == "1") - 0.2 * (np.array(levels["depth"]) == "all")
    backbone, depth, policy = additive(*runs(levels, scores, rng, noise=0.0))
    effects = {level.level: level.effect for level in depth.levels}
    assert math.isnan(effects.pop("all"))
    assert effects == pytest.approx({"0": -0.05, "1": 0.05}, abs=1e-9)
    assert depth.note == "all: cannot be separated from backbone"
    assert backbone.note == "SmallCNN: cannot be separated from depth"
    assert policy.note == ""


def test_factors_that_always_go_together_cannot_be_judged(levels, rng):
    levels["twin"] = [f"with {each}" for each in levels["depth"]]
    found = {factor.name: factor for factor in additive(*runs(levels, rng.random(30), rng))}
    for name, other in (("depth", "twin"), ("twin", "depth")):
        assert found[name].matters == "unknown"
        assert found[name].note.endswith(f"cannot be separated from {other}")
        assert math.isnan(found[name].p)
        assert all(math.isnan(level.effect) for level in found[name].levels)
    assert not math.isnan(found["backbone"].p)


def test_with_too_few_trials_factors_are_looked_at_alone_and_none_is_said_to_matter(rng):
    levels = {"a": list("012012012"), "b": list("001122010"), "c": list("010101010")}
    for count, known in ((9, False), (9 + 1, True)):
        padded = {name: each + each[: count - 9] for name, each in levels.items()}
        values, trials, folds, factors = runs(padded, rng.random(count), rng)
        found = additive(values, trials, folds, factors)
        assert [not math.isnan(factor.p) for factor in found] == [known] * 3
        if not known:
            needed = 6 + FEWEST_FREE
            note = f"{ALONE}, as 9 trials are too few to hold the other choices equal ({needed} are needed)"
            assert {factor.note for factor in found} == {note}
            scores = np.array([values[trials == trial].mean() for trial in range(9)])
            means = [scores[np.array(levels["a"]) == level].mean() for level in "012"]
            assert [level.effect for level in found[0].levels] == pytest.approx(means - np.mean(means))
            assert all(level.low < level.effect < level.high for factor in found for level in factor.levels)
            assert {factor.matters for factor in found} == {"unknown"}


def test_a_factor_with_one_level_is_none(levels, rng):
    levels["fixed"] = ["x"] * 30
    assert [factor.name for factor in additive(*runs(levels, rng.random(30), rng))] == ["backbone", "depth", "policy"]
    nothing = np.zeros(0)
    assert additive(nothing, nothing, nothing, {"a": []}) == []
    assert interaction(nothing, nothing, nothing, [], []) == []


def test_pairs_of_levels_have_the_mean_of_their_trials(levels, rng):
    scores = 0.5 + 0.4 * rng.random(30)
    values, trials, folds, factors = runs(levels, scores, rng, noise=0.0)
    found = interaction(values, trials, folds, factors["backbone"], factors["depth"])
    table = pd.DataFrame({"score": scores, **levels})
    grouped = table.groupby(["backbone", "depth"]).score
    assert [(cell.first, cell.second) for cell in found] == list(grouped.groups)
    assert [cell.mean for cell in found] == pytest.approx(grouped.mean().tolist())
    assert [cell.trials for cell in found] == grouped.size().tolist()
    fitted = ols("score ~ C(backbone) * C(depth)", table).fit()
    limits = fitted.get_prediction(table.drop_duplicates(["backbone", "depth"]).sort_values(["backbone", "depth"]))
    assert [[cell.low, cell.high] for cell in found] == pytest.approx(limits.conf_int())


def test_pairs_with_one_trial_each_have_no_limits(rng):
    found = interaction(*runs({}, [0.5, 0.6], rng)[:3], ["a"] * FOLDS + ["b"] * FOLDS, ["x"] * FOLDS * 2)
    assert [(cell.low, cell.high) for cell in found] == [(-math.inf, math.inf)] * 2


def test_few_numbers_are_their_own_levels():
    assert thirds([0.2, 0.0, 0.4, 0.2]) == ["0.2", "0", "0.4", "0.2"]


def test_many_numbers_become_thirds(rng):
    numbers = 10 ** rng.uniform(-4, -2, 31)
    levels = np.array(thirds(numbers))
    names, counts = np.unique(levels, return_counts=True)
    assert len(names) == 3
    assert counts.max() - counts.min() <= 1
    for name in names:
        inside = numbers[levels == name]
        low, high = map(float, name.split(" to "))
        assert (low, high) == pytest.approx((inside.min(), inside.max()), rel=0.06)


def test_levels_are_in_the_order_of_their_numbers(rng):
    numbers = [3e-6, 4e-5, 0.0003, 0.002, 0.01, 0.2, 12, 140]
    ranges = list(dict.fromkeys(thirds(numbers)))
    assert ranges != sorted(ranges)  # as texts
    assert ascending(ranges[::-1]) == ranges
    assert ascending(["none", "120", "-3", "1e-05", "20", "none"]) == ["-3", "1e-05", "20", "120", "none"]
    assert ascending(["focal 10", "cross_entropy", "focal 2"]) == ["cross_entropy", "focal 2", "focal 10"]
    assert ascending(["ResNet50", "EfficientNetB10", "EfficientNetB2"]) == [
        "EfficientNetB2",
        "EfficientNetB10",
        "ResNet50",
    ]
    few = {"rate": [("1e-05", "0.001", "2", "10")[at % 4] for at in range(24)]}
    (rate,) = additive(*runs(few, [0.5] * 24, rng))
    assert [level.level for level in rate.levels] == ["1e-05", "0.001", "2", "10"]


def test_equal_numbers_share_a_third():
    numbers = [1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6]
    levels = thirds(numbers)
    assert len(set(levels[:7])) == 1
    assert thirds([]) == []


def test_pairs_of_levels_are_told_apart_after_holm_over_all_of_them(levels, rng):
    scores = 0.7 - 0.3 * (np.array(levels["backbone"]) == "1") + 0.02 * rng.normal(size=30)
    values, trials, folds, factors = runs(levels, scores, rng)
    backbone, depth, policy = additive(values, trials, folds, factors)
    assert backbone.below("0") == backbone.below("2") == ["1"]
    assert backbone.below("1") == []
    assert len(backbone.pairs) + len(depth.pairs) + len(policy.pairs) == 3 + 1 + 6
    means = [values[trials == trial].mean() for trial in range(30)]
    fitted = ols("score ~ C(backbone) + C(depth) + C(policy)", pd.DataFrame({"score": means, **levels})).fit()
    p = fitted.pvalues["C(depth)[T.1]"]
    assert p <= depth.pairs["0", "1"] <= min(1, 10 * p) + 1e-9
    assert all(p >= fitted.pvalues["C(backbone)[T.1]"] for p in backbone.pairs.values())
