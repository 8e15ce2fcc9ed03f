"""The winner's out-of-fold predictions; a file of CSV, shown nowhere."""

import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.predictions import read_runs
from search.report.exhibit import Exhibit, Sheet, number, string, trial


def _probabilities(judgement: Judgement) -> list[str]:
    return [f"p({name})" for name in judgement.classes]


COLUMNS = (
    trial(),
    string("fold", 'The fold, or "holdout".'),
    string("id"),
    string("label"),
    string("predicted"),
    number(r"^p\(.*\)$", "The probability of a class.", keys=_probabilities, pattern=True),
)


def frame(judgement: Judgement) -> pd.DataFrame:
    """Return one row for each (fold, image), but for those whose files are missing or changed.

    Those on the hold-out, if it was scored, come last, as fold "holdout".
    """
    winner, record, classes = judgement.winner, judgement.record, judgement.classes
    keys = _probabilities(judgement)
    holdout_score = record.history.holdout_score(winner.id) if winner else None
    runs = [winner.runs[fold.id] for fold in record.rules.folds] if winner else []
    parts = []
    for fold, arrays in read_runs(record.folder, [*runs, *([holdout_score.run] if holdout_score else [])]).items():
        part = pd.DataFrame(arrays["probabilities"].round(5), columns=keys)
        part.insert(0, "predicted", [classes[label] for label in arrays["probabilities"].argmax(axis=1)])
        part.insert(0, "label", [classes[label] for label in arrays["labels"]])
        part.insert(0, "id", arrays["ids"])
        part.insert(0, "fold", fold)
        part.insert(0, "trial", winner.id if winner else "")
        parts.append(part)
    empty = pd.DataFrame(columns=["trial", "fold", "id", "label", "predicted", *keys])
    return pd.concat(parts or [empty], ignore_index=True)


EXHIBIT = Exhibit(
    "predictions",
    Sheet(
        "predictions",
        "One row for each (fold, image): its class, the predicted class, the probability of each class.",
        COLUMNS,
        frame,
        in_json=False,
    ),
)
