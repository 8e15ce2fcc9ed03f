"""Rows of the tables of a report."""

import math
from collections.abc import Iterable
from typing import Any, Protocol

import pandas as pd

Row = dict[str, Any]


class Limited(Protocol):
    """What has the two limits of an interval, infinite where there is none."""

    @property
    def low(self) -> float:
        """The lower limit."""
        ...

    @property
    def high(self) -> float:
        """The upper limit."""
        ...


def table_of(rows: Iterable[Row], columns: str) -> pd.DataFrame:
    """Return rows as a table with these columns, also where there are none."""
    return pd.DataFrame(list(rows), columns=columns.split())


def limits(of: Limited | None, low: str = "low", high: str = "high") -> Row:
    """Return the limits of an interval as two columns, NaN where there is none."""
    if of is None or not (math.isfinite(of.low) and math.isfinite(of.high)):
        return {low: math.nan, high: math.nan}
    return {low: of.low, high: of.high}
