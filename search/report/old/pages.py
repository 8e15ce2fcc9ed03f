"""The files of a report: a page, Markdown with pictures, CSV and JSON, all from the same tables."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.ledger import interval, seen_before
from search.analysis.predictions import read_runs
from search.analysis.stats import Interval
from search.journal import add_stages
from search.racing import ranked
from search.record import Record
from search.report.charts.gallery import draw
from search.report.document import Document
from search.report.markdown import markdown
from search.report.page import render
from search.report.pictures import write_pictures
from search.report.summary import document
from search.report.tables import all_tables
from search.system.clock import rounded
from search.system.files import write_text

SCHEMA = 2  # of report.json; report.schema.json beside this file documents it
PAGE = "index.html"


@dataclass(frozen=True)
class Report:
    """A report that was written: what it says, and its files by name."""

    document: Document
    paths: dict[str, Path]


def write_report(record: Record) -> Report:
    """Write the report of a search, running or ended, into its folder."""
    folder = record.folder / "report"
    folder.mkdir(exist_ok=True)
    judgement = Judgement.of(record)
    tables = all_tables(judgement)
    told, charts = document(judgement, tables), draw(tables)
    texts = {
        PAGE: render(told, tables, charts),
        "report.md": markdown(told, tables, write_pictures(charts, folder)),
        "report.json": json.dumps(as_json(judgement, tables, told), ensure_ascii=False, allow_nan=False) + "\n",
        "predictions.csv": predictions_table(record).to_csv(index=False),
        **{f"{name}.csv": table.to_csv(index=False) for name, table in tables.items()},
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return Report(told, {name: folder / name for name in texts})


def as_json(judgement: Judgement, tables: dict[str, pd.DataFrame], told: Document) -> dict[str, Any]:
    """Return the report as JSON types, as report.schema.json has them; numbers that do not exist are null."""
    record, slope = judgement.record, judgement.slope
    return {
        "schema": SCHEMA,
        "name": record.name,
        "objective": record.rules.objective,
        "ended": record.history.ended,
        "answer": list(told.answer),
        "command": told.command,
        "facts": [vars(fact) for fact in told.facts],
        "words": {part: list(said) for part, said in told.words.items()},
        "winner": _winner(judgement),
        "recommended": judgement.recommended.id if judgement.recommended else None,
        "contenders": [trial.id for trial in judgement.contenders],
        "slope": _interval(slope) if slope else None,
        "curve": vars(judgement.curve) if judgement.curve else None,
        "holdout": _looks(record),
        "warnings": list(told.cautions),
        "limits": list(told.limits),
        "tables": {name: [_finite(row) for row in table.to_dict("records")] for name, table in tables.items()},
        "study": record.about,
        "sessions": record.history.sessions,
        "profile": profile(record),
    }


def _winner(judgement: Judgement) -> dict[str, Any] | None:
    """Return the winner with its raw score and the corrected one, or why there is none."""
    if judgement.winner is None:
        return None
    corrected = judgement.corrected
    return {
        "trial": judgement.winner.id,
        "recipe": judgement.winner.recipe.to_dict(),
        "score": _interval(interval(judgement.winner, judgement.rules)),
        "corrected_score": _interval(corrected.score) if corrected else None,
        "corrected_full_accuracy": _interval(corrected.full_accuracy) if corrected else None,
        "uncorrected": judgement.uncorrected or None,
    }


def _interval(limits: Interval) -> dict[str, Any]:
    return _finite(vars(limits))


def profile(record: Record) -> dict[str, Any]:
    """Return where the seconds went: of the driver by stage, and of workers by kind of trial and stage.

    "beside" is what workers did for no trial: helping with the views of another's job, jobs given up
    or failed, the hold-out. A driver that is killed cannot say; ``sessions`` counts those that did, of all.
    """
    history = record.history
    driver: dict[str, float] = {}
    workers: dict[str, dict[str, float]] = {"heads": {}, "unfrozen": {}, "beside": dict(history.beside)}
    for stages in history.driver:
        add_stages(driver, stages)
    for trial in history.trials.values():
        add_stages(workers["heads" if trial.recipe.head_only else "unfrozen"], trial.stages)
    told = f"{len(history.driver)} of {len(history.sessions)}"
    return {
        "sessions": told,
        "driver": rounded(driver),
        "workers": {kind: rounded(spent) for kind, spent in workers.items()},
    }


def _looks(record: Record) -> dict[str, Any] | None:
    """Return every look at the hold-out, None where nothing is held out."""
    if not record.rules.holdout:
        return None
    looks = [{"trial": look.trial, "scores": look.run.scores} for look in record.history.holdouts]
    seen = seen_before(record.history)
    return {"images": record.about["holdout"], "looks": looks, "blind": not seen, "note": seen or None}


def _finite(row: dict[Any, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if value is None or value is pd.NA:
            return None
        value = value.item() if isinstance(value, np.generic) else value
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {str(key): plain(value) for key, value in row.items()}


def predictions_table(record: Record) -> pd.DataFrame:
    """Return the winner's out-of-fold predictions, but for those whose files are missing or changed.

    One row for each (fold, image): its id, its class, the predicted class, the probability of
    each class. Those on the hold-out, if it was scored, come last, as fold "holdout".
    """
    best = ranked(record.history.trials.values())
    classes = list(record.about["classes"])
    columns = ["trial", "fold", "id", "label", "predicted", *(f"p({name})" for name in classes)]
    look = record.history.look_at(best[0].id) if best else None
    runs = [best[0].runs[fold.id] for fold in record.rules.folds] if best else []
    parts = [pd.DataFrame(columns=columns)]
    for fold, arrays in read_runs(record.folder, [*runs, *([look.run] if look else [])]).items():
        probabilities = arrays["probabilities"]
        part = pd.DataFrame(probabilities.round(5), columns=columns[5:])
        part.insert(0, "predicted", [classes[label] for label in probabilities.argmax(axis=1)])
        part.insert(0, "label", [classes[label] for label in arrays["labels"]])
        part.insert(0, "id", arrays["ids"])
        part.insert(0, "fold", fold)
        part.insert(0, "trial", best[0].id)
        parts.append(part)
    return pd.concat(parts[1:] or parts, ignore_index=True)
