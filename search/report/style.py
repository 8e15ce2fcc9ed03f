"""The look of every chart and of the page: what colours mean, type, axes, the shape of the values.

The best and what cannot be told from it are blue, the recommended trial orange, wrong predictions
purple, all others grey: distinct to people who see red and green alike, and in lightness. Charts
are drawn in the light colours; on a page each is a CSS variable of the same name.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

LIGHT = {
    "paper": "#fefefe",
    "shade": "#f3f5f7",
    "ink": "#1b2127",
    "soft": "#56616c",
    "line": "#dde2e6",
    "rest": "#848f9a",
    "best": "#0b62b0",
    "recommended": "#bd4d08",
    "wrong": "#a3246a",
    "level1": "#b4c0cb",
    "level2": "#8fb2d6",
    "level3": "#5a95cd",
    "level4": "#2271b9",
    "level5": "#083f74",
}
DARK = {
    "paper": "#14181d",
    "shade": "#1d2329",
    "ink": "#e7eaed",
    "soft": "#a6b0ba",
    "line": "#333b44",
    "rest": "#7d8893",
    "best": "#6cb2f5",
    "recommended": "#f59a4a",
    "wrong": "#ee7fb8",
    "level1": "#48525d",
    "level2": "#44678a",
    "level3": "#4a88c0",
    "level4": "#6cb2f5",
    "level5": "#c9e4ff",
}
# DECISIONS: Charts follow the page by CSS variables
VARIABLES = {colour: f"var(--{name})" for name, colour in LIGHT.items()}

PALETTE = LIGHT  # as a page begins; figures.py turns it into what follows the page
LEVELS = [PALETTE[f"level{number}"] for number in range(1, 6)]
CHOICES = {"winner": PALETTE["best"], "winner, recommended": PALETTE["best"], "recommended": PALETTE["recommended"]}
DEEPEST = 0.5  # opacity of a cell: at most this, text on it is legible in the light and in the dark
# The page brings Arimo. Pictures are measured in Liberation Sans, which vl-convert brings: its letters are as wide.
FONT = "Arimo, 'Liberation Sans', Arial, Helvetica, sans-serif"
WHOLE, HALF = 860, 420  # px of a picture across the page, and of one of two side by side
WIDE = "\u2e80"  # from here letters are about twice as wide
SHORT, SHORT_WIDE = (13, 8), (6, 5)  # letters at both ends of long names
SIZE = 12  # px of type
PADDING = {"left": 2, "top": 4, "right": 8, "bottom": 2}

Chart = alt.Chart | alt.LayerChart
Spec = dict[str, Any]
Row = dict[str, Any]


def variables(colours: dict[str, str]) -> str:
    """Return colours as declarations of CSS variables."""
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


class Values(alt.InlineData):
    """The data of a chart, which nobody changes: Altair would copy every row each time that a chart is refined."""

    def __deepcopy__(self, _memo: dict[int, Any] | None = None) -> "Values":
        """Return the data themselves."""
        return self


def values(rows: Iterable[Row]) -> Values:
    """Return rows as the data of a chart: plain Python values, and null where there is none."""
    return Values(values=[{key: _plain(value) for key, value in row.items()} for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return round(value, 5) if isinstance(value, float) else value


def place(chart: Chart, *, height: int, above: str = "", width: int = WHOLE, narrowest: int = 300) -> Chart:
    """Return a chart as wide as its place, ``width`` px as a picture, and never below ``narrowest`` px on a page.

    ``above`` is the title of its vertical axis, which stands above it, to be read without turning the head.
    """
    chart = chart.properties(title=alt.TitleParams(text=above)) if above else chart
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
        "padding": PADDING,
        "view": {"stroke": None},
        "axis": {
            **text,
            "titleFontWeight": "normal",
            "gridColor": PALETTE["line"],
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
            "titlePadding": 8,
            "labelFlush": False,
            "labelSeparation": 8,
        },
        "axisQuantitative": {"tickCount": 7},
        "axisY": {"labelLimit": 270},
        "legend": {
            **text,
            "orient": "top",
            "labelLimit": 260,
            "symbolSize": 70,
            "columnPadding": 16,
            "offset": 8,
            "symbolStrokeWidth": 2,
            "symbolOpacity": 1,
            "titleFontWeight": "normal",
            "titleLimit": 400,
        },
        "title": {"anchor": "start", "color": PALETTE["ink"], "fontSize": 12, "fontWeight": "normal", "offset": 10},
        "text": {"color": PALETTE["ink"], "fontSize": 12},
    }


def colours(meaning: dict[str, str], present: Iterable[str]) -> alt.Scale:
    """Return the colours of those meanings that a chart holds, in the order of ``meaning``."""
    there = set(present)
    names = [name for name in meaning if name in there]
    return alt.Scale(domain=names, range=[meaning[name] for name in names])


def short_label() -> str:
    """Return Vega's expression for labels that keep the beginning and the end of long names, where names differ."""

    def cut(head: int, tail: int) -> str:
        both = f"slice(datum.label, 0, {head}) + '…' + slice(datum.label, -{tail})"
        return f"(length(datum.label) > {head + tail + 2} ? {both} : datum.label)"

    return f"test(regexp('[{WIDE}-\uffff]'), datum.label) ? {cut(*SHORT_WIDE)} : {cut(*SHORT)}"


def least_room(names: Iterable[str]) -> float:
    """Return the px that labels of names take at least, 0 where they can be measured.

    Where a report is written there may be no font of wide letters.
    """
    wide = [min(len(name), sum(SHORT_WIDE) + 1) for name in names if any(letter >= WIDE for letter in name)]
    return float(SIZE * max(wide, default=0))


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
