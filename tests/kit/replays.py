"""Replay recorded full searches under racing: the real next_step decides, the recording answers.

A recording (``recordings/*.json``) is a search that ran every trial on every fold. A replay takes
its trials in another order, asks ``search.racing.next_step`` what each needs, and gives it the
recorded runs of whatever folds the job names, until there is a verdict.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from search import racing
from search.journal.events import JobEvent, TrialEvent, VerdictEvent
from search.journal.history import History, Trial
from search.journal.outcomes import Run, Status, Verdict
from search.racing import Job, PlannedFold, Rules
from search.repertoire.recipe import Recipe

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
WITHIN = 0.003  # 0.3 points
LAGS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Recorded:
    """One trial of a full search, with its scores and seconds by fold."""

    id: str
    recipe: dict[str, Any]
    scores: dict[str, float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Recording:
    """A full search, and the rules to race it by."""

    name: str
    rules: Rules
    trials: tuple[Recorded, ...]

    @cached_property
    def totals(self) -> dict[str, float]:
        """The score that each trial had in the full search."""
        fractions = self.rules.fractions
        return {
            trial.id: float(
                np.mean([[trial.scores[f.id] for f in self.rules.folds if f.fraction == q] for q in fractions])
            )
            for trial in self.trials
        }

    def with_lag(self, lag: int) -> "Recording":
        """Return it with so many trials open at a time."""
        return Recording(f"{self.name}, lag {lag}", dataclasses.replace(self.rules, lag=lag), self.trials)

    def full_size_alone(self) -> "Recording":
        """Return it as if it had been a search with train_fractions=(1.0,)."""
        folds = tuple(fold for fold in self.rules.folds if fold.fraction == 1)
        return Recording(f"{self.name}, full size alone", dataclasses.replace(self.rules, folds=folds), self.trials)


@dataclass(frozen=True)
class Replay:
    """How a raced search came out: what its winner lacks of the best score, and what part of the work it did."""

    regret: float
    runs: float
    seconds: float
    completed: int


def read(name: str) -> Recording:
    """Return the recording of this name."""
    told = json.loads((RECORDINGS / f"{name}.json").read_text())
    folds = tuple(PlannedFold(f["id"], tuple(f["split"]), f["fraction"]) for f in told["folds"])
    names = [fold.id for fold in folds]
    trials = tuple(
        Recorded(
            f"{number:04d}",
            trial["recipe"],
            dict(zip(names, trial["scores"], strict=True)),
            dict(zip(names, trial["seconds"], strict=True)),
        )
        for number, trial in enumerate(told["trials"])
    )
    return Recording(name, Rules(folds, told["objective"], told["images"]), trials)


def replay(recording: Recording, order: Sequence[int]) -> Replay:
    """Race the trials of a recording in this order, so many at a time as its rules let be open."""
    history, rules = History(), recording.rules
    remembered: dict[str, np.ndarray] = {}
    real_cells = racing.cells

    def cells(trial: Trial, rules: Rules) -> np.ndarray:  # the tables of complete trials do not change
        if trial.status is not Status.COMPLETED:
            return real_cells(trial, rules)
        if trial.id not in remembered:
            remembered[trial.id] = real_cells(trial, rules)
        return remembered[trial.id]

    racing.cells = cells
    try:
        for at in order:
            while len(history.open_trials()) == rules.lag:
                _do(history, recording, *next_step_of_open(history, rules))
            _propose(history, recording.trials[at])
        _run(history, recording, lambda: next_step_of_open(history, rules))
        _run(history, recording, lambda: racing.next_afterwards(history, rules))
    finally:
        racing.cells = real_cells
    return _outcome(history, recording, order)


def _propose(history: History, recorded: Recorded) -> None:
    history.apply(TrialEvent(recorded.id, {}, Recipe.from_dict(recorded.recipe)))


def next_step_of_open(history: History, rules: Rules) -> tuple[Trial, Job | Verdict] | None:
    """Return the next step of the trial without a verdict, None where all have one."""
    trials = history.open_trials()
    return (trials[0], racing.next_step(history, trials[0], rules)) if trials else None


def _run(history: History, recording: Recording, decide: Callable[[], tuple[Trial, Job | Verdict] | None]) -> None:
    """Do what is decided until nothing is left to do."""
    while (next_ := decide()) is not None:
        _do(history, recording, *next_)


def _do(history: History, recording: Recording, trial: Trial, step: Job | Verdict) -> None:
    if isinstance(step, Job):
        recorded = recording.trials[int(trial.id)]
        runs = tuple(_recorded_run(recorded, fold, recording.rules.objective) for fold in step.folds)
        history.apply(JobEvent(trial.id, step.number, "", "", runs))
    else:
        history.apply(VerdictEvent(trial.id, step))


def _recorded_run(recorded: Recorded, fold: str, objective: str) -> Run:
    return Run(fold, {objective: recorded.scores[fold]}, recorded.seconds[fold], {}, "", "")


def _outcome(history: History, recording: Recording, order: Sequence[int]) -> Replay:
    begun = [recording.trials[at] for at in order]
    best = max(history.with_status("completed"), key=lambda trial: trial.verdict.score)
    folds = recording.rules.folds
    return Replay(
        regret=max(recording.totals[trial.id] for trial in begun) - recording.totals[best.id],
        runs=sum(len(trial.runs) for trial in history.trials.values()) / (len(begun) * len(folds)),
        seconds=sum(trial.seconds for trial in history.trials.values())
        / sum(trial.seconds[fold.id] for trial in begun for fold in folds),
        completed=len(history.with_status("completed")),
    )


def race(recording: Recording, times: int, part: float = 1.0, seed: int = 1) -> list[Replay]:
    """Race all trials in so many shuffled orders; or a random ``part`` of them with folds that changed places.

    All orders of one recording have one winner to lose; parts of it have many.
    """
    replays = []
    for number in range(times):
        rng = np.random.default_rng((seed, number))
        order = rng.permutation(len(recording.trials))[: round(part * len(recording.trials))]
        replays.append(replay(recording if part == 1 else _folds_swapped(recording, rng), order))
    return replays


def _folds_swapped(recording: Recording, rng: np.random.Generator) -> Recording:
    """Return the same search with its folds in another order, the same for all trials and sizes."""
    folds = recording.rules.folds
    splits = recording.rules.splits
    other = dict(zip(splits, (splits[at] for at in rng.permutation(len(splits))), strict=True))
    id_of = {(fold.split, fold.fraction): fold.id for fold in folds}
    taken = {fold.id: id_of[other[fold.split], fold.fraction] for fold in folds}
    trials = tuple(
        dataclasses.replace(
            trial,
            scores={fold: trial.scores[taken[fold]] for fold in taken},
            seconds={fold: trial.seconds[taken[fold]] for fold in taken},
        )
        for trial in recording.trials
    )
    return dataclasses.replace(recording, trials=trials)


def kept(replays: Sequence[Replay], within: float = 0.0) -> float:
    """Return the share of replays whose winner is the full search's, or lacks no more than ``within`` of it."""
    return float(np.mean([replay.regret <= within + 1e-9 for replay in replays]))


def unraced(rules: Rules) -> Rules:
    """Return the rules of a full search."""
    return dataclasses.replace(rules, racing=False)


def told(name: str, replays: Sequence[Replay]) -> str:
    """Say in a line how these replays came out."""
    regrets = 100 * np.array([replay.regret for replay in replays])
    return (
        f"{name:50} {len(replays):5d} replays: winner kept {kept(replays):6.1%}, within 0.3 points "
        f"{kept(replays, WITHIN):6.1%}, regret {regrets.mean():.2f} (at most {regrets.max():.2f}) points; "
        f"{np.mean([replay.runs for replay in replays]):.0%} of the runs, "
        f"{np.mean([replay.seconds for replay in replays]):.0%} of the seconds"
    )


def main() -> None:
    """Print how racing fares on every recording: python tests/kit/replays.py [how many orders]."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for path in sorted(RECORDINGS.glob("*.json")):
        for recording in (read(path.stem), read(path.stem).full_size_alone()):
            for part in (1.0, 0.5):
                name = recording.name if part == 1 else f"{recording.name}, half the trials"
                for lag in LAGS:
                    sys.stdout.write(told(f"{name}, lag {lag}", race(recording.with_lag(lag), times, part)) + "\n")


if __name__ == "__main__":
    main()
