"""Recipes in tables: their columns, the factors that may explain their scores, and recipes as numbers and texts.

All of it follows from the fields as ``search.repertoire.recipe`` declares them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from search.repertoire.fields import FIRST, Field, Schema, Subfield
from search.repertoire.networks import OWN, AnyRecipe, NetworkRecipe
from search.repertoire.recipe import FIELDS, Recipe

Number = float | None
NONE = "none"  # the level of a hyperparameter that does not count


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

    def cell(self, recipe: AnyRecipe) -> Any:
        """Return the cell of a recipe, as JSON types; None where it has no such field."""
        if self.field.name not in recipe.fields:
            return None
        value = self.field.value_of(recipe)
        return self._subfield.cell(value) if self._subfield else self.field.cell_of(value)

    def text(self, recipe: AnyRecipe, digits: int) -> str:
        """Return the cell of a recipe as text: a number to so many digits, unless it must be exact."""
        return self.field.rounded(self.cell(recipe), digits)

    @property
    def _subfield(self) -> Subfield | None:
        return (self.field.subfields or {})[self.subfield] if self.subfield else None


def _columns(field: Field) -> list[RecipeColumn]:
    return [RecipeColumn(field, name) for name in ("", *(field.subfields or {}))]


COLUMNS: dict[str, RecipeColumn] = {  # in the order of the fields, with their subfields; but for hyperparameters
    column.name: column for field in (*FIELDS.values(), *OWN.values()) for column in _columns(field)
}


def fields_of(recipes: Sequence[AnyRecipe]) -> list[Field]:
    """Return the fields that tell of these recipes: a later one only where a recipe differs from its default."""
    return [
        field
        for name, field in _every_field(recipes).items()
        if field.since == FIRST or any(field.is_written(field.value_of(one)) for one in recipes if name in one.fields)
    ]


def _every_field(recipes: Iterable[AnyRecipe]) -> dict[str, Field]:
    """Return the fields that any of these recipes has, in the order of fields; without recipes, those of a Recipe."""
    kinds: dict[object, AnyRecipe] = {}
    for recipe in recipes:
        kinds.setdefault(Recipe if isinstance(recipe, Recipe) else tuple(recipe.fields), recipe)
    tables = [FIELDS if isinstance(recipe, Recipe) else recipe.fields for recipe in kinds.values()]
    every = {name: field for table in tables for name, field in table.items()}
    return every if kinds else dict(FIELDS)


def varied(recipes: Iterable[AnyRecipe]) -> frozenset[str]:
    """Return the names of the fields in which these recipes differ; of views, those that augment."""
    every = list(recipes)
    return frozenset(
        name
        for name, field in _every_field(every).items()
        if len({field.value_of(one) for one in every if name in one.fields and _chooses(field, one)}) > 1
    )


def _chooses(field: Field, recipe: AnyRecipe) -> bool:
    return field.name in recipe.fields and (field.is_choice is None or field.is_choice(recipe))


def columns_of(recipes: Sequence[AnyRecipe]) -> list[RecipeColumn]:
    """Return the columns of a table of these recipes, those of fields with subfields last."""
    fields = sorted(fields_of(recipes), key=lambda field: field.subfields is not None)
    return [column for field in fields for column in _columns(field)]


def factors_of(recipes: Sequence[AnyRecipe]) -> tuple[dict[str, list[str]], dict[str, list[Number]]]:
    """Return the factors that may explain scores: levels in words by recipe, and numbers by recipe.

    Numbers that only some recipes choose come last, and only where these differ. Where the space builds its networks,
    the factors are its hyperparameters; a number is None for recipes in which that one does not count.
    """
    networks = [recipe for recipe in recipes if isinstance(recipe, NetworkRecipe)]
    if networks:
        return _hyperparameters(networks)
    plain = [recipe for recipe in recipes if isinstance(recipe, Recipe)]
    fields = fields_of(plain)
    words = {field.name: [_level(field, recipe) for recipe in plain] for field in fields if field.level}
    numbers = [field for field in fields if not field.level and _is_factor(field, plain)]
    numbers.sort(key=lambda field: not all(_chooses(field, recipe) for recipe in plain))
    return words, {
        field.name: [
            field.cell_of(getattr(recipe, field.name)) if field.name in recipe.fields else None for recipe in plain
        ]
        for field in numbers
        if plain
    }


def _level(field: Field, recipe: Recipe) -> str:
    return field.level(recipe) if field.level and field.name in recipe.fields else NONE


def _hyperparameters(recipes: Sequence[NetworkRecipe]) -> tuple[dict[str, list[str]], dict[str, list[Number]]]:
    words: dict[str, list[str]] = {}
    numbers: dict[str, list[Number]] = {}
    every = [dict(recipe.values) for recipe in recipes]
    for name in dict.fromkeys(name for values in every for name in values):
        own = [values.get(name) for values in every]
        if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in own):
            numbers[name] = own
        else:
            words[name] = [NONE if value is None else str(value) for value in own]
    return words, numbers


def _is_factor(field: Field, recipes: Sequence[Recipe]) -> bool:
    if field.is_choice is None and all(field.name in recipe.fields for recipe in recipes):
        return True
    return len({getattr(recipe, field.name) for recipe in recipes if _chooses(field, recipe)}) > 1


def written(recipe: AnyRecipe) -> dict[str, Any]:
    """Return the values of a recipe by field, without those later fields that have their default."""
    values = {name: field.value_of(recipe) for name, field in recipe.fields.items()}
    return {name: value for name, value in values.items() if recipe.fields[name].is_written(value)}


def briefs(recipe: AnyRecipe) -> dict[str, float | str]:
    """Return a recipe as numbers and texts by field, without what is None or stands for a later field's default."""
    pairs = {name: recipe.fields[name].brief_of(value) for name, value in written(recipe).items()}
    return {name: brief for name, brief in pairs.items() if brief is not None}


def texts(recipe: AnyRecipe, digits: int) -> dict[str, str]:
    """Return the values of a recipe as texts by field, with numbers to so many digits."""
    return {name: recipe.fields[name].text_of(value, digits) for name, value in written(recipe).items()}
