"""A report as JSON, and the schema that documents it.

    python -m search.report.json > search/report/report.schema.json    # after a column was added

``report.schema.json`` is what ``schema`` returns; a test says so where they differ.
"""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from search.analysis.advice import Promise, advice
from search.analysis.judgement import Judgement
from search.analysis.ledger import interval, profile, seen_before
from search.analysis.outlook import outlook
from search.analysis.stats import Interval
from search.analysis.stats.confusions import Mistakes
from search.record import Record
from search.report import contents
from search.report.document import Document
from search.report.exhibit import Chapter, Column, Sheet

VERSION = 3  # of report.json: raised by a change that readers must know of
# Its tables came in this order before they came in that of the contents; those added since follow.
FIRST = (
    *("trials", "folds", "survival", "effects", "interaction", "comparisons", "baselines", "confirmation", "ledger"),
    *("strip", "curves", "confusion", "confused", "classes", "calibration", "hard", "label_errors", "duplicates"),
)

LATER = {"advice"}  # reports that were written before are still valid

MOST = 20_000  # rows of a table; the CSV file beside it has all

Schema = dict[str, Any]


def tables(chapters: Sequence[Chapter] = contents.CHAPTERS) -> list[Sheet]:
    """Return the sheets that report.json has as tables, in its order."""
    places = {name: place for place, name in enumerate(FIRST)}
    every = [sheet for sheet in contents.sheets(chapters) if sheet.in_json]
    return sorted(every, key=lambda sheet: places.get(sheet.name, len(FIRST)))


