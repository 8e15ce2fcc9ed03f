"""The learning curves of the winner: loss and accuracy by epoch, with all training images and with the fewest."""

from collections.abc import Callable, Iterable
from functools import partial

import altair as alt
import numpy as np
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.predictions import read_runs
from search.report import words
from search.report.exhibit import Exhibit, Plot, Row, Sheet, Subject, number, string, trial, whole
from search.report.style import HALF, PALETTE, Chart, colours, place, room, tips, values
from search.report.table import records

EPOCHS = 60
FEW = 6  # epochs, of which each is named
PARTS = {"training": PALETTE["rest"], "validation": PALETTE["best"]}

COLUMNS = (
    trial(),
    string("fold"),
    number("fraction", nullable=False),
    whole("epoch"),
    string("part", levels=("training", "validation")),
    number("loss"),
    number("accuracy"),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield loss and accuracy of each run of the winner by epoch."""
    winner, folds = judgement.winner, judgement.rules.folds
    if winner is None:
        return
    stored = read_runs(judgement.record.folder, [winner.runs[fold.id] for fold in folds])
    for fold in folds:
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


def draw(subject: Subject, measure: str, size: int) -> Chart | None:
    """Draw loss or accuracy by epoch: a thin line for each fold, a thick one for their mean.

    ``size`` is 0 for the whole training part, 1 for the smallest training size, None where there is none.
    """
    frame = subject.frame.dropna(subset=[measure])
    sizes = sorted(frame["fraction"].unique(), reverse=True)
    if frame.empty or size >= min(len(sizes), 2):
        return None
    sample = pd.concat([_thin(part) for _, part in frame.groupby("part", sort=False)])
    points = sample[sample["fraction"] == (sizes[-1] if size else sizes[0])]
    epochs = points["epoch"].unique()
    ticks = sorted(map(int, epochs)) if len(epochs) <= FEW else alt.Undefined  # Vega repeats whole numbers of few
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(values=ticks, tickMinStep=1, format="d", grid=False))
    limits = sample[measure].to_numpy(dtype=float)
    domain = [0, float(np.quantile(limits, 0.995)) * 1.05] if measure == "loss" else room(limits)
    y = alt.Y(f"{measure}:Q", scale=alt.Scale(domain=domain, nice=measure == "loss", clamp=True), title=None)
    base = alt.Chart(values(records(points[["fold", "epoch", "part", measure]]))).encode(
        x=x, color=alt.Color("part:N", scale=colours(PARTS, points["part"]), title=None)
    )
    folds = base.mark_line(strokeWidth=1, strokeOpacity=0.35).encode(
        y=y,
        detail="fold:N",
        tooltip=tips({"fold": "fold", "part": "part", "epoch": "epoch", measure: measure}, (measure,)),
    )
    mean = base.mark_line(strokeWidth=3).encode(
        y=alt.Y(f"mean({measure}):Q", scale=alt.Scale(domain=domain), title=None)
    )
    return place(folds + mean, height=230, width=HALF, above=measure)


def _thin(part: pd.DataFrame) -> pd.DataFrame:
    """Return a part's curves at no more than ``EPOCHS`` of the epochs at which it was measured, the ends among them."""
    epochs = np.sort(part["epoch"].unique())
    some = epochs[np.unique(np.linspace(0, len(epochs) - 1, EPOCHS).round().astype(int))]
    return part[part["epoch"].isin(some)]


def reading(subject: Subject) -> str:
    """Return how to read the charts."""
    longest = subject.frame["epoch"].max()
    some = f" {EPOCHS} of {longest:.0f} epochs are drawn." if longest > EPOCHS else ""
    return (
        "Thin lines are folds, the thick one is their mean. Training loss that goes on to fall while validation loss "
        f"does not is overfitting.{some}"
    )


def in_words(subject: Subject, measure: str, size: int) -> str:
    """Return a chart in words."""
    frame = subject.frame.dropna(subset=[measure])
    sizes = sorted(frame["fraction"].unique())
    last = frame[(frame["fraction"] == sizes[0 if size else -1]) & (frame["epoch"] == frame["epoch"].max())]
    ends = [f"{part} {words.number(rows[measure].mean())}" for part, rows in last.groupby("part")]
    return f"Lines of {measure} by epoch. At the last epoch: {', '.join(ends)}, mean of the folds."


SHEET = Sheet("curves", "Loss and accuracy of the winner by epoch.", COLUMNS, rows)
SAME_AXES = "On the same axes as above."


def _exhibit(name: str, title: str, measure: str, size: int, how: Callable[[Subject], str] | str) -> Exhibit:
    plot = Plot(title, partial(draw, measure=measure, size=size), how, partial(in_words, measure=measure, size=size))
    return Exhibit(name, SHEET, plot)


LOSS = _exhibit("loss", "Loss by epoch, all training images", "loss", 0, reading)
ACCURACY = _exhibit("accuracy", "Accuracy by epoch, all training images", "accuracy", 0, "The same runs.")
LOSS_SMALL = _exhibit("loss_small", "Loss by epoch, fewest training images", "loss", 1, SAME_AXES)
ACCURACY_SMALL = _exhibit("accuracy_small", "Accuracy by epoch, fewest training images", "accuracy", 1, SAME_AXES)
