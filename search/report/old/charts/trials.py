"""Charts of trials: the leaderboard, and what a score costs."""

import math
from typing import Any

import altair as alt
import pandas as pd

from search.report import reading
from search.report.captions import COSTS, TRIALS
from search.report.charts.style import (
    PALETTE,
    SCORE,
    STANDING,
    Chart,
    Row,
    colours,
    finished,
    room,
    tips,
    values,
)
from search.report.reading import RECIPE, Tables

TIMES = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000, 36000, 86400)
FURTHER = {"log_loss": "log loss", "calibration_error": "calibration error", "roc_auc": "ROC AUC"}
AS_TIME = (
    "datum.value < 60 ? datum.value + ' s' : datum.value < 3600 ? datum.value / 60 + ' min' : datum.value / 3600 + ' h'"
)


def leading(tables: Tables, most: int) -> pd.DataFrame:
    """Return the best complete trials, at most so many, and below them the baselines and the recommended one."""
    done = reading.complete(tables)
    kept = (done["baseline"] != "") | (done["trial"] == reading.recommended(tables))
    best = done[~kept].head(most - int(kept.sum()))
    return done[kept | done["trial"].isin(best["trial"])]


def leaderboard(tables: Tables) -> Chart | None:
    """Draw a dot and the 95 % interval for each complete trial, best at the top; baselines are diamonds."""
    shown = leading(tables, TRIALS)
    if shown.empty:
        return None
    rows = _rows(shown, tables)
    scale = alt.Scale(domain=room([row[key] for row in rows for key in ("score", "low", "high")]), nice=False)
    colour = alt.Color(
        "standing:N", scale=colours(STANDING, shown["standing"]), legend=alt.Legend(title=None, symbolType="circle")
    )
    y = alt.Y("name:N", sort=[row["name"] for row in rows], axis=alt.Axis(title=None, labelColor=PALETTE["ink"]))
    base = alt.Chart(values(rows)).encode(y=y, tooltip=_tips(tables))
    x = alt.X("score:Q", scale=scale, title=SCORE)
    best = alt.Chart(values(rows[:1])).mark_rule(color=PALETTE["rest"], strokeDash=[2, 3]).encode(x=x)
    limits = base.mark_rule(strokeWidth=2, opacity=0.55).encode(
        x=alt.X("low:Q", scale=scale), x2="high:Q", color=colour
    )
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(x=x, color=colour, shape=_shape())
    middle = sum(scale["domain"]) / 2
    return finished(best + limits + dots + _called(base.encode(x=x), f"datum.score > {middle}"), height=24 * len(rows))


def cost(tables: Tables) -> Chart | None:
    """Draw the score against the seconds that a trial took, on a logarithmic scale."""
    shown = leading(tables, COSTS)
    if len(shown) < 2:
        return None
    rows = _rows(shown, tables)
    for row in rows:
        row["seconds"] = max(row["seconds"] if reading.known(row["seconds"]) else 0.0, 0.01)
    times = [row["seconds"] for row in rows]
    axis = alt.Axis(
        values=[time for time in TIMES if min(times) / 2 <= time <= 2 * max(times)], labelExpr=AS_TIME, grid=False
    )
    x = alt.X(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[min(times) / 1.3, max(times) * 1.3], nice=False),
        axis=axis,
        title="time of all runs of a trial (logarithmic)",
    )
    y = alt.Y("score:Q", scale=alt.Scale(domain=room(row["score"] for row in rows), nice=False), title=None)
    colour = alt.Color(
        "standing:N", scale=colours(STANDING, shown["standing"]), legend=alt.Legend(title=None, symbolType="circle")
    )
    base = alt.Chart(values(rows)).encode(x=x, y=y, tooltip=_tips(tables))
    dots = base.mark_point(filled=True, size=80, opacity=0.9).encode(color=colour, shape=_shape())
    middle = math.sqrt(min(times) * max(times))
    return finished(dots + _called(base, f"datum.seconds > {middle}"), height=300, above=SCORE)


def _called(base: alt.Chart, late: str) -> alt.LayerChart:
    """Return what trials are called, beside their dots: to the left of those for which ``late`` holds."""
    shown = base.encode(text="called:N", color=_call_colour()).transform_filter("datum.called != ''")
    look: dict[str, Any] = {"dy": -9, "fontSize": 11, "fontWeight": "bold"}
    left = shown.transform_filter(late).mark_text(align="right", dx=-5, **look)
    right = shown.transform_filter(f"!({late})").mark_text(align="left", dx=5, **look)
    return left + right


def _shape() -> alt.Shape:
    return alt.Shape("what:N", scale=alt.Scale(domain=["trial", "baseline"], range=["circle", "diamond"]), legend=None)


def _call_colour() -> Any:
    return alt.condition("datum.called == 'recommended'", alt.value(PALETTE["recommended"]), alt.value(PALETTE["ink"]))


def _rows(shown: pd.DataFrame, tables: Tables) -> list[Row]:
    names, sizes = reading.chosen(tables), reading.sizes(tables)
    return [
        {
            **{field: reading.plain(row[field]) for field in RECIPE if field in row},
            "name": f"{row['trial']}  {short(row)}",
            "trial": row["trial"],
            "what": "baseline" if row["baseline"] else "trial",
            "called": names.get(row["trial"], "baseline" if row["baseline"] else ""),
            "standing": row["standing"],
            "score": row["score"],
            "low": row["score_low"],
            "high": row["score_high"],
            "between": reading.between(row["score_low"], row["score_high"]),
            "seconds": row["seconds"],
            "time": reading.seconds(row["seconds"]),
            **{field: row[field] for field in FURTHER if field in row},
            **{f"accuracy{place}": row[f"accuracy@{size}"] for place, (size, _) in enumerate(sizes)},
        }
        for row in shown.to_dict("records")
    ]


def short(row: dict[Any, Any]) -> str:
    """Return what a trial is in a few words: its baseline, or its backbone and depth."""
    return row["baseline"] or ", ".join(str(row["summary"]).split(", ")[:2])


def _tips(tables: Tables) -> list[alt.Tooltip]:
    present = set(tables["trials"].columns)
    accuracy = {
        f"accuracy{place}": f"accuracy, {reading.size_words(fraction)}"
        for place, (_, fraction) in enumerate(reading.sizes(tables))
    }
    titles = {
        "trial": "trial",
        "score": "score",
        "between": "95 % interval",
        "standing": "standing",
        **accuracy,
        **{field: title for field, title in FURTHER.items() if field in present},
        "time": "time",
        **{field: title for field, title in RECIPE.items() if field in present},
    }
    return tips(titles, ["score", *accuracy, *FURTHER])
