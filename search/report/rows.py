"""Rows of the tables of a report."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from search.stats import Interval

Row = dict[str, Any]


def table_of(rows: Iterable[Row], columns: str) -> pd.DataFrame:
    """Return rows as a table with these columns, also where there are none."""
    return pd.DataFrame(list(rows), columns=columns.split())


def limits(interval: Interval | None, low: str = "low", high: str = "high") -> Row:
    """Return the limits of an interval as two columns, NaN where there is none."""
    if interval is None or not interval.known:
        return {low: math.nan, high: math.nan}
    return {low: interval.low, high: interval.high}
