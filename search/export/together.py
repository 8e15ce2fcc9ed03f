"""What the export of an ensemble says of it: who is in it, what it scored, and what to expect of it."""

from typing import Any

import numpy as np

from search.analysis.ensemble import Ensemble
from search.analysis.judgement import Judgement
from search.analysis.predictions import read_runs
from search.analysis.stats import Interval
from search.analysis.stats.scores import scores as scores_of
from search.record import Record
from search.report.words import limits as between
from search.report.words import standing


def members_in_words(judgement: Judgement, found: Ensemble) -> list[str]:
    """Return who is in an ensemble, with its weight and its recipe."""
    trials = judgement.record.history.trials
    return [f"{weight:.0%} {name}: {trials[name].recipe.summary()}" for name, weight in found.members.items()]


def ensemble_on_holdout(record: Record, found: Ensemble) -> dict[str, float] | None:
    """Return the scores of an ensemble on the hold-out, None where a member was not scored there."""
    mixed, labels = None, None
    for name, weight in found.members.items():
        score = record.history.holdout_score(name)
        arrays = read_runs(record.folder, [score.run]) if score else {}
        if score is None or score.run.fold not in arrays:
            return None
        table = arrays[score.run.fold]
        mixed, labels = weight * table["probabilities"] + (0.0 if mixed is None else mixed), table["labels"]
    assert mixed is not None, "an ensemble has members"
    assert labels is not None
    return scores_of(np.asarray(labels), np.asarray(mixed))


def ensemble_scores(judgement: Judgement, found: Ensemble) -> dict[str, Any]:
    """Return the scores of an ensemble as those of a trial are written; None for what is not known."""
    holdout, told = ensemble_on_holdout(judgement.record, found), found.combined
    return {
        "objective": judgement.rules.objective,
        "complete": True,
        "score": told.raw,
        "interval": None,
        "sizes": None,
        "picked": _picked(found),
        "single": told.single,
        "gain": {"mean": told.gain.mean, "low": told.gain.low, "high": told.gain.high},
        "holdout": {**holdout, "images": judgement.record.about.holdout} if holdout else None,
    }


def ensemble_promise(judgement: Judgement, found: Ensemble) -> dict[str, Any]:
    """Return what to expect of an ensemble on new images, as that of a trial is written."""
    return {
        "trial": next(iter(found.members)),
        "objective": judgement.rules.objective,
        "expected": interval_of(found.combined.score),
        "accuracy": interval_of(found.combined.accuracy),
        "corrected": True,
    }


def ensemble_scored(judgement: Judgement, found: Ensemble) -> list[str]:
    """Return what an ensemble scored, in sentences."""
    told, objective, title = found.combined, judgement.rules.objective, judgement.metric.title
    recommended = "It is recommended." if found.is_recommended else "So it is not recommended: one recipe does as well."
    lines = [
        f"Out of fold, with all of each training part, its {title} is {told.raw:.3f}; {_picked(found)}.",
        (
            f"The best single trial has {told.single:.3f} there. On images that chose neither, the ensemble is "
            f"{standing(told.gain, 'it')}: the luck of both is taken off there. {recommended}"
        ),
    ]
    if holdout := ensemble_on_holdout(judgement.record, found):
        lines.append(
            f"Hold-out: {title} {holdout[objective]:.3f}, accuracy {holdout['accuracy']:.3f} on "
            f"{judgement.record.about.holdout} images, by its members trained on all the others that the folds use."
        )
    return lines


def _picked(found: Ensemble) -> str:
    told = found.combined
    return (
        f"corrected for having been chosen from {found.trials} trials, it comes to {told.score.mean:.3f} "
        f"({between(told.score)}), and its accuracy to {told.accuracy.mean:.3f} ({between(told.accuracy)})"
    )


def interval_of(interval: Interval) -> dict[str, float | None]:
    """Return a mean with its limits as JSON types; limits are None where there is no interval."""
    known = interval.known
    return {
        "mean": interval.mean,
        "low": interval.low if known else None,
        "high": interval.high if known else None,
    }
