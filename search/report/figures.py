"""Charts as specifications of Vega-Lite, PNG, SVG in the colours of the page, data of a script; no browser needed."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import vl_convert
from PIL import Image

from search.report.style import VARIABLES, Chart, Spec
from search.system.files import write_bytes

COLOURS = 128
SCALE = 2  # px of a PNG for each of the chart
FOLDER = "pictures"
SEPARATORS = str.maketrans(dict.fromkeys("\u2028\u2029", "␤"))


def specification(chart: Chart) -> Spec:
    """Return a chart as a specification of Vega-Lite, validated by Altair."""
    spec: Spec = _compilable(chart.to_dict())
    return spec


def _compilable(part: Any) -> Any:
    """Return a specification without the line separators of Unicode, which Vega cannot compile: "␤" instead."""
    if isinstance(part, dict):
        return {_compilable(key): _compilable(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_compilable(item) for item in part]
    return part.translate(SEPARATORS) if isinstance(part, str) else part


def png(spec: Spec) -> bytes:
    """Return a chart as a PNG on white, of so many colours that nobody misses one and it is a seventh of the size."""
    white = _vector(spec).replace(">", '><rect width="100%" height="100%" fill="white"/>', 1)
    whole = vl_convert.svg_to_png(white, scale=SCALE)
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(whole)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def svg(spec: Spec, name: str) -> str:
    """Return a chart as SVG whose colours are the page's variables; its ids begin with the chart's name."""
    picture = re.sub(
        r'\b(fill|stroke)="(#[0-9a-f]{6})"',
        lambda match: f'{match[1]}="{VARIABLES.get(match[2], match[2])}"',
        _vector(spec),
    )
    picture = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", picture)  # the figure says it in words, in one piece
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", picture)


def _vector(spec: Spec) -> str:
    """Return a chart as SVG, drawn once for both kinds of picture."""
    return _svg(json.dumps(_fixed(spec)))


@lru_cache(32)
def _svg(spec: str) -> str:
    return vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])


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


def write_pictures(specs: Mapping[str, Spec], folder: Path) -> dict[str, str]:
    """Write each chart as ``pictures/<name>.png`` below ``folder``; return their paths relative to it."""
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, spec in specs.items():
        write_bytes(folder / FOLDER / f"{name}.png", png(spec))
    return {name: f"{FOLDER}/{name}.png" for name in specs}


@cache
def bundle() -> str:
    """Return the script that makes charts interactive: Vega, Vega-Lite, Vega-Embed, about 0.9 MB."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", r"<\/script")


def as_data(value: Any) -> str:
    """Return JSON that is harmless inside a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def digest(script: str) -> str:
    """Return a script's source for a content security policy: it alone may then run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
