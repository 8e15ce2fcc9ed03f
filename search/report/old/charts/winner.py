"""Charts of the winner: its learning curves, what it takes for what, its recall by class, its calibration."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from search.report import reading
from search.report.captions import CLASSES, CONFUSED, EPOCHS, RECALLS
from search.report.charts.style import (
    DEEPEST,
    HALF,
    PALETTE,
    WHOLE,
    Chart,
    Row,
    colours,
    finished,
    room,
    shortened,
    tips,
    values,
)
from search.report.reading import Tables

PARTS = {"training": PALETTE["rest"], "validation": PALETTE["best"]}
NUMBERED = 20  # with counts in the cells


def curves(tables: Tables, measure: str, size: int) -> Chart | None:
    """Draw loss or accuracy by epoch: a thin line for each fold, a thick one for their mean.

    ``size`` is 0 for the whole training part, 1 for the smallest training size, None where there is none.
    """
    table = tables["curves"].dropna(subset=[measure])
    sizes = sorted(table["fraction"].unique(), reverse=True)
    if table.empty or size >= min(len(sizes), 2):
        return None
    kept = pd.concat([_thinned(part) for _, part in table.groupby("part", sort=False)])
    shown = kept[kept["fraction"] == (sizes[-1] if size else sizes[0])]
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    limits = kept[measure].to_numpy(dtype=float)
    domain = [0, float(np.quantile(limits, 0.995)) * 1.05] if measure == "loss" else room(limits)
    y = alt.Y(f"{measure}:Q", scale=alt.Scale(domain=domain, nice=measure == "loss", clamp=True), title=None)
    base = alt.Chart(values(shown[["fold", "epoch", "part", measure]].to_dict("records"))).encode(
        x=x, color=alt.Color("part:N", scale=colours(PARTS, shown["part"]), title=None)
    )
    thin = base.mark_line(strokeWidth=1, strokeOpacity=0.35).encode(
        y=y,
        detail="fold:N",
        tooltip=tips({"fold": "fold", "part": "part", "epoch": "epoch", measure: measure}, (measure,)),
    )
    mean = base.mark_line(strokeWidth=3).encode(
        y=alt.Y(f"mean({measure}):Q", scale=alt.Scale(domain=domain), title=None)
    )
    return finished(thin + mean, height=230, width=HALF, above=measure)


def _thinned(part: pd.DataFrame) -> pd.DataFrame:
    """Return a part's curves at no more than ``EPOCHS`` of the epochs at which it was measured, the ends among them."""
    epochs = np.sort(part["epoch"].unique())
    shown = epochs[np.unique(np.linspace(0, len(epochs) - 1, EPOCHS).round().astype(int))]
    return part[part["epoch"].isin(shown)]


