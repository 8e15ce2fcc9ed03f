"""Drops, slopes and learning curves."""

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from search.analysis.stats import corrected_interval
from search.analysis.stats.survival import curve, drops, slopes

pytestmark = pytest.mark.quick


def test_drops_are_between_the_largest_and_the_smallest_size(rng):
    cells = rng.random((5, 3, 4))
    drop, beyond = drops(cells)
    assert drop == pytest.approx(cells[:, 2].mean(axis=1) - cells[:, 0].mean(axis=1))
    assert np.median(beyond) == pytest.approx(0)
    assert np.ptp(drop - beyond) == pytest.approx(0)


def test_one_size_has_no_drop_and_no_slope(rng):
    cells = rng.random((3, 1, 4))
    assert all(np.isnan(each).all() for each in drops(cells))
    assert not any(slope.known for slope in slopes(cells, [100], 4))
    assert drops(np.zeros((0, 2, 4)))[0].shape == (0,)


def test_a_slope_is_per_doubling_between_the_two_largest_sizes(rng):
    cells = rng.random((2, 3, 5))
    found = slopes(cells, [20, 80, 320], 5)
    for trial in (0, 1):
        gains = (cells[trial, 2] - cells[trial, 1]) / 2  # 80 to 320 images are two doublings
        assert found[trial] == corrected_interval(gains, 5)


N = np.array([20.0, 40, 80, 160, 320])


@pytest.mark.parametrize(("a", "b", "c"), [(0.95, -1.5, 0.5), (0.9, -4, 1.1), (1.0, -0.9, 0.2)])
def test_a_curve_without_noise_is_found_again(a, b, c):
    found = curve(N, a + b * N**-c)
    assert (found.a, found.b, found.c) == pytest.approx((a, b, c), rel=1e-2)
    assert found.residual < 1e-5
    assert found.at(640) == pytest.approx(a + b * 640**-c, abs=1e-4)


def test_a_curve_through_noise_is_the_least_squares_one(rng):
    means = 0.9 - 1.2 * N**-0.6 + 0.005 * rng.normal(size=5)
    found = curve(N, means)
    (a, b, c), _ = curve_fit(
        lambda n, a, b, c: a + b * n**-c, N, means, p0=(0.9, -1, 0.5), bounds=([0, -99, 0.05], [2, 0, 2])
    )
    own = math.sqrt(((a + b * N**-c - means) ** 2).mean())
    assert found.residual == pytest.approx(own, rel=1e-4)
    assert found.at(100) == pytest.approx(a + b * 100**-c, abs=1e-3)


def test_there_is_no_curve_where_there_is_nothing_to_see():
    assert curve(N[:3], [0.5, 0.6, 0.65]) is None
    assert curve([20, 20, 40, 80], [0.5, 0.5, 0.6, 0.65]) is None
    assert curve(N, [0.9, 0.8, 0.7, 0.6, 0.5]) is None
    assert curve(N, [0.5] * 5) is None
    assert curve(N, [0.5, math.nan, 0.7, 0.8, 0.9]) is None
