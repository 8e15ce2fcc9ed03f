"""Exhibit: one thing that a report shows, whole: its numbers, chart, table and images, and all of it in words.

An exhibit is a file in ``exhibits`` and a name in ``contents``. Its numbers are a sheet, whose
columns are declared once: CSV, JSON and the schema of JSON follow from them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.stats import Interval
from search.report import words
from search.report.table import Table

if TYPE_CHECKING:
    from search.report.style import Chart, Spec  # which load Altair

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its key, its type in words of JSON Schema ("" for any), and what stands in it.

    ``levels`` are the values that it may have, where these are few. ``keys`` returns, for the
    columns that only some searches have, which of them a search has; ``key`` is then a pattern, if
    ``pattern`` says so. ``dtype`` is that of pandas, where it cannot be guessed from the values.
    """

    key: str
    type: str
    about: str = ""
    nullable: bool = False
    levels: tuple[str, ...] = ()
    keys: Callable[[Judgement], Sequence[str]] | None = None
    pattern: bool = False
    dtype: str = ""


@dataclass(frozen=True)
class Sheet:
    """Rows of numbers as CSV and JSON have them: the name of their file, what they are, their columns.

    Scores are in [0, 1], differences on the same scale; what does not exist is NaN or None.
    """

    name: str
    about: str
    columns: tuple[Column, ...]
    rows: Callable[[Judgement], Iterable[Row] | pd.DataFrame]
    in_json: bool = True

    def keys(self, judgement: Judgement) -> list[str]:
        """Return the keys of the columns that a search has."""
        return list(
            dict.fromkeys(
                key for column in self.columns for key in (column.keys(judgement) if column.keys else [column.key])
            )
        )

    def frame(self, judgement: Judgement) -> pd.DataFrame:
        """Return the rows of a search as a frame; one without rows has its columns all the same."""
        rows = self.rows(judgement)
        if isinstance(rows, pd.DataFrame):
            return rows
        rows = list(rows)
        frame = pd.DataFrame(rows, columns=self.keys(judgement))
        for column in self.columns:
            if column.dtype and rows and column.key in frame:
                frame[column.key] = pd.Series([row[column.key] for row in rows], dtype=column.dtype)
        return frame


class Framed(Protocol):
    """What has the frame of a sheet: all that some charts and tables need."""

    @property
    def frame(self) -> pd.DataFrame:
        """The rows."""
        ...


@dataclass(frozen=True)
class Subject:
    """What an exhibit is made of: the judgement on a search, and the frame of the exhibit's sheet."""

    judgement: Judgement
    frame: pd.DataFrame

    @property
    def sizes(self) -> list[float]:
        """The training sizes, largest first."""
        return self.judgement.rules.fractions[::-1]

    @property
    def objective(self) -> str:
        """What the search was for, in words."""
        return words.objective(self.judgement.rules.objective)

    @property
    def choices(self) -> dict[str, str]:
        """What the winner and the recommended trial are called, by trial."""
        winner, recommended = self.judgement.winner, self.judgement.recommended
        if winner is None or recommended is None:
            return {}
        if winner is recommended:
            return {winner.id: "winner, recommended"}
        return {winner.id: "winner", recommended.id: "recommended"}


@dataclass(frozen=True)
class Plot:
    """A chart of an exhibit: its title, what draws it, how to read it, and what it shows in words for the blind.

    ``draw`` returns None where there is nothing to draw; ``absent`` stands on the page instead,
    where there are complete trials. ``name`` is that of its picture, if not the exhibit's.
    """

    title: str
    draw: "Callable[[Subject], Chart | None]"
    reading: Callable[[Subject], str] | str
    in_words: Callable[[Subject], str]
    name: str = ""
    absent: str = ""


@dataclass(frozen=True)
class Card:
    """An image on the page: its id, its label, what it is taken for, and a note.

    Its thumbnail is that of the image, or the ``picture`` of this name.
    """

    id: str
    label: str
    mistaken_for: str = ""
    note: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Cards:
    """Images that stand together: a title above them, and how many more there are, in words.

    ``group`` counts the images of a group that shares every fold, 0 for images of no group;
    ``conflict`` says that these have different labels.
    """

    cards: tuple[Card, ...]
    title: str = ""
    more: str = ""
    group: int = 0
    conflict: bool = False


