"""All charts of a report, by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

from search.report.charts.effects import effects, interaction, parallel
from search.report.charts.style import Chart
from search.report.charts.survival import strip, survival
from search.report.charts.trials import cost, leaderboard
from search.report.charts.winner import calibration, confusion, curves, recall
from search.report.pictures import Spec
from search.report.reading import Tables

CHARTS: dict[str, Callable[[Tables], Chart | None]] = {
    "leaderboard": leaderboard,
    "cost": cost,
    "survival": survival,
    "effects": effects,
    "interaction": interaction,
    "parallel": parallel,
    "strip": strip,
    "loss": partial(curves, measure="loss", size=0),
    "accuracy": partial(curves, measure="accuracy", size=0),
    "loss_small": partial(curves, measure="loss", size=1),
    "accuracy_small": partial(curves, measure="accuracy", size=1),
    "confusion": confusion,
    "recall": recall,
    "calibration": calibration,
}
SEPARATORS = str.maketrans(dict.fromkeys("\u2028\u2029", "␤"))


def draw(tables: Tables) -> dict[str, Spec]:
    """Return the Vega-Lite specification of each chart that there is something to draw for, validated by Altair."""
    drawn = {name: chart(tables) for name, chart in CHARTS.items()}
    return {name: _compilable(chart.to_dict()) for name, chart in drawn.items() if chart is not None}


def _compilable(part: Any) -> Any:
    """Return a specification without the line separators of Unicode, which Vega cannot compile: "␤" instead."""
    if isinstance(part, dict):
        return {_compilable(key): _compilable(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_compilable(item) for item in part]
    return part.translate(SEPARATORS) if isinstance(part, str) else part
