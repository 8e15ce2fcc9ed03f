"""What trackers are told of a search: flat facts on it and on its trials, from its journal alone."""

import math
import time
from pathlib import Path
from typing import Any

from search.analysis.judgement import Judgement
from search.analysis.ledger import at_size, interval
from search.journal.history import Trial
from search.journal.outcomes import Status
from search.options import name_of
from search.racing import score
from search.record import Record
from search.system.digests import digest

PARTIAL = (
    "Scores of stopped trials are partial: they were stopped after some of their folds, as they would probably have "
    "stayed behind. Do not compare their means with the scores of complete trials."
)


def identity_of(record: Record) -> str:
    """Return what tells this search from every other, also from one of the same name that was begun anew."""
    began = record.history.sessions[0].line if record.history.sessions else {}
    return digest([record.name, record.about.identity, began])


def steps_of(record: Record) -> dict[str, int]:
    """Return the place of each fold in the plan, from 0, by its id."""
    return {fold.id: place for place, fold in enumerate(record.about.folds)}


def times_of(record: Record, trial: Trial) -> tuple[float, float]:
    """Return about when a trial began and ended, in seconds since 1970, from the files of its runs."""
    files = [record.folder / run.file for run in trial.runs.values()]
    ends = [file.stat().st_mtime for file in files if file.exists()]
    if not ends:
        at = record.history.sessions[0].at if record.history.sessions else None
        return (at, at) if at is not None else (time.time(), time.time())
    return max(ends) - trial.seconds, max(ends)


def scores_of(record: Record, trial: Trial) -> dict[str, float]:
    """Return the numbers of a complete trial: its score with the 95 % interval, and what it has at each size."""
    if trial.status is not Status.COMPLETED:
        return {}
    rules, limits = record.rules, interval(trial, record.rules)
    numbers = {"score": score(trial)} | ({"score_low": limits.low, "score_high": limits.high} if limits.known else {})
    for metric in dict.fromkeys((rules.objective, "accuracy")):
        numbers |= {f"{metric}_at_{size:g}": at_size(trial, rules, size, metric) for size in rules.fractions}
    if holdout := record.history.holdout_score(trial.id):
        numbers |= {f"holdout_{name}": value for name, value in holdout.run.scores.items()}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def facts_of(record: Record, trial: Trial) -> dict[str, Any]:
    """Return what a tracker's attributes say of a trial, as JSON types, without what is not known."""
    verdict = trial.verdict
    facts = {
        "trial": trial.id,
        "status": trial.status.value,
        "reason": verdict.reason if verdict else "",
        "baseline": trial.baseline,
        "recipe": trial.recipe.summary(),
        "digest": trial.recipe.digest,
        "runs": f"{len(trial.runs)} of {len(record.about.folds)}",
        "predicted_score": verdict.score if verdict and trial.status is Status.STOPPED else None,
        "stopped_at_first": trial.stop.reason if trial.stop else "",
        "failure": trial.failures[-1].error if trial.failures else "",
    }
    return {name: value for name, value in facts.items() if value not in {None, ""}}


def about(judgement: Judgement) -> dict[str, Any]:
    """Return what a tracker's attributes say of a search, as JSON types, without what is not known."""
    record, corrected = judgement.record, judgement.corrected
    facts = {
        "search": record.name,
        "objective": record.rules.objective,
        "data": name_of(Path(record.about.data)),
        "images": record.about.images,
        "recommended": judgement.recommended.id if judgement.recommended else None,
        "best_score": score(judgement.winner) if judgement.winner else None,
        "corrected_score": corrected.score.mean if corrected else None,
        "corrected_score_low": corrected.score.low if corrected else None,
        "corrected_score_high": corrected.score.high if corrected else None,
        "ended": record.history.end_reason,
        "note": PARTIAL,
    }
    return {name: value for name, value in facts.items() if value not in {None, ""}}
