"""What is kept of a job: the arrays of its runs, and what the journal says of them."""

from dataclasses import replace
from typing import Any

import numpy as np

from search.analysis import stats
from search.journal.outcomes import Run
from search.training.trainer import JobResult, RunResult


def run_of(result: RunResult, file: str, sha256: str, objective: str) -> Run:
    """Return what the journal says of a run; ``objective`` is the score by which an epoch is chosen."""
    scores = stats.scores(result.labels, result.probabilities)
    run = Run(result.fold, scores, round(result.seconds, 4), result.synthetic, file, sha256, result.sampled)
    if result.by_epoch is None:
        return run
    every = [stats.scores(result.labels, probabilities) for probabilities in result.by_epoch]
    return replace(run, by_epoch={name: [each[name] for each in every] for name in scores}, chosen_by=objective)


def arrays_of(result: JobResult, ids: list[str]) -> dict[str, Any]:
    """Return the arrays to store for a job: its predictions with the ids and labels that they belong to."""
    arrays: dict[str, Any] = {}
    for run in result.runs:
        values = {"ids": np.array([ids[row] for row in run.rows]), "labels": run.labels, "curve": run.curve}
        values |= {"probabilities": run.probabilities, "validation": run.watched}
        if run.by_epoch is not None:
            values["by_epoch"] = run.by_epoch
        arrays |= {f"{run.fold}/{name}": array for name, array in values.items()}
    return arrays
