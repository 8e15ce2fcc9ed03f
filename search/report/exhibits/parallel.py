"""All complete recipes that the oracle proposed: a line each, from value to value."""

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from search.report import words
from search.report.exhibit import Exhibit, Plot, Row, Subject
from search.report.exhibits import trials
from search.report.style import LEVELS, PALETTE, Chart, place, tips, values

MOST = 150  # recipes: half of them the best, half spread evenly over the rest
FEWEST = 12  # recipes: fewer lines show nothing that the table of trials does not
APART = 0.05  # of an axis: its labels are no nearer
NAMED = 7  # values along an axis of recipes
LONGEST = 17  # letters of a name along it


def draw(subject: Subject) -> Chart | None:
    """Draw complete recipes as lines over their values, the better the deeper; None of few, or where nothing varies."""
    done = _thinned(_proposed(subject))
    fields = [field for field in words.fields_in(done) if done[field].map(words.setting).unique().size > 1]
    if len(done) < FEWEST or not fields:
        return None
    fields = _chosen(done, fields)
    places = {field: _places(done, field) for field in fields}
    best, worst = done["score"].max(), done["score"].min()
    fifths = _fifths(done["score"])
    rows = [
        {"trial": row["trial"], "score": row["score"], "fifth": fifth, "summary": row["summary"], "axis": axis}
        | {"at": (row["score"] - worst) / (best - worst or 1) if axis == "score" else places[axis][row[axis]]}
        for row, fifth in list(zip(done.to_dict("records"), fifths, strict=True))[::-1]
        for axis in (*fields, "score")
    ]
    names = [
        {"axis": axis, "at": at, "name": name} for axis in fields for at, name in _named(done, axis, places[axis])
    ] + [{"axis": "score", "at": at, "name": f"{worst + at * (best - worst):.3f}"} for at in (0, 0.5, 1)]
    return _lines(rows, names, [*fields, "score"], list(dict.fromkeys(fifths))[::-1])


def _proposed(subject: Subject) -> pd.DataFrame:
    """Return the complete trials without the baselines, whose values nobody chose."""
    done = trials.complete(subject.frame)
    return done[done["baseline"] == ""]


def _thinned(done: pd.DataFrame) -> pd.DataFrame:
    """Return the best of the trials, and as many spread evenly over the rest, where there are too many to draw."""
    if len(done) <= MOST:
        return done
    best = MOST // 2
    rest = np.linspace(best, len(done) - 1, MOST - best).round().astype(int)
    return done.iloc[[*range(best), *rest]]


def _chosen(done: pd.DataFrame, fields: list[str]) -> list[str]:
    """Return the fields without those that follow from another with few values, as views do from augmentation."""
    names = {field: done[field].map(words.setting) for field in fields}
    chosen: list[str] = []
    for field in sorted(fields, key=lambda field: -names[field].nunique()):
        few = [other for other in chosen if 2 * names[other].nunique() <= len(done)]
        if not any(names[field].groupby(names[other]).transform("first").equals(names[field]) for other in few):
            chosen.append(field)
    return [field for field in fields if field in chosen]


class _Places(dict[Any, float]):
    """Where on its axis each value of a recipe lies, from 0 to 1; None and NaN are one value."""

    def __missing__(self, value: Any) -> float:
        return self[words.setting(value)]


def _places(done: pd.DataFrame, field: str) -> _Places:
    by_name = {words.setting(value): value for value in done[field]}
    numbers = {name: float(value) for name, value in by_name.items() if _is_number(value)}
    if len(numbers) > NAMED and len(numbers) == len(by_name):
        scale = math.log if min(numbers.values()) > 0 and max(numbers.values()) > 20 * min(numbers.values()) else float
        low, high = scale(min(numbers.values())), scale(max(numbers.values()))
        return _Places({name: (scale(number) - low) / (high - low) for name, number in numbers.items()})
    means = done.groupby(done[field].map(words.setting))["score"].mean()
    order = sorted(by_name, key=lambda name: numbers.get(name, -1.0) if numbers else means[name])
    return _Places({name: place / max(len(order) - 1, 1) for place, name in enumerate(order)})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and words.known(value)


