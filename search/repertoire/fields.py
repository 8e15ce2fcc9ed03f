"""Field: all that the program needs to know of one field of a recipe, beside its name, type and default.

A recipe declares each of its fields once, as ``field(default=…, metadata=declare(…))``. The line of a
recipe, the tables of a report with their titles and JSON schema, the factors of the effects, what
TensorBoard shows, and the digest follow from that.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.system.validation import one_of, real, whole

ROW = "row"
FIRST = 1  # format of recipes: the fields that all of them have
SECOND = 2  # format of recipes that brought head, optimizer and schedule
THIRD = 3  # likewise, the start of the head and the rate of the body
FOURTH = 4  # likewise, how the blocks of a body train, clipping, mixing, mirrored predictions, losses and sampling
FIFTH = 5  # likewise, which synthetic images, and whether they replace real ones

Settle = Callable[[str, Any, Any], Any]
Schema = Mapping[str, Any]

CLASSES_IN_WORDS = 3

TEXT, INTEGER = {"type": "string"}, {"type": "integer"}
NUMBER = {"type": ["number", "null"]}  # as null stands for what is no number at all


@dataclass(frozen=True)
class Subfield:
    """A further cell that a field fills in tables, as the strength of an augmentation: ``cell`` takes the value."""

    title: str
    schema: Schema
    cell: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _silent(_recipe: Any) -> str:
    return ""


@dataclass(frozen=True)
class Field:
    """One field of a recipe: a row of the table of fields.

    ``settle(name, value, recipe)`` returns the value as it is kept, or raises a UserError that names
    the field; the fields declared before it are settled already. ``title`` and ``schema`` (JSON schema)
    are of its column in tables. ``words(recipe)`` is what the line of a recipe says of it, "" for nothing; an
    ``aside`` is said only in searches in which the field varies.
    ``level(recipe)`` is its level where effects are told; without one it is a number, whose levels are
    its values, or thirds of them where there are many. ``is_choice(recipe)`` tells whether a recipe
    chooses it at all: a field that has this is a factor only where such recipes differ. ``to_json`` and
    ``from_json`` bring the value to JSON types and back, ``cell`` to a cell of a table, ``brief`` to one
    number or one text; ``subfields`` are further columns, by what their names end in. The numbers of an
    ``exact`` field are never rounded in words; one of ``tuples`` may have
    several values together. ``since`` is the format of recipes that brought the
    field: where a later one has its default, it is left out of the JSON, and so out of the digest.
    ``read(recipe)`` returns the value where it is no attribute of recipes.
    """

    title: str
    settle: Settle
    schema: Schema
    words: Callable[[Any], str] = _silent
    level: Callable[[Any], str] | None = None
    is_choice: Callable[[Any], bool] | None = None
    to_json: Callable[[Any], Any] = _same
    from_json: Callable[[Any], Any] = _same
    cell: Callable[[Any], Any] | None = None
    brief: Callable[[Any], Any] | None = None
    subfields: Mapping[str, Subfield] | None = None
    exact: bool = False
    aside: bool = False
    tuples: bool = False
    since: int = FIRST
    name: str = ""
    default: Any = None
    read: Callable[[Any], Any] | None = None

    def value_of(self, recipe: Any) -> Any:
        """Return the value that a recipe has for the field."""
        return self.read(recipe) if self.read else getattr(recipe, self.name)

    def words_of(self, recipe: Any) -> str:
        """Return what the line of a recipe says of the field, "" where a later field has its default."""
        return self.words(recipe) if self.is_written(self.value_of(recipe)) else ""

    def cell_of(self, value: Any) -> Any:
        """Return what a table holds of a value."""
        return (self.cell or self.to_json)(value)

    def brief_of(self, value: Any) -> float | str | None:
        """Return a value as one number or one text; None where it is None."""
        brief: float | str | None = (self.brief or self.to_json)(value)
        return brief

    def text_of(self, value: Any, digits: int) -> str:
        """Return a value as text, with numbers to so many digits, unless they must be exact."""
        return self.rounded(self.brief_of(value) if self.subfields else self.cell_of(value), digits)

    def rounded(self, cell: Any, digits: int) -> str:
        """Return a cell as text, a number to so many digits, unless it must be exact."""
        return f"{cell:.{digits}g}" if isinstance(cell, float) and not self.exact else str(cell)

    # DECISIONS: Later fields of a recipe stay out of its digest
    def is_written(self, value: Any) -> bool:
        """Return whether the value stands in the JSON of a recipe."""
        return self.since == FIRST or value != self.default


def declare(title: str, settle: Settle, schema: Schema, **options: Any) -> dict[str, Field]:
    """Return the metadata of a dataclass's field that make it a row; ``options`` are those of ``Field``."""
    return {ROW: Field(title, settle, schema, **options)}


def describe(schema: Schema, description: str) -> Schema:
    """Return the schema of a column with what its cells mean."""
    return {**schema, "description": description}


def number(low: float, high: float, *, open_low: bool = False) -> Settle:
    """Return what settles a real number in [low, high], or above ``low`` where it is open."""
    return lambda name, value, _recipe: real(name, value, low, high, open_low=open_low)


def integer(low: int, high: int | None = None, *, optional: bool = False) -> Settle:
    """Return what settles a whole number in [low, high]; also None where it is ``optional``."""
    return lambda name, value, _recipe: None if optional and value is None else whole(name, value, low, high)


def member(table: Collection[str]) -> Settle:
    """Return what settles a name: that of a row of a table, or one of a few."""

    def settle(name: str, value: Any, _recipe: Any) -> Any:
        one_of(name, value, table)
        return value

    return settle


def pairs_in_words(pairs: Sequence[tuple[str, str]]) -> str:
    """Return values by class as words, as in "cat: 8; dog: 0.5×; 2 more classes"."""
    left = len(pairs) - CLASSES_IN_WORDS
    more = f"; {left} more {'class' if left == 1 else 'classes'}" if left > 0 else ""
    return "; ".join(f"{name}: {value}" for name, value in pairs[:CLASSES_IN_WORDS]) + more
