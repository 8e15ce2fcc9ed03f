"""Judgement: what a search shows, in numbers: the winner, what cannot be told from it, what matters, what was seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search.analysis.chance import Chance, collapsed
from search.analysis.ensemble import Ensemble, ensemble
from search.analysis.ledger import at_size, interval
from search.analysis.predictions import Evidence, Size, gather
from search.analysis.stats import Interval, corrected_interval
from search.analysis.stats.comparing import Difference, Standing, against, recommended
from search.analysis.stats.effects import ALONE, Factor, LevelPair, additive, depends, interaction, thirds
from search.analysis.stats.grid import in_grid
from search.analysis.stats.metrics import METRICS, Metric
from search.analysis.stats.selection import FEWEST, Corrected, corrected
from search.analysis.stats.survival import Curve, curve, drops, slopes
from search.analysis.synthetic import Gain, gains
from search.journal.history import Trial
from search.journal.outcomes import CONFIRM, Status
from search.racing import Rules, cells, could_have_won, ranked, score
from search.record import FOLDS, Record, read_table
from search.repertoire.architecture import depth
from search.repertoire.columns import NONE, factors_of
from search.repertoire.networks import AnyRecipe
from search.repertoire.recipe import Recipe
from search.system.digests import seed_from

# DECISIONS: A saving of seconds counts from ten on, and from a third
WORTH_SAVING = 10.0  # seconds of all runs of a trial
CLEARLY_CHEAPER = 1.5  # times
FEWEST_RECIPES = 3  # with fewer, "every recipe" says little


@dataclass(frozen=True)
class Judgement:
    """What can be said of a search, each part computed when it is first asked for.

    ``complete`` are the complete trials, best first; arrays over trials follow it.
    """

    record: Record
    complete: tuple[Trial, ...]

    @classmethod
    def of(cls, record: Record) -> "Judgement":
        """Return the judgement on a search, running or ended."""
        return cls(record, tuple(ranked(record.history.trials.values())))

    @property
    def rules(self) -> Rules:
        """The folds, the objective."""
        return self.record.rules

    @property
    def metric(self) -> Metric:
        """What the search was for."""
        return METRICS[self.rules.objective]

    @property
    def classes(self) -> list[str]:
        """The names of the classes, by number."""
        return list(self.record.about.classes)

    @property
    def winner(self) -> Trial | None:
        """The trial with the best score, None where none is complete."""
        return self.complete[0] if self.complete else None

    @cached_property
    def at_chance(self) -> dict[str, Chance]:
        """The trials that do no better than guessing, by trial."""
        return collapsed(self.record.history.trials.values(), self.rules, self.record.about.classes.values())

    @cached_property
    def cells(self) -> np.ndarray:
        """The objective, shape (c, training sizes, splits)."""
        tables = [cells(trial, self.rules) for trial in self.complete]
        return np.stack(tables) if tables else np.zeros((0, len(self.rules.fractions), len(self.rules.splits)))

    @cached_property
    def evidence(self) -> Evidence | None:
        """The stored predictions of complete trials."""
        return gather(self.record, self.complete) if self.complete else None

    @property
    def winners_size(self) -> Size | None:
        """What the winner (the first of its trials) predicted at full size; None where its predictions are missing."""
        evidence, winner = self.evidence, self.winner
        if evidence is None or winner is None or evidence.trials[0] != winner.id:
            return None
        return evidence.sizes[-1]

    @property
    def evidence_of_images(self) -> Evidence | None:
        """The stored predictions, None where too few recipes say something of single images."""
        return self.evidence if self.evidence is not None and len(self.evidence.trials) >= FEWEST_RECIPES else None

    @cached_property
    def recommended(self) -> Trial | None:
        """The trial to use: the winner, or the cheapest clearly cheaper one within a raw point of it."""
        if not self.complete:
            return None
        scores, seconds = self.cells.mean(axis=(1, 2)), np.array([trial.seconds for trial in self.complete])
        saving = (seconds[0] - seconds >= WORTH_SAVING) & (seconds * CLEARLY_CHEAPER <= seconds[0])
        worth = np.flatnonzero(saving | (np.arange(len(scores)) == 0))  # the rest is noise of the clock
        return self.complete[worth[recommended(scores[worth], seconds[worth])]]

    @cached_property
    def differences(self) -> list[Difference]:
        """The winner minus each complete trial after it, with Holm's adjustment over all of these."""
        return against(self.cells, 0, range(1, len(self.complete)), self.rules.parts) if self.complete else []

    @cached_property
    def contenders(self) -> list[Trial]:
        """The trials that cannot be told from the best, the winner among them; none where nothing can be compared."""
        if len(self.complete) < 2 or not self.comparable:
            return []
        within = {Standing.BEST, Standing.ALIKE}
        return [trial for trial in self.complete if self.standings[trial.id] in within]

    @cached_property
    def standings(self) -> dict[str, Standing]:
        """How each complete trial stands against the best one, by trial."""
        standings = {trial.id: Standing.BEST for trial in self.complete[:1]}
        for trial, difference in zip(self.complete[1:], self.differences, strict=True):
            standings[trial.id] = difference.standing if self.comparable else Standing.UNJUDGED
        return standings

    @property
    def comparable(self) -> bool:
        """Whether trials can be compared at all: there are folds to differ."""
        return len(self.rules.splits) > 1

    @cached_property
    def corrected(self) -> Corrected | None:
        """The winner's score corrected for having been picked; None where ``uncorrected`` says why."""
        if self.uncorrected or self.evidence is None:
            return None
        part = self.rules.val is None  # random splits may overlap
        configurations = self.evidence.configurations(len(self.classes), self.rules.objective, folds=part)
        full = self.rules.fractions[-1]
        raw = (at_size(self.complete[0], self.rules, full, metric) for metric in (self.rules.objective, "accuracy"))
        told = corrected(configurations, seed_from("bootstrap"), beaten=self.beaten)
        return told.at_most(score(self.complete[0]), *raw)

    @cached_property
    def ensemble(self) -> Ensemble | None:
        """A few unlike recipes together, beside the winner; None where nothing can be corrected."""
        return None if self.uncorrected else ensemble(self.record, self.complete)

    @cached_property
    def beaten(self) -> int:
        """How many trials were stopped too far behind to change the correction of the winner."""
        stopped = self.record.history.with_status(Status.STOPPED)
        return sum(not could_have_won(self.record.history, trial, self.rules) for trial in stopped[:FEWEST])

    @cached_property
    def uncorrected(self) -> str:
        """Why the winner's score cannot be corrected, "" where it can."""
        if self.evidence is None:
            return "its predictions are missing"
        read, of = len(self.evidence.trials), len(self.complete)
        if read + self.beaten < FEWEST:
            missing = f", of which the predictions of {read} are there" if read < of else ""
            trials = "trial is" if of == 1 else f"trials{missing} are"
            return f"{of} complete {trials} too few to correct it ({FEWEST} are needed)"
        if self.complete[0].id != self.evidence.trials[0]:
            return "its predictions are missing"
        if len(np.unique(self.evidence.groups)) < 2:
            return "all images are in one group"
        return ""

    @cached_property
    def images(self) -> list[float]:
        """The mean number of real training images at each training size, smallest first."""
        table = read_table(self.record.folder, FOLDS)
        sizes = self.rules.fractions
        if table is None:
            return [math.nan] * len(sizes)
        train = table[table["part"] == "train"].groupby("fold").size()
        return [
            float(np.mean([train.get(fold.id, math.nan) for fold in self.rules.folds if fold.fraction == size]))
            for size in sizes
        ]

    def at_sizes(self, trial: Trial) -> list[Interval]:
        """Return the objective of a complete trial at each training size, with its corrected interval."""
        return [corrected_interval(row, self.rules.parts, self.metric.range) for row in cells(trial, self.rules)]

    @cached_property
    def drops(self) -> tuple[np.ndarray, np.ndarray]:
        """What each complete trial loses at the smallest size: the drop, and the drop minus the median drop."""
        return drops(self.cells)

    @cached_property
    def slope(self) -> Interval | None:
        """The winner's gain for each doubling of images between the two largest sizes; None with one size."""
        if not self.complete or len(self.rules.fractions) < 2 or not np.isfinite(self.images).all():
            return None
        return slopes(self.cells[:1], self.images, self.rules.parts)[0]

    @cached_property
    def curve(self) -> Curve | None:
        """The winner's learning curve, where there are four sizes or more."""
        return curve(self.images, self.cells[0].mean(axis=1)) if self.complete else None

    @cached_property
    def _runs(self) -> "_Runs":
        history = self.record.history
        first: dict[AnyRecipe, Trial] = {}
        for trial in history.trials.values():
            first.setdefault(trial.recipe, trial)
        # A proposal that a baseline had already tried is a duplicate without runs: the baseline's runs are its own.
        proposed = {first[trial.recipe].id for trial in history.proposed}
        return _runs(self.record, [trial for trial in history.trials.values() if trial.id in proposed])

    @cached_property
    def factors(self) -> list[Factor]:
        """What each choice of the space does, from all runs of proposed trials."""
        runs, levels = self._runs, self._levels
        factors = additive(runs.values, runs.trials, runs.folds, {n: runs.expand(v) for n, v in levels.items()})
        complete = {trial.id: cell for trial, cell in zip(self.complete, self.cells, strict=True)}
        if factors and factors[0].note.startswith(ALONE) and set(runs.ids) <= set(complete) and self.comparable:
            counts = np.bincount(runs.trials).tolist()
            return in_grid(np.stack([complete[id_] for id_ in runs.ids]), levels, self.rules.parts, counts) or factors
        return factors

    def complete_with(self, factor: str, level: str) -> list[Trial]:
        """Return the complete trials with a level of a factor, best first."""
        ids = {id_ for id_, own in zip(self._runs.ids, self._levels[factor], strict=True) if own == level}
        return [trial for trial in self.complete if trial.id in ids]

    @cached_property
    def _levels(self) -> dict[str, list[str]]:
        return self._runs.levels()

    @cached_property
    def behind(self) -> dict[str, Difference]:
        """The winner minus each other complete trial, by trial."""
        return {one.id: gap for one, gap in zip(self.complete[1:], self.differences, strict=True)}

    @cached_property
    def interaction(self) -> list[LevelPair]:
        """The mean score of each pair of backbone and depth, baselines among them; none where no trial varies depth."""
        depths = {depth(recipe) for recipe in self._runs.recipes if isinstance(recipe, Recipe)}
        if len(depths) < 2:
            return []
        runs = _runs(self.record, list(self.record.history.trials.values()))
        return interaction(runs.values, runs.trials, runs.folds, *runs.backbones_and_depths())

    @cached_property
    def depends(self) -> float:
        """The p of an interaction between backbone and unfrozen depth, NaN where it cannot be judged."""
        runs = self._runs
        return depends(runs.values, runs.trials, runs.folds, *runs.backbones_and_depths())

    @cached_property
    def gains(self) -> list[Gain]:
        """What synthetic images add to recipes that are complete with and without them."""
        return gains(self)

    @cached_property
    def confirmations(self) -> list[tuple[Trial, Interval]]:
        """The trials that were trained again on all reshuffled folds, with their score there."""
        names = {CONFIRM + fold.id: fold for fold in self.rules.folds}
        pairs = []
        for trial in self.complete:
            if set(names) <= set(trial.confirmations):
                again = {fold.id: trial.confirmations[name] for name, fold in names.items()}
                pairs.append((trial, interval(Trial(trial.id, {}, trial.recipe, runs=again), self.rules)))
        return pairs


