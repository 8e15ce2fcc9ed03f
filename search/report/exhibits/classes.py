"""Recall by class: the classification report of the winner."""

from collections.abc import Iterable, Sequence

import altair as alt
import numpy as np
from sklearn import metrics

from search.analysis.judgement import Judgement
from search.analysis.stats.evaluating import share_right
from search.report import words
from search.report.exhibit import Exhibit, Framed, Plot, Row, Sheet, Subject, number, string, whole
from search.report.exhibit import limits as limits_of
from search.report.style import HALF, PALETTE, WHOLE, Chart, least_room, place, short_label, tips, values
from search.report.table import Table, count, limits, records, score, table, text

MOST = 40
NARROW = 20  # classes: with more, the chart takes the whole width

COLUMNS = (
    string("class"),
    whole("images"),
    whole("correct"),
    number("recall"),
    number("low", "Wilson's lower 95 % limit."),
    number("high", "Upper limit."),
    number("precision"),
    number("f1"),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each class, with the whole training part, all folds together."""
    size = judgement.winners_size
    if size is not None:
        yield from of_classes(size.labels, size.predictions[0], judgement.classes, np.arange(len(size.labels)))


def of_classes(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str], groups: np.ndarray) -> Iterable[Row]:
    """Yield the same of any predictions: ``labels`` and ``predicted`` (n,) are numbers of ``classes``.

    Intervals are by ``groups`` (n,); where each image has its own, they are Wilson's.
    """
    precision, _, f1, images = metrics.precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=0
    )
    for at, name in enumerate(classes):
        own = labels == at
        recall = share_right(predicted[own] == at, groups[own])
        yield {
            "class": name,
            "images": int(images[at]),
            "correct": int((own & (predicted == at)).sum()),
            "recall": recall.mean,
            **limits_of(recall),
            "precision": precision[at],
            "f1": f1[at],
        }


def draw(subject: Framed) -> Chart | None:
    """Draw the recall of each class with its 95 % interval (Wilson), the worst class at the top."""
    frame = subject.frame.dropna(subset=["recall"])
    if frame.empty:
        return None
    rows: list[Row] = [
        {**row, "between": words.between(row["low"], row["high"])}
        for row in records(frame.sort_values("recall", kind="stable").head(MOST))
    ]
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(values(rows)).encode(
        y=alt.Y(
            "class:N",
            sort=[row["class"] for row in rows],
            axis=alt.Axis(
                title=None,
                labelColor=PALETTE["ink"],
                labelLimit=200,
                labelExpr=short_label(),
                minExtent=least_room(row["class"] for row in rows),
            ),
        ),
        tooltip=tips(
            {"class": "class", "images": "images", "correct": "correct", "recall": "recall"}
            | {"between": "95 % interval", "precision": "precision", "f1": "F1"},
            ("recall", "precision", "f1"),
        ),
    )
    rules = base.mark_rule(strokeWidth=2, opacity=0.55, color=PALETTE["best"]).encode(
        x=alt.X("low:Q", scale=scale, title="recall"), x2="high:Q"
    )
    dots = base.mark_point(filled=True, size=75, opacity=1, color=PALETTE["best"]).encode(
        x=alt.X("recall:Q", scale=scale, title="recall")
    )
    return place(rules + dots, height=22 * len(rows), width=WHOLE if len(rows) > NARROW else HALF)


def reading(subject: Framed, of_intervals: str = " (Wilson)") -> str:
    """Return how to read the chart; ``of_intervals`` says what intervals these are."""
    of = len(subject.frame)
    few = f" Drawn are the {MOST} worst of {of} classes." if of > MOST else ""
    found = "The share of each class's images that are found, the worst at the top"
    return f"{found}, with 95 % intervals{of_intervals}.{few}"


def in_words(subject: Framed) -> str:
    """Return the chart in words."""
    worst = subject.frame.dropna(subset=["recall"]).sort_values("recall").head(words.NAMED)
    lowest = [f"{row['class']} {words.number(row['recall'])}" for row in records(worst)]
    return f"Dot plot of recall by class; the lowest: {', '.join(lowest)}. The classification report has the numbers."


def report(subject: Subject) -> Table:
    """Return the winner's classification report."""
    caption = (
        "Classification report of the winner, from out-of-fold predictions: every image by a model that did not "
        "train on it. The interval is that of the recall (Wilson)."
    )
    return table_of(subject, caption)


def table_of(subject: Framed, caption: str) -> Table:
    """Return the same of any model, below a caption."""
    return table(
        caption,
        "class | # images | # right | # recall | # 95 % interval | # precision | # F1",
        (
            (
                text(row["class"]),
                count(row["images"]),
                count(row["correct"]),
                score(row["recall"]),
                limits(row["low"], row["high"]),
                score(row["precision"]),
                score(row["f1"]),
            )
            for row in records(subject.frame)
        ),
    )


def sentences(subject: Framed) -> list[str]:
    """Return which class is the weakest."""
    classes = subject.frame.dropna(subset="recall")
    if classes.empty:
        return []
    weakest = classes.loc[classes["recall"].idxmin()]
    alike = int((classes["recall"] == weakest["recall"]).sum()) - 1
    others = f", as {words.count(alike)} other{'s' * (alike > 1)}" if alike else ""
    limits = "no interval, as all are of one group"
    if words.known(weakest["low"]):
        limits = f"95 % interval {weakest['low']:.2f} to {weakest['high']:.2f}"
    right = f"{weakest['correct']} of {weakest['images']} right ({limits})"
    return [f"Its weakest class is {weakest['class']}: {right}{others}."]


EXHIBIT = Exhibit(
    "classes",
    Sheet("classes", "Classification report of the winner at full size.", COLUMNS, rows),
    Plot("Recall by class", draw, reading, in_words, name="recall"),
    table=report,
    sentences=sentences,
)
