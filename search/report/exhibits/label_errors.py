"""Labels to check: images of whose class the recipes together are surer than of their label."""

from collections.abc import Iterable
from dataclasses import asdict

from search.analysis.hard import doubtful_labels
from search.analysis.judgement import Judgement
from search.report import words
from search.report.exhibit import Card, Cards, Exhibit, Gallery, Row, Sheet, Subject, number, string
from search.report.table import Table, records, score, table, text

CARDS = 48  # on the page

COLUMNS = (
    string("id"),
    string("label"),
    string("suggested"),
    number("confidence", "Mean probability of the suggested class."),
    number("own", "Mean probability of the label."),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield the labels that may be mistaken, the widest margin first."""
    return map(asdict, doubtful_labels(judgement))


def images(subject: Subject) -> Table:
    """Return the images whose labels should be checked, the widest margin first."""
    return table(
        "Labels to check, the most doubtful first. The recipes together are surer of another class (confident "
        "learning).",
        "image | labelled | suggested | # probability of the suggested | # of the label",
        (
            (text(row["id"]), text(row["label"]), text(row["suggested"]), score(row["confidence"]), score(row["own"]))
            for row in records(subject.frame)
        ),
    )


def cards(subject: Subject) -> Gallery:
    """Return the images."""
    several = tuple(
        Card(
            row["id"],
            row["label"],
            row["suggested"],
            f"mean probability {words.number(row['confidence'], 2)}, of its label {words.number(row['own'], 2)}",
        )
        for row in records(subject.frame.head(CARDS))
    )
    more = len(subject.frame) - CARDS
    parts = (Cards(several, more=f"{more} more are in label_errors.csv." if more > 0 else ""),) if several else ()
    return Gallery(parts, verb="or")


def sentences(subject: Subject) -> list[str]:
    """Return how many labels may be mistaken."""
    if subject.frame.empty:
        return []
    sentence = (
        f"The labels of {words.amount(len(subject.frame), 'image')} may be wrong: there the recipes together are surer "
        "of another class than they usually are of that class where it is right. Look at these first: a wrong label "
        "costs more than a wrong recipe."
    )
    return [sentence]


EXHIBIT = Exhibit(
    "label_errors",
    Sheet("label_errors", "Labels that may be mistaken (confident learning), widest margin first.", COLUMNS, rows),
    table=images,
    heading="Labels to check",
    none="No label looks wrong.",
    gallery=cards,
    sentences=sentences,
)
