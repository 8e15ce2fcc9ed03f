"""Classes that the winner takes for another."""

from search.report.exhibit import Exhibit, Sheet, Subject, number, string, whole
from search.report.exhibits.confusion import mistakes
from search.report.table import Cell, Table, count, records, table, text

COLUMNS = (string("label"), string("predicted"), whole("images"), number("share"))


def pairs(subject: Subject) -> Table:
    """Return which classes are taken for which, most images first."""
    return table(
        "Classes that the winner takes for another, most images first.",
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
    Sheet("confused", "Pairs of different classes, most images first.", COLUMNS, mistakes),
    table=pairs,
    heading="Classes that are confused",
    none="None.",
)
