"""View: a table to read, its cells as text, each with the number that it is sorted by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from search.report import reading
from search.report.reading import MISSING, between, number

MOST = 200


@dataclass(frozen=True)
class Column:
    """A column: its title, and whether it holds numbers, which stand at the right."""

    title: str
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
class View:
    """A table to read: what it shows, its columns and rows, and where the rows are that it leaves out."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left_out: str = ""

    def shortened(self, most: int) -> "View":
        """Return the view with at most so many rows."""
        if len(self.rows) <= most:
            return self
        more = f"{len(self.rows) - most} more rows are in the page, or in the CSV files beside it."
        return replace(self, rows=self.rows[:most], left_out=more if not self.left_out else f"{self.left_out} {more}")


def view(caption: str, titles: str, rows: Iterable[Sequence[Cell] | Row], file: str = "report.json") -> View:
    """Return a table with these columns, in a text with ``|`` between them; one that begins with # holds numbers.

    At most ``MOST`` rows are kept; ``file`` has them all.
    """
    columns = tuple(Column(title.strip(" #"), title.strip().startswith("#")) for title in titles.split("|"))
    made = [row if isinstance(row, Row) else Row(tuple(row)) for row in rows]
    more = len(made) - MOST
    left_out = f"The first {MOST} of {len(made)} rows; all of them are in {file}." if more > 0 else ""
    return View(caption, columns, tuple(made[:MOST]), left_out)


def text(value: Any) -> Cell:
    """Return a text as a cell."""
    return Cell(str(value) if reading.known(value) and value != "" else MISSING)


def count(value: Any) -> Cell:
    """Return a whole number as a cell."""
    return Cell(f"{int(value):,}", float(value)) if reading.known(value) else Cell(MISSING)


def score(value: Any, *, sign: bool = False) -> Cell:
    """Return a score, or with ``sign`` a difference of scores, as a cell with three digits."""
    return Cell(number(value, sign=sign), float(value) if reading.known(value) else None)


def limits(low: Any, high: Any, *, sign: bool = False) -> Cell:
    """Return an interval as a cell, which is sorted by its lower end."""
    return Cell(between(low, high, sign=sign), float(low) if reading.known(low) else None)


def p_value(value: Any) -> Cell:
    """Return a probability as a cell."""
    return Cell(reading.p_value(value), float(value) if reading.known(value) else None)


def records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return a table's rows as dicts."""
    return table.to_dict("records")
