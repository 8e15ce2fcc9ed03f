"""Images that show the same picture: near-duplicates and equal files, set by set."""

from collections.abc import Iterable

import pandas as pd

from search.analysis.judgement import Judgement
from search.data.dataset import MANIFEST_COLUMN
from search.data.groups import COPIES
from search.record import IMAGES, read_table
from search.report.exhibit import Card, Cards, Exhibit, Gallery, Row, Sheet, Subject, flag, string, whole
from search.report.table import Cell, Table, records, table, text, value
from search.study import AUTO, Study

SETS, IMAGES_OF_SET = 40, 8  # on the page

COLUMNS = (whole("group"), string("id"), string("label"), flag("different_labels"))


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield the images that have copies, set by set: those of different labels first, then the largest."""
    frame = read_table(judgement.record.folder, IMAGES)
    if frame is None or not {"id", "label", "group"} <= set(frame):
        return
    key = _column_of_copies(frame, judgement.record.about.study.get("groups", AUTO))
    sets = [images for name, images in frame.groupby(key, sort=False) if name and len(images) > 1]
    sets.sort(key=lambda images: (not _conflict(images), -len(images)))
    for number, images in enumerate(sets, start=1):
        different = _conflict(images)
        for row in images.itertuples():
            yield {"group": number, "id": row.id, "label": row.label, "different_labels": different}


def _conflict(images: pd.DataFrame) -> bool:
    return len(set(images["label"])) > 1


def _column_of_copies(frame: pd.DataFrame, groups: str | None) -> str:
    """Return the column of images.csv that is equal for copies; an older search tells equal files, or its groups."""
    if COPIES in frame:
        return COPIES
    by_looks = groups == AUTO and f"{MANIFEST_COLUMN}group" not in frame
    return "group" if by_looks or "content" not in frame else "content"


def images(subject: Subject) -> Table:
    """Return the images that show the same, set by set."""
    return table(
        f"Images that show the same picture. {_shared_fold(subject)}",
        "# set | image | labelled | different labels",
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
    """Return the images set by set."""
    sets = [images for _, images in subject.frame.groupby("group", sort=False)]
    some = f" {SETS} of them are shown; all are in report.json." if len(sets) > SETS else ""
    shown = f"{len(sets)} set{'s' if len(sets) != 1 else ''} of images that show the same picture."
    return Gallery(tuple(map(_cards, sets[:SETS])), f"{shown}{some} {_shared_fold(subject)}")


def _shared_fold(subject: Subject) -> str:
    """Return whether copies share a fold, and what else the study keeps together."""
    study = Study("data").with_recorded(subject.judgement.record.about.study.get("groups", AUTO))
    copies = (
        "The images of a set are always in the same fold."
        if study.joins_copies
        else "Equal files are always in the same fold. Other copies can be in different ones, as the study asks for."
    )
    key = study.group_pattern or study.group_column
    more = f" Groups by {key} share a fold too; {IMAGES} has them." if key else ""
    return copies + more


def _cards(images: pd.DataFrame) -> Cards:
    more = len(images) - IMAGES_OF_SET
    return Cards(
        tuple(Card(row["id"], row["label"]) for row in records(images.head(IMAGES_OF_SET))),
        more=f"and {more} more" if more > 0 else "",
        group=len(images),
        conflict=bool(images["different_labels"].astype(bool).any()),
    )


EXHIBIT = Exhibit(
    "duplicates",
    Sheet("duplicates", "Images that show the same picture: near-duplicates and equal files.", COLUMNS, rows),
    table=images,
    heading="Images that show the same picture",
    none="None was found.",
    gallery=cards,
)
