"""Schedules: the learning rate of each step of a run, and the epoch of which the network counts.

A new schedule is one more row of ``SCHEDULES``. Nothing is chosen by a run alone on the images that score it:
``epoch="best_mean"`` chooses one epoch for all folds of a recipe, and the correction of the winner takes each (recipe,
epoch) as something that could have won.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from search.repertoire.fields import FOURTH, INTEGER, SECOND, TEXT, declare, describe, integer
from search.repertoire.heads import is_by_steps, level_of
from search.system.errors import UserError
from search.system.validation import named_fields, one_of, real, whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

WARM_UP = 0.1  # of the steps
PLANS_KEPT = 4  # runs of one recipe have one or two numbers of steps
LOWER = 1e-4  # by so much a loss must fall to count as lower, as with Keras' ReduceLROnPlateau
LARGEST_BATCH, MOST_EPOCHS = 100_000, 1_000_000
LAST, BEST_MEAN = "last", "best_mean"
NO_EARLY_STOPPING = (
    "A run validates on the images that score it: if it stopped early by these, or kept its best weights, its score "
    "would be flattered, each fold's by its own luck. Give the number of epochs, or search over it: "
    'epochs=hp.Int("epochs", 5, 30). Or write epoch="best_mean": one epoch for all folds, chosen from their mean '
    "curve, for which the winner's score is corrected"
)
REFUSED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("early_stopping", "patience", "callbacks", "restore_best_weights", "validation_split", "validation_data"),
        NO_EARLY_STOPPING,
    )
)


@dataclass(frozen=True)
class ScheduleRow:
    """How the learning rate changes during a run: a row of the table of schedules.

    ``rates(recipe, steps)`` are the rates of each step, (epochs, steps) float32, for a recipe whose epochs
    have so many steps; none is above the recipe's ``learning_rate``. ``parameters`` are those of a ``Schedule``
    that it has, with their defaults; ``details(schedule)`` says them after its name. ``share(schedule, losses)`` is
    the part of these rates that is left after epochs with these mean losses in training; None where losses count
    for nothing.
    """

    name: str
    rates: Callable[["Recipe", int], np.ndarray]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    details: Callable[["Schedule"], str] = lambda _schedule: ""
    share: Callable[["Schedule", Sequence[float]], float] | None = None


def _constant(recipe: "Recipe", steps: int) -> np.ndarray:
    return np.full((recipe.epochs, steps), recipe.rate, np.float32)


def _cosine(recipe: "Recipe", steps: int) -> np.ndarray:
    """Return rates that rise in a line, and then fall to zero as a cosine does."""
    total, share = recipe.epochs * steps, schedule_of(recipe).warm_up
    warm = max(1, round(share * total))
    at = np.arange(total)
    up = (at + 1) / warm
    down = 0.5 * (1 + np.cos(np.pi * (at - warm) / max(1, total - warm)))
    return (recipe.rate * np.where(at < warm, up, down)).astype(np.float32).reshape(recipe.epochs, steps)


def _step(recipe: "Recipe", steps: int) -> np.ndarray:
    """Return rates that are multiplied by a factor after each so many epochs."""
    schedule = schedule_of(recipe)
    drops = np.arange(recipe.epochs) // schedule.epochs
    return np.repeat((recipe.rate * schedule.factor**drops).astype(np.float32)[:, None], steps, axis=1)


def _exponential(recipe: "Recipe", steps: int) -> np.ndarray:
    """Return rates that fall a little with each step, as Keras' ExponentialDecay has them."""
    schedule = schedule_of(recipe)
    span = schedule.steps or schedule.epochs * steps
    at = np.arange(recipe.epochs * steps) / span
    return (recipe.rate * schedule.factor**at).astype(np.float32).reshape(recipe.epochs, steps)