@dataclass(frozen=True)
class _Runs:
    """Runs of some trials: the objective, trial number and fold of each; the recipe and id of each trial."""

    values: np.ndarray
    trials: np.ndarray
    folds: np.ndarray
    recipes: tuple[AnyRecipe, ...]
    ids: tuple[str, ...]

    def expand(self, levels: Sequence[str]) -> list[str]:
        """Return the level of each run, given that of each trial."""
        return [levels[trial] for trial in self.trials]

    def backbones_and_depths(self) -> tuple[list[str], list[str]]:
        """Return the backbone and the depth of each run; of networks that the space builds, that it is one."""
        recipes = [
            (one.architecture.name, depth(one)) if isinstance(one, Recipe) else ("own",) * 2 for one in self.recipes
        ]
        return self.expand([backbone for backbone, _ in recipes]), self.expand([unfrozen for _, unfrozen in recipes])

    def levels(self) -> dict[str, list[str]]:
        """Return the levels of every factor by trial; numbers of many values in thirds."""
        words, numbers = factors_of(self.recipes)
        return {**words, **{name: _levels(values) for name, values in numbers.items()}}


def _levels(values: Sequence[float | None]) -> list[str]:
    """Return numbers as levels, in thirds where there are many, and None as one of its own."""
    names = iter(thirds([value for value in values if value is not None]))
    return [NONE if value is None else next(names) for value in values]


def _runs(record: Record, trials: Sequence[Trial]) -> _Runs:
    trials = [trial for trial in trials if trial.runs]
    rows = [
        (run.scores[record.rules.objective], number, run.fold)
        for number, trial in enumerate(trials)
        for run in trial.runs.values()
    ]
    values, numbers, folds = zip(*rows, strict=True) if rows else ((), (), ())
    return _Runs(
        np.array(values, float),
        np.array(numbers, int),
        np.array(folds),
        tuple(trial.recipe for trial in trials),
        tuple(trial.id for trial in trials),
    )
