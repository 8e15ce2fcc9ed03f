"""Table: numbers as people read them, its cells as text, each with the number that it is sorted by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from search.report import words

MOST = 200


@dataclass(frozen=True)
class Title:
    """The head of a column, and whether the column holds numbers, which stand at the right."""

    text: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """What stands in a table: a text, and the number that it is sorted by, None to sort by the text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Row:
    """A row: its cells, and what it is: winner, recommended, alike (cannot be told from the best), baseline, ""."""

    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table to read: what it shows, the heads of its columns, its rows, and where those are that it leaves out."""

    caption: str
    titles: tuple[Title, ...]
    rows: tuple[Row, ...]
    left_out: str = ""

    def shortened(self, most: int) -> "Table":
        """Return the table with at most so many rows."""
        if len(self.rows) <= most:
            return self
        more = f"{len(self.rows) - most} more rows are in the page, or in the CSV files beside it."
        return replace(self, rows=self.rows[:most], left_out=more if not self.left_out else f"{self.left_out} {more}")


def table(
    caption: str, titles: str, rows: Iterable[Sequence[Cell] | Row], file: str = "its CSV file", of: int = 0
) -> Table:
    """Return a table with these titles, in a text with ``|`` between them; one that begins with # holds numbers.

    At most ``MOST`` rows are there; ``file`` has them all. ``of`` is how many there are, where ``rows`` are the first.
    """
    heads = tuple(Title(title.strip(" #"), title.strip().startswith("#")) for title in titles.split("|"))
    every = [row if isinstance(row, Row) else Row(tuple(row)) for row in rows]
    of = of or len(every)
    left_out = f"The first {MOST} of {of} rows; all of them are in {file}." if of > MOST else ""
    return Table(caption, heads, tuple(every[:MOST]), left_out)


def records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the rows of a frame as dicts."""
    return frame.to_dict("records")


def text(value: Any) -> Cell:
    """Return a text as a cell."""
    return Cell(str(value) if words.known(value) and value != "" else words.MISSING)


def count(value: Any) -> Cell:
    """Return a whole number as a cell."""
    return Cell(f"{int(value):,}", float(value)) if words.known(value) else Cell(words.MISSING)


def score(value: Any, *, sign: bool = False) -> Cell:
    """Return a score, or with ``sign`` a difference of scores, as a cell with three digits."""
    return Cell(words.number(value, sign=sign), float(value) if words.known(value) else None)


def limits(low: Any, high: Any, *, sign: bool = False) -> Cell:
    """Return an interval as a cell, which is sorted by its lower end."""
    return Cell(words.between(low, high, sign=sign), float(low) if words.known(low) else None)


def p_value(value: Any) -> Cell:
    """Return a probability as a cell."""
    return Cell(words.p_value(value), float(value) if words.known(value) else None)


def value(amount: Any) -> Cell:
    """Return a number of any kind, or a text, as a cell."""
    if isinstance(amount, str) or not words.known(amount):
        return text(amount)
    return Cell(f"{amount:,.10g}", float(amount))
