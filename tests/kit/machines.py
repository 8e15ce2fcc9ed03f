"""A made-up machine that does the trials of a search, and knows how long it takes; nothing runs."""

import random
from dataclasses import replace

import numpy as np

from search.data.folds import Fold
from search.data.holdout import HOLDOUT
from search.journal.events import JobEvent, SessionEvent, TrialEvent, VerdictEvent
from search.journal.history import History
from search.journal.outcomes import CONFIRM, Run, Status, Verdict
from search.racing import PlannedFold, Rules
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.training.cost import SECONDS_TO_BUILD, shapes_of, stored_parts, trained
from search.training.timing import Passing, Plan

SPEED = 5e9
SLOTS = 2
RATIOS = {"train": 2.5, "views": 1.4, "build": 4.0}  # of this machine, times that of a backbone
OF_BACKBONES = {"MobileNetV2_0.35": 1.0, "MobileNet_0.25": 1.8}


def folds(images=120, count=3):
    rows = np.arange(images)
    parts = np.array_split(rows, count)
    regular = {f"f{at}": Fold(0, at, 1.0, np.setdiff1d(rows, part), part, f"f{at}") for at, part in enumerate(parts)}
    again = {CONFIRM + name: replace(fold, id=CONFIRM + name) for name, fold in regular.items()}
    return {**regular, **again, HOLDOUT: Fold(0, 0, 1.0, rows, rows[:20], HOLDOUT)}


FOLDS = folds()
PLANNED = tuple(PlannedFold(name, (0, at), 1.0) for at, name in enumerate(("f0", "f1", "f2")))
RULES = Rules(PLANNED, "accuracy", 120, racing=False)


def space(depths, points=64, seed=0):
    """Return recipes of a space at random points."""
    rng = random.Random(seed)
    return [
        Recipe(
            rng.choice(list(OF_BACKBONES)),
            unfrozen_blocks=rng.choice(depths),
            image_size=rng.choice([64, 96]),
            augment=Augment(rng.choice(["none", "flip_crop", "color"])),
            learning_rate=rng.uniform(1e-4, 1e-2),
            epochs=10,
        )
        for _ in range(points)
    ]


class Machine:
    """A machine that does the trials of a search, one after another, and knows how long it takes."""

    def __init__(self, plan, seed=0):
        self.plan, self.history, self.passing = plan, History(), Passing()
        self.features, self.shapes = set(), set()
        self.random = random.Random(seed)
        self.now = 0.0
        self.history.apply(SessionEvent(racing=plan.rules.racing))

    def seconds(self, stage, recipe):
        """Return how many times its estimate a stage takes, give or take a tenth."""
        return RATIOS[stage] * OF_BACKBONES[recipe.architecture.name] * self.random.uniform(0.9, 1.1)

    def do(self, name, recipe):
        """Do a trial; return the seconds that passed."""
        began = self.now
        self.history.apply(TrialEvent(name, {}, recipe))
        new = {key: cost for key, cost in stored_parts(recipe, (120, 0), SPEED).items() if key not in self.features}
        shapes = set(shapes_of(recipe)) - self.shapes
        self.features |= set(new)
        self.shapes |= shapes
        builders = 1 if recipe.head_only else SLOTS
        once = {
            "views": sum(new.values()) * self.seconds("views", recipe),
            "build": SECONDS_TO_BUILD * len(shapes) * builders * self.seconds("build", recipe),
        }
        names = [fold.id for fold in PLANNED]
        jobs = [names] if recipe.head_only else [[name] for name in names]
        for number, job in enumerate(jobs, start=1):
            train = trained(recipe, [FOLDS[fold] for fold in job], SPEED) * self.seconds("train", recipe)
            stages = {"train": train, "rest": 0.1, **{stage: cost / len(jobs) for stage, cost in once.items()}}
            width = self.plan.width(recipe, len(names))
            self.now += sum(stages.values()) / width
            self.passing.note(self.now, sum(stages.values()), width)
            runs = tuple(Run(fold, {"accuracy": 0.8}, train / len(job), {}, "", "") for fold in job)
            self.history.apply(JobEvent(name, number, "", "", runs, stages))
        self.history.apply(VerdictEvent(name, Verdict(Status.COMPLETED, 0.8, "")))
        return self.now - began


def plan(sample, rules=RULES, **fields):
    return Plan(FOLDS, (120, 0), SPEED, SLOTS, rules, sample, **fields)
