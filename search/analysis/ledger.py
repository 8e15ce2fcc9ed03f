"""The tables of a search: trials in order of their score, and their runs."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from search.analysis.caveats import columns, total
from search.analysis.stats import Interval, corrected_interval
from search.events import Run, Status
from search.journal import History, Trial
from search.racing import Rules, cells, ranked
from search.record import Record
from search.repertoire.columns import Column, columns_of
from search.repertoire.recipe import Recipe

MARKS = "▁▂▃▄▅▆▇█"
NO_RECIPE, NO_RUN = Recipe("SmallCNN", None), Run("", {}, 0.0, {}, "", "")
STATUS_ORDER = {"completed": 0, "stopped": 1, "failed": 2, "duplicate": 3, "open": 4}


def status(trial: Trial) -> Status:
    """Return completed, stopped, failed, duplicate, or open."""
    return trial.status


def in_order(trials: Iterable[Trial]) -> list[Trial]:
    """Return all trials: the complete ones ranked, then the others by status and number."""
    trials = list(trials)
    rest = [trial for trial in trials if status(trial) != "completed"]
    return ranked(trials) + sorted(rest, key=lambda trial: (STATUS_ORDER[status(trial)], trial.id))


def interval(trial: Trial, rules: Rules) -> Interval:
    """Return the corrected 95 % interval of a complete trial's score: sizes averaged within each fold first."""
    return corrected_interval(cells(trial, rules).mean(axis=0), rules.parts)


def at_size(trial: Trial, rules: Rules, fraction: float, metric: str) -> float:
    """Return a metric's mean over the runs at one training size, NaN unless all of them have run."""
    folds = [fold.id for fold in rules.folds if fold.fraction == fraction]
    if any(fold not in trial.runs for fold in folds):
        return float("nan")
    return float(np.mean([trial.runs[fold].scores[metric] for fold in folds]))


def marks(trial: Trial, rules: Rules, low: float, high: float) -> str:
    """Return one mark for each fold, largest size first: its height is the objective from ``low`` to ``high``."""
    drawn = []
    for row in cells(trial, rules)[::-1]:
        levels = np.clip((row - low) / max(high - low, 1e-9), 0, 1) * (len(MARKS) - 1)
        drawn.append("".join("·" if np.isnan(level) else MARKS[int(level + 0.5)] for level in levels))
    return " ".join(drawn)


def range_of_marks(trials: Iterable[Trial], rules: Rules) -> tuple[float, float]:
    """Return the lowest and highest objective of any run."""
    values = [run.scores[rules.objective] for trial in trials for run in trial.runs.values()]
    return (min(values), max(values)) if values else (0.0, 1.0)


def trials_table(record: Record) -> pd.DataFrame:
    """Return one row for each trial, ranked ones first.

    ``score`` and its limits are given to complete trials only; ``predicted`` is what racing
    expected of a stopped one.
    """
    rules = record.rules
    rank = {trial.id: place for place, trial in enumerate(ranked(record.history.trials.values()), start=1)}
    trials = in_order(record.history.trials.values())
    recipe_columns = columns_of([trial.recipe for trial in trials])
    rows = [_trial_row(trial, rules, rank.get(trial.id), recipe_columns) for trial in trials]
    if not rows:  # a table without rows has its columns all the same
        return pd.DataFrame(columns=list(_trial_row(Trial("", {}, NO_RECIPE), rules, None, recipe_columns)))
    table = pd.DataFrame(rows).astype({"rank": "Int64"})
    for column in recipe_columns:
        if column.field.exact:  # beside a ratio pandas would make floats of whole numbers, which mean something else
            table[column.name] = pd.Series([row[column.name] for row in rows], dtype=object)
    return table


