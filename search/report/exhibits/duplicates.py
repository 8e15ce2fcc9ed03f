"""Images that are kept together: those that share a group, and so every fold."""

from collections.abc import Iterable

import pandas as pd

from search.analysis.judgement import Judgement
from search.record import IMAGES, read_table
from search.report.exhibit import Card, Cards, Exhibit, Gallery, Row, Sheet, Subject, flag, string, whole
from search.report.table import Cell, Table, records, table, text, value

GROUPS, IMAGES_OF_GROUP = 40, 8  # on the page

COLUMNS = (whole("group"), string("id"), string("label"), flag("different_labels"))


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield the images that share a group, the largest groups first."""
    frame = read_table(judgement.record.folder, IMAGES)
    if frame is None or not {"id", "label", "group"} <= set(frame):
        return
    groups = [images for name, images in frame.groupby("group", sort=False) if name and len(images) > 1]
    for number, images in enumerate(sorted(groups, key=len, reverse=True), start=1):
        different = len(set(images["label"])) > 1
        for row in images.itertuples():
            yield {"group": number, "id": row.id, "label": row.label, "different_labels": different}


def images(subject: Subject) -> Table:
    """Return the images that show the same, group by group."""
    return table(
        "Images that are kept together in one fold: the same picture again, or what the data say belongs together.",
        "# group | image | labelled | different labels",
        (
            (
                value(row["group"]),
                text(row["id"]),
                text(row["label"]),
                Cell("yes" if row["different_labels"] else "no"),
            )
            for row in records(subject.frame)
        ),
    )


def cards(subject: Subject) -> Gallery:
    """Return the images by group, groups of different labels first."""
    groups = [images for _, images in subject.frame.groupby("group", sort=False)]
    groups.sort(key=lambda images: not _conflict(images))
    some = f"; {GROUPS} of them are shown, all are in report.json" if len(groups) > GROUPS else ""
    lead = (
        f"{len(groups)} group{'s' if len(groups) != 1 else ''} of images that share every fold: the same picture "
        f"again, or what the data say belongs together{some}."
    )
    return Gallery(tuple(map(_cards, groups[:GROUPS])), lead)


def _cards(images: pd.DataFrame) -> Cards:
    more = len(images) - IMAGES_OF_GROUP
    return Cards(
        tuple(Card(row["id"], row["label"]) for row in records(images.head(IMAGES_OF_GROUP))),
        more=f"and {more} more" if more > 0 else "",
        group=len(images),
        conflict=_conflict(images),
    )


def _conflict(images: pd.DataFrame) -> bool:
    return bool(images["different_labels"].astype(bool).any())


EXHIBIT = Exhibit(
    "duplicates",
    Sheet("duplicates", "Images that share a group, and so every fold.", COLUMNS, rows),
    table=images,
    heading="Images that are kept together",
    none="None was found.",
    gallery=cards,
)
