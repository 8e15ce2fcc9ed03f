"""Comparisons agree with calculations by hand and with reference implementations."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from search.analysis.stats.comparing import (
    against,
    contenders,
    difference,
    mcnemar,
    pooled_variance,
    recommended,
)

pytestmark = pytest.mark.quick


def cells(values):
    """Return fold scores (c, splits) as cells of two training sizes with these means."""
    values = np.asarray(values, dtype=float)
    apart = 0.1 * np.cos(np.arange(values.size)).reshape(values.shape)
    return np.stack([values - apart, values + apart], axis=1)


CALM = [[0.80, 0.84, 0.78, 0.82, 0.81], [0.70, 0.75, 0.67, 0.73, 0.70], [0.60, 0.62, 0.58, 0.63, 0.59]]
FOUR = [*CALM, [0.75, 0.79, 0.74, 0.76, 0.77]]


def test_the_pooled_variance_is_the_residual_of_a_two_way_anova(rng):
    values = rng.random((6, 5))
    data = pd.DataFrame({"y": values.ravel(), "trial": np.repeat(np.arange(6), 5), "fold": np.tile(np.arange(5), 6)})
    fitted = ols("y ~ C(trial) + C(fold)", data).fit()
    assert pooled_variance(cells(values)) == pytest.approx((fitted.mse_resid, fitted.df_resid))


def test_four_trials_share_their_spread():
    """By hand: d = 0.10; residuals of each trial give s², where own ones above the pooled one count."""
    values = np.array(FOUR)
    residual = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    own = (residual**2).sum(axis=1) / 4 * 4 / 3
    pooled = own.mean()
    error = math.sqrt((max(own[0], pooled) + max(own[1], pooled)) * (1 / 5 + 1 / 4))
    found = difference(cells(values), 0, 1, 5)
    assert found.mean == pytest.approx(0.1)
    assert found.p == pytest.approx(stats.t.sf(0.1 / error, 12))
    assert found.high - found.mean == pytest.approx(2.178813 * error, rel=1e-6)  # t(12) at 97.5 %
    assert found.low == pytest.approx(found.mean - 2.178813 * error, rel=1e-6)


def test_two_trials_have_the_spread_of_their_differences():
    """Nadeau & Bengio (2003): differences .10 .09 .11 .09 .11, s = .01, t(4) at 97.5 % = 2.776445."""
    found = difference(cells(CALM[:2]), 0, 1, 5)
    error = 0.01 * math.sqrt(1 / 5 + 1 / 4)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (0.1, 0.1 - 2.776445 * error, 0.1 + 2.776445 * error), abs=1e-7
    )
    assert found.p == pytest.approx(stats.t.sf(0.1 / error, 4))


def test_a_difference_changes_its_sign_with_its_direction(rng):
    table = cells(rng.random((5, 5)))
    one, other = difference(table, 1, 3, 5), difference(table, 3, 1, 5)
    assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low))
    assert one.p == pytest.approx(1 - other.p)


def test_a_wild_trial_has_no_calm_borrowed():
    rng = np.random.default_rng(3)
    values = 0.7 + 0.01 * rng.normal(size=(12, 5))
    calm = difference(cells(values), 0, 1, 5)
    values[0] += np.array([0.3, -0.3, 0.2, -0.2, 0.0])
    wild = difference(cells(values), 0, 1, 5)
    pooled, _ = pooled_variance(cells(values))
    assert wild.high - wild.mean > 1.5 * stats.t.ppf(0.975, 44) * math.sqrt(2 * pooled * 0.45)
    assert wild.high - wild.mean > 3 * (calm.high - calm.mean)


@pytest.mark.parametrize("table", [np.full((2, 2, 1), 0.5), np.full((6, 1, 1), 0.5), np.full((5, 2, 4), 0.5)])
def test_where_nothing_is_known_of_the_spread_nothing_is_said(table):
    table[0] += 0.25
    found = difference(table, 0, 1, 5)
    assert found.mean == pytest.approx(0.25)
    assert math.isnan(found.p)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert contenders(table, 5).all()
    assert math.isnan(against(table, 0, [1], 5)[0].p_holm)


def test_holms_adjustment_is_over_the_others(rng):
    table = cells(rng.normal(0.7, 0.05, (6, 5)) + np.linspace(0.2, 0, 6)[:, None])
    found = against(table, 0, [1, 3, 5], 5)
    p = np.array([each.p for each in found])
    assert [difference(table, 0, other, 5).p for other in (1, 3, 5)] == pytest.approx(p)
    order = np.argsort(p)
    by_hand = np.empty(3)
    by_hand[order] = np.minimum(np.maximum.accumulate(p[order] * [3, 2, 1]), 1)
    assert [each.p_holm for each in found] == pytest.approx(by_hand)
    assert against(table, 0, [], 5) == []


def test_contenders_are_those_that_are_not_significantly_worse(rng):
    table = cells(rng.normal(0.7, 0.03, (10, 5)) + np.linspace(0, 0.15, 10)[:, None])
    best = int(table.mean(axis=(1, 2)).argmax())
    expected = [at == best or difference(table, best, at, 5).p >= 0.05 for at in range(10)]
    assert contenders(table, 5).tolist() == expected
    assert 1 < sum(expected) < 10


def test_there_may_be_one_trial_or_none():
    assert contenders(np.zeros((0, 2, 5)), 5).shape == (0,)
    assert contenders(np.full((1, 2, 5), 0.5), 5).tolist() == [True]


@pytest.mark.parametrize(("a", "b"), [(3, 14), (0, 5), (7, 7), (0, 0), (1, 0)])
def test_mcnemars_test_agrees_with_statsmodels(a, b):
    right_a = np.array([True] * a + [False] * b + [True] * 4 + [False] * 2)
    right_b = np.array([False] * a + [True] * b + [True] * 4 + [False] * 2)
    expected = reference_mcnemar([[4, a], [b, 2]], exact=True).pvalue if a + b else 1.0
    assert mcnemar(right_a, right_b) == pytest.approx(expected)


def test_the_cheapest_within_a_point_is_recommended():
    assert recommended([0.80, 0.795, 0.79, 0.7899], [9, 5, 4, 1]) == 2
    assert recommended([0.80, 0.78], [9, 1]) == 0
    assert recommended([0.795, 0.80, 0.80], [3, 3, 3]) == 1
