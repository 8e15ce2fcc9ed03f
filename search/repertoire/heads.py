"""Heads that a recipe can name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Head:
    """One row of the table of heads."""

    name: str


HEADS: dict[str, Head] = {row.name: row for row in (Head("linear"),)}
