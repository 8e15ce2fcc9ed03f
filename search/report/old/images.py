"""Tables of images: those that recipes get wrong, labels that may be mistaken, images that share a group."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.predictions import Evidence
from search.analysis.stats.hard import label_errors, wrong_share
from search.record import IMAGES, read_table
from search.report.rows import Row, table_of

NEARLY_ALL = 0.9  # of the recipes
FEWEST_RECIPES = 3  # with fewer, "every recipe" says little

COLUMNS = {
    "hard": "id label wrong recipes share predicted probability group",
    "label_errors": "id label suggested confidence own",
    "duplicates": "group id label different_labels",
}


def image_tables(judgement: Judgement) -> dict[str, pd.DataFrame]:
    """Return the tables of images by their names; all of full size, where every image is predicted best."""
    rows: dict[str, Iterable[Row]] = {**dict.fromkeys(COLUMNS, ()), "duplicates": _duplicates(judgement)}
    evidence = judgement.evidence
    if evidence is not None and len(evidence.trials) >= FEWEST_RECIPES:
        rows |= {
            "hard": _hard(evidence, judgement.classes),
            "label_errors": _label_errors(evidence, judgement.classes),
        }
    return {name: table_of(some, COLUMNS[name]) for name, some in rows.items()}


def _hard(evidence: Evidence, classes: list[str]) -> Iterable[Row]:
    size = evidence.sizes[-1]
    wrong, of = wrong_share(size.predicted, size.labels, size.image)
    share = wrong / np.maximum(of, 1)
    found = np.flatnonzero(share >= NEARLY_ALL)
    winners = size.own[0]
    for image in found[np.argsort(-share[found], kind="stable")]:
        rows = np.flatnonzero(size.image == image)
        label, said = int(evidence.labels[image]), size.predicted[:, rows].ravel()
        mistaken = np.bincount(said[said != label], minlength=len(classes))
        yield {
            "id": evidence.ids[image],
            "label": classes[label],
            "wrong": int(wrong[image]),
            "recipes": int(of[image]),
            "share": float(share[image]),
            "predicted": classes[int(mistaken.argmax())],
            "probability": float(winners[rows].mean()),
            "group": "every recipe" if wrong[image] == of[image] else "nearly all",
        }


def _label_errors(evidence: Evidence, classes: list[str]) -> Iterable[Row]:
    seen = np.unique(evidence.sizes[-1].image)  # random splits may never score an image
    for found in label_errors(evidence.probabilities[seen], evidence.labels[seen]):
        yield {
            "id": evidence.ids[seen[found.image]],
            "label": classes[found.label],
            "suggested": classes[found.suggested],
            "confidence": found.confidence,
            "own": found.own,
        }


def _duplicates(judgement: Judgement) -> Iterable[Row]:
    """Yield the images that share a group, the largest groups first."""
    table = read_table(judgement.record.folder, IMAGES)
    if table is None or not {"id", "label", "group"} <= set(table):
        return
    groups = [some for name, some in table.groupby("group", sort=False) if name and len(some) > 1]
    for number, some in enumerate(sorted(groups, key=len, reverse=True), start=1):
        different = len(set(some["label"])) > 1
        for row in some.itertuples():
            yield {"group": number, "id": row.id, "label": row.label, "different_labels": different}
