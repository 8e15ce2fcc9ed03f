"""Searches whose truth is known: out-of-fold predictions of recipes on images, without a network.

A prediction is right where a latent number is above zero: the recipe's skill at this training size,
the image's difficulty (shared by all recipes), what this recipe makes of this image, the luck of
this prediction, and of this training. A training set's worth is the sum of its images' worth, a
part of it shared by all recipes, so folds that share training images are alike, as in life. The
truth is then in closed form: how often the recipe is right on new images, over all trainings on as
many images. ``python tests/stats/simulate.py`` prints how the statistics fare.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from search import racing
from search.racing import PlannedFold, Rules

DIFFICULTY, OWN, LUCK = np.sqrt([0.65, 0.2, 0.15])  # parts of a prediction's variance; they sum to 1


@dataclass(frozen=True)
class World:
    """Images, folds and training: ``shared`` and ``own`` are how much a training set moves all recipes, and each.

    They and ``noise`` are latent: 0.1 moves an accuracy of .8 by 2.8 points. ``together`` images form a group.
    """

    images: int = 200
    folds: int = 5
    fractions: tuple[float, ...] = (0.25, 1.0)
    shared: float = 0.06
    own: float = 0.03
    noise: float = 0.05  # of the median recipe; one in ten has 2.5 times as much or more
    classes: int = 2
    together: int = 1


@dataclass(frozen=True)
class Study:
    """A full search: cells (trials, sizes, folds), predictions by size (trials, images), truth (trials, sizes)."""

    world: World
    labels: np.ndarray
    groups: np.ndarray
    fold: np.ndarray
    predicted: list[np.ndarray]
    cells: np.ndarray
    truth: np.ndarray

    @property
    def true_scores(self):
        return self.truth.mean(axis=1)


def recipes(rng, trials, spread=0.04, mean=0.8, drop=0.08):
    """Return accuracies (trials, 2) at a quarter and all of the data; ``spread`` is their standard deviation."""
    full = mean - spread * (rng.gamma(2.0, 1.0, trials) - 2) / np.sqrt(2)  # more bad ones than good ones
    low = full - drop * rng.normal(1, 0.25, trials)
    return np.clip(np.stack([low, full], axis=1), 0.52, 0.985)


def study(rng, world, truth):
    """Return a search over recipes with these true accuracies (trials, sizes)."""
    trials, sizes = truth.shape
    groups = np.arange(world.images) // world.together
    labels = rng.permutation(groups.max() + 1)[groups] % world.classes
    fold = rng.permutation(groups.max() + 1)[groups] % world.folds
    difficulty = rng.normal(size=groups.max() + 1)[groups] * DIFFICULTY
    of_recipe = rng.normal(size=(trials, world.images)) * OWN
    noise = world.noise * rng.lognormal(0.0, 0.7, trials)
    worth, own_worth = rng.normal(size=world.images), rng.normal(size=(trials, world.images))
    order = rng.random(world.images)  # training sizes are nested
    predicted, cells = [], np.zeros((trials, sizes, world.folds))
    for size, fraction in enumerate(world.fractions):
        more = fraction**-0.25  # small training sets differ more
        sd = np.sqrt(1 + (more * world.shared) ** 2 + (more * world.own) ** 2 + (more * noise) ** 2)
        latent = (ndtri(truth[:, size]) * sd)[:, None] + difficulty + of_recipe
        latent += rng.normal(size=latent.shape) * LUCK
        for at in range(world.folds):
            train = np.flatnonzero(fold != at)
            train = train[np.argsort(order[train])[: max(1, int(fraction * len(train)))]]
            moved = world.shared * worth[train].sum() + world.own * own_worth[:, train].sum(axis=1)
            moved = more * (moved / np.sqrt(len(train)) + noise * rng.normal(size=trials))
            latent[:, fold == at] += moved[:, None]
            cells[:, size, at] = (latent[:, fold == at] > 0).mean(axis=1)
        wrong = (labels + rng.integers(1, world.classes, latent.shape)) % world.classes
        predicted.append(np.where(latent > 0, labels, wrong))
    return Study(world, labels, groups, fold, predicted, cells, truth)


def rules(world):
    folds = [
        PlannedFold(f"f{at}@{fraction:g}", (0, at), fraction)
        for fraction in world.fractions
        for at in range(world.folds)
    ]
    return Rules(tuple(folds), "accuracy", world.images)


def raced(cells, rules, whole=None):
    """Return which runs racing leaves of all, (trials, sizes, folds): trials in order, its own rule.

    ``whole`` trials (heads) have all their runs in one job and are never stopped.
    """
    ran = np.zeros(cells.shape, dtype=bool)
    complete = []
    for trial, table in enumerate(cells):
        ran[trial] = True
        if len(complete) >= racing.BURN_IN and not (whole is not None and whole[trial]):
            tables = cells[complete]
            best = tables.mean(axis=(1, 2)).max()
            for done in range(racing.FEWEST_RUNS, table.size):
                seen = np.arange(table.size).reshape(table.shape) < done
                predicted, reach = racing.predict(tables, np.where(seen, table, np.nan), rules)
                if predicted + reach < best:
                    ran[trial] = seen
                    break
        if ran[trial].all():
            complete.append(trial)
    return ran


@dataclass(frozen=True)
class Space:
    """Factors with effects in points, and how much trials differ beside them (interactions, other choices)."""

    effects: tuple[tuple[float, ...], ...]
    beside: float = 0.02
    mean: float = 0.75
    drop: float = 0.08

    def truth(self, levels, beside):
        """Return true accuracies (trials, 2): a quarter, and all of the data."""
        total = sum(np.array(effects)[levels[:, at]] for at, effects in enumerate(self.effects))
        full = self.mean + total + beside
        return np.clip(np.stack([full - self.drop, full], axis=1), 0.3, 0.985)

    def draw(self, rng, trials):
        """Return levels (trials, factors) and true accuracies of random recipes."""
        levels = np.stack([rng.integers(len(effects), size=trials) for effects in self.effects], axis=1)
        return levels, self.truth(levels, self.beside * rng.normal(size=trials))

    def true_effects(self):
        """Return the mean true score of each level minus that over levels, over all recipes of the space."""
        levels = np.array(list(itertools.product(*(range(len(effects)) for effects in self.effects))))
        scores = self.truth(levels, 0.0).mean(axis=1)
        means = [
            np.array([scores[levels[:, at] == level].mean() for level in range(len(effects))])
            for at, effects in enumerate(self.effects)
        ]
        return [each - each.mean() for each in means]
