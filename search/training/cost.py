"""What a search will cost, roughly, before its first trial.

Multiply-adds of each part of each recipe, divided by what this machine does a second, as busy as it is now; right
within a factor of two or so on the machines that it was fitted on, so the range is widened by that. Where runs of the
search have ended, what is left is estimated by their seconds. During a session the time left is taken from its runs.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from search.data.folds import Fold
from search.data.synthetic import SyntheticPool, tally
from search.repertoire.augmentation import Augment
from search.repertoire.backbones.pooling import share_of_features
from search.repertoire.body import LEARNING
from search.repertoire.heads import USUAL_FEATURES, is_by_steps, kind_of, settings_of
from search.repertoire.mixing import MIXERS, mix_of
from search.repertoire.networks import AnyRecipe, NetworkRecipe, views_scored
from search.repertoire.rates import first_step
from search.repertoire.recipe import Recipe
from search.repertoire.schedules import BEST_MEAN
from search.repertoire.shape import Shape, shape_of
from search.system.machine import cores

CONVOLUTION_EFFICIENCY = 0.5  # of the speed of a large matrix product
SECONDS_TO_BUILD = 2.5  # a network of a new shape, its tracing included
SECONDS_A_STEP = 0.003
# DECISIONS: A learning BatchNorm and averages of the weights count in the estimate
LEARNING_NORMS = 1.4  # times as long as BatchNorm that is folded into convolutions
SECONDS_TO_AVERAGE = 0.002  # the weights of an unfrozen body, after a step
SECONDS_A_STEP_OF_KERAS = 0.006
SECONDS_A_RUN = 0.03
SECONDS_TO_START = 8.0
RACED = 0.3  # of the runs of deep trials, at best
SHORTER, LONGER = 0.7, 2.0  # the factors of an estimate that nothing has confirmed
CONFIRMED_SHORTER, CONFIRMED_LONGER = 0.8, 1.5  # likewise, where runs have been timed
SECONDS_TIMED = 1.0  # of runs, from which on they tell how fast this search trains
Key = tuple[Any, ...]  # what tells parts of stored features apart
Further = Callable[[AnyRecipe, Fold], int]  # how many images more than its real ones train a recipe in a fold
ALL_OF_SPACE = "as the space has no more"  # of trials, where these are fewer than the budget


@dataclass(frozen=True)
class Estimate:
    """Seconds that a search may take: ``low`` if racing stops much, ``high`` if nothing is stopped."""

    low: float
    high: float


@functools.cache
def core_speed(side: int = 512, seconds: float = 0.05) -> float:
    """Return multiply-adds a second of float32 matrix products on one core, at its fastest; measured once in a process.

    Threads that share busy cores wait for each other, and would tell a thirtieth.
    """
    matrix = np.ones((side, side), np.float32)
    fastest = float("inf")
    with threadpool_limits(1):
        matrix @ matrix
        began = time.perf_counter()
        while (at := time.perf_counter()) < began + seconds:
            matrix @ matrix
            fastest = min(fastest, time.perf_counter() - at)
    return side**3 / fastest


@functools.cache
def slowdown(workers: int, side: int = 512, seconds: float = 0.3) -> float:
    """Return how many times longer so many workers take now than on an idle machine, 1 or more.

    Others may be using the cores: as many threads as workers multiply for a moment, each on its own.
    """
    products = [0] * workers
    end = time.perf_counter() + seconds

    def multiply(number: int) -> None:
        matrix = np.ones((side, side), np.float32)
        while time.perf_counter() < end:
            matrix @ matrix
            products[number] += 1

    idle, began = speed_of(workers), time.perf_counter()
    with threadpool_limits(1):
        end = time.perf_counter() + seconds
        threads = [threading.Thread(target=multiply, args=(number,)) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    now = side**3 * sum(products) / (time.perf_counter() - began)
    return max(1.0, idle / now) if now else 1.0


def pace(runs: Iterable[tuple[AnyRecipe, Fold, float]], labels: np.ndarray | None = None) -> float | None:
    """Return how many times longer runs took than was estimated for one worker on an idle machine.

    ``runs`` are (recipe, fold, seconds), and ``labels`` those of the real images (n,), by which sampling counts. None
    where they are too few to tell.
    """
    timed = list(runs)
    seconds = sum(seconds for _, _, seconds in timed)
    speed = core_speed() * CONVOLUTION_EFFICIENCY
    further = none_further if labels is None else further_images(None, [], labels)
    estimated = sum(trained(recipe, [fold], speed, further) for recipe, fold, _ in timed)
    return seconds / estimated if seconds >= SECONDS_TIMED and estimated else None


def none_further(recipe: AnyRecipe, fold: Fold) -> int:  # noqa: ARG001 where a fold trains as it is
    """Return 0: a fold trains as it is."""
    return 0


def estimate(
    sample: Sequence[AnyRecipe],
    trials: int,
    folds: Sequence[Fold],
    images: tuple[int, int],
    racing: bool,
    speed: float,
    further: Further = none_further,
) -> Estimate:
    """Return the cost of ``trials`` trials like those of ``sample``, recipes of the space.

    ``images`` counts real and synthetic ones; ``speed`` is ``core_speed()`` times the number of
    workers; ``further`` says how many more images than it has real ones a recipe trains on in a fold.
    """
    speed *= CONVOLUTION_EFFICIENCY
    scale = trials / len(sample)
    starts = [first for r in sample if isinstance(r, Recipe) and (first := first_step(r))]
    shared = {key: seconds for r in sample for key, seconds in stored_parts(r, images, speed).items()}
    shapes = {each for r in sample for each in shapes_of(r)}
    # Nothing is shared more often than trials allow.
    once = min(1.0, scale) * sum(shared.values()) + min(trials, len(shapes)) * SECONDS_TO_BUILD + SECONDS_TO_START
    heads = scale * sum(trained(r, folds, speed, further) for r in (*sample, *starts) if r.head_only)
    deep = scale * sum(trained(r, folds, speed, further) for r in sample if not r.head_only)
    return Estimate(once + heads + deep * (RACED if racing else 1), once + heads + deep)


def further_images(pool: SyntheticPool | None, folds: Sequence[Fold], labels: np.ndarray) -> Further:
    """Return what tells how many more images than its real ones train a recipe in one of these folds.

    These are synthetic ones, and copies that sampling adds; it is below 0 where sampling leaves images out.
    """
    by_name = {fold.id: fold for fold in folds}

    @functools.cache
    def admissible(fold: str, method: str | None) -> dict[str, int]:
        assert pool is not None, "it is asked where there are some"
        return pool.counts(by_name[fold], method)

    def count(recipe: AnyRecipe, fold: Fold) -> int:
        sampled = 0
        if recipe.sampling:
            counts = np.bincount(labels[fold.train])
            sampled = int((recipe.sampling.wanted(counts) - counts).sum())
        if pool is None or not recipe.synthetic or recipe.synthetic_replacing:
            return sampled
        wanted = pool.asked(recipe.synthetic, fold, labels)
        return sampled + sum(tally(wanted, admissible(fold.id, recipe.synthetic_method))["drawn"].values())

    return count


def estimate_of(
    sample: Sequence[AnyRecipe],
    baselines: Sequence[AnyRecipe],
    trials: int,
    folds: Sequence[Fold],
    labels: np.ndarray,
    pool: SyntheticPool | None,
    racing: bool,
    slots: int,
    timed: float | None = None,
) -> Estimate:
    """Return what a search may cost, from a sample of its space; its baselines, which are not raced, included.

    ``timed`` is the ``pace`` of its runs so far; without it, the machine is measured as it is now.
    """
    factor = slowdown(slots) if timed is None else timed
    shorter, longer = (SHORTER, LONGER) if timed is None else (CONFIRMED_SHORTER, CONFIRMED_LONGER)
    images = len(labels), len(pool) if pool else 0
    cost = estimate(sample, trials, folds, images, racing, speed_of(slots), further_images(pool, folds, labels))
    more = 0.0
    if baselines:
        more = estimate(baselines, len(baselines), folds, images, False, speed_of(slots)).high - SECONDS_TO_START
    return Estimate((cost.low + more) * factor * shorter, (cost.high + more) * factor * longer)


def speed_of(slots: int) -> float:
    """Return the multiply-adds a second of so many workers."""
    return core_speed() * min(slots, cores())


def seconds_of_views(sample: Sequence[AnyRecipe], images: int, speed: float) -> dict[Augment, float]:
    """Return what the views of each augmentation in a sample cost: the seconds of a typical backbone and depth."""
    seconds: dict[Augment, list[float]] = {}
    for recipe in sample:
        if not recipe.augment.is_plain:
            seconds.setdefault(recipe.augment, []).append(_stored(recipe, images, speed * CONVOLUTION_EFFICIENCY))
    return {augment: float(np.median(each)) for augment, each in seconds.items()}


def _frozen_part(recipe: AnyRecipe) -> tuple[str, int | None, str]:
    if isinstance(recipe, NetworkRecipe):
        return "", None, ""
    return recipe.architecture.name, recipe.unfrozen_blocks, recipe.pooling if recipe.head_only else ""


def _macs(recipe: AnyRecipe) -> tuple[float, float]:
    """Return the multiply-adds of one image in the frozen and in the trained part."""
    if isinstance(recipe, NetworkRecipe):
        return 0.0, recipe.network.mega_macs * 1e6
    backbone = recipe.architecture
    image_size, unfrozen_blocks = recipe.settled
    total = backbone.mega_macs * 1e6 * (image_size / 224) ** 2
    trained = total * unfrozen_blocks / backbone.blocks
    return total - trained, trained


def stored_parts(recipe: AnyRecipe, images: tuple[int, int], speed: float) -> dict[Key, float]:
    """Return the seconds that each part of what a recipe shows takes to be made; equal parts are made once.

    ``images`` counts real and synthetic ones, and ``speed`` the multiply-adds of convolutions a second.
    """
    first = first_step(recipe) if isinstance(recipe, Recipe) else None
    parts: dict[Key, float] = {}
    for each in (recipe, first) if first else (recipe,):
        for pool in (0, 1) if each.synthetic else (0,):
            key = (*_frozen_part(each), each.image_size, each.augment, each.views, pool)
            parts[key] = _stored(each, images[pool], speed)
    parts[(*_frozen_part(recipe), recipe.image_size, _passes(recipe))] = _stored_to_score(recipe, images[0], speed)
    return parts


def shapes_of(recipe: AnyRecipe) -> tuple[Shape, ...]:
    """Return the shapes of the networks that a recipe needs; none where the space builds it: see ``trained``."""
    if isinstance(recipe, NetworkRecipe):
        return ()
    shape = shape_of(recipe)
    return tuple(shape.branches) or (shape,)


def _stored(recipe: AnyRecipe, images: int, speed: float) -> float:
    """Seconds to draw all views of all images and to take them through the frozen part, once."""
    frozen_macs, _ = _macs(recipe)
    augment = recipe.augment
    drawing = 0.0 if augment.is_plain else sum(augment.row.seconds * (side / 160) ** 2 for side in recipe.sizes)
    return images * recipe.views * (drawing + frozen_macs / speed)


def _passes(recipe: AnyRecipe) -> int:
    """Return how many views of an image a prediction looks at."""
    return len(views_scored(recipe))


def _stored_to_score(recipe: AnyRecipe, images: int, speed: float) -> float:
    """Seconds to take the views that are scored through the frozen part, but for the images themselves."""
    return images * (_passes(recipe) - 1) * _macs(recipe)[0] / speed


def trained(recipe: AnyRecipe, folds: Sequence[Fold], speed: float, further: Further = none_further) -> float:
    """Seconds to train a recipe on these folds: forward and backward cost three passes."""
    _, trained_macs = _macs(recipe)
    counts = [len(fold.train) + further(recipe, fold) for fold in folds]
    asked = _passes(recipe) * (recipe.epochs if recipe.epoch == BEST_MEAN else 1)
    examples, predictions = sum(counts) * recipe.epochs, sum(len(fold.validation) for fold in folds) * asked
    if isinstance(recipe, NetworkRecipe):
        passes = (3 * examples + predictions) * trained_macs / speed
        return passes + examples / recipe.batch_size * SECONDS_A_STEP_OF_KERAS + len(folds) * SECONDS_TO_BUILD
    kind, share = kind_of(recipe.head), share_of_features(recipe)
    if not is_by_steps(recipe):
        return share * sum(kind.seconds_a_run(count * recipe.views) for count in counts) + len(folds) * SECONDS_A_RUN
    trained_macs += kind.macs(settings_of(recipe.head), share * USUAL_FEATURES)
    trained_macs *= LEARNING_NORMS if recipe.batch_norm == LEARNING else 1
    step = kind.seconds_a_step * share if recipe.head_only else SECONDS_A_STEP + SECONDS_TO_AVERAGE * (recipe.ema > 0)
    seconds_a_step = step + MIXERS[mix_of(recipe).mixer].seconds
    passes = (3 * examples + predictions) * trained_macs / speed
    return passes + examples / recipe.batch_size * seconds_a_step + len(folds) * SECONDS_A_RUN
