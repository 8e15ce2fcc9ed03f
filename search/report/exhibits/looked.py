"""Where an exported model looked in hard images, if ``hard NAME --explain MODEL`` has made these pictures."""

import json
from collections.abc import Iterable
from typing import Any

from search.analysis.judgement import Judgement
from search.record import Record
from search.report import words
from search.report.exhibit import Card, Cards, Exhibit, Gallery, Row, Sheet, Subject, number, string
from search.report.table import Table, records, score, table, text

LOOKED = "looked.json"  # in the folder of a search
KEY = "\0looked/"  # of a picture on the page: no image has such an id

COLUMNS = (
    string("id"),
    string("label"),
    string("predicted", "The class that the exported model gives."),
    number("probability", "Of that class."),
    string("trial", "Whose recipe trained the exported model."),
    string("method"),
)


def _stored(record: Record) -> dict[str, Any]:
    """Return what the command has written; {} where it has not, or something else is there."""
    try:
        told = json.loads((record.folder / LOOKED).read_text(encoding="utf-8"))
        [[image[key] for key in ("id", "label", "predicted", "probability", "picture")] for image in told["images"]]
        return {key: told[key] for key in ("trial", "method", "trained_on_them", "images")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def pictures(record: Record) -> dict[str, str]:
    """Return the pictures as data URIs, by what their cards call them."""
    return {KEY + image["id"]: image["picture"] for image in _stored(record).get("images", [])}


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield the images, the hardest first."""
    stored = _stored(judgement.record)
    for image in stored.get("images", []):
        yield {key: image[key] for key in ("id", "label", "predicted", "probability")} | {
            "trial": stored["trial"],
            "method": stored["method"],
        }


def images(subject: Subject) -> Table:
    """Return what the exported model gives for hard images."""
    return table(
        "What an exported model gives for hard images. Where it looks is on the page.",
        "image | labelled | given by the exported model | # probability",
        (
            (text(row["id"]), text(row["label"]), text(row["predicted"]), score(row["probability"]))
            for row in records(subject.frame)
        ),
    )


def cards(subject: Subject) -> Gallery:
    """Return the images with their maps over them."""
    stored = _stored(subject.judgement.record)
    if subject.frame.empty:
        return Gallery(())
    is_by_class = stored["method"] == "Grad-CAM"
    warm = "the image speaks for the answer" if is_by_class else "attention comes from, whatever the class"
    trained = "was" if stored["trained_on_them"] else "may have been"
    lead = (
        f"Warm colours are where {warm} ({stored['method']}). The model, exported of trial {stored['trial']}, "
        f"{trained} trained on these images too: so it may be right where networks were wrong that had not seen them."
    )
    return Gallery((Cards(tuple(map(_card, records(subject.frame)))),), lead, verb="taken for")


def _card(row: dict[Any, Any]) -> Card:
    mistaken_for = row["predicted"] if row["predicted"] != row["label"] else ""
    note = f"gives {row['predicted']} {words.number(row['probability'], 2)}"
    return Card(row["id"], row["label"], mistaken_for, note, picture=KEY + row["id"])


EXHIBIT = Exhibit(
    "looked",
    Sheet("looked", "Where an exported model looked in hard images: what it gives for them.", COLUMNS, rows),
    table=images,
    heading="Where a model looks in them",
    none="Not shown yet. With an exported model: python -m search hard NAME --explain MODEL",
    gallery=cards,
)
