"""How long the rest of a search takes, by what its jobs have taken so far.

What a trial costs is estimated from multiply-adds (``cost``). That is right within a factor of two or so. So it is
fitted to the jobs that have ended: each stage of a worker (features, building, training) has a ratio of what it took
to its estimate, for heads and for bodies, and for each backbone. A ratio of which few jobs tell leans on that of what
is like it. Last comes the ratio of the time that passed to the time of workers: they wait, and share the machine.

Nothing here asks for the time: it is handed in.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from search.data.folds import Fold
from search.data.holdout import HOLDOUT
from search.journal.history import History, Trial
from search.journal.outcomes import CONFIRM, Status
from search.racing import BURN_IN, ENOUGH_TO_CORRECT, Rules, could_have_won, jobs_left, next_holdout_job, ranked
from search.repertoire.networks import AnyRecipe, NetworkRecipe
from search.training.cost import (
    CONVOLUTION_EFFICIENCY,
    SECONDS_TO_BUILD,
    Further,
    Key,
    further_images,
    none_further,
    shapes_of,
    speed_of,
    stored_parts,
    trained,
)
from search.training.materials import Materials

SECONDS_TO_TRACE = 1.0  # a frozen part, before it gives its first features
SECONDS_A_JOB = 0.1  # that no stage but "rest" and "images" has
WEIGHT = 1.0  # of what is like it, in jobs, where a ratio is fitted
LEARNERS = ("tpe", "bayesian")  # of the oracles: they go where trials were good
STARTUP, RECENT = 8, 8  # trials that an oracle proposes at random, and those by which one sees where it goes since
RACED_SHARE, RACED_WEIGHT = 0.6, 4.0  # of the runs that a raced trial does, and how many trials that is worth
SECONDS_OF_PACE = 10.0  # of work, for which it is assumed that time passes as planned
TRAIN, VIEWS, BUILD, REST = "train", "views", "build", "rest"
HEADS, BODIES = "heads", "bodies"

Path = tuple[str, ...]  # a stage; with heads or bodies; and with a backbone
Part = tuple[str, object]  # a stage, and what is made in it once


class Observation(NamedTuple):
    """What a stage was estimated to take, and what it took, in seconds."""

    path: Path
    estimated: float
    actual: float


# DECISIONS: The time left is fitted by stage, for heads and bodies and by backbone
class Ratios:
    """How many times its estimate a stage takes."""

    def __init__(self, observations: Iterable[Observation], first: float = 1.0) -> None:
        """Fit the ratios; ``first`` is the one of all stages of which nothing is known."""
        sums: dict[Path, np.ndarray] = defaultdict(lambda: np.zeros(3))
        for path, estimated, actual in observations:
            for length in range(len(path) + 1):
                sums[path[:length]] += np.array([estimated, actual, 1.0])
        self._sums, self._first = sums, first

    def of(self, path: Path) -> float:
        """Return the ratio of a stage: its own, as far as jobs tell it, and that of what is like it."""
        above = self.of(path[:-1]) if path else self._first
        if path not in self._sums:
            return above
        estimated, actual, jobs = self._sums[path]
        if not estimated:
            return above
        like = WEIGHT * estimated / jobs
        return float((actual + like * above) / (estimated + like))


@dataclass(frozen=True)
class Plan:
    """What the times of a search follow from, besides its journal.

    ``folds`` are all by name, ``images`` counts real and synthetic ones, ``speed`` are the multiply-adds a second of
    one worker on an idle machine, of which there are ``slots``. ``further`` says how many images more than its real
    ones a fold trains a recipe on. ``sample`` are recipes of the space, ``baselines`` those by name. ``learns`` says
    whether the oracle goes where trials were good.
    """

    folds: Mapping[str, Fold]
    images: tuple[int, int]
    speed: float
    slots: int
    rules: Rules
    sample: Sequence[AnyRecipe]
    baselines: Mapping[str, AnyRecipe] = field(default_factory=dict)
    further: Further = none_further
    learns: bool = False

    def width(self, recipe: AnyRecipe, runs: int) -> float:
        """Return how many workers a trial keeps busy with so many runs, on average."""
        lag = self.rules.lag
        if lag > 1:
            return float(min(self.slots, lag * (1 if recipe.head_only else max(runs, 1))))
        return 1.0 if recipe.head_only or not runs else runs / -(-runs // self.slots)

    def training(self, recipe: AnyRecipe, folds: Iterable[str]) -> float:
        """Return the estimate of training these folds, in seconds of a worker."""
        return trained(recipe, [self.folds[fold] for fold in folds if fold in self.folds], self.speed, self.further)

    def storing(self, recipe: AnyRecipe) -> dict[Key, float]:
        """Return the estimate of each part of the features that a recipe needs, in seconds of a worker."""
        return stored_parts(recipe, self.images, self.speed)


def plan_of(
    materials: Materials,
    slots: int,
    rules: Rules,
    sample: Sequence[AnyRecipe],
    baselines: Mapping[str, AnyRecipe],
    oracle: str,
) -> Plan:
    """Return what the times of a search follow from on this machine."""
    folds, labels, pool = materials.folds, materials.labels, materials.pool
    images = len(labels), len(pool) if pool else 0
    speed, further = speed_of(1) * CONVOLUTION_EFFICIENCY, further_images(pool, list(folds.values()), labels)
    return Plan(folds, images, speed, slots, rules, sample, baselines, further, learns=oracle in LEARNERS)


def path_of(stage: str, recipe: AnyRecipe) -> Path:
    """Return where a stage of a recipe stands among the ratios."""
    backbone = "" if isinstance(recipe, NetworkRecipe) else recipe.architecture.name
    return stage, HEADS if recipe.head_only else BODIES, backbone


def once(recipe: AnyRecipe, plan: Plan) -> dict[Part, float]:
    """Return the estimate of each part of a recipe's work that is done once, whatever trials share it.

    That is features that are stored, and networks, which each worker builds that trains them.
    """
    parts: dict[Part, float] = {(VIEWS, key): seconds for key, seconds in plan.storing(recipe).items()}
    workers = 1 if recipe.head_only else plan.slots
    for shape in shapes_of(recipe):
        parts[BUILD, shape] = SECONDS_TO_BUILD * workers
        parts[VIEWS, shape] = SECONDS_TO_TRACE * workers
    return parts


def fitted(history: History, plan: Plan, first: float = 1.0) -> tuple[Ratios, set[Part]]:
    """Return the ratios that fit the jobs of a history, and the parts that these have done for others."""
    known: set[Part] = set()
    observations: list[Observation] = []
    for trial in (trial for trial in history.trials.values() if trial.jobs):
        recipe, stages, parts = trial.recipe, trial.stages, once(trial.recipe, plan)
        estimates = _first_time(parts, known)
        estimates[TRAIN] += plan.training(recipe, (*trial.runs, *trial.confirmations))
        estimates[REST] = SECONDS_A_JOB * trial.jobs
        actual = {stage: stages.get(stage, 0.0) for stage in (TRAIN, VIEWS, BUILD)}
        actual[REST] = sum(stages.values()) - sum(actual.values())
        observations += [Observation(path_of(stage, recipe), estimates[stage], actual[stage]) for stage in estimates]
        known.update(parts)
    return Ratios(observations, first), known


def _first_time(parts: Mapping[Part, float], known: Container[Part]) -> dict[str, float]:
    """Return the estimate, by stage, of those parts of a trial that no trial before it has done."""
    estimates = {VIEWS: 0.0, BUILD: 0.0, TRAIN: 0.0}
    for part, seconds in parts.items():
        estimates[part[0]] += 0.0 if part in known else seconds
    return estimates


@dataclass(frozen=True)
class Left:
    """The seconds that a search still takes, as they will pass: of trials, and of what comes after them."""

    trials: float
    afterwards: float

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.trials + self.afterwards


class Timing:
    """What the rest of a search takes, at one moment of it.

    ``pace`` is how many times longer time passes than workers that are always busy would need.
    """

    def __init__(self, history: History, plan: Plan, first: float = 1.0, pace: float = 1.0) -> None:
        """Fit the ratios to the history; ``first`` is as for ``fitted``."""
        self.history, self.plan, self.pace = history, plan, pace
        self.ratios, self.known = fitted(history, plan, first)

    def left(self, trials: int) -> Left:
        """Return what is left where so many trials more have still to be proposed."""
        begun = {trial.baseline for trial in self.history.trials.values()}
        baselines = [recipe for name, recipe in self.plan.baselines.items() if name not in begun]
        first = sum(self.of_trial(recipe, share=1.0) for recipe in baselines)
        return Left(self.opened() + first + self._of_new(trials), self.afterwards())

    def opened(self) -> float:
        """Return the seconds that the open trials have still to take."""
        return sum(self._of_open(trial) for trial in self.history.open_trials())

    def of_trial(self, recipe: AnyRecipe, share: float | None = None) -> float:
        """Return the seconds of a trial that begins now; racing leaves a ``share`` of its runs, the usual one if None.

        A trial of which nothing is stored and built yet takes longer than the next one like it.
        """
        estimates = _first_time(once(recipe, self.plan), self.known)
        first = sum(seconds * self.ratios.of(path_of(stage, recipe)) for stage, seconds in estimates.items())
        folds = [fold.id for fold in self.plan.rules.folds]
        return self._passed(recipe, folds, self._share(recipe) if share is None else share, first)

    def _of_open(self, trial: Trial) -> float:
        """Return the seconds that an open trial has still to take."""
        if not trial.jobs:
            return self.of_trial(trial.recipe, 1.0 if trial.baseline else None)
        return self._of_runs(trial.recipe, self._missing(trial))

    def _of_runs(self, recipe: AnyRecipe, folds: Sequence[str]) -> float:
        """Return the seconds of these runs of a recipe whose features are stored."""
        return self._passed(recipe, folds, 1.0, 0.0) if folds else 0.0

    def _passed(self, recipe: AnyRecipe, folds: Sequence[str], share: float, first: float) -> float:
        training = self.plan.training(recipe, folds) * self.ratios.of(path_of(TRAIN, recipe))
        jobs = 1 if recipe.head_only else len(folds)
        rest = SECONDS_A_JOB * jobs * self.ratios.of(path_of(REST, recipe))
        runs = max(1, round(share * len(folds)))
        return self.pace * ((training + rest) * share + first) / self.plan.width(recipe, runs)

    def _of_new(self, trials: int) -> float:
        """Return the seconds of so many trials to come, each part of their features made once."""
        proposals = self._proposals()
        if not proposals or not trials:
            return 0.0
        unraced = min(1.0, max(0, BURN_IN - self._complete) / trials)
        folds = [fold.id for fold in self.plan.rules.folds]
        total = 0.0
        chances: dict[tuple[Path, float, float, Part], float] = defaultdict(float)
        for recipe, weight in proposals:
            share = unraced + (1 - unraced) * self._raced_share(recipe)
            total += self._passed(recipe, folds, share, 0.0) * trials * weight
            width = self.plan.width(recipe, len(folds))
            for part, seconds in once(recipe, self.plan).items():
                if part not in self.known:
                    chances[path_of(part[0], recipe), seconds, width, part] += weight
        for (path, seconds, width, _), chance in chances.items():
            needed = 1 - max(0.0, 1 - chance) ** trials
            total += self.pace * self.ratios.of(path) * seconds / width * needed
        return total

    def _proposals(self) -> list[tuple[AnyRecipe, float]]:
        """Return recipes that may be proposed next, each with its probability."""
        sample, later = self.plan.sample, self.history.proposed[STARTUP:] if self.plan.learns else []
        recent, part = later[-RECENT:], len(later) / (len(later) + RECENT)
        return [
            *((recipe, (1 - part) / len(sample)) for recipe in sample),
            *((trial.recipe, part / len(recent)) for trial in recent),
        ]

    @cached_property
    def _complete(self) -> int:
        return len(self.history.with_status(Status.COMPLETED))

    def _share(self, recipe: AnyRecipe) -> float:
        """Return the share of its runs that a trial does which begins now."""
        return 1.0 if self._complete < BURN_IN else self._raced_share(recipe)

    def _raced_share(self, recipe: AnyRecipe) -> float:
        """Return the share of its runs that a raced trial does: racing can only end what is trained fold by fold."""
        return self._raced_share_of_bodies if self.plan.rules.racing and not recipe.head_only else 1.0

    @cached_property
    def _raced_share_of_bodies(self) -> float:
        complete, shares = 0, []
        for trial in self.history.trials.values():
            is_raced = complete >= BURN_IN and not trial.baseline and not trial.recipe.head_only
            if is_raced and trial.status in {Status.COMPLETED, Status.STOPPED}:
                runs = trial.jobs_at_stop if trial.stop or trial.status is Status.STOPPED else len(trial.runs)
                shares.append(runs / len(self.plan.rules.folds))
            complete += trial.status is Status.COMPLETED and trial.stop is None
        return (sum(shares) + RACED_SHARE * RACED_WEIGHT) / (len(shares) + RACED_WEIGHT)

    def afterwards(self) -> float:
        """Return the seconds of what comes after the last trial: what is finished, confirmed, and scored at the end."""
        rules, history = self.plan.rules, self.history
        best = ranked(history.trials.values())
        finishing = sum(self._of_runs(trial.recipe, self._missing(trial)) for trial in self._to_finish())
        names = [CONFIRM + fold.id for fold in rules.folds]
        again = [self._of_runs(trial.recipe, self._missing(trial)) for trial in best[: rules.confirm]]
        again += [self._of_sample(names)] * (rules.confirm - len(again))
        holdout = 0.0
        if rules.holdout and best and next_holdout_job(history, best[0], rules):
            holdout = self._of_runs(best[0].recipe, (HOLDOUT,))
        elif rules.holdout and not best:
            holdout = self._of_sample([HOLDOUT])
        return finishing + sum(again) + holdout

    def _missing(self, trial: Trial) -> list[str]:
        return [fold for job in jobs_left(trial, self.plan.rules) for fold in job.folds]

    def _to_finish(self) -> list[Trial]:
        """Return the stopped trials that would be finished if no other trial began."""
        complete = self._complete
        if not 0 < complete < ENOUGH_TO_CORRECT:
            return []
        stopped = self.history.with_status(Status.STOPPED)
        promising = [trial for trial in stopped if could_have_won(self.history, trial, self.plan.rules)]
        return promising[: ENOUGH_TO_CORRECT - complete]

    def _of_sample(self, folds: Sequence[str]) -> float:
        """Return the seconds of these folds for a recipe of the sample, on average."""
        sample = self.plan.sample
        return sum(self._of_runs(recipe, folds) for recipe in sample) / len(sample) if sample else 0.0


class Passing:
    """How the time of a search passes, by what its jobs took and when they ended: ``pace`` is as for Timing."""

    def __init__(self) -> None:
        """Begin before the first job has ended."""
        self._first: float | None = None
        self._last = 0.0
        self._planned = 0.0

    def note(self, now: float, seconds: float, width: float) -> None:
        """Take in a job that ended ``now`` and took its worker so many ``seconds``; ``width`` is that of its trial.

        The first only begins the count: the time before it went into the start of workers.
        """
        if self._first is None:
            self._first = now
        else:
            self._planned += seconds / width
        self._last = now

    @property
    def pace(self) -> float:
        """How many times longer time passes than planned."""
        passed = self._last - self._first if self._first is not None else 0.0
        return (passed + SECONDS_OF_PACE) / (self._planned + SECONDS_OF_PACE)
