"""A report as one HTML file that needs no other: charts as vectors, interactive where scripts run, and no network."""

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from search.report.document import Document
from search.report.exhibit import Figure
from search.report.figures import as_data, bundle, digest, svg, themed
from search.report.style import DARK, FONT, LIGHT, variables

THUMBNAILS = 2_000_000  # bytes: thumbnails that come later are named alone
LEGIBLE = 0.75  # of its size a picture is made no smaller
FILES = 12  # of a finding
FONTS = Path(__file__).with_name("fonts")
WEIGHTS = {"regular": 400, "bold": 700}


def page(document: Document, thumbnails: Mapping[str, str]) -> str:
    """Return the page of a report.

    ``thumbnails`` are JPEGs as data URIs, by the id of the image; an image without one is named
    without it. The page's policy forbids all network and every script but its own two, so that
    texts stay texts whatever they hold.
    """
    figures = [display.figure for display in document.displays if display.figure]
    scripts = [Markup(bundle()), _file("report.js")] if figures else [_file("report.js")]  # noqa: S704  # ours too
    return (
        environment()
        .get_template("report.html")
        .render(
            document=document,
            picture=_picture,
            still=_still,
            thumbnail=_Thumbnails(thumbnails),
            files=FILES,
            **look(),
            css=_file("report.css"),
            specifications=Markup(  # noqa: S704  # escaped
                as_data({figure.name: themed(figure.spec) for figure in figures})
            ),
            scripts=scripts,
            # DECISIONS: The page's policy allows two scripts, by their hashes
            policy=f"default-src 'none'; script-src {' '.join(map(digest, scripts))}; style-src 'unsafe-inline'; "
            "img-src data:; font-src data:; base-uri 'none'; form-action 'none'",
        )
    )


def _picture(figure: Figure) -> Markup:
    return Markup(svg(figure.spec, figure.name))  # noqa: S704  # Vega escapes the texts in it


def _still(figure: Figure) -> int:
    """Return the least width of a picture in px."""
    return round(LEGIBLE * figure.spec["usermeta"]["width"])


@cache
def environment() -> Environment:
    """Return where pages find their templates; these escape what they are given."""
    return Environment(
        loader=PackageLoader("search.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def look() -> dict[str, str]:
    """Return what makes a page look as the others do, as CSS: the font ``faces``, and the variables of both themes."""
    return {"faces": _faces(), "light": f"{variables(LIGHT)} --font: {FONT};", "dark": variables(DARK)}


@cache
def _faces() -> Markup:
    """Return the page's own font as CSS: where it is opened decides neither how wide a text is nor what fits."""
    return Markup(  # noqa: S704  # files of ours
        "\n".join(
            f"@font-face {{ font-family: Arimo; font-weight: {weight}; src: url(data:font/woff2;base64,"
            f"{base64.b64encode((FONTS / f'arimo-{name}.woff2').read_bytes()).decode()}) format('woff2'); }}"
            for name, weight in WEIGHTS.items()
        )
    )


def _file(name: str) -> Markup:
    """Return a file beside the templates, as it is."""
    loader = environment().loader
    assert loader is not None
    return Markup(loader.get_source(environment(), name)[0])  # noqa: S704  # a file of ours


class _Thumbnails:
    """Hands out thumbnails until the page would be too large to be mailed."""

    def __init__(self, pictures: Mapping[str, str]) -> None:
        self.pictures = pictures
        self.left = THUMBNAILS

    def __call__(self, id_: str) -> str:
        picture = self.pictures.get(id_, "")
        if not picture.startswith("data:image/") or len(picture) > self.left:
            return ""
        self.left -= len(picture)
        return picture
