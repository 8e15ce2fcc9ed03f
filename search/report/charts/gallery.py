"""All charts of a report by name, and as what can be shown: specifications, SVG that follows the page, PNG."""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import vl_convert

from search.report.charts.effects import effects, interaction, parallel
from search.report.charts.style import PALETTE, Chart
from search.report.charts.survival import strip, survival
from search.report.charts.trials import cost, leaderboard
from search.report.charts.winner import calibration, confusion, curves, recall
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
SCALE = 2  # px of a PNG for each of the chart
VARIABLES = {colour: f"var(--{name})" for name, colour in PALETTE.items()}

Spec = dict[str, Any]


def draw(tables: Tables) -> dict[str, Spec]:
    """Return the Vega-Lite specification of each chart that there is something to draw for, validated by Altair."""
    drawn = {name: chart(tables) for name, chart in CHARTS.items()}
    return {name: chart.to_dict() for name, chart in drawn.items() if chart is not None}


def png(spec: Spec) -> bytes:
    """Return a chart as a PNG on white."""
    return vl_convert.vegalite_to_png(_fixed(spec) | {"background": "white"}, scale=SCALE)


def svg(spec: Spec, name: str) -> str:
    """Return a chart as SVG whose colours are the page's variables; its ids begin with the chart's name."""
    drawn = vl_convert.vegalite_to_svg(_fixed(spec))
    drawn = re.sub(
        r'\b(fill|stroke)="(#[0-9a-f]{6})"', lambda found: f'{found[1]}="{VARIABLES.get(found[2], found[2])}"', drawn
    )
    drawn = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", drawn)  # the figure says it in words, in one piece
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", drawn)


def themed(spec: Spec) -> Spec:
    """Return a specification whose colours are the page's variables; what its data hold stays."""
    return {key: value if key in {"datasets", "data"} else _themed(value) for key, value in spec.items()}


def _themed(part: Any) -> Any:
    if isinstance(part, dict):
        return themed(part)
    if isinstance(part, list):
        return [_themed(item) for item in part]
    return VARIABLES.get(part, part) if isinstance(part, str) else part


def _fixed(spec: Spec) -> Spec:
    """Return a specification of the width of a picture; Vega-Lite would take a container for 200 px."""
    return spec | {"width": spec["usermeta"]["width"]}


def bundle() -> str:
    """Return the scripts that make charts interactive, Vega's interpreter with them: about 0.9 MB, no `</script`."""
    return vl_convert.javascript_bundle()


def as_script(value: Any) -> str:
    """Return JSON that is harmless inside a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
