"""Classes that the winner takes for another."""

from search.analysis.judgement import Judgement
from search.report.exhibit import Exhibit, Framed, Row, Sheet, Subject, number, string, whole
from search.report.exhibits import confusion
from search.report.table import Cell, Table, count, records, table, text

COLUMNS = (string("label"), string("predicted"), whole("images"), number("share"))


def rows(judgement: Judgement) -> list[Row]:
    """Return the pairs of different classes, most images first."""
    return confusion.mistakes(confusion.rows(judgement))


def pairs(subject: Subject) -> Table:
    """Return which classes are taken for which, most images first."""
    return table_of(subject, "the winner")


def table_of(subject: Framed, model: str) -> Table:
    """Return the same of any model, which is called ``model``."""
    return table(
        f"Classes that {model} takes for another, most images first.",
        "labelled | predicted | # images | # of the label's images",
        (
            (
                text(row["label"]),
                text(row["predicted"]),
                count(row["images"]),
                Cell(f"{100 * row['share']:.0f} %", float(row["share"])),
            )
            for row in records(subject.frame)
        ),
    )


EXHIBIT = Exhibit(
    "confused",
    Sheet("confused", "Pairs of different classes, most images first.", COLUMNS, rows),
    table=pairs,
    heading="Classes that are confused",
    none="None.",
)
