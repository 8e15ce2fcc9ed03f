"""Charts as specifications of Vega-Lite, PNG, SVG in the colours of the page, data of a script; no browser needed."""

import base64
import hashlib
import io
import json
import re
import textwrap
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from PIL import Image

from search.report.drawing import png_of, script, svg_of
from search.report.style import FONT, PALETTE, VARIABLES, Chart, Spec
from search.system.cache import claim, stored
from search.system.digests import digest as digest_of
from search.system.errors import UserError
from search.system.files import write_bytes
from search.system.places import users_cache
from search.system.texts import xml_text

if TYPE_CHECKING:
    from search.report.exhibit import Figure

COLOURS = 128
LINE, LETTER = 22, 8.5  # px of a line of a title, and of a letter of it
FOLDER = "pictures"
VL_CONVERT, SCRIPT = "vl-convert-python", "charts.js"
SEPARATORS = str.maketrans(dict.fromkeys("\u2028\u2029", "␤"))  # Vega cannot compile them


def specification(chart: Chart) -> Spec:
    """Return a chart as a specification of Vega-Lite. It is not validated: a test does that once for all searches."""
    spec: Spec = _compilable(chart.to_dict(validate=False))
    return spec


def _compilable(part: Any) -> Any:
    """Return a specification whose texts can be drawn: Vega aborts the whole process at others."""
    if isinstance(part, dict):
        return {_compilable(key): _compilable(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_compilable(item) for item in part]
    return xml_text(part).translate(SEPARATORS) if isinstance(part, str) else part


def png(spec: Spec, title: str = "") -> bytes:
    """Return a chart as a PNG on white, below its title.

    It has so many colours that nobody misses one, and is a sixth of the size.
    """
    whole = png_of(_titled(_vector(spec), title))
    buffer = io.BytesIO()
    picture = (
        Image.open(io.BytesIO(whole))
        .convert("RGB")
        .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _titled(picture: str, title: str) -> str:
    """Return a picture (SVG) on white, below a title, which may take several lines; "" for none."""
    sides = dict(re.findall(r'\b(width|height)="([\d.]+)', picture[: picture.index(">")]))
    width, height = float(sides["width"]), float(sides["height"])
    lines = textwrap.wrap(title, int(width / LETTER))
    above = LINE * len(lines) + (LINE / 2 if lines else 0)
    texts = "".join(
        f'<text x="2" y="{LINE * number - 4}" font-family="{FONT}" font-size="15px" font-weight="bold" '
        f'fill="{PALETTE["ink"]}">{escape(line)}</text>'
        for number, line in enumerate(lines, start=1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width:g}" '
        f'height="{height + above:g}"><rect width="100%" height="100%" fill="white"/>{texts}'
        f'<svg y="{above:g}" {picture.removeprefix("<svg ")}</svg>'
    )


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
    return svg_of(spec)


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


class Pictures:
    """The pictures of a report's charts, drawn in a thread: the chart library works while the rest is computed."""

    def __init__(self) -> None:
        """Begin with none."""
        self._thread = ThreadPoolExecutor(1)
        self._pictures: dict[str, Future[bytes]] = {}

    def begin(self, figure: "Figure") -> None:
        """Begin to draw a chart, after those before it."""
        self._pictures[figure.name] = self._thread.submit(png, figure.spec, figure.title)

    def write(self, folder: Path) -> dict[str, str]:
        """Write each chart as ``pictures/<name>.png`` below ``folder``; return their paths relative to it.

        Raises DrawingError for one that could not be drawn.
        """
        (folder / FOLDER).mkdir(exist_ok=True)
        paths = {name: f"{FOLDER}/{name}.png" for name in self._pictures}
        for name, picture in self._pictures.items():
            write_bytes(folder / paths[name], picture.result())
        return paths

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Draw no further ones."""
        self._thread.shutdown(cancel_futures=True)


# DECISIONS: What a report costs
@cache
def bundle() -> str:
    """Return the script that makes charts interactive: Vega, Vega-Lite, Vega-Embed, about 0.9 MB.

    The user's cache keeps it for each version of the chart library, where it can be written.
    """
    place = users_cache()
    try:
        claim(place)
        text = stored(place / "scripts" / digest_of([VL_CONVERT, version(VL_CONVERT)]), _write_script, _read_script)
    except (OSError, UserError):
        text = script()
    return text.replace("</script", r"<\/script")


def _write_script(folder: Path) -> None:
    (folder / SCRIPT).write_text(script(), encoding="utf-8")


def _read_script(folder: Path) -> str:
    return (folder / SCRIPT).read_text(encoding="utf-8")


def as_data(value: Any) -> str:
    """Return JSON that is harmless inside a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def digest(script: str) -> str:
    """Return a script's source for a content security policy: it alone may then run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
