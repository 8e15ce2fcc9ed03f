"""The estimate of a search's cost: it grows with what costs, and racing is a hope, not a promise."""

import dataclasses

import numpy as np
import pytest

from search.data.folds import Fold
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.training.cost import estimate

pytestmark = pytest.mark.quick

DEEP = Recipe("MobileNetV2_0.35", unfrozen_blocks=2, image_size=96, epochs=10)
HEAD = dataclasses.replace(DEEP, unfrozen_blocks=0)
SPEED = 1e11


def folds(count=5, images=200):
    rows = np.arange(images)
    parts = np.array_split(rows, count)
    return [Fold(0, index, 1.0, np.setdiff1d(rows, part), part, f"f{index}") for index, part in enumerate(parts)]


def cost(recipe=DEEP, trials=20, plan=None, images=200, pool=0, racing=True, drawn=0):
    return estimate([recipe], trials, plan or folds(), (images, pool), racing, SPEED, lambda *_: drawn)


@pytest.mark.parametrize(
    "more",
    [
        {"trials": 40},
        {"images": 400},
        {"plan": folds(10)},
        {"drawn": 100},
        {"recipe": dataclasses.replace(DEEP, epochs=20)},
        {"recipe": dataclasses.replace(DEEP, unfrozen_blocks=3)},
        {"recipe": dataclasses.replace(DEEP, image_size=160)},
        {"recipe": dataclasses.replace(DEEP, augment=Augment("flip_crop"))},
        {"recipe": dataclasses.replace(DEEP, backbone="MobileNetV2")},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_costs_more_is_estimated_higher(more):
    less, greater = cost(), cost(**more)
    assert less.low < greater.low
    assert less.high < greater.high


def test_deeper_unfreezing_costs_more_at_every_step():
    highs = [cost(dataclasses.replace(DEEP, unfrozen_blocks=depth)).high for depth in range(6)]
    assert highs == sorted(set(highs))


def test_racing_lowers_the_hope_but_not_the_limit():
    raced, unraced = cost(racing=True), cost(racing=False)
    assert raced.low < unraced.low == unraced.high == raced.high


def test_racing_promises_nothing_for_heads_which_train_all_folds_at_once():
    assert cost(HEAD, racing=True) == cost(HEAD, racing=False)
