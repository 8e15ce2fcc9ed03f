"""The works that are timed: fixed lists of recipes, drawn once by a seed.

Each list is shuffled, so that its order helps no race. A space file for it has one hyperparameter,
the number of the trial, so our search and the naive loop train the same trials in the same order.
"""

import dataclasses
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat

from search import Augment, Recipe

BACKBONE = "MobileNetV2_0.35"
EVERYTHING = 5  # blocks; what unfrozen_blocks=None means for this backbone
LITE = "EfficientNetLite0"
POLICIES = ("none", "flip_crop", "color")  # two augmented pairs of policy and strength, beside none
FURTHER = Augment("randaugment")  # a pair that no work has
LOWEST, HIGHEST = 1e-5, 1e-2  # learning rates

SPACE = '''"""The trials of the work {name!r}, in order; written by tests/benchmarks/works.py."""

from search import Recipe, Study

study = Study(
    data={data!r},
    objective="accuracy",
    folds={folds},
    train_fractions={fractions},
    oracle="grid",
    max_trials={trials},
    image_size={size},
    seed={seed},
    baselines=False,
)

RECIPES = {recipes}


def space(hp):
    return Recipe.from_dict(RECIPES[hp.Int("trial", 0, len(RECIPES) - 1)])
'''


@dataclass(frozen=True)
class Plan:
    """How large a work is: ``depths`` is how many trials unfreeze so many blocks; ``size`` is in px."""

    name: str
    depths: dict[int, int]
    epochs: int = 15
    size: int = 160
    folds: int = 5
    fractions: tuple[float, ...] = (1.0,)
    seed: int = 7
    backbone: str = BACKBONE

    @property
    def trials(self) -> int:
        """How many trials there are."""
        return sum(self.depths.values())

    def recipes(self) -> list[Recipe]:
        """Return the trials, the same ones at every call: each depth has every policy equally often."""
        rng = random.Random(self.seed)
        drawn = [
            self._draw(rng, depth, POLICIES[number % len(POLICIES)])
            for depth, count in self.depths.items()
            for number in range(count)
        ]
        rng.shuffle(drawn)
        return drawn

    def _draw(self, rng: random.Random, depth: int, policy: str) -> Recipe:
        return Recipe(
            self.backbone,
            unfrozen_blocks=depth,
            dropout=rng.choice([0.0, 0.2, 0.4]),
            augment=Augment(policy),
            class_weight=rng.choice(["none", "balanced"]),
            learning_rate=LOWEST * (HIGHEST / LOWEST) ** rng.random(),
            weight_decay=rng.choice([0.0, 1e-4, 1e-2]),
            epochs=self.epochs,
        )


# "everything unfrozen" has 12 trials, as one of its naive runs takes minutes; times per run do not depend on that.
# For the same reason one block of Lite0 has 6, each policy twice.
FULL = (
    Plan("head-only", {0: 40}),
    Plan("mixed", {0: 20, 1: 13, 2: 7}),
    Plan("everything-unfrozen", {EVERYTHING: 12}),
    Plan("lite0-heads", {0: 40}, backbone=LITE),
    Plan("lite0-one-block", {1: 6}, backbone=LITE),
)
QUICK = (
    Plan("head-only", {0: 12}, epochs=5, size=96),
    Plan("mixed", {0: 4, 1: 2, 2: 1}, epochs=5, size=96),
    Plan("everything-unfrozen", {EVERYTHING: 1}, epochs=5, size=96),
    Plan("lite0-heads", {0: 3}, epochs=2, size=96, backbone=LITE),
    Plan("lite0-one-block", {1: 1}, epochs=2, size=96, backbone=LITE),
)


def kind_of(recipe: Recipe) -> tuple[int, str]:
    """Return what decides over the time of a run: (unfrozen blocks, policy)."""
    assert recipe.unfrozen_blocks is not None
    return recipe.unfrozen_blocks, recipe.augment.policy


def pairs_of(recipes: list[Recipe]) -> set[Augment]:
    """Return the augmented pairs of policy and strength."""
    return {recipe.augment for recipe in recipes if recipe.augment.policy != "none"}


def kinds_of(recipes: list[Recipe]) -> Counter:
    """Return how many trials there are of each kind."""
    return Counter(kind_of(recipe) for recipe in recipes)


def one_more_pair(plan: Plan) -> tuple[list[Recipe], list[Recipe]]:
    """Return two searches of one trial: with a pair that the work has, and with one that it has not."""
    first = next(recipe for recipe in plan.recipes() if recipe.augment.policy != "none")
    return [first], [dataclasses.replace(first, augment=FURTHER)]


def write_space(file: Path, plan: Plan, data: Path, recipes: list[Recipe] | None = None) -> Path:
    """Write the space file of a work, or of other recipes under the same plan; return it."""
    recipes = recipes or plan.recipes()
    text = SPACE.format(
        name=plan.name,
        data=str(data),
        folds=plan.folds,
        fractions=plan.fractions,
        trials=len(recipes),
        size=plan.size,
        seed=plan.seed,
        recipes=pformat([recipe.to_dict() for recipe in recipes], sort_dicts=False, width=120),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
