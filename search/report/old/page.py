"""A report as one HTML file that needs no other: charts as vectors, interactive where scripts run, and no network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from search.report import reading, views
from search.report.captions import Caption, caption
from search.report.cells import View, records
from search.report.colours import DARK, LIGHT, declared
from search.report.document import PARTS, Document
from search.report.pictures import Spec, as_data, bundle, digest, svg, themed
from search.report.reading import Tables

THUMBNAILS = 2_000_000  # bytes of thumbnails: those that come later are named alone
LEGIBLE = 0.75  # of its size a picture is made no smaller
FILES = 12  # of a finding

VIEWS: dict[str, Callable[[Tables], View]] = {
    "leaderboard": views.leaderboard,
    "baselines": views.baselines,
    "confirmation": views.confirmation,
    "comparisons": views.comparisons,
    "survival": views.survival,
    "effects": views.effects,
    "interaction": views.interaction,
    "classes": views.classes,
    "calibration": views.calibration,
    "confused": views.confused,
    "ledger": views.ledger,
}


@dataclass(frozen=True)
class Figure:
    """A chart on the page: its caption, its picture, and the least widths (px) of what replaces it, and of it."""

    caption: Caption
    picture: Markup
    narrowest: int
    still: int


@dataclass(frozen=True)
class Card:
    """An image on the page: its id, thumbnail ("" where there is none), label, and what is said of it."""

    id: str
    picture: str
    label: str
    taken_for: str = ""
    note: str = ""


@dataclass(frozen=True)
class Cards:
    """Images that are shown together, and how many more there are."""

    cards: list[Card]
    more: int = 0
    conflict: bool = False


def render(document: Document, tables: Tables, charts: Mapping[str, Spec]) -> str:
    """Return the page of a report.

    ``charts`` are specifications from ``search.report.charts.gallery.draw``. The page's policy
    forbids all network and every script but its own two, so that texts stay texts whatever they hold.
    """
    figures = {name: _figure(spec, name, tables) for name, spec in charts.items()}
    scripts = [Markup(bundle()), _file("report.js")] if charts else [_file("report.js")]  # noqa: S704  # ours too
    thumbnails = _Thumbnails(document.pictures)
    return (
        _environment()
        .get_template("report.html")
        .render(
            document=document,
            parts=PARTS,
            figures=figures,
            views={name: view(tables) for name, view in VIEWS.items()},
            hard=_hard(tables, thumbnails),
            label_errors=_label_errors(tables, thumbnails),
            duplicates=_duplicates(tables, thumbnails),
            groups=reading.GROUPS,
            files=FILES,
            complete=bool(reading.winner(tables)),
            light=declared(LIGHT),
            dark=declared(DARK),
            css=_file("report.css"),
            specifications=Markup(as_data({name: themed(spec) for name, spec in charts.items()})),  # noqa: S704  # escaped
            scripts=scripts,
            policy=f"default-src 'none'; script-src {' '.join(map(digest, scripts))}; style-src 'unsafe-inline'; "
            "img-src data:; base-uri 'none'; form-action 'none'",
        )
    )


def _figure(spec: Spec, name: str, tables: Tables) -> Figure:
    size = spec["usermeta"]
    picture = Markup(svg(spec, name))  # noqa: S704  # Vega escapes the texts in it
    return Figure(caption(name, tables), picture, size["narrowest"], round(LEGIBLE * size["width"]))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("search.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _file(name: str) -> Markup:
    """Return a file beside the templates, as it is."""
    environment = _environment()
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])  # noqa: S704  # a file of ours


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


def _hard(tables: Tables, thumbnails: _Thumbnails) -> dict[str, Cards]:
    table = tables["hard"]
    return {
        str(group): _cards(
            rows,
            lambda row: Card(
                row["id"],
                thumbnails(row["id"]),
                row["label"],
                row["predicted"] if reading.known(row["predicted"]) else "",
                f"{int(row['wrong'])} of {int(row['recipes'])} recipes wrong; the winner gives its label "
                f"{reading.number(row['probability'], 2)}",
            ),
        )
        for group, rows in table.groupby("group", sort=False)
    }


def _label_errors(tables: Tables, thumbnails: _Thumbnails) -> Cards:
    return _cards(
        tables["label_errors"],
        lambda row: Card(
            row["id"],
            thumbnails(row["id"]),
            row["label"],
            row["suggested"],
            f"mean probability {reading.number(row['confidence'], 2)}, of its label {reading.number(row['own'], 2)}",
        ),
    )


def _cards(table: pd.DataFrame, card: Callable[[dict[Any, Any]], Card]) -> Cards:
    return Cards([card(row) for row in records(table.head(reading.CARDS))], max(0, len(table) - reading.CARDS))


def _duplicates(tables: Tables, thumbnails: _Thumbnails) -> list[Cards]:
    """Return the images that are kept together, by group."""
    return [
        Cards(
            [
                Card(row["id"], thumbnails(row["id"]) if place < reading.GROUPS else "", row["label"])
                for row in records(rows.head(reading.GROUP_IMAGES))
            ],
            max(0, len(rows) - reading.GROUP_IMAGES),
            bool(rows["different_labels"].astype(bool).any()),
        )
        for place, rows in enumerate(reading.kept_together(tables))
    ]