# DECISIONS: A plateau is one of a run's own training loss
def _after_plateaus(schedule: "Schedule", losses: Sequence[float]) -> float:
    """Return what Keras' ReduceLROnPlateau leaves of a rate, each time that no loss was lower for so many epochs."""
    share, lowest, epochs = 1.0, np.inf, 0
    for loss in losses:
        lower = loss < lowest - LOWER
        lowest, epochs = (loss, 0) if lower else (lowest, epochs + 1)
        if epochs == schedule.patience:
            share, epochs = share * schedule.factor, 0
    return share


def _every(schedule: "Schedule") -> str:
    if schedule.steps:
        return f" ×{schedule.factor:g} every {schedule.steps} steps"
    return f" ×{schedule.factor:g} every " + ("epoch" if schedule.epochs == 1 else f"{schedule.epochs} epochs")


def _warm_up_in_words(schedule: "Schedule") -> str:
    return "" if schedule.warm_up == WARM_UP else f" with a warm-up of {schedule.warm_up:g}"


def _patience_in_words(schedule: "Schedule") -> str:
    return f" ×{schedule.factor:g} after " + ("1 epoch" if schedule.patience == 1 else f"{schedule.patience} epochs")


SCHEDULES = {
    schedule.name: schedule
    for schedule in (
        ScheduleRow("cosine", _cosine, {"warm_up": WARM_UP}, _warm_up_in_words),
        ScheduleRow("constant", _constant),
        ScheduleRow("step", _step, {"factor": 0.1, "epochs": 5}, _every),
        ScheduleRow("exponential", _exponential, {"factor": 0.9, "epochs": 1, "steps": None}, _every),
        ScheduleRow("plateau", _constant, {"factor": 0.1, "patience": 3}, _patience_in_words, _after_plateaus),
    )
}

PARAMETERS: Mapping[str, Callable[[str, Any], float]] = {
    "factor": lambda name, value: real(name, value, 0, 1, open_low=True),
    "epochs": lambda name, value: whole(name, value, 1),
    "steps": lambda name, value: whole(name, value, 1),
    "patience": lambda name, value: whole(name, value, 1),
    "warm_up": lambda name, value: real(name, value, 0, 1),
}


