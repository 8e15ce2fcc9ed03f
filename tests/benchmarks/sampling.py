"""Which runs of the naive loop are timed, and what all of them would take. Pure arithmetic.

All runs of a kind (depth and augmentation) do the same work, so a few of each tell the time of
all: the sum over kinds of how many there are times the mean of those that were timed.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from works import kind_of

from search import Recipe

Run = tuple[int, str]  # trial and fold


def all_runs(recipes: Sequence[Recipe], folds: Sequence[str]) -> list[Run]:
    """Return every trial on every fold."""
    return [(trial, fold) for trial in range(len(recipes)) for fold in folds]


def by_kind(recipes: Sequence[Recipe], runs: Iterable[Run]) -> dict[tuple[int, str], list[Run]]:
    """Return the runs of each kind."""
    kinds = defaultdict(list)
    for run in runs:
        kinds[kind_of(recipes[run[0]])].append(run)
    return dict(kinds)


def draw_sample(recipes: Sequence[Recipe], folds: Sequence[str], repeats: int, seed: int) -> list[list[Run]]:
    """Return one sample for each repeat: a run of each kind, others than before while there are others."""
    rng = random.Random(seed)
    samples: list[list[Run]] = [[] for _ in range(repeats)]
    for runs in by_kind(recipes, all_runs(recipes, folds)).values():
        drawn = rng.sample(runs, len(runs))
        for repeat, sample in enumerate(samples):
            sample.append(drawn[repeat % len(drawn)])
    for sample in samples:
        rng.shuffle(sample)
    return samples


def pieces(sample: Sequence[Run], number: int) -> list[list[Run]]:
    """Return the sample in at most ``number`` parts of about equal size, none of them empty."""
    parts = [list(sample[at::number]) for at in range(number)]
    return [part for part in parts if part]


def scaled_up(
    recipes: Sequence[Recipe], runs: Iterable[Run], timed: Iterable[tuple[Run, float]], start_up: float
) -> float:
    """Return what ``runs`` take in one process, from the seconds of those that were timed.

    Raises KeyError where a kind among ``runs`` was not timed at all.
    """
    seconds = defaultdict(list)
    for (trial, _), value in timed:
        seconds[kind_of(recipes[trial])].append(value)
    total = start_up
    for kind, members in by_kind(recipes, runs).items():
        if kind not in seconds:
            raise KeyError(kind)
        total += len(members) * float(np.mean(seconds[kind]))
    return total


def mean_difference(ours: dict[Run, float], naive: Iterable[tuple[Run, float]]) -> float:
    """Return the mean of (ours − naive) accuracy over the naive runs that were made."""
    return float(np.mean([ours[run] - accuracy for run, accuracy in naive]))
