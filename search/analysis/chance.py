"""Trials that do no better than guessing, and what is likely to be the cause."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.journal.history import Trial
from search.racing import Rules
from search.repertoire.heads import is_by_steps
from search.repertoire.networks import AnyRecipe
from search.repertoire.optimizers import optimizer_of
from search.repertoire.recipe import Recipe

BALANCED = "balanced_accuracy"  # chance is 1 / classes, however uneven they are
SURE = 1.64  # standard errors above chance: below it one-sided p is .05 or more
WORTH = 0.25  # of what the best trial has beyond chance: one that has more has learnt something
# Unfrozen pretrained bodies ended at chance from 2e-3 on in six of seven recorded trials; at 7e-4 they learnt.
HIGHEST = {"unfrozen": 1e-3, "from scratch": 1e-2, "head": 5e-2}
LOWEST = 2e-5
HIGHER = 2  # times the highest rate that learnt


@dataclass(frozen=True)
class Chance:
    """A trial that does no better than guessing: its balanced accuracy, that of guessing, and the likely cause."""

    trial: Trial
    balanced_accuracy: float
    guessing: float
    cause: str


def collapsed(trials: Iterable[Trial], rules: Rules, counts: Iterable[int]) -> dict[str, Chance]:
    """Return the trials that do no better than guessing, by id; ``counts`` are the images of each class.

    A trial is one of them if the mean balanced accuracy of its runs at the largest training size that it ran
    lies within the luck of guessing, and below a quarter of what the best trial has beyond guessing there.
    """
    numbers = np.array(list(counts), dtype=float)
    guessing = 1 / len(numbers)
    sizes = [(trial, *size) for trial in trials if (size := _largest(trial, rules))]
    best: dict[float, float] = {}
    for _, fraction, mean, _ in sizes:
        best[fraction] = max(mean, best.get(fraction, 0.0))
    lucks = {folds: SURE * _error(numbers, folds / rules.parts) for folds in {folds for *_, folds in sizes}}
    found, learnt = [], []
    for trial, fraction, mean, folds in sizes:
        luck = lucks[folds]
        most = WORTH * (best[fraction] - guessing) if best[fraction] > guessing + luck else luck
        if trial.verdict and mean - guessing <= min(luck, most):
            found.append((trial, mean))
        else:
            learnt.append(trial)
    recipes = [one.recipe for one in learnt if isinstance(one.recipe, Recipe) and is_by_steps(one.recipe)]
    rates = {kind: [usual_rate(recipe) for recipe in recipes if kind_of(recipe) == kind] for kind in WORDS}
    return {trial.id: Chance(trial, mean, guessing, _cause(trial.recipe, rates)) for trial, mean in found}


def _cause(recipe: AnyRecipe, rates: Mapping[str, Sequence[float]]) -> str:
    if isinstance(recipe, Recipe):
        return cause(recipe, rates[kind_of(recipe)])
    return "not known: the space builds its network, so look at its learning rate first, and then at its layers"


def _largest(trial: Trial, rules: Rules) -> tuple[float, float, int] | None:
    """Return the largest training size that a trial ran, its mean balanced accuracy there, and on how many folds."""
    for fraction in reversed(rules.fractions):
        runs = [run for fold in rules.of_size[fraction] if (run := trial.runs.get(fold))]
        scores = [run.scores[BALANCED] for run in runs if BALANCED in run.scores]
        if runs and len(scores) == len(runs):
            return fraction, float(np.add.reduce(scores)) / len(scores), len(scores)
    return None


def _error(counts: np.ndarray, share: float) -> float:
    """Return the standard error of the balanced accuracy of guessing, on such a share of the images."""
    chance = 1 / len(counts)
    return math.sqrt(chance * (1 - chance) * (1 / np.maximum(counts * share, 1)).sum()) / len(counts)


def cause(recipe: Recipe, rates: Sequence[float]) -> str:
    """Return in words why a recipe probably learnt nothing.

    ``rates`` are those at which others of its kind learnt, each as ``usual_rate`` has it.
    """
    if not is_by_steps(recipe):
        return "not known: compare its settings with those of trials that learnt"
    rate, kind = usual_rate(recipe), kind_of(recipe)
    if rate <= LOWEST:
        return f"probably its learning rate, as {recipe.rate:.2g} is very low"
    if rates and kind != "head" and rate >= HIGHER * max(rates):
        highest = max(rates) * optimizer_of(recipe).rate_factor
        return f"probably its learning rate, which is {recipe.rate:.2g}; trials learnt with {highest:.2g}"
    if rate >= HIGHEST[kind] and rate > max(rates, default=0.0):
        return f"probably its learning rate, as {recipe.rate:.2g} is high for {WORDS[kind]}"
    if not rates:
        return "perhaps the images do not show what tells the classes apart, or their labels are wrong"
    return "not known: its learning rate is a usual one, so compare its other settings with those of trials that learnt"


WORDS = {"unfrozen": "unfrozen blocks", "from scratch": "a network from scratch", "head": "a head"}


def usual_rate(recipe: Recipe) -> float:
    """Return the learning rate of a recipe, as AdamW would have it: that of Adadelta is usually 300 times as high."""
    return recipe.rate / optimizer_of(recipe).rate_factor


def kind_of(recipe: Recipe) -> str:
    """Return what trains, as far as its learning rate goes: a head, unfrozen blocks, or a network from scratch."""
    if recipe.head_only:
        return "head"
    return "unfrozen" if recipe.architecture.pretrained else "from scratch"
