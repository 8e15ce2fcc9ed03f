"""How busy many slots are with several trials open, and what that costs: run by hand, without training anything.

    PYTHONPATH=tests:. python tests/benchmarks/lags.py --slots 100 --lags 1 4 16 --trials 60 --times 5

The real loop decides, with the TPE oracle and racing. An executor of its own answers: each job takes a time that
depends on how much its recipe trains, and the clock jumps from one end to the next. The accuracies come from a known
surface over depth, learning rate, dropout and augmentation, with the luck of folds and runs. So it is known how good
the recommended recipe really is.
"""

import argparse
import random
import sys
import tempfile
from dataclasses import dataclass
from io import StringIO
from itertools import product
from pathlib import Path

import numpy as np
from kit.scripted import ScriptedExecutor, no_preload
from kit.shapes import write_shapes
from rich.console import Console

from search import Augment, KFoldTuner, Recipe
from search.executors.base import Done
from search.executors.table import ExecutorRow
from search.journal.outcomes import JobKind
from search.monitor.screen import Lines
from search.racing import ranked
from search.training.trainer import JobResult

SPACE = """
from search import Augment, Recipe, Study

study = Study(data="{folder}/shapes", folds=5, seed={seed}, image_size=32, baselines=False)

def space(hp):
    depth = hp.Choice("depth", [0, 1, 2, 3])
    return Recipe(
        "Embedded", depth,
        learning_rate=hp.Float("learning_rate", 1e-5, 1e-1, sampling="log"),
        dropout=hp.Float("dropout", 0.0, 0.6, step=0.1),
        augment=Augment(hp.Choice("augment", ["none", "flip", "flip_crop", "trivialaugment"])),
    )
"""
SECONDS = {0: 4.0, 1: 20.0, 2: 40.0, 3: 60.0}  # of a head with all its folds, of a run with all images at each depth
WORTH = {"none": 0.0, "flip": 0.01, "flip_crop": 0.02, "trivialaugment": 0.0}
FOLD_LUCK, RUN_LUCK = 0.02, 0.015  # standard deviations


def truth(recipe):
    """Return what a recipe is worth: the accuracy on ever so many images, with all of the training images."""
    best = -1.5 - 0.5 * recipe.unfrozen_blocks
    off = abs(np.log10(recipe.learning_rate) - best)
    depth = (0.0, 0.02, 0.03, 0.01)[recipe.unfrozen_blocks]
    return 0.85 + depth + WORTH[recipe.augment.policy] - 0.04 * off**1.5 - 0.1 * (recipe.dropout - 0.2) ** 2


@dataclass
class Clock:
    """What the slots of a search did: its seconds, and those that they worked for what counts, and in vain."""

    now: float = 0.0
    needed: float = 0.0
    in_vain: float = 0.0


class Simulated(ScriptedExecutor):
    """An executor whose clock jumps to the next end of a job."""

    def __init__(self, seed, clock, materials, slots):
        super().__init__(None, materials, slots)
        self.seed, self.clock, self.ends = seed, clock, []

    def free(self):
        return self.slots - len(self.ends)

    def submit(self, job):
        seconds = 0.0 if job.kind is JobKind.HELP else self.seconds(job)
        self.ends.append((self.clock.now + seconds, job.attempt, seconds, job))

    def seconds(self, job):
        luck = random.Random(f"{self.seed} {job.name} {job.folds}").lognormvariate(0, 0.2)
        is_small = not job.recipe.head_only and "@" in job.folds[0]
        return SECONDS[job.recipe.unfrozen_blocks] * luck * (0.3 if is_small else 1.0)

    def cancel(self, trial):
        """End its jobs now: an epoch is short."""
        for end in [end for end in self.ends if end[-1].trial == trial]:
            self.ends.remove(end)
            self.clock.in_vain += end[2] - (end[0] - self.clock.now)

    def wait(self, timeout):
        if not self.ends:
            return None
        end = min(self.ends, key=lambda end: end[:2])
        self.ends.remove(end)
        self.clock.now, _, seconds, job = end
        self.clock.needed += seconds
        return Done(
            job, JobResult(job, tuple(self.guess(job.recipe, self.materials.folds[fold]) for fold in job.folds), 0)
        )

    def accuracy(self, recipe, fold):
        of_fold, of_run = random.Random(f"{self.seed} {fold.id}"), random.Random(f"{self.seed} {recipe} {fold.id}")
        small = 0.06 * ("@" in fold.id)
        return min(1.0, truth(recipe) - small + of_fold.gauss(0, FOLD_LUCK) + of_run.gauss(0, RUN_LUCK))


def simulate(folder, slots, lag, trials, seed):
    """Search, and return the clock and what the recommended recipe lacks of the best, in points."""
    (folder / "space.py").write_text(SPACE.format(folder=folder, seed=seed))
    clock = Clock()

    def make(materials, options):
        return Simulated(seed, clock, materials, options.slots)

    screen, executors = Lines(Console(file=StringIO())), {"processes": ExecutorRow("", True, make, no_preload)}
    options = {"slots": slots, "lag": lag, "trials": trials, "offline": True, "name": f"{slots}-{lag}-{seed}"}
    options |= {"results": str(folder / "results"), "cache": str(folder / "cache")}
    tuner = KFoldTuner(folder / "space.py", screen=screen, executors=executors, **options)
    tuner.search()
    winner = ranked(tuner.record.history.trials.values())[0]
    return clock, 100 * (best_truth() - truth(winner.recipe))


def best_truth():
    """Return what the best recipe of the space is worth."""
    recipes = product(range(4), np.logspace(-5, -1, 401), WORTH)
    return max(
        truth(Recipe("Embedded", depth, learning_rate=rate, dropout=0.2, augment=Augment(policy)))
        for depth, rate, policy in recipes
    )


def main():
    """Print a line for each lag: the mean over the searches."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("slots", 100), ("trials", 60), ("times", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--lags", type=int, nargs="+", default=[1, 4, 16])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shapes(folder / "shapes", {"across": 200, "down": 200})
        for lag in asked.lags:
            outcomes = [simulate(folder, asked.slots, lag, asked.trials, seed) for seed in range(asked.times)]
            minutes = np.mean([clock.now for clock, _ in outcomes]) / 60
            share = np.mean([clock.needed / (asked.slots * clock.now) for clock, _ in outcomes])
            vain = np.mean([clock.in_vain / (asked.slots * clock.now) for clock, _ in outcomes])
            lacks = [lack for _, lack in outcomes]
            sys.stdout.write(
                f"slots {asked.slots}, lag {lag}: {minutes:.1f} min; slots at work {share:.0%} of the time, and in "
                f"vain {vain:.0%}; the recommended recipe is {np.mean(lacks):.2f} points behind the best "
                f"({min(lacks):.2f} to {max(lacks):.2f})\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