@dataclass(frozen=True)
class Gallery:
    """Images instead of a table, on the page: a sentence above, what stands between a label and what it is taken for.

    The first ``pictures`` of them have a thumbnail.
    """

    parts: tuple[Cards, ...]
    lead: str = ""
    verb: str = ""
    pictures: int | None = None

    @property
    def ids(self) -> list[str]:
        """The ids of the images that have a thumbnail of their own."""
        return [card.id for part in self.parts for card in part.cards if not card.picture][: self.pictures]


@dataclass(frozen=True)
class Exhibit:
    """One thing that a report shows. Every function gets its subject.

    Exhibits may share a sheet. ``table`` is read in Markdown, and on the page unless there is a
    ``gallery``; ``folded`` is what it is called where it is folded away. ``heading`` stands above
    all, and ``none`` below it where there is nothing. ``sentences`` join the words of their chapter.
    """

    name: str
    sheet: Sheet
    plot: Plot | None = None
    table: Callable[[Subject], Table] | None = None
    folded: str = ""
    heading: str = ""
    none: str = ""
    gallery: Callable[[Subject], Gallery] | None = None
    sentences: Callable[[Subject], list[str]] | None = None

    @property
    def figure(self) -> str:
        """The name of its picture."""
        return (self.plot and self.plot.name) or self.name


@dataclass(frozen=True)
class Figure:
    """A chart of one search: its name, title and specification, how to read it, and what it shows in words."""

    name: str
    title: str
    reading: str
    in_words: str
    spec: "Spec"


@dataclass(frozen=True)
class Display:
    """An exhibit of one search: what there is to show of it; ``absent`` is said in place of a chart."""

    exhibit: Exhibit
    frame: pd.DataFrame
    figure: Figure | None
    absent: str
    table: Table | None
    gallery: Gallery | None

    @property
    def empty(self) -> bool:
        """Whether there is neither a row to read nor an image."""
        return not (self.gallery.parts if self.gallery else self.table and self.table.rows)


@dataclass(frozen=True)
class Chapter:
    """A chapter of a report: its id and title, its exhibits in order, those in a tuple side by side.

    ``opening`` names the passage before its words, ``passages`` those between words and exhibits,
    ``closing`` the one after them: what is told and is no exhibit. ``sentences`` are words of its
    own, before those of its exhibits. One that ``is_optional`` is left out of a report in which it has no words.
    """

    id: str
    title: str
    exhibits: tuple[Exhibit | tuple[Exhibit, ...], ...] = ()
    opening: str = ""
    passages: tuple[str, ...] = ()
    closing: str = ""
    sentences: Callable[[Judgement], list[str]] | None = None
    is_optional: bool = False


@dataclass(frozen=True)
class Section:
    """A chapter of the report on one search: its words, and its displays, those in one tuple side by side."""

    chapter: Chapter
    words: tuple[str, ...]
    rows: tuple[tuple[Display, ...], ...]

    @property
    def displays(self) -> tuple[Display, ...]:
        """All its displays, in order."""
        return tuple(display for row in self.rows for display in row)


def number(key: str, about: str = "", *, nullable: bool = True, **more: Any) -> Column:
    """Return a column of numbers, null where there is none unless ``nullable`` is False."""
    return Column(key, "number", about, nullable, **more)


def whole(key: str, about: str = "", **more: Any) -> Column:
    """Return a column of whole numbers."""
    return Column(key, "integer", about, **more)


def string(key: str, about: str = "", **more: Any) -> Column:
    """Return a column of texts."""
    return Column(key, "string", about, **more)


def flag(key: str, about: str = "") -> Column:
    """Return a column of what is true or false."""
    return Column(key, "boolean", about)


def trial(key: str = "trial") -> Column:
    """Return a column of trials."""
    return string(key, "The trial: four digits, or b0, b1 for baselines.")


def limits(of: Interval | Any | None, low: str = "low", high: str = "high") -> Row:
    """Return the limits of what has ``low`` and ``high`` as two columns, NaN where they are infinite or of None."""
    if of is None or not (np.isfinite(of.low) and np.isfinite(of.high)):
        return {low: np.nan, high: np.nan}
    return {low: of.low, high: of.high}
