"""The ledger: what happened, counted."""

from collections.abc import Iterable

from search.analysis.judgement import Judgement
from search.analysis.ledger import ledger
from search.report.exhibit import Exhibit, Row, Sheet, Subject, number, string
from search.report.table import Table, records, table, text, value

COLUMNS = (string("what"), number("value", nullable=False))


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each count."""
    return ({"what": what, "value": amount} for what, amount in ledger(judgement.record).items())


def counts(subject: Subject) -> Table:
    """Return what happened, counted."""
    return table(
        "Ledger: everything that was planned, trained, stopped and failed.",
        "what | # value",
        ((text(str(row["what"]).replace("_", " ")), value(row["value"])) for row in records(subject.frame)),
    )


EXHIBIT = Exhibit("ledger", Sheet("ledger", "What happened, counted.", COLUMNS, rows), table=counts)
