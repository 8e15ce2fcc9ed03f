"""The estimate of a search's cost: it grows with what costs, and racing is a hope, not a promise."""

import dataclasses
import threading

import numpy as np
import pytest

from search.data.folds import Fold
from search.repertoire.augmentation import Augment
from search.repertoire.heads import Mlp
from search.repertoire.recipe import Recipe
from search.system.machine import cores
from search.training.cost import (
    CONVOLUTION_EFFICIENCY,
    core_speed,
    estimate,
    estimate_of,
    pace,
    slowdown,
    speed_of,
    trained,
)

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
        {"recipe": dataclasses.replace(DEEP, head_start="fitted")},
        {"recipe": dataclasses.replace(DEEP, tta="mirror")},
        {"recipe": dataclasses.replace(DEEP, mix="mixup")},
        {"recipe": dataclasses.replace(DEEP, head="mlp")},
        {"recipe": dataclasses.replace(DEEP, batch_norm="learning")},
        {"recipe": dataclasses.replace(DEEP, ema=0.99)},
        {"recipe": dataclasses.replace(DEEP, epoch="best_mean")},
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


def test_a_wider_head_costs_more():
    highs = [cost(dataclasses.replace(HEAD, head=head)).high for head in ("linear", "mlp", Mlp((4096, 4096)))]
    assert highs == sorted(set(highs))


@pytest.mark.parametrize("head", ["logistic_regression", "svm", "svm_rbf"])
def test_a_head_that_is_fitted_all_at_once_costs_by_its_images_and_views(head):
    fitted = Recipe("MobileNetV2_0.35", image_size=96, head=head)
    augmented = dataclasses.replace(fitted, augment=Augment("flip_crop"), views=4)
    few, many = cost(fitted).high, cost(fitted, plan=folds(images=2000), images=200).high
    assert few < cost(augmented).high
    assert few + 100 < many  # 20 trials of 5 runs


def test_more_features_cost_more():
    for fields in ({"unfrozen_blocks": 0}, {"unfrozen_blocks": 0, "head": "mlp"}, {"head": "mlp"}):
        average = dataclasses.replace(DEEP, **fields)
        assert cost(average).high < cost(dataclasses.replace(average, pooling="flatten")).high
    fitted = Recipe("MobileNetV2_0.35", image_size=96, head="svm")
    assert cost(fitted).high < cost(dataclasses.replace(fitted, pooling="flatten")).high


def test_racing_lowers_the_hope_but_not_the_limit():
    raced, unraced = cost(racing=True), cost(racing=False)
    assert raced.low < unraced.low == unraced.high == raced.high


def test_racing_promises_nothing_for_heads_which_train_all_folds_at_once():
    assert cost(HEAD, racing=True) == cost(HEAD, racing=False)


def whole(timed, trials=20):
    labels = np.zeros(200, int)
    return estimate_of([DEEP], [HEAD], trials, folds(), labels, None, True, 1, timed)


def test_an_estimate_follows_the_pace_of_the_runs_so_far():
    slow, fast = whole(6.0), whole(2.0)
    assert slow.low == pytest.approx(3 * fast.low)
    assert slow.high == pytest.approx(3 * fast.high)
    assert whole(2.0, trials=10).high < fast.high


def test_an_estimate_is_wider_while_no_run_has_confirmed_it():
    confirmed, guessed = whole(1.0), whole(None)
    assert guessed.high / guessed.low > 1.5 * confirmed.high / confirmed.low > 1.5


def test_the_pace_is_that_of_the_runs():
    (fold,) = folds(1, 40)[:1]
    fold = dataclasses.replace(fold, train=np.arange(30), validation=np.arange(30, 40))
    speed = core_speed() * CONVOLUTION_EFFICIENCY
    seconds = _seconds(DEEP, fold, speed)
    assert pace([(DEEP, fold, 5 * seconds)] * 200) == pytest.approx(5)
    assert pace([(DEEP, fold, 0.001)]) is None
    assert pace([]) is None


def _seconds(recipe, fold, speed):
    return trained(recipe, [fold], speed)


def test_a_busy_machine_is_slower_than_an_idle_one():
    until, matrix = threading.Event(), np.ones((256, 256), np.float32)

    def work():
        while not until.is_set():
            matrix @ matrix

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4 * cores())]
    for thread in threads:
        thread.start()
    try:
        busy = slowdown.__wrapped__(cores())
    finally:
        until.set()
        for thread in threads:
            thread.join()
    assert speed_of(1) == core_speed()
    assert busy > 1.5
    assert slowdown.__wrapped__(1) >= 1.0


def test_a_policy_whose_draws_take_longer_costs_more():
    two, quick, slow = (
        cost(dataclasses.replace(HEAD, augment=Augment(policy), views=8)) for policy in ("flip", "color", "geometric")
    )
    assert two.high < quick.high < slow.high  # a flip has two views
