"""What is taken for what: images of each class that the winner takes for each."""

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.stats.hard import confused
from search.report import words
from search.report.exhibit import Exhibit, Framed, Plot, Row, Sheet, Subject, number, string, whole
from search.report.style import DEEPEST, PADDING, PALETTE, Chart, least_room, place, short_label, tips, values
from search.report.table import records

CLASSES, WORST = 40, 24  # with more classes than so many, these alone are drawn
NUMBERED = 20  # with counts in the cells
LETTER = 7  # px of a letter, about
TILTED = 0.75  # of its width a tilted label is high

COLUMNS = (string("label"), string("predicted"), whole("images"), number("share", "Of the label's images."))


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each pair of classes, label by label; of many classes those that are confused, and each with itself."""
    size = judgement.winners_size
    if size is not None:
        yield from pairs_of(size.labels, size.predictions[0], judgement.classes)


def pairs_of(labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str]) -> Iterable[Row]:
    """Yield the same of any predictions: ``labels`` and ``predictions`` (n,) are numbers of ``classes``."""
    counts = confused(labels, predictions, len(classes))
    totals = counts.sum(axis=1)
    for label, row in enumerate(counts):
        for predicted, images in enumerate(row):
            if not images and label != predicted and len(classes) > CLASSES:
                continue  # of a thousand classes there are a million pairs
            share = images / totals[label] if totals[label] else np.nan
            yield {"label": classes[label], "predicted": classes[predicted], "images": int(images), "share": share}


def mistakes(pairs: Iterable[Row]) -> list[Row]:
    """Return those of all pairs of classes that are confused, most images first."""
    wrong = [row for row in pairs if row["label"] != row["predicted"] and row["images"]]
    return sorted(wrong, key=lambda row: (-row["images"], -row["share"]))


def draw(subject: Framed) -> Chart | None:
    """Draw how many images of each class are taken for each, the deeper the larger their share of the class."""
    if subject.frame.empty:
        return None
    frame, order = gather(subject.frame)
    numbered = len(order) <= NUMBERED
    rows = [
        {
            **row,
            "right": row["label"] == row["predicted"],
            "deep": round(DEEPEST * float(row["share"]) ** 0.5, 3) if row["images"] else 0.0,
            "percent": f"{100 * row['share']:.0f} %",
            "count": str(row["images"]) if row["images"] else "·",
        }
        for row in records(frame)
        if numbered or row["images"]
    ]
    x, y = _sides(order)
    base = alt.Chart(values(rows)).encode(
        x=x,
        y=y,
        tooltip=tips(
            {"label": "labelled", "predicted": "predicted", "images": "images", "percent": "of the label's images"}
        ),
    )
    cells = base.mark_rect(cornerRadius=2, stroke=PALETTE["line"], strokeWidth=1).encode(
        color=alt.condition("datum.right", alt.value(PALETTE["best"]), alt.value(PALETTE["wrong"])),
        fillOpacity=alt.FillOpacity("deep:Q", scale=None, legend=None),
    )
    matrix = cells + base.mark_text(fontSize=12).encode(text="count:N") if numbered else cells
    side = 34 if len(order) <= NUMBERED else 18
    # The last tilted label may reach beyond the right side.
    matrix = matrix.properties(padding={**PADDING, "right": 24}) if least_room(order) else matrix
    return place(matrix, height=side * len(order), narrowest=max(300, 150 + 24 * len(order)))


def _sides(order: list[str]) -> tuple[alt.X, alt.Y]:
    """Return the axes of a confusion matrix of these classes; names that would meet are tilted."""
    longest = max(map(len, order))
    narrow = f"width < {len(order) * (LETTER * longest + 8):.0f}"
    label: dict[str, Any] = {
        "labelColor": PALETTE["ink"],
        "labelLimit": 150,
        "labelOverlap": False,
        "labelExpr": short_label(),
    }
    x = alt.X(
        "predicted:N",
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(
            title="predicted",
            orient="top",
            labelAngle=alt.expr(f"{narrow} ? -45 : 0"),
            labelAlign=alt.expr(f"{narrow} ? 'left' : 'center'"),
            labelBaseline="bottom",
            minExtent=TILTED * least_room(order),
            **label,
        ),
    )
    return x, alt.Y(
        "label:N",
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(title=None, minExtent=least_room(order), **label),
    )


def gather(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a confusion matrix and its classes in order; of very many, the most confused ones and the "others"."""
    order = list(dict.fromkeys(frame["label"]))
    if len(order) <= CLASSES:
        return frame, order
    wrong = frame[frame["label"] != frame["predicted"]]
    errors = wrong.groupby("label")["images"].sum().add(wrong.groupby("predicted")["images"].sum(), fill_value=0)
    apart = set(errors.sort_values(ascending=False, kind="stable").index[:WORST])
    others = f"{len(order) - WORST} others"
    while others in order:  # a class may have any name
        others += "\N{ZERO WIDTH SPACE}"
    renamed = frame.assign(
        label=frame["label"].where(frame["label"].isin(apart), others),
        predicted=frame["predicted"].where(frame["predicted"].isin(apart), others),
    )
    small = renamed.groupby(["label", "predicted"], as_index=False, sort=False)["images"].sum()
    small["share"] = small["images"] / small.groupby("label")["images"].transform("sum").clip(lower=1)
    return small, [*(name for name in order if name in apart), others]


def reading(subject: Subject) -> str:
    """Return how to read the chart."""
    return f"{how_to_read('the winner')} No network had trained on the image in question.{few(subject)}"


def how_to_read(model: str) -> str:
    """Return what rows, columns and colours mean; ``model`` is what predicts, in words."""
    return (
        f"A row is a label, a column is what {model} takes it for. Right answers are blue, wrong ones purple; the "
        "deeper, the larger the share of the row's images."
    )


def few(subject: Framed) -> str:
    """Return which of many classes are drawn; "" where all are."""
    classes = subject.frame["label"].nunique()
    if classes <= CLASSES:
        return ""
    return f" Drawn are the {WORST} of {classes} classes that are confused most; the others are one row and one column."


def in_words(subject: Framed) -> str:
    """Return the chart in words."""
    worst = [
        f"{row['label']} taken for {row['predicted']} {words.times(row['images'])}"
        for row in mistakes(records(subject.frame))[: words.NAMED]
    ]
    return (
        f"Confusion matrix. Most confused: {'; '.join(worst) or 'none'}. The table of confused classes has the numbers."
    )


EXHIBIT = Exhibit(
    "confusion",
    Sheet(
        "confusion",
        "The winner at full size, all folds together: images of each class taken for each. Of more than "
        f"{CLASSES} classes, pairs without images are left out.",
        COLUMNS,
        rows,
    ),
    Plot("What is taken for what", draw, reading, in_words),
)
