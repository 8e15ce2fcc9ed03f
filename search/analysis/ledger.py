"""What happened in a search: the endings of trials, their scores in short, counts, and where the seconds went."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from search.analysis.shortfalls import total
from search.analysis.stats import Interval, corrected_interval
from search.analysis.stats.metrics import METRICS
from search.journal.history import History, Trial, add_stages
from search.journal.outcomes import Status
from search.racing import Rules, cells, ranked
from search.record import Record
from search.system.clock import rounded

MARKS = "▁▂▃▄▅▆▇█"
NAMED = 12
STATUS_ORDER = {status: place for place, status in enumerate(Status)}


def in_order(trials: Iterable[Trial]) -> list[Trial]:
    """Return all trials: the complete ones ranked, then the others by status and number."""
    trials = list(trials)
    rest = [trial for trial in trials if trial.status is not Status.COMPLETED]
    return ranked(trials) + sorted(rest, key=lambda trial: (STATUS_ORDER[trial.status], trial.id))


def interval(trial: Trial, rules: Rules) -> Interval:
    """Return the corrected 95 % interval of a complete trial's score: sizes averaged within each fold first."""
    return corrected_interval(cells(trial, rules).mean(axis=0), rules.parts, METRICS[rules.objective].range)


def at_size(trial: Trial, rules: Rules, fraction: float, metric: str) -> float:
    """Return a metric's mean over the runs at one training size, NaN unless all of them have run."""
    runs = [trial.runs.get(fold) for fold in rules.of_size[fraction]]
    scores = [run.scores[metric] for run in runs if run]
    return float(np.add.reduce(scores)) / len(scores) if len(scores) == len(runs) else float("nan")


def marks(trial: Trial, rules: Rules, low: float, high: float) -> str:
    """Return one mark for each fold, largest size first: its height is the objective from ``low`` to ``high``."""
    rows = []
    for row in cells(trial, rules)[::-1]:
        levels = np.clip((row - low) / max(high - low, 1e-9), 0, 1) * (len(MARKS) - 1)
        rows.append("".join("·" if np.isnan(level) else MARKS[int(level + 0.5)] for level in levels))
    return " ".join(rows)


def range_of_marks(trials: Iterable[Trial], rules: Rules) -> tuple[float, float]:
    """Return the lowest and highest objective of any run."""
    values = [run.scores[rules.objective] for trial in trials for run in trial.runs.values()]
    return (min(values), max(values)) if values else (0.0, 1.0)


def seen_before(history: History) -> str:
    """Return in words how often the hold-out was scored, "" where its score is blind.

    Whoever extends a search after that may have known the score.
    """
    scores = history.holdout_scores
    if not scores or len(history.trials) == scores[0].trials:
        return ""
    times = "once" if len(scores) == 1 else f"{len(scores)} times"
    return f"looked at {times}; a search extended after a look is no longer blind"


def _unjudged(record: Record) -> str:
    """Return in words the classes that the hold-out says nothing of."""
    names = record.about.holdout_lacks
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    which = f"{'class' if len(names) == 1 else 'classes'} {', '.join(names[:NAMED])}{more}"
    return f", none of them of {which}, of which this says nothing" if names else ""


def on_holdout(record: Record) -> str:
    """Return in words what the hold-out says of the winner, "" where nothing is held out."""
    if not record.rules.holdout:
        return ""
    history, images = record.history, f"{record.about.holdout} images that no trial saw{_unjudged(record)}"
    seen = f" ({text})" if (text := seen_before(history)) else ""
    best = ranked(history.trials.values())
    score = history.holdout_score(best[0].id) if best else None
    if score is not None:
        metrics, objective = score.run.scores, record.rules.objective
        also = "" if objective == "accuracy" else f", accuracy {metrics['accuracy']:.3f}"
        return f"{objective} {metrics[objective]:.3f}{also} on {images}{seen}"
    failed = [failure.error for trial, failure in history.holdout_failures if best and trial == best[0].id]
    if failed:
        return f"could not be scored: {failed[-1]} (the same command tries again){seen}"
    return f"{images}, scored once, at the end, for the winner{seen}"


def ledger(record: Record) -> dict[str, float]:
    """Return what happened, counted: trials by verdict, runs planned and trained, failures, seconds."""
    trials = list(record.history.trials.values())
    runs = [run for trial in trials for run in trial.runs.values()]
    again = [run for trial in trials for run in trial.confirmations.values()]
    counts = {f"trials_{status}": sum(trial.status is status for trial in trials) for status in Status}
    return {
        "trials": len(trials),
        **counts,
        "trials_finished_at_the_end": sum(trial.stop is not None for trial in trials),
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


def profile(record: Record) -> dict[str, Any]:
    """Return where the seconds went: of the driver by stage, and of workers by kind of trial and stage.

    "beside" is what workers did for no trial: helping with the views of another's job, jobs given up
    or failed, the hold-out. A driver that is killed cannot say; ``sessions`` counts those that did, of all.
    """
    history = record.history
    driver: dict[str, float] = {}
    workers: dict[str, dict[str, float]] = {"heads": {}, "unfrozen": {}, "beside": dict(history.unattributed)}
    for stages in history.driver:
        add_stages(driver, stages)
    for trial in history.trials.values():
        add_stages(workers["heads" if trial.recipe.head_only else "unfrozen"], trial.stages)
    return {
        "sessions": f"{len(history.driver)} of {len(history.sessions)}",
        "driver": rounded(driver),
        "workers": {kind: rounded(seconds) for kind, seconds in workers.items()},
    }
