"""Recipes in tables: their columns, the factors that may explain their scores, and recipes as numbers and texts.

All of it follows from the fields as ``search.repertoire.recipe`` declares them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from search.repertoire.fields import FIRST, Field, Schema, Subfield
from search.repertoire.recipe import FIELDS, Recipe


@dataclass(frozen=True)
class RecipeColumn:
    """A column of a table of recipes; ``subfield`` names the one it holds, "" for the field itself."""

    field: Field
    subfield: str = ""

    @property
    def name(self) -> str:
        """The name, as "augment" or "augment_strength"."""
        return f"{self.field.name}_{self.subfield}" if self.subfield else self.field.name

    @property
    def title(self) -> str:
        """The title, as "augmentation" or "strength"."""
        return self._subfield.title if self._subfield else self.field.title

    @property
    def schema(self) -> Schema:
        """The JSON schema of its cells."""
        return self._subfield.schema if self._subfield else self.field.schema

    def cell(self, recipe: Recipe) -> Any:
        """Return the cell of a recipe, as JSON types."""
        value = getattr(recipe, self.field.name)
        return self._subfield.cell(value) if self._subfield else self.field.cell_of(value)

    def text(self, recipe: Recipe, digits: int) -> str:
        """Return the cell of a recipe as text: a number to so many digits, unless it must be exact."""
        return self.field.rounded(self.cell(recipe), digits)

    @property
    def _subfield(self) -> Subfield | None:
        return (self.field.subfields or {})[self.subfield] if self.subfield else None


COLUMNS: dict[str, RecipeColumn] = {  # in the order of the fields, with their subfields
    column.name: column
    for column in (RecipeColumn(field, name) for field in FIELDS.values() for name in ("", *(field.subfields or {})))
}


def fields_of(recipes: Sequence[Recipe]) -> list[Field]:
    """Return the fields that tell of these recipes: a later one only where a recipe differs from its default."""
    return [
        field
        for field in FIELDS.values()
        if field.since == FIRST or any(field.is_written(getattr(recipe, field.name)) for recipe in recipes)
    ]


def varied(recipes: Iterable[Recipe]) -> frozenset[str]:
    """Return the names of the fields in which these recipes differ; of views, those that augment."""
    every = list(recipes)
    return frozenset(
        name
        for name, field in FIELDS.items()
        if len({getattr(recipe, name) for recipe in every if field.is_choice is None or field.is_choice(recipe)}) > 1
    )


def columns_of(recipes: Sequence[Recipe]) -> list[RecipeColumn]:
    """Return the columns of a table of these recipes, those of fields with subfields last."""
    fields = sorted(fields_of(recipes), key=lambda field: field.subfields is not None)
    return [column for field in fields for column in COLUMNS.values() if column.field is field]


def factors_of(recipes: Sequence[Recipe]) -> tuple[dict[str, list[str]], dict[str, list[float]]]:
    """Return the factors that may explain scores: levels in words by recipe, and numbers by recipe.

    Numbers that only some recipes choose come last, and only where these differ.
    """
    fields = fields_of(recipes)
    words = {field.name: [field.level(recipe) for recipe in recipes] for field in fields if field.level}
    numbers = [field for field in fields if not field.level and _is_factor(field, recipes)]
    numbers.sort(key=lambda field: field.is_choice is not None)
    return words, {field.name: [getattr(recipe, field.name) for recipe in recipes] for field in numbers if recipes}


def _is_factor(field: Field, recipes: Sequence[Recipe]) -> bool:
    choice = field.is_choice
    return choice is None or len({getattr(recipe, field.name) for recipe in recipes if choice(recipe)}) > 1


def written(recipe: Recipe) -> dict[str, Any]:
    """Return the values of a recipe by field, without those later fields that have their default."""
    values = {name: getattr(recipe, name) for name in FIELDS}
    return {name: value for name, value in values.items() if FIELDS[name].is_written(value)}


def briefs(recipe: Recipe) -> dict[str, float | str]:
    """Return a recipe as numbers and texts by field, without what is None or stands for a later field's default."""
    pairs = {name: FIELDS[name].brief_of(value) for name, value in written(recipe).items()}
    return {name: brief for name, brief in pairs.items() if brief is not None}


def texts(recipe: Recipe, digits: int) -> dict[str, str]:
    """Return the values of a recipe as texts by field, with numbers to so many digits."""
    return {name: FIELDS[name].text_of(value, digits) for name, value in written(recipe).items()}