def as_json(judgement: Judgement, document: Document) -> dict[str, Any]:
    """Return the report as JSON types, as report.schema.json has them; numbers that do not exist are null."""
    record, slope = judgement.record, judgement.slope
    frames = {display.exhibit.sheet.name: display.frame for display in document.displays}
    sheets = tables([section.chapter for section in document.sections])
    return {
        "schema": VERSION,
        "name": record.name,
        "objective": record.rules.objective,
        "ended": record.history.end_reason,
        "answer": list(document.answer),
        "command": document.command,
        "outlook": _outlook(judgement),
        "advice": _advice(judgement),
        "at_chance": [_finite({**vars(each), "trial": each.trial.id}) for each in judgement.at_chance.values()],
        "facts": [vars(fact) for fact in document.facts],
        "words": {section.chapter.id: list(section.words) for section in document.sections},
        "winner": _winner(judgement),
        "recommended": judgement.recommended.id if judgement.recommended else None,
        "contenders": [trial.id for trial in judgement.contenders],
        "slope": _interval(slope) if slope else None,
        "curve": vars(judgement.curve) if judgement.curve else None,
        "holdout": _holdout(record),
        "warnings": list(document.cautions),
        "limits": list(document.limits),
        "tables": {sheet.name: _finite_rows(frames[sheet.name].head(MOST)) for sheet in sheets},
        "shortened": {sheet.name: len(frames[sheet.name]) for sheet in sheets if len(frames[sheet.name]) > MOST},
        "study": record.about.fields,
        "sessions": [session.line for session in record.history.sessions],
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


def _outlook(judgement: Judgement) -> dict[str, Any] | None:
    """Return what to expect of the winner; the share that leads the answer is ``expected``."""
    numbers = outlook(judgement)
    if numbers is None:
        return None
    return {
        "expected": _interval(numbers.expected),
        "accuracy": _interval(numbers.accuracy),
        "corrected": numbers.corrected,
        "guessing": numbers.guessing,
        "guessing_accuracy": numbers.guessing_accuracy,
        "beats_guessing": numbers.beats_guessing,
        "largest_class": numbers.usual,
        "rarest_class": vars(numbers.rarest) if numbers.rarest else None,
        "best_by_accuracy": numbers.rival.id if numbers.rival else None,
    }


def _advice(judgement: Judgement) -> dict[str, Any] | None:
    """Return what to do about the winner."""
    told = advice(judgement)
    if told is None:
        return None
    more, held_out = told.more, told.unmistaken
    return {
        "good_enough": told.good_enough,
        "unmistaken": vars(held_out) if held_out else None,
        "pairs": [_mistakes(judgement, each) for each in told.pairs],
        "weak": [_mistakes(judgement, each) for each in told.weak],
        "more_images": _finite({**vars(more), "promise": str(more.promise), "doubling": None})
        | {"doubling": _interval(more.doubling)},
    }


def _mistakes(judgement: Judgement, these: Mistakes) -> dict[str, Any]:
    names = [judgement.classes[number] for number in these.classes]
    return {**vars(these), "classes": names, "share": _interval(these.share)}


def _interval(limits: Interval) -> dict[str, Any]:
    return _finite({"mean": limits.mean, "low": limits.low, "high": limits.high})


def _holdout(record: Record) -> dict[str, Any] | None:
    """Return every score on the hold-out, None where nothing is held out."""
    if not record.rules.holdout:
        return None
    scores = [{"trial": score.trial, "scores": score.run.scores} for score in record.history.holdout_scores]
    seen = seen_before(record.history)
    return {"images": record.about.holdout, "looks": scores, "blind": not seen, "note": seen or None}


def _finite(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _plain(value) for key, value in row.items()}


def _finite_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, column by column, as they may be thousands."""
    columns = [_plain_column(frame.iloc[:, at]) for at in range(frame.shape[1])]
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain_column(column: pd.Series) -> list[Any]:
    if column.dtype.kind == "f" and isinstance(column.dtype, np.dtype):
        return [value if math.isfinite(value) else None for value in column.tolist()]
    return list(map(_plain, column.tolist()))


def _plain(value: Any) -> Any:
    if type(value) in {str, int, bool, type(None)}:
        return value
    if value is pd.NA:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": "number"}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
OBJECT: Schema = {"type": "object"}


def schema(chapters: Sequence[Chapter] = contents.CHAPTERS) -> Schema:
    """Return the schema of report.json."""
    properties = {
        "schema": {"const": VERSION, "description": "Version of this schema."},
        **_answer_schema(),
        **_numbers_schema(),
        **_tables_schema(chapters),
        "study": OBJECT | _about("study.json: what was fixed when the search began."),
        "sessions": {"type": "array", "items": OBJECT},
        "profile": _profile_schema(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "report.json",
        "description": "The report of a search. Scores are in [0, 1], differences on the same scale; what does not "
        "exist is null. A change that readers must know of raises `schema`.",
        **_object(properties, always=[name for name in properties if name not in LATER]),
    }


def _answer_schema() -> Schema:
    """Return the schema of what is said in words."""
    return {
        "name": TEXT | _about("Of the search."),
        "objective": {"enum": ["accuracy", "balanced_accuracy", "macro_f1"]},
        "ended": TEXT | _about("Why the search ended; empty while it has not."),
        "answer": TEXTS | _about("The answer in paragraphs."),
        "command": TEXT | _about("Retrains the recommended recipe on all images; empty where there is none."),
        "outlook": _or_null(_outlook_schema()),
        "advice": _or_null(_advice_schema()),
        "at_chance": {
            "type": "array",
            "description": "Trials that do no better than guessing, and the likely cause.",
            "items": _object(
                {"trial": TEXT, "balanced_accuracy": NUMBER, "guessing": NUMBER, "cause": TEXT},
            ),
        },
        "facts": {
            "type": "array",
            "description": "The few numbers of the winner, as the page shows them.",
            "items": _object(dict.fromkeys(("label", "value", "note"), TEXT)),
        },
        "words": OBJECT | _about("The leading sentences of each part of the page.") | {"additionalProperties": TEXTS},
    }


def _numbers_schema() -> Schema:
    """Return the schema of what is known of the winner and its rivals."""
    return {
        "winner": _or_null(_winner_schema()),
        "recommended": MAYBE_TEXT | _about("The trial to use."),
        "contenders": TEXTS | _about("Trials that cannot be told from the best, the winner among them."),
        "slope": _or_null(_interval_schema())
        | _about("The winner's gain for each doubling of images, between the two largest sizes."),
        "curve": _or_null(_object(dict.fromkeys(("a", "b", "c", "residual"), NUMBER)))
        | _about("a + b n^-c through four or more training sizes."),
    }


def _tables_schema(chapters: Sequence[Chapter]) -> Schema:
    """Return the schema of the tables, and of what else stands beside them."""
    return {
        "holdout": _or_null(_holdout_schema()),
        "warnings": TEXTS,
        "limits": TEXTS | _about("What may be concluded."),
        "tables": _object({sheet.name: _sheet_schema(sheet) for sheet in tables(chapters)}, always=FIRST),
        "shortened": OBJECT
        | _about(
            f"How many rows those tables have in their CSV files that are too long for this one, which has the "
            f"first {MOST:,} of them."
        )
        | {"additionalProperties": {"type": "integer"}},
    }


def _sheet_schema(sheet: Sheet) -> Schema:
    """Return the schema of a table: that of its columns."""
    fixed = {column.key: _column_schema(column) for column in sheet.columns if not column.pattern}
    patterns = {column.key: _column_schema(column) for column in sheet.columns if column.pattern}
    always = [column.key for column in sheet.columns if not column.keys]
    row = OBJECT | {"properties": fixed, "required": always}
    row |= {"patternProperties": patterns} if patterns else {}
    return {"type": "array", "description": sheet.about, "items": row | {"additionalProperties": False}}


def _column_schema(column: Column) -> Schema:
    if column.levels:
        kind: Schema = {"enum": list(column.levels)}
    elif column.nullable:
        kind = {"type": [column.type, "null"]}
    else:
        kind = {"type": column.type} if column.type else {}
    return kind | (_about(column.about) if column.about else {})


def _winner_schema() -> Schema:
    return _object(
        {
            "trial": TEXT | _about("The trial: four digits, or b0, b1 for baselines."),
            "recipe": OBJECT,
            "score": _interval_schema("Raw score with the trial's own corrected interval."),
            "corrected_score": _or_null(_interval_schema())
            | _about("Corrected for having been picked (BBC-CV); limits are quantiles."),
            "corrected_full_accuracy": _or_null(_interval_schema()),
            "uncorrected": MAYBE_TEXT | _about("Why there is no corrected score."),
        }
    )


def _outlook_schema() -> Schema:
    rarest = _object({"name": TEXT, "right": NUMBER, "images": NUMBER}, "How many of its images are recognised.")
    return _object(
        {
            "expected": _interval_schema("The objective to expect on new images, with all training images."),
            "accuracy": _interval_schema("The accuracy likewise."),
            "corrected": {"type": "boolean"} | _about("For having been picked; else both are raw."),
            "guessing": NUMBER | _about("The best objective of one answer to every image."),
            "guessing_accuracy": NUMBER | _about("The accuracy of always answering the largest class."),
            "beats_guessing": {"type": ["boolean", "null"]} | _about("null: not sure."),
            "largest_class": TEXT,
            "rarest_class": _or_null(rarest) | _about("null where classes are even."),
            "best_by_accuracy": MAYBE_TEXT | _about("The trial that leads by accuracy alone, if not the winner."),
        },
        "What to expect of the winner; `expected` leads the answer.",
    )


def _advice_schema() -> Schema:
    mistakes = _object(
        {"classes": TEXTS, "mistakes": NUMBER, "images": NUMBER, "share": _interval_schema(), "p": NUMBER},
        "So many of the images, both means over predictions; p is one-sided, after Holm's adjustment.",
    )
    more = {
        "promise": {"enum": list(map(str, Promise))} | _about("Whether more images would help."),
        "images": {"type": "integer"} | _about("That there are."),
        "for_a_point": MAYBE_NUMBER | _about("How many more gain a point; null where none do, or nothing is known."),
        "least": MAYBE_NUMBER,
        "most": MAYBE_NUMBER,
        "doubling": _interval_schema("What twice as many would gain."),
    }
    return _object(
        {
            "good_enough": {"type": "boolean"} | _about("To leave it at that."),
            "unmistaken": _or_null(_object({"images": {"type": "integer"}, "wrong_at_most": NUMBER}))
            | _about("The hold-out, if nothing in it was wrong, and what share of new images may be, at 95 %."),
            "pairs": {"type": "array", "items": mistakes} | _about("Classes taken for each other more than by chance."),
            "weak": {"type": "array", "items": mistakes} | _about("Classes missed more often than the others."),
            "more_images": _object(more),
        },
        "What to do about the winner; null where it does no better than guessing.",
    )


def _interval_schema(
    about: str = "A mean with the limits of its 95 % interval; limits are null where there is none.",
) -> Schema:
    return _object(dict.fromkeys(("mean", "low", "high"), MAYBE_NUMBER), about)


def _holdout_schema() -> Schema:
    scores = OBJECT | {"additionalProperties": NUMBER}
    return _object(
        {
            "images": {"type": "integer"},
            "looks": {"type": "array", "items": _object({"trial": TEXT, "scores": scores})},
            "blind": {"type": "boolean"},
            "note": MAYBE_TEXT,
        }
    )


def _profile_schema() -> Schema:
    seconds = OBJECT | {"additionalProperties": NUMBER}
    return _object(
        {"sessions": TEXT, "driver": seconds, "workers": OBJECT},
        "Seconds of the driver by stage, of workers by kind of trial and stage.",
    )


def _object(properties: Schema, about: str = "", always: Iterable[str] | None = None) -> Schema:
    """Return the schema of an object of these properties and no others; ``always`` names those it must have (all)."""
    whole = OBJECT | (_about(about) if about else {})
    return whole | {
        "properties": properties,
        "required": list(properties if always is None else always),
        "additionalProperties": False,
    }


def _or_null(part: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, part]}


def _about(text: str) -> Schema:
    return {"description": text}


def lines(part: Schema) -> Iterable[str]:
    """Yield a schema as the text of its file."""
    yield json.dumps(part, indent=1, ensure_ascii=False)
    yield "\n"


if __name__ == "__main__":
    sys.stdout.writelines(lines(schema()))
