"""An evaluation in a terminal, and as JSON and CSV for programs."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.analysis.stats import Interval
from search.analysis.stats.metrics import METRICS
from search.evaluation.agreement import Agreement
from search.evaluation.evaluation import Evaluation
from search.evaluation.figures import Figures
from search.evaluation.told import cautions, further, headline, most_confused
from search.report import words
from search.report.exhibit import Row
from search.report.table import records
from search.system.texts import csv_text, visible

CLASSES, WRONG = 20, 12  # that a terminal shows


def show(evaluation: Evaluation, console: Console, hint: str = "") -> None:
    """Print the answer in sentences, the scores, the classes, and the images that the model has wrong.

    ``hint`` says where there are more of these than are printed.
    """
    for caution in cautions(evaluation):
        console.print(Text(f"Warning: {caution}", style="bold yellow"), soft_wrap=True)
    console.print(Text(headline(evaluation), style="bold"), soft_wrap=True)
    for sentence in further(evaluation):
        console.print(Text(sentence), soft_wrap=True)
    for table in (_scores(evaluation), _classes(evaluation.main)):
        console.print()
        console.print(table)
    if pairs := most_confused(evaluation.main):
        console.print(Text(f"\n{pairs}"), soft_wrap=True)
    _show_wrong(evaluation, console, hint)


def _scores(evaluation: Evaluation) -> Table:
    """Return the scores with their intervals, beside what was promised, and those of all images where some trained."""
    promised = {each.metric: each.promised for each in evaluation.agreements}
    both = bool(evaluation.trained.any()) and not evaluation.is_flattered
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("score")
    heads = ["new images" if both else "", "95 %", "guessing", *(["promised", "95 %"] if promised else [])]
    for head in [*heads, *(["with those that trained it"] if both else [])]:
        table.add_column(head, justify="right", no_wrap=True)
    for name, interval in evaluation.main.scores.items():
        cells = [words.number(interval.mean), _limits(interval), words.number(evaluation.main.guessing[name])]
        if promised:
            cells += [words.number(promised[name].mean), _limits(promised[name])] if name in promised else ["", ""]
        cells += [words.number(evaluation.every.scores[name].mean)] if both else []
        table.add_row(METRICS[name].title, *cells)
    return table


def _limits(interval: Interval) -> str:
    return words.between(interval.low, interval.high) if interval.known else words.MISSING


def _classes(figures: Figures) -> Table:
    """Return the classification report, the worst classes first where there are many."""
    frame = figures.by_class
    more = len(frame) - CLASSES
    if more > 0:
        frame = frame.sort_values("recall", kind="stable").head(CLASSES)
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    table.caption = f"The {CLASSES} worst of {len(figures.by_class)} classes; --json has all." if more > 0 else None
    table.add_column("class", overflow="fold")
    for head in ("images", "right", "recall", "95 %", "precision", "F1"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in records(frame):
        numbers = (words.number(row["recall"]), words.between(row["low"], row["high"]))
        rest = (words.number(row["precision"]), words.number(row["f1"])) if row["images"] else (words.MISSING,) * 2
        table.add_row(Text(visible(row["class"])), str(row["images"]), str(row["correct"]), *numbers, *rest)
    return table


def _show_wrong(evaluation: Evaluation, console: Console, hint: str) -> None:
    rows = [row for row in images(evaluation) if not row["right"] and (evaluation.is_flattered or not row["trained"])]
    if not rows:
        return
    rows.sort(key=lambda row: -row["probability"])
    more = f", the {WRONG} surest of {len(rows)}" if len(rows) > WRONG else ""
    console.print(Text(f"\nWrong images{more}:", style="bold"))
    for row in rows[:WRONG]:
        taken = f"{row['label']} taken for {row['predicted']} ({row['probability']:.2f})"
        console.print(Text(f"  {visible(row['image'])}: {visible(taken)}"), soft_wrap=True)
    if len(rows) > WRONG and hint:
        console.print(Text(f"  {hint}"), soft_wrap=True)


def images(evaluation: Evaluation) -> list[Row]:
    """Return what there is to say of each image: label, prediction, whether it trained the model, its group."""
    figures, dataset = evaluation.every, evaluation.labelled.dataset
    how = evaluation.how or (None,) * len(figures)
    return [
        {
            "image": dataset.ids[row],
            "label": figures.classes[figures.labels[row]],
            "predicted": figures.classes[figures.predicted[row]],
            "right": bool(figures.right[row]),
            "probability": float(figures.confidence[row]),
            "trained": bool(evaluation.trained[row]) if evaluation.how is not None else None,
            "how": how[row] or "",
            "group": str(dataset.groups[row]),
        }
        for row in range(len(figures))
    ]


def as_csv(evaluation: Evaluation) -> str:
    """Return a row for each image: those of ``images``, the probability of each class, and why one was not read.

    Letters of a path that a terminal would obey, or could not show, are escaped; JSON has paths as they are.
    """
    figures = evaluation.every
    names = [f"p({name})" for name in figures.classes]
    rows = pd.DataFrame(images(evaluation))
    probabilities = pd.DataFrame(figures.probabilities.round(6), columns=names)
    left_out = pd.DataFrame(evaluation.labelled.dataset.unreadable, columns=["image", "unreadable"], dtype=object)
    table = pd.concat([pd.concat([rows, probabilities], axis=1), left_out], ignore_index=True)
    for name in ("image", "group", "unreadable"):
        table[name] = table[name].map(lambda text: visible(text) if isinstance(text, str) else text)
    table["probability"] = table["probability"].round(6)
    return csv_text(table)


def as_json(evaluation: Evaluation) -> str:
    """Return all figures as JSON, in ASCII, so that any file name survives; null is what is not known."""
    about, labelled, main = evaluation.about, evaluation.labelled, evaluation.main
    dataset = labelled.dataset
    whole = {
        "model": {"folder": str(evaluation.folder), "search": about.get("search"), "trial": about.get("trial")},
        "data": {
            "source": str(dataset.source),
            "images": len(labelled),
            "groups": evaluation.every.groups_in_all,
            "classes": dataset.counts,
            "unknown_classes": labelled.unknown,
        },
        "trained": {
            "known": evaluation.how is not None,
            "images": int(evaluation.trained.sum()),
            "ways": evaluation.ways,
        },
        "answer": [*cautions(evaluation), headline(evaluation), *further(evaluation)],
        "flattered": evaluation.is_flattered,
        **_figures(main),
        "agreement": [_agreement(each) for each in evaluation.agreements],
        "all_images": _figures(evaluation.every) if len(main) < len(evaluation.every) else None,
        "images": images(evaluation),
        "unreadable": [{"image": id_, "reason": reason} for id_, reason in dataset.unreadable],
    }
    return json.dumps(_finite(whole), indent=2, allow_nan=False) + "\n"


def _figures(figures: Figures) -> dict[str, Any]:
    scores = {
        name: _interval(interval) | {"guessing": figures.guessing[name]} for name, interval in figures.scores.items()
    }
    return {
        "scored": {"images": len(figures), "groups": figures.groups_in_all, "right": int(figures.right.sum())},
        "scores": scores,
        "calibration": {
            "error": figures.calibration_error,
            "error_if_calibrated": _interval(figures.if_calibrated[0]),
            "overconfidence": _interval(figures.overconfidence),
            "overconfidence_if_calibrated": _interval(figures.if_calibrated[1]),
            "bins": records(figures.bins),
        },
        "classes": records(figures.by_class),
        "confused": figures.mistakes,
    }


def _agreement(one: Agreement) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "promised": _interval(one.promised),
        "found": _interval(one.found),
        "difference": _interval(one.difference),
        "verdict": str(one.verdict),
    }


def _interval(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _finite(value: Any) -> Any:
    """Return JSON types with None for numbers that are not known."""
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