def _named(done: pd.DataFrame, field: str, places: _Places) -> list[tuple[float, str]]:
    """Return what is written along an axis: all values where they are few, else the ends and the middle."""
    listed = sorted((place, name) for name, place in places.items())
    if len(listed) > NAMED and _is_number(done[field].iloc[0]):
        listed = [min(listed, key=lambda pair: abs(pair[0] - goal)) for goal in (0, 0.5, 1)]
    apart: list[tuple[float, str]] = []
    for at, name in listed:
        if not apart or at - apart[-1][0] >= APART:
            apart.append((at, name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"))
    return apart


def _fifths(scores: pd.Series) -> list[str]:
    """Return for each score, best first, the range of scores of its fifth of the trials."""
    parts = np.array_split(scores.to_numpy(), min(len(LEVELS), len(scores)))
    ends = [(f"{part.min():.3f}", f"{part.max():.3f}") for part in parts for _ in part]
    return [low if low == high else f"{low} to {high}" for low, high in ends]


def _lines(rows: list[Row], names: list[Row], axes: list[str], fifths: list[str]) -> Chart:
    over = alt.selection_point(name="over", fields=["trial"], on="pointerover", clear="pointerout", empty=False)
    titles = [words.field(axis) for axis in axes]
    for row in (*rows, *names):
        row["axis"] = words.field(row["axis"])
    x = alt.X(
        "axis:N",
        sort=titles,
        scale=alt.Scale(padding=0.35),
        axis=alt.Axis(title=None, orient="top", labelAngle=0, grid=True, labelColor=PALETTE["ink"], labelLimit=92),
    )
    y = alt.Y("at:Q", axis=None, scale=alt.Scale(domain=[-0.04, 1.04], nice=False))
    colour = alt.Color(
        "fifth:N",
        scale=alt.Scale(domain=fifths, range=LEVELS[-len(fifths) :]),
        legend=alt.Legend(title=f"{words.SCORE}:", symbolType="stroke", labelLimit=120),
        sort=None,
    )
    hover = tips({"trial": "trial", "score": "score", "summary": "recipe"}, ("score",))
    lines = (
        alt.Chart(values(rows))
        .mark_line(strokeJoin="round")
        .encode(
            x=x,
            y=y,
            detail="trial:N",
            color=colour,
            tooltip=hover,
            strokeWidth=alt.condition(over, alt.value(4), alt.value(1.6)),
            strokeOpacity=alt.condition(over, alt.value(1), alt.value(0.75)),
        )
        .add_params(over)
    )
    text = alt.Chart(values(names)).encode(x=x, y=y, text="name:N")
    halo = text.mark_text(fontSize=11, stroke=PALETTE["paper"], strokeWidth=5, strokeJoin="round")
    return place(lines + halo + text.mark_text(fontSize=11), height=360, narrowest=96 * len(axes))


def reading(subject: Subject) -> str:
    """Return how to read the chart."""
    of, best = len(_proposed(subject)), MOST // 2
    return (
        "Each line is a recipe, from value to value; the darker (in the dark: the lighter), the better its score. "
        "Only what varies between them is drawn, and no baseline."
        + (
            f" The chart shows {MOST} of {of:,} complete trials: the {best} best, and {MOST - best} spread evenly over "
            "the rest; trials.csv has all."
            if of > MOST
            else ""
        )
    )


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    best = _proposed(subject).iloc[0]
    return f"Parallel coordinates of the recipes. The best, {best['trial']}: {best['summary']}."


EXHIBIT = Exhibit("parallel", trials.SHEET, Plot("All complete recipes", draw, reading, in_words))
