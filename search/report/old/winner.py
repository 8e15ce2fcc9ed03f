"""Tables of the winner: its folds and curves; its classes, with the whole training part, all folds together."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn import metrics

from search.analysis.judgement import Judgement
from search.analysis.predictions import read_runs
from search.analysis.stats.hard import confused
from search.analysis.stats.scores import calibration, proportion
from search.journal import Trial
from search.report.rows import Row, limits, table_of

COLUMNS = {
    "strip": "trial fold fraction score",
    "curves": "trial fold fraction epoch part loss accuracy",
    "confusion": "label predicted images share",
    "confused": "label predicted images share",
    "classes": "class images correct recall low high precision f1",
    "calibration": "low high images confidence accuracy accuracy_low accuracy_high",
}


def winner_tables(judgement: Judgement) -> dict[str, pd.DataFrame]:
    """Return the tables of the winner by their names."""
    rows: dict[str, Iterable[Row]] = dict.fromkeys(COLUMNS, ())
    if judgement.winner:
        rows |= {"strip": _strip(judgement), "curves": _curves(judgement, judgement.winner)}
    evidence = judgement.evidence
    if evidence is not None and judgement.winner and evidence.trials[0] == judgement.winner.id:
        size = evidence.sizes[-1]
        counts = confused(size.labels, size.predicted[0], len(judgement.classes))
        confusion = list(_confusion(judgement.classes, counts))
        mistaken = [row for row in confusion if row["label"] != row["predicted"] and row["images"]]
        right = size.predicted[0] == size.labels
        rows |= {
            "confusion": confusion,
            "confused": sorted(mistaken, key=lambda row: (-row["images"], -row["share"])),
            "classes": _classes(judgement.classes, size.labels, size.predicted[0]),
            "calibration": (vars(bin_) for bin_ in calibration(size.confidence[0], right)),
        }
    return {name: table_of(some, COLUMNS[name]) for name, some in rows.items()}


def _strip(judgement: Judgement) -> Iterable[Row]:
    """Yield the score of each run of the winner, and of the recommended trial if that is another."""
    for trial in dict.fromkeys(trial.id for trial in (judgement.winner, judgement.recommended) if trial):
        runs = judgement.record.history.trials[trial].runs
        for fold in judgement.rules.folds:
            score = runs[fold.id].scores[judgement.rules.objective]
            yield {"trial": trial, "fold": fold.id, "fraction": fold.fraction, "score": score}


def _curves(judgement: Judgement, winner: Trial) -> Iterable[Row]:
    stored = read_runs(judgement.record.folder, [winner.runs[fold.id] for fold in judgement.rules.folds])
    for fold in judgement.rules.folds:
        arrays = stored.get(fold.id, {})
        points = [("training", epoch, *row) for epoch, row in enumerate(_rows(arrays.get("curve"), 2), start=1)]
        points += [("validation", *row) for row in _rows(arrays.get("validation"), 3)]  # older searches have none
        for part, epoch, loss, accuracy in points:
            where = {"trial": winner.id, "fold": fold.id, "fraction": fold.fraction, "epoch": int(epoch)}
            yield {**where, "part": part, "loss": float(loss), "accuracy": float(accuracy)}


def _rows(array: np.ndarray | None, width: int) -> Iterable[np.ndarray]:
    """Yield the rows of a stored curve, none where it has another form."""
    if array is not None and array.ndim == 2 and array.shape[1] == width:
        yield from array


def _confusion(classes: list[str], counts: np.ndarray) -> Iterable[Row]:
    totals = counts.sum(axis=1)
    for label, row in enumerate(counts):
        for predicted, images in enumerate(row):
            share = images / totals[label] if totals[label] else np.nan
            yield {"label": classes[label], "predicted": classes[predicted], "images": int(images), "share": share}


def _classes(classes: list[str], labels: np.ndarray, predicted: np.ndarray) -> Iterable[Row]:
    numbers = np.arange(len(classes))
    precision, _, f1, images = metrics.precision_recall_fscore_support(
        labels, predicted, labels=numbers, zero_division=0
    )
    for number, name in enumerate(classes):
        correct = int(((labels == number) & (predicted == number)).sum())
        recall = proportion(correct, int(images[number]))
        yield {
            "class": name,
            "images": int(images[number]),
            "correct": correct,
            "recall": recall.mean,
            **limits(recall),
            "precision": precision[number],
            "f1": f1[number],
        }
