"""The look of every chart: colours with one meaning each, type, and the shape of their values.

Charts are drawn in the colours of a light page; on a page each colour is a CSS variable of the
same name, so that a chart follows the page into the dark and back, and onto paper. The best and
what cannot be told from it are blue, the recommended trial orange, wrong predictions purple,
all others grey: distinct to people who see red and green alike, and in lightness.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from search.report.reading import BEST, UNJUDGED, WORSE

PALETTE = {
    "ink": "#1b2127",
    "soft": "#56616c",
    "line": "#dde2e6",
    "rest": "#98a2ac",
    "paper": "#fefefe",
    "best": "#0b62b0",
    "recommended": "#c4520b",
    "wrong": "#a3246a",
    "level1": "#c6d0d9",
    "level2": "#9dbad8",
    "level3": "#649bcf",
    "level4": "#2a75ba",
    "level5": "#08447c",
}
LEVELS = [PALETTE[f"level{number}"] for number in range(1, 6)]
STANDING = {BEST: PALETTE["best"], WORSE: PALETTE["rest"], UNJUDGED: PALETTE["soft"]}
CHOSEN = {"winner": PALETTE["best"], "winner, recommended": PALETTE["best"], "recommended": PALETTE["recommended"]}
DEEPEST = 0.5  # opacity of a cell: at most this, text on it is legible in the light and in the dark
FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
WHOLE, HALF = 860, 420  # px of a picture across the page, and of one of two side by side
SCORE = "score (mean over training sizes)"

Chart = alt.Chart | alt.LayerChart
Row = dict[str, Any]


def values(rows: Iterable[Row]) -> alt.InlineData:
    """Return rows as the data of a chart: plain Python values, and null where there is none."""
    return alt.InlineData(values=[{key: _plain(value) for key, value in row.items()} for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return round(value, 5) if isinstance(value, float) else value


def finished(chart: Chart, *, height: int | alt.Step, width: int = WHOLE, narrowest: int = 300) -> Chart:
    """Return a chart as wide as its place, ``width`` px as a picture, and never below ``narrowest`` px on a page."""
    return chart.properties(
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        usermeta={"width": width, "narrowest": narrowest},
    ).configure(**config())


def config() -> dict[str, Any]:
    """Return Vega-Lite's configuration: quiet axes, no frame, the page's own type."""
    text = {"labelFontSize": 12, "titleFontSize": 12, "labelColor": PALETTE["soft"], "titleColor": PALETTE["ink"]}
    return {
        "background": "transparent",
        "font": FONT,
        "padding": {"left": 2, "top": 4, "right": 8, "bottom": 2},
        "view": {"stroke": None},
        "axis": {
            **text,
            "titleFontWeight": "normal",
            "gridColor": PALETTE["line"],
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
            "titlePadding": 8,
        },
        "axisY": {"labelLimit": 270},
        "legend": {
            **text,
            "title": None,
            "orient": "top",
            "labelLimit": 260,
            "symbolSize": 70,
            "columnPadding": 16,
            "offset": 8,
            "symbolStrokeWidth": 2,
        },
        "text": {"color": PALETTE["ink"], "fontSize": 12},
    }


def upright(title: str) -> alt.Axis:
    """Return a vertical axis with its title above it, to be read without turning the head."""
    return alt.Axis(title=title, titleAngle=0, titleAlign="left", titleAnchor="end", titleX=0, titleY=-10)


def colours(meaning: dict[str, str], present: Iterable[str]) -> alt.Scale:
    """Return the colours of those meanings that a chart holds, in the order of ``meaning``."""
    there = set(present)
    names = [name for name in meaning if name in there]
    return alt.Scale(domain=names, range=[meaning[name] for name in names])


def room(numbers: Iterable[float | None], share: float = 0.04) -> list[float]:
    """Return limits that hold all these scores with some room, within 0 and 1."""
    there = [number for number in numbers if number is not None and np.isfinite(number)]
    low, high = (min(there), max(there)) if there else (0.0, 1.0)
    margin = max(share * (high - low), 0.01)
    return [max(0.0, round(low - margin, 3)), min(1.0, round(high + margin, 3))]


def tips(titles: dict[str, str], digits: Sequence[str] = ()) -> list[alt.Tooltip]:
    """Return what is shown at a mark: fields and their names; those in ``digits`` with three digits."""
    return [
        alt.Tooltip(f"{field}:Q", title=title, format=".3f")
        if field in digits
        else alt.Tooltip(f"{field}:N", title=title)
        for field, title in titles.items()
    ]