def _trial_row(trial: Trial, rules: Rules, rank: int | None, recipe_columns: Sequence[Column]) -> dict[str, Any]:
    complete = status(trial) == "completed"
    limits = interval(trial, rules) if complete else Interval(np.nan, np.nan, np.nan)
    stopped = status(trial) == "stopped"
    return {
        "rank": rank,
        "trial": trial.id,
        "baseline": trial.baseline,
        "status": status(trial).value,
        "score": limits.mean,
        "score_low": limits.low if limits.known else np.nan,
        "score_high": limits.high if limits.known else np.nan,
        "predicted": trial.verdict.score if stopped and trial.verdict else None,
        **{f"accuracy@{q:g}": at_size(trial, rules, q, "accuracy") for q in reversed(rules.fractions)},
        **{f"{rules.objective}@{q:g}": at_size(trial, rules, q, rules.objective) for q in reversed(rules.fractions)},
        "runs": len(trial.runs),
        "seconds": round(trial.seconds, 2),
        **{column.name: column.cell(trial.recipe) for column in recipe_columns},
        "summary": trial.recipe.summary(),
        "reason": trial.verdict.reason if trial.verdict else "",
    }


def seen_before(history: History) -> str:
    """Return in words how often the hold-out was looked at, "" where its score is blind.

    Whoever extends a search after a look may have known the score.
    """
    looks = history.holdout_scores
    if not looks or len(history.trials) == looks[0].trials:
        return ""
    times = "once" if len(looks) == 1 else f"{len(looks)} times"
    return f"looked at {times}; a search extended after a look is no longer blind"


def on_holdout(record: Record) -> str:
    """Return in words what the hold-out says of the winner, "" where nothing is held out."""
    if not record.rules.holdout:
        return ""
    history, images = record.history, f"{record.about.holdout} images that no trial saw"
    seen = f" ({text})" if (text := seen_before(history)) else ""
    best = ranked(history.trials.values())
    look = history.holdout_score(best[0].id) if best else None
    if look is not None:
        scores, objective = look.run.scores, record.rules.objective
        also = "" if objective == "accuracy" else f", accuracy {scores['accuracy']:.3f}"
        return f"{objective} {scores[objective]:.3f}{also} on {images}{seen}"
    failed = [failure.error for trial, failure in history.holdout_failures if best and trial == best[0].id]
    if failed:
        return f"could not be scored: {failed[-1]} (the same command tries again){seen}"
    return f"{images}, scored once, at the end, for the winner{seen}"


def runs_table(record: Record) -> pd.DataFrame:
    """Return one row for each run that was trained, in the order of trials and folds."""
    fraction = {fold.id: fold.fraction for fold in record.rules.folds}
    rows = [
        {
            "trial": trial.id,
            "fold": fold.id,
            "fraction": fraction[fold.id],
            **run.scores,
            "seconds": round(run.seconds, 3),
            **columns(run),
        }
        for trial in record.history.trials.values()
        for fold in record.rules.folds
        if (run := trial.runs.get(fold.id)) is not None
    ]
    if not rows:
        metrics = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
        return pd.DataFrame(columns=["trial", "fold", "fraction", *metrics, "seconds", *columns(NO_RUN)])
    return pd.DataFrame(rows).astype({"synthetic_admissible": "Int64"})


def ledger(record: Record) -> dict[str, float]:
    """Return what happened, counted: trials by verdict, runs planned and trained, failures, seconds."""
    trials = list(record.history.trials.values())
    runs = [run for trial in trials for run in trial.runs.values()]
    again = [run for trial in trials for run in trial.confirmed.values()]
    counts = {f"trials_{name}": sum(status(trial) == name for trial in trials) for name in STATUS_ORDER}
    return {
        "trials": len(trials),
        **counts,
        "trials_finished_at_the_end": sum(trial.stopped is not None for trial in trials),
        "baselines": sum(bool(trial.baseline) for trial in trials),
        "runs_planned": (len(trials) - counts["trials_duplicate"]) * len(record.rules.folds),
        "runs_trained": len(runs),
        "synthetic_asked": sum(total(run, "asked") or 0 for run in runs),
        "synthetic_drawn": sum(total(run, "drawn") or 0 for run in runs),
        "runs_confirming": len(again),
        "confirming_seconds": round(sum(run.seconds for run in again), 1),
        "failures": sum(len(trial.failures) for trial in trials),
        "holdout_looks": len(record.history.holdout_scores),
        "training_seconds": round(sum(trial.seconds for trial in trials), 1),
        "sessions": len(record.history.sessions),
    }
