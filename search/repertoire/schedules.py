"""Schedules: the learning rate of each step of a run. A new schedule is one more row of ``SCHEDULES``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search.repertoire.fields import INTEGER, SECOND, TEXT, declare, describe, integer, member

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

WARM_UP = 0.1  # of the steps


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes during a run.

    ``rates(recipe, steps)`` are the rates of each step, (epochs, steps) float32, for a recipe whose epochs
    have so many steps; none is above the recipe's ``learning_rate``.
    """

    name: str
    rates: Callable[["Recipe", int], np.ndarray]


def _cosine(recipe: "Recipe", steps: int) -> np.ndarray:
    """Return rates that rise in a line, and then fall to zero as a cosine does."""
    total = recipe.epochs * steps
    warm = max(1, round(WARM_UP * total))
    at = np.arange(total)
    up = (at + 1) / warm
    down = 0.5 * (1 + np.cos(np.pi * (at - warm) / max(1, total - warm)))
    return (recipe.rate * np.where(at < warm, up, down)).astype(np.float32).reshape(recipe.epochs, steps)


SCHEDULES = {schedule.name: schedule for schedule in (Schedule("cosine", _cosine),)}


BATCH_SIZE = declare(
    "batch size",
    integer(1),
    INTEGER,
    words=lambda recipe: f"batches of {recipe.batch_size}",
    aside=True,
)
EPOCHS = declare(
    "epochs",
    integer(1),
    INTEGER,
    words=lambda recipe: "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs",
    aside=True,
)
SCHEDULE = declare(
    "schedule",
    member(SCHEDULES),
    describe(TEXT, "How the learning rate runs over the steps."),
    words=lambda recipe: f"{recipe.schedule} schedule",
    level=lambda recipe: recipe.schedule,
    since=SECOND,
)
