"""Charts of what matters: effects of factors, how two of them go together, all recipes at once."""

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from search.report import reading
from search.report.captions import RECIPES
from search.report.charts.style import (
    DEEPEST,
    LEVELS,
    PALETTE,
    SCORE,
    Chart,
    Row,
    finished,
    tips,
    values,
)
from search.report.reading import RECIPE, Tables

NAMED = 7  # values along an axis of recipes
LONGEST = 17  # letters of a name along it
HEADING = "#"
AFTER_BAR = "slice(datum.value, indexof(datum.value, '|') + 1)"
IS_HEADING = f"slice(datum.value, 0, 1) == '{HEADING}'"
MATTERS = {"yes": "matters", "no": "matters little", "unknown": "not known"}


def effects(tables: Tables) -> Chart | None:
    """Draw the difference that each level of each factor makes, with its 95 % interval; what matters comes first."""
    table = reading.ordered_effects(tables)
    if table["effect"].isna().all():
        return None
    rows = _listed(table)
    hover = tips(
        {"factor": "factor", "level": "level", "effect": "effect", "between": "95 % interval", "trials": "trials"}
        | {"runs": "runs", "verdict": "verdict", "p": "p of the factor", "note": "note"}
    )
    base = alt.Chart(values(rows)).encode(y=_down(rows), tooltip=hover)
    told = base.transform_filter("isValid(datum.middle)")
    title = "points of score from the factor's mean"
    x = alt.X(
        "middle:Q", title=title, axis=alt.Axis(format="+d", tickMinStep=1, labelExpr="datum.value ? datum.label : '0'")
    )
    colour = alt.condition("datum.verdict == 'matters'", alt.value(PALETTE["ink"]), alt.value(PALETTE["rest"]))
    zero = alt.Chart(values([{"zero": 0}])).mark_rule(color=PALETTE["soft"]).encode(x=alt.X("zero:Q", title=title))
    notes = (
        base.transform_filter("datum.said")
        .mark_text(align="left", color=PALETTE["soft"], fontSize=11)
        .encode(x=alt.value(4), text="said:N")
    )
    limits = told.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2="high:Q", color=colour)
    dots = told.mark_point(filled=True, size=75, opacity=1).encode(x=x, color=colour)
    return finished(zero + limits + dots + notes, height=21 * len(rows))


def _listed(table: pd.DataFrame) -> list[Row]:
    """Return a heading for each factor and, below it, its levels, where they can be judged."""
    rows: list[Row] = []
    for place, (factor, levels) in enumerate(table.groupby("factor", sort=False)):
        verdict = _verdict(levels["matters"].iloc[0])
        judged = levels["effect"].notna().any()
        said = "" if judged else _note(levels["note"].iloc[0])
        rows.append({"row": f"{HEADING}{place}|{RECIPE.get(str(factor), factor)}: {verdict}", "said": said})
        rows += [_level(place, row) for row in levels.to_dict("records") if judged]
    return rows


def _down(rows: list[Row]) -> alt.Y:
    """Return the axis of factors, as bold headings, and their levels."""
    return alt.Y(
        "row:N",
        scale=alt.Scale(domain=[row["row"] for row in rows]),
        axis=alt.Axis(
            title=None,
            labelExpr=AFTER_BAR,
            grid=False,
            labelFontWeight=alt.condition(IS_HEADING, alt.value("bold"), alt.value("normal")),
            labelColor=PALETTE["ink"],
        ),
    )


def _level(place: int, row: dict[Any, Any]) -> Row:
    middle, low, high = (100 * row[key] if reading.known(row[key]) else None for key in ("effect", "low", "high"))
    return {
        "row": f"{place}|{row['level']}",
        "factor": row["factor"],
        "level": row["level"],
        "middle": middle,
        "low": low,
        "high": high,
        "effect": reading.number(middle, 1, sign=True),
        "between": reading.between(low, high, 1, sign=True),
        "trials": row["trials"],
        "runs": row["runs"],
        "verdict": _verdict(row["matters"]),
        "p": reading.p_value(row["p"]),
        "note": _note(row["note"], reading.MISSING),
        "said": "" if middle is not None else _note(row["note"]),
    }


def _verdict(matters: Any) -> str:
    return MATTERS.get(matters, MATTERS["unknown"])


def _note(note: Any, otherwise: str = "cannot be judged") -> str:
    return str(note) if reading.known(note) and note else otherwise