def confusion(tables: Tables) -> Chart | None:
    """Draw how many images of each class are taken for each, the deeper the larger their share of the class."""
    table = tables["confusion"]
    if table.empty:
        return None
    table, order = gathered(table)
    numbered = len(order) <= NUMBERED
    rows = [
        {
            **row,
            "right": row["label"] == row["predicted"],
            "deep": round(DEEPEST * float(row["share"]) ** 0.5, 3) if row["images"] else 0.0,
            "percent": f"{100 * row['share']:.0f} %",
            "count": str(row["images"]) if row["images"] else "·",
        }
        for row in table.to_dict("records")
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
    told = cells + base.mark_text(fontSize=12).encode(text="count:N") if numbered else cells
    side = 34 if len(order) <= NUMBERED else 18
    return finished(told, height=side * len(order), narrowest=max(300, 150 + 24 * len(order)))


def _sides(order: list[str]) -> tuple[alt.X, alt.Y]:
    """Return the axes of a confusion matrix of these classes; names that would meet are tilted."""
    longest = max(map(len, order))
    tilt = 0 if longest * len(order) < 90 else -45
    label: dict[str, Any] = {
        "labelColor": PALETTE["ink"],
        "labelLimit": 150,
        "labelOverlap": False,
        "labelExpr": shortened(),
    }
    x = alt.X(
        "predicted:N",
        sort=order,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(
            title="predicted", orient="top", labelAngle=tilt, labelAlign="center" if not tilt else "left", **label
        ),
    )
    return x, alt.Y("label:N", sort=order, scale=alt.Scale(domain=order), axis=alt.Axis(title=None, **label))


def gathered(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a confusion matrix and its classes in order; of very many, the most confused ones and the "others"."""
    order = list(dict.fromkeys(table["label"]))
    if len(order) <= CLASSES:
        return table, order
    wrong = table[table["label"] != table["predicted"]]
    errors = wrong.groupby("label")["images"].sum().add(wrong.groupby("predicted")["images"].sum(), fill_value=0)
    kept = set(errors.sort_values(ascending=False, kind="stable").index[:CONFUSED])
    others = f"{len(order) - CONFUSED} others"
    while others in order:  # a class may have any name
        others += "\N{ZERO WIDTH SPACE}"
    renamed = table.assign(
        label=table["label"].where(table["label"].isin(kept), others),
        predicted=table["predicted"].where(table["predicted"].isin(kept), others),
    )
    small = renamed.groupby(["label", "predicted"], as_index=False, sort=False)["images"].sum()
    small["share"] = small["images"] / small.groupby("label")["images"].transform("sum").clip(lower=1)
    return small, [*(name for name in order if name in kept), others]


def recall(tables: Tables) -> Chart | None:
    """Draw the recall of each class with its 95 % interval (Wilson), the worst class at the top."""
    table = tables["classes"].dropna(subset=["recall"])
    if table.empty:
        return None
    rows: list[Row] = [
        {**row, "between": reading.between(row["low"], row["high"])}
        for row in table.sort_values("recall", kind="stable").head(RECALLS).to_dict("records")
    ]
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(values(rows)).encode(
        y=alt.Y(
            "class:N",
            sort=[row["class"] for row in rows],
            axis=alt.Axis(title=None, labelColor=PALETTE["ink"], labelLimit=200, labelExpr=shortened()),
        ),
        tooltip=tips(
            {"class": "class", "images": "images", "correct": "correct", "recall": "recall"}
            | {"between": "95 % interval", "precision": "precision", "f1": "F1"},
            ("recall", "precision", "f1"),
        ),
    )
    limits = base.mark_rule(strokeWidth=2, opacity=0.55, color=PALETTE["best"]).encode(
        x=alt.X("low:Q", scale=scale, title="recall"), x2="high:Q"
    )
    dots = base.mark_point(filled=True, size=75, opacity=1, color=PALETTE["best"]).encode(
        x=alt.X("recall:Q", scale=scale, title="recall")
    )
    return finished(limits + dots, height=22 * len(rows), width=WHOLE if len(rows) > NUMBERED else HALF)


def calibration(tables: Tables) -> Chart | None:
    """Draw how often the winner is right at each confidence, with 95 % intervals."""
    table = tables["calibration"]
    if table.empty:
        return None
    rows = [
        {
            **row,
            "between": reading.between(row["accuracy_low"], row["accuracy_high"]),
            "bin": f"{row['low']:.2g} to {row['high']:.2g}",
        }
        for row in table.to_dict("records")
    ]
    least = max(0.0, float(np.floor(10 * table["confidence"].min()) / 10))
    scale = alt.Scale(domain=[least, 1], nice=False)
    accuracy = alt.Scale(domain=[0, 1])
    ends: list[Row] = [{"confidence": end, "accuracy": end} for end in (least, 1)]
    x = alt.X("confidence:Q", scale=scale, title="confidence (probability of the predicted class)")
    y = alt.Y("accuracy:Q", scale=accuracy, title=None)
    ideal = alt.Chart(values(ends)).mark_line(color=PALETTE["soft"], strokeDash=[4, 4], strokeWidth=1).encode(x=x, y=y)
    base = alt.Chart(values(rows)).encode(
        x=x,
        tooltip=tips(
            {"bin": "confidence", "images": "images", "accuracy": "right", "between": "95 % interval"}, ("accuracy",)
        ),
    )
    limits = base.mark_rule(strokeWidth=2, opacity=0.55, color=PALETTE["best"]).encode(
        y=alt.Y("accuracy_low:Q", scale=accuracy, title=None), y2="accuracy_high:Q"
    )
    dots = base.mark_point(filled=True, opacity=1, color=PALETTE["best"]).encode(
        y=y, size=alt.Size("images:Q", scale=alt.Scale(range=[30, 300]), legend=None)
    )
    return finished(ideal + limits + dots, height=260, width=HALF, above="share of predictions that are right")
