"""Schedules that a recipe can name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """One row of the table of schedules."""

    name: str


SCHEDULES: dict[str, Schedule] = {row.name: row for row in (Schedule("cosine"),)}
