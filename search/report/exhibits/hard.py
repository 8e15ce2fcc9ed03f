"""Hard examples: images that every recipe, or nearly every one, gets wrong."""

from collections.abc import Iterable
from typing import Any

from search.analysis.hard import hard_images
from search.analysis.judgement import Judgement
from search.report import words
from search.report.exhibit import Card, Cards, Exhibit, Gallery, Row, Sheet, Subject, number, string, whole
from search.report.table import Cell, Table, records, score, table, text

CARDS = 48  # of a kind, on the page
EVERY, NEARLY = "every recipe", "nearly all"

COLUMNS = (
    string("id"),
    string("label"),
    whole("wrong"),
    whole("recipes"),
    number("share"),
    string("predicted", "The most frequent wrong class."),
    number("probability", "The winner's, of the label."),
    string("group", levels=(EVERY, NEARLY)),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield the hard images, the hardest first."""
    for image in hard_images(judgement):
        yield {
            "id": image.id,
            "label": image.label,
            "wrong": image.wrong,
            "recipes": image.recipes,
            "share": image.share,
            "predicted": image.taken_for,
            "probability": image.probability,
            "group": EVERY if image.by_all else NEARLY,
        }


def images(subject: Subject) -> Table:
    """Return the images that recipes get wrong."""
    return table(
        "Images that every recipe, or nearly every one, gets wrong.",
        "image | labelled | most often taken for | # recipes wrong | # winner's probability of the label",
        (
            (
                text(row["id"]),
                text(row["label"]),
                text(row["predicted"]),
                _of(row["wrong"], row["recipes"]),
                score(row["probability"]),
            )
            for row in records(subject.frame)
        ),
    )


def _of(part: Any, whole: Any) -> Cell:
    return Cell(f"{int(part)} of {int(whole)}", float(part))


def cards(subject: Subject) -> Gallery:
    """Return the images, those that every recipe gets wrong first."""
    groups = subject.frame.groupby("group", sort=False)
    parts = [
        Cards(
            tuple(map(_card, records(frame.head(CARDS)))),
            f"Wrong by {group}",
            f"{len(frame) - CARDS} more are in hard.csv." if len(frame) > CARDS else "",
        )
        for group, frame in groups
    ]
    return Gallery(tuple(parts), verb="taken for", pictures=CARDS)


def _card(row: dict[Any, Any]) -> Card:
    return Card(
        row["id"],
        row["label"],
        row["predicted"] if words.known(row["predicted"]) else "",
        f"{int(row['wrong'])} of {int(row['recipes'])} recipes wrong; the winner gives its label "
        f"{words.number(row['probability'], 2)}",
    )


def sentences(subject: Subject) -> list[str]:
    """Return how many images no recipe gets right."""
    evidence = subject.judgement.evidence_of_images
    if evidence is None:
        return ["Which images are hard can be said from three complete trials on."]
    every = int((subject.frame["group"] == EVERY).sum())
    lines = [
        (
            f"All {len(evidence.trials)} recipes are wrong on {every} of {words.amount(len(evidence.ids), 'image')}, "
            f"and nearly all on {len(subject.frame) - every} more. No network had trained on the image in question."
        )
    ]
    if len(evidence.trials) < evidence.complete:
        lines.append(f"That is about the best {len(evidence.trials)} of {evidence.complete} complete trials.")
    return lines


EXHIBIT = Exhibit(
    "hard",
    Sheet("hard", "Images that all or nearly all complete recipes get wrong out of fold.", COLUMNS, rows),
    table=images,
    heading="Hard examples",
    none="There is no image that every recipe, or nearly every one, gets wrong.",
    gallery=cards,
    sentences=sentences,
)
