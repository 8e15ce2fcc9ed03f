"""Searches whose truth is known: out-of-fold predictions of recipes on images, without a network.

A prediction is right where a latent number is above zero: the recipe's skill at this training size,
the image's difficulty (shared by all recipes), what this recipe makes of this image, the luck of
this prediction, and of this training. A training set's worth is the sum of its images' worth, a
part of it shared by all recipes, so folds that share training images are alike, as in life. The
truth is then in closed form: how often the recipe is right on new images, over all trainings on as
many images. ``python tests/stats/simulate.py`` prints how the statistics fare.
"""

import itertools
import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from search import racing
from search.analysis.stats.comparing import against, contenders, winner
from search.analysis.stats.effects import additive
from search.analysis.stats.intervals import SCORES, corrected_interval
from search.analysis.stats.selection import Configurations, corrected
from search.racing import PlannedFold, Rules

MEAN = 0.8  # accuracy of a recipe with all images
DRAWS = 200  # of searches like the one that was done, to correct its winner

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


def recipes(rng, trials, spread=0.04, mean=MEAN, drop=0.08):
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
                forecast = racing.forecast_of(tables, np.where(seen, table, np.nan), rules)
                if forecast.score + forecast.reach < best:
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


@dataclass(frozen=True)
class Fare:
    """How the statistics of trials fared over many searches; shares in [0, 1], the rest in points.

    ``raw``, ``corrected``, ``drawn`` (where the correction may raise a score) and ``by_images`` (BBC-CV as
    published) are the mean surplus of the winner's score over its truth, ``full_…`` of its accuracy at
    full size; ``limits`` and ``full_limits`` are how often their limits hold the truth. ``equal`` trials
    have the same score in every fold, and so no interval; ``raised`` corrections came out above the raw score.
    """

    covered: float
    width: float
    equal: float
    raised: float
    raw: float
    corrected: float
    drawn: float
    by_images: float
    full_raw: float
    full_corrected: float
    limits: float
    full_limits: float
    limits_width: float
    false_better: float
    holds_best: float
    contenders: float


def fare(world, trials, spread, studies, *, mean=MEAN, seed=1, draws=DRAWS):
    """Search so many times over recipes of this spread (0: all equal), and tell how the statistics fared."""
    rows = []
    for number in range(studies):
        rng = np.random.default_rng((seed, number))
        truth = recipes(rng, trials, spread, mean) if spread else np.tile([mean - 0.08, mean], (trials, 1))
        rows.append(_fare_once(study(rng, world, truth), number, draws))
    return Fare(*map(float, np.mean(rows, axis=0)))


def _fare_once(found, seed, draws):
    true, full = found.true_scores, found.truth[:, -1]
    scores, parts = found.cells.mean(axis=(1, 2)), found.world.folds
    limits = [corrected_interval(cells.mean(axis=0), parts, SCORES) for cells in found.cells]
    best = winner(found.cells)
    folds = [found.fold] * 2
    drawn = corrected(Configurations(*predictions(found), folds), seed, draws)
    told = drawn.at_most(scores[best], *[found.cells[best, -1].mean()] * 2)
    published = corrected(Configurations(*predictions(found)), seed, draws)
    others = [trial for trial in range(len(true)) if trial != best]
    better = [each.p_holm < 0.05 for each in against(found.cells, best, others, parts)]
    within = contenders(found.cells, parts)
    return (
        np.mean([each.low <= truth <= each.high for each, truth in zip(limits, true, strict=True) if each.known]),
        100 * np.mean([each.high - each.low for each in limits if each.known]),
        np.mean([each.equal for each in limits]),
        told.raised,
        100 * (scores[best] - true[best]),
        100 * (told.score.mean - true[best]),
        100 * (drawn.score.mean - true[best]),
        100 * (published.score.mean - true[best]),
        100 * (found.cells[best, -1].mean() - full[best]),
        100 * (told.full_accuracy.mean - full[best]),
        told.score.low <= true[best] <= told.score.high,
        told.full_accuracy.low <= full[best] <= told.full_accuracy.high,
        100 * (told.score.high - told.score.low),
        any(claim and true[best] <= true[other] + 1e-9 for claim, other in zip(better, others, strict=True)),
        within[true.argmax()],
        within.mean(),
    )


def predictions(found):
    """Return what corrects a winner: labels, groups, predictions, classes, objective."""
    return [found.labels] * 2, [found.groups] * 2, found.predicted, found.world.classes, "accuracy"


@dataclass(frozen=True)
class EffectsFare:
    """How effects fared under racing: shares in [0, 1], ``half`` the mean half-width in points.

    ``lead`` is by how many points the first factor's best level is told too good on average; ``…_complete``
    is what complete trials alone would have said.
    """

    stopped: float
    judged: float
    covered: float
    half: float
    lead: float
    false_alarms: float
    judged_complete: float
    covered_complete: float
    half_complete: float