def interaction(tables: Tables) -> Chart | None:
    """Draw the mean score of each backbone at each depth: number and count in every cell, deeper where better."""
    table = tables["interaction"].dropna(subset=["score"])
    if table.empty or len(table) < 2:
        return None
    low, high = table["score"].min(), table["score"].max()
    rows = [
        {
            **row,
            "told": reading.number(row["score"]),
            "count": f"{row['trials']} trial" + ("" if row["trials"] == 1 else "s"),
            "between": reading.between(row["low"], row["high"]),
            "deep": 0.03 + (DEEPEST - 0.03) * (row["score"] - low) / (high - low or 1),
        }
        for row in table.to_dict("records")
    ]
    depths = sorted(table["unfrozen_blocks"].astype(str).unique(), key=_depth)
    base = alt.Chart(values(rows)).encode(
        x=alt.X(
            "unfrozen_blocks:N",
            sort=depths,
            title="unfrozen blocks, from the top",
            axis=alt.Axis(orient="top", labelAngle=0, labelColor=PALETTE["ink"]),
        ),
        y=alt.Y("backbone:N", axis=alt.Axis(title=None, labelColor=PALETTE["ink"])),
        tooltip=tips(
            {"backbone": "backbone", "unfrozen_blocks": "unfrozen blocks", "told": "mean score"}
            | {"between": "95 % interval", "trials": "trials"}
        ),
    )
    cells = base.mark_rect(color=PALETTE["best"], cornerRadius=3, stroke=PALETTE["paper"], strokeWidth=2).encode(
        fillOpacity=alt.FillOpacity("deep:Q", scale=None, legend=None)
    )
    told = base.mark_text(dy=-6, fontWeight="bold").encode(text="told:N")
    return finished(
        cells + told + base.mark_text(dy=9, fontSize=11).encode(text="count:N"), height=46 * table["backbone"].nunique()
    )


def _depth(text: str) -> tuple[int, str]:
    return (-1 if text == "head only" else int(text) if text.isdigit() else 999, text)


def parallel(tables: Tables) -> Chart | None:
    """Draw every complete recipe as a line over its values, the better the deeper; None where nothing varies."""
    done = reading.complete(tables).head(RECIPES)
    fields = [field for field in RECIPE if field in done and done[field].map(reading.plain).unique().size > 1]
    if len(done) < 3 or not fields:
        return None
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


class _Places(dict[Any, float]):
    """Where on its axis each value of a recipe lies, from 0 to 1; None and NaN are one value."""

    def __missing__(self, value: Any) -> float:
        return self[reading.plain(value)]


def _places(done: pd.DataFrame, field: str) -> _Places:
    by_name = {reading.plain(value): value for value in done[field]}
    numbers = {name: float(value) for name, value in by_name.items() if _is_number(value)}
    if len(numbers) > NAMED and len(numbers) == len(by_name):
        scale = math.log if min(numbers.values()) > 0 and max(numbers.values()) > 20 * min(numbers.values()) else float
        low, high = scale(min(numbers.values())), scale(max(numbers.values()))
        return _Places({name: (scale(number) - low) / (high - low) for name, number in numbers.items()})
    means = done.groupby(done[field].map(reading.plain))["score"].mean()
    order = sorted(by_name, key=lambda name: numbers.get(name, -1.0) if numbers else means[name])
    return _Places({name: place / max(len(order) - 1, 1) for place, name in enumerate(order)})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and reading.known(value)


def _named(done: pd.DataFrame, field: str, places: _Places) -> list[tuple[float, str]]:
    """Return what is written along an axis: all values where they are few, else the ends and the middle."""
    listed = sorted((place, name) for name, place in places.items())
    if len(listed) > NAMED and _is_number(done[field].iloc[0]):
        listed = [min(listed, key=lambda pair: abs(pair[0] - goal)) for goal in (0, 0.5, 1)]
    return [(at, name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…") for at, name in listed]


def _fifths(scores: pd.Series) -> list[str]:
    """Return for each score, best first, the range of scores of its fifth of the trials."""
    parts = np.array_split(scores.to_numpy(), min(len(LEVELS), len(scores)))
    return [f"{part.min():.3f} to {part.max():.3f}" for part in parts for _ in part]


def _lines(rows: list[Row], names: list[Row], axes: list[str], fifths: list[str]) -> Chart:
    over = alt.selection_point(name="over", fields=["trial"], on="pointerover", clear="pointerout", empty=False)
    titles = [RECIPE.get(axis, axis) for axis in axes]
    for row in (*rows, *names):
        row["axis"] = RECIPE.get(row["axis"], row["axis"])
    x = alt.X(
        "axis:N",
        sort=titles,
        scale=alt.Scale(padding=0.35),
        axis=alt.Axis(title=None, orient="top", labelAngle=0, grid=True, labelColor=PALETTE["ink"], labelLimit=110),
    )
    y = alt.Y("at:Q", axis=None, scale=alt.Scale(domain=[-0.04, 1.04], nice=False))
    colour = alt.Color(
        "fifth:N",
        scale=alt.Scale(domain=fifths, range=LEVELS[-len(fifths) :]),
        legend=alt.Legend(title=f"{SCORE}:", symbolType="stroke", labelLimit=120),
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
    return finished(lines + halo + text.mark_text(fontSize=11), height=360, narrowest=96 * len(axes))