@named_fields
@dataclass(frozen=True)
class Schedule:
    """A schedule by its name, with its parameters: None is the default of those that it has.

    ``factor`` multiplies the rate after each so many ``epochs`` ("step"), bit by bit within them or within so many
    ``steps`` ("exponential"), or where the training loss was not lower for ``patience`` epochs ("plateau").
    ``warm_up`` is the part of all steps in which the rate of "cosine" rises.
    """

    name: str = "cosine"
    factor: Any = None
    epochs: Any = None
    steps: Any = None
    patience: Any = None
    warm_up: Any = None

    def __post_init__(self) -> None:
        """Validate, and fill in the defaults."""
        one_of("Schedule name", self.name, SCHEDULES)
        if self.epochs is not None and self.steps is not None:
            raise UserError(
                f"Schedule({self.name!r}, epochs={self.epochs!r}, steps={self.steps!r}): the rate falls within epochs "
                "or within steps. Leave one out."
            )
        defaults = SCHEDULES[self.name].parameters
        for parameter, settle in PARAMETERS.items():
            value = getattr(self, parameter)
            if value is not None and parameter not in defaults:
                raise UserError(_foreign(self.name, parameter, value))
            if value is None and not (parameter == "epochs" and self.steps):
                value = defaults.get(parameter)
            if value is not None:
                object.__setattr__(self, parameter, settle(f"Schedule {parameter}", value))

    @property
    def level(self) -> str:
        """The name and the parameters: "constant", "step ×0.1 every 5 epochs"."""
        return self.name + SCHEDULES[self.name].details(self)

    @property
    def words(self) -> str:
        """The same in the line of a recipe: "constant schedule", "step schedule ×0.1 every 5 epochs"."""
        return f"{self.name} schedule{SCHEDULES[self.name].details(self)}"

    def to_json(self) -> str | dict[str, Any]:
        """Return it as journals hold it: its name, or a dict where a parameter is not the default."""
        if self == Schedule(self.name):
            return self.name
        values = {row.name: getattr(self, row.name) for row in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def _foreign(name: str, parameter: str, value: Any) -> str:
    having = [row.name for row in SCHEDULES.values() if parameter in row.parameters]
    return (
        f"Schedule({name!r}, {parameter}={value!r}): this schedule has no {parameter}. Leave it out; {parameter} is "
        f"for {', '.join(map(repr, having))}."
    )


def settle_schedule(name: str, value: Any, _recipe: Any) -> Schedule:
    """Return a schedule, which may be written as its name."""
    if isinstance(value, Schedule):
        return value
    one_of(name, value, SCHEDULES)
    return Schedule(value)


def schedule_of(recipe: "Recipe") -> Schedule:
    """Return the schedule of a recipe, however it was written."""
    assert isinstance(recipe.schedule, Schedule)
    return recipe.schedule


@functools.lru_cache(PLANS_KEPT)
def _planned(recipe: "Recipe", steps: int) -> np.ndarray:
    """Return the rates of all epochs, (epochs, steps): each epoch asks for its own."""
    rates = SCHEDULES[schedule_of(recipe).name].rates(recipe, steps)
    rates.flags.writeable = False
    return rates


def rates_of(recipe: "Recipe", steps: int, losses: np.ndarray) -> np.ndarray:
    """Return the learning rates of the steps of the epoch that follows epochs with these mean losses, (steps,)."""
    row, rates = SCHEDULES[schedule_of(recipe).name], _planned(recipe, steps)[len(losses)]
    return rates * np.float32(row.share(schedule_of(recipe), losses.tolist())) if row.share else rates


# DECISIONS: The best epoch on average is chosen once the folds have run
def settle_epoch(name: str, value: Any, recipe: "Recipe") -> str:
    """Return which epoch counts. Raises UserError where a recipe has no epochs, or weights that come of all of them."""
    if isinstance(value, str) and value in {"best", "early_stopping", "best_fold"}:
        raise UserError(f"{name}={value!r} is refused. {NO_EARLY_STOPPING}.")
    one_of(name, value, (LAST, BEST_MEAN))
    if value == LAST:
        return LAST
    if not is_by_steps(recipe):
        raise UserError(
            f"{name}={value!r} with head={level_of(recipe.head)!r}, which is fitted at once: there are no epochs."
        )
    for other, averaged in (("wise_ft", recipe.wise_ft), ("ema", recipe.ema)):
        if averaged:
            raise UserError(
                f"{name}={value!r} with {other}={averaged:g}: weights are averaged after the last epoch. Leave one of "
                "the two out."
            )
    return BEST_MEAN


BATCH_SIZE = declare(
    "batch size",
    integer(1, LARGEST_BATCH),
    INTEGER,
    words=lambda recipe: f"batches of {recipe.batch_size}",
    aside=True,
)
EPOCHS = declare(
    "epochs",
    integer(1, MOST_EPOCHS),
    INTEGER,
    words=lambda recipe: "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs",
    aside=True,
)
SCHEDULE = declare(
    "schedule",
    settle_schedule,
    describe(TEXT, "How the learning rate runs over the steps."),
    words=lambda recipe: recipe.schedule.words,
    level=lambda recipe: recipe.schedule.level,
    to_json=lambda schedule: schedule.to_json(),
    from_json=lambda value: Schedule(**value) if isinstance(value, dict) else Schedule(value),
    cell=lambda schedule: schedule.level,
    brief=lambda schedule: schedule.level,
    since=SECOND,
)
EPOCH = declare(
    "epoch",
    settle_epoch,
    describe(TEXT, "Which epoch counts: the last, or the best on average over folds."),
    words=lambda _recipe: "best epoch on average",
    level=lambda recipe: recipe.epoch,
    since=FOURTH,
)