SMALL = Space(((0, 0.08, -0.10), (0, 0.03), (0, 0.02, -0.02), (0, 0)))
LARGE = Space(
    ((0, 0.06, -0.06, -0.12), (0, 0.03, 0.04), (0, 0.02, -0.02), (0, 0), (0, 0.01, 0.02), (0, 0, 0), (0, 0.02))
)


def effects_fare(space, trials, studies, seed=1, world=None):
    """Race so many searches over random recipes of a space, a fifth of them heads, and tell how effects fared."""
    world = world or World()
    everything, complete, stopped = [], [], []
    for number in range(studies):
        rng = np.random.default_rng((seed, number))
        levels, truth = space.draw(rng, trials)
        found = study(rng, world, truth)
        ran = raced(found.cells, rules(world), whole=rng.random(trials) < 0.2)
        whole = ran & ran.all(axis=(1, 2), keepdims=True)
        stopped.append(1 - ran.all(axis=(1, 2)).mean())
        everything += _judged(found.cells, ran, levels, space.true_effects())
        complete += _judged(found.cells, whole, levels, space.true_effects())
    known, alone = [each for each in everything if each[0]], [each for each in complete if each[0]]
    return EffectsFare(
        stopped=float(np.mean(stopped)),
        judged=len(known) / len(everything),
        covered=_mean(known, 1),
        half=_mean(known, 2),
        lead=float(np.mean([each[3] for each in known if each[4]])),
        false_alarms=float(np.mean([each[5] for each in known if each[5] is not None])),
        judged_complete=len(alone) / len(everything),
        covered_complete=_mean(alone, 1),
        half_complete=_mean(alone, 2),
    )


def _mean(rows, at):
    return float(np.mean([row[at] for row in rows])) if rows else float("nan")


def _judged(cells, ran, levels, truths):
    """Return for each level of each factor: known, covered, half-width, surplus, whether it leads, false alarm."""
    trial, size, fold = np.nonzero(ran)
    factors = {str(at): [str(level) for level in levels[trial, at]] for at in range(levels.shape[1])}
    rows = []
    for factor in additive(cells[ran], trial, size * cells.shape[2] + fold, factors):
        truth = truths[int(factor.name)]
        alarm = bool(factor.p_holm < 0.05) if np.ptp(truth) < 1e-12 else None
        for level in factor.levels if len(factor.levels) == len(truth) else ():
            true = truth[int(level.level)]
            leads = factor.name == "0" and true == truth.max()
            covered, half = level.low <= true <= level.high, 50 * (level.high - level.low)
            rows.append((not np.isnan(level.effect), covered, half, 100 * (level.effect - true), leads, alarm))
    return rows


MAIN = [(World(images), trials, 0.04) for images in (100, 200, 500) for trials in (20, 40, 100)]
NULL = [(World(100), 20, 0), (World(200), 40, 0), (World(500), 100, 0), (World(500, noise=0.15), 20, 0)]
NEAR = [  # one, where intervals are cut
    (World(100), 20, 0.02, 0.95),
    (World(200), 40, 0.015, 0.97),
    (World(60), 20, 0.02, 0.95),
    (World(200, folds=10), 20, 0.02, 0.95),
]
STRESS = [
    (World(200), 40, 0.015),
    (World(200, noise=0.15), 40, 0.04),
    (World(200, folds=3), 40, 0.04),
    (World(200, folds=10), 40, 0.04),
    (World(201, together=3), 40, 0.04),
    (World(200, classes=6), 40, 0.04),
    (World(200, own=0.1), 40, 0.04),
]


def main():
    """Print how everything fares: python tests/stats/simulate.py [how many searches of each kind]."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for world, trials, spread, mean in (*((*case, MEAN) for case in (*MAIN, *NULL, *STRESS)), *NEAR):
        told = fare(world, trials, spread, studies, mean=mean)
        sys.stdout.write(f"{world}\n   {trials} trials, spread {spread}, mean {mean}: {line(told)}\n")
    for name, space, trials in EFFECTS:
        sys.stdout.write(f"effects, {name} space, {trials} trials: {line(effects_fare(space, trials, studies))}\n")


EFFECTS = [
    *(("small", SMALL, trials) for trials in (12, 20, 40, 60)),
    *(("large", LARGE, trials) for trials in (20, 40, 60)),
]


def line(told):
    """Return a fare in one line."""
    return ", ".join(f"{name} {value:.3f}" for name, value in vars(told).items())


if __name__ == "__main__":
    main()
