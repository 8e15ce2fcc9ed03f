"""Every field of a recipe is declared once and whole; a new one is tested here as it comes."""

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest

from search.repertoire.augmentation import Augment
from search.repertoire.backbones.pooling import POOLINGS
from search.repertoire.columns import COLUMNS, briefs, columns_of, factors_of, texts
from search.repertoire.fields import FIRST
from search.repertoire.heads import HEADS
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.prediction import PREDICTIONS
from search.repertoire.recipe import FIELDS, Recipe
from search.repertoire.schedules import SCHEDULES
from search.system.errors import UserError

SCHEMA = Path(__file__).resolve().parents[2] / "search/report/report.schema.json"
PLAIN = Recipe("MobileNet", image_size=64)
RICH = Recipe(
    "MobileNet", 2, 0.1, Augment("color", 0.3), "balanced", {"cat": 8, "dog": 0.5}, 0.0123456, 0.5, 16, 3, 4, 96
)
TABLES = {
    "head": HEADS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "pooling": POOLINGS,
    "tta": PREDICTIONS,
}  # of later fields
LATER = [name for name, field in FIELDS.items() if field.since > FIRST]


def test_the_fields_are_those_that_people_write_in_this_order():
    assert list(FIELDS) == [field.name for field in dataclasses.fields(Recipe)]
    assert list(FIELDS)[:12] == [
        *("backbone", "unfrozen_blocks", "dropout", "augment", "class_weight", "synthetic_per_class"),
        *("learning_rate", "weight_decay", "batch_size", "epochs", "views", "image_size"),
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_nonsense_is_refused_by_the_name_of_the_field(name):
    nonsense = object()
    with pytest.raises(UserError) as error:
        dataclasses.replace(RICH, **{name: nonsense})
    assert str(error.value).startswith(f"{name}={nonsense!r} ")


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "backbone"])
def test_the_default_is_a_value_that_stays_as_it_is(name):
    field = FIELDS[name]
    settled = field.settle(name, field.default, PLAIN)
    assert settled == getattr(Recipe("MobileNet"), name)
    assert field.settle(name, settled, PLAIN) == settled


@pytest.mark.parametrize("recipe", [PLAIN, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("name", FIELDS)
def test_a_value_survives_json_and_is_said_in_words(name, recipe):
    field, value = FIELDS[name], getattr(recipe, name)
    assert field.settle(name, field.from_json(json.loads(json.dumps(field.to_json(value)))), recipe) == value
    assert type(field.words_of(recipe)) is str
    assert field.words_of(recipe) in recipe.summary([name])
    assert field.level is None or field.level(recipe)
    assert field.level is not None or isinstance(value, int | float), "a number, or levels in words"
    assert isinstance(field.brief_of(value), int | float | str)
    assert field.text_of(value, 3)
    assert field.title


@pytest.mark.parametrize("recipe", [PLAIN, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_cell_is_what_the_schema_of_its_column_says(name, recipe):
    column = COLUMNS[name]
    jsonschema.Draft202012Validator.check_schema(dict(column.schema))
    jsonschema.validate(json.loads(json.dumps(column.cell(recipe))), dict(column.schema))
    assert column.title


def test_the_schema_of_a_report_has_the_same_columns():
    properties = json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"]["tables"]["properties"]["trials"]
    listed = properties["items"]["properties"]
    for column in columns_of([PLAIN]):
        expected = dict(column.schema)
        if "type" in expected:  # null stands for a field that the network of somebody's own does not have
            types = expected["type"] if isinstance(expected["type"], list) else [expected["type"]]
            expected["type"] = [*types, *({"null"} - set(types))]
        assert listed[column.name] == expected


def test_columns_and_factors_come_in_a_fixed_order():
    assert [column.name for column in columns_of([PLAIN, RICH])] == [
        *("backbone", "unfrozen_blocks", "dropout", "class_weight", "synthetic_per_class", "learning_rate"),
        *("weight_decay", "batch_size", "epochs", "views", "image_size", "augment", "augment_strength"),
    ]
    words, numbers = factors_of([PLAIN, RICH, dataclasses.replace(RICH, views=2)])
    assert list(words) == ["backbone", "unfrozen_blocks", "augment", "class_weight", "synthetic_per_class"]
    assert list(numbers) == ["dropout", "learning_rate", "weight_decay", "batch_size", "epochs", "image_size", "views"]
    assert words["augment"] == ["none", "color 0.3", "color 0.3"]
    assert words["unfrozen_blocks"] == ["head only", "2", "2"]
    assert words["synthetic_per_class"] == ["0", *["synthetic cat: 8; dog: 0.5×"] * 2]
    assert "views" not in factors_of([PLAIN, RICH])[1]  # without augmentation there is one: no choice of its own


def test_a_recipe_as_numbers_and_texts():
    assert list(briefs(RICH).items()) == [
        *(("backbone", "MobileNet"), ("unfrozen_blocks", 2), ("dropout", 0.1), ("augment", "color 0.3")),
        *(("class_weight", "balanced"), ("synthetic_per_class", "synthetic cat: 8; dog: 0.5×")),
        *(("learning_rate", 0.0123456), ("weight_decay", 0.5), ("batch_size", 16), ("epochs", 3), ("views", 4)),
        ("image_size", 96),
    ]
    assert "image_size" not in briefs(Recipe("MobileNet"))
    assert texts(RICH, digits=4)["learning_rate"] == "0.01235"
    assert texts(RICH, digits=4)["synthetic_per_class"] == "{'cat': 8, 'dog': 0.5}"
    assert texts(Recipe("MobileNet", synthetic_per_class=0.123456), digits=4)["synthetic_per_class"] == "0.123456"
    assert texts(Recipe("MobileNet"), digits=4)["image_size"] == "None"


@pytest.mark.parametrize("name", [name for name in LATER if name in TABLES])
def test_a_later_field_is_told_only_where_it_differs_from_its_default(name, monkeypatch):
    assert name not in RICH.to_dict()
    assert name not in factors_of([RICH])[0]
    default = FIELDS[name].to_json(FIELDS[name].default)
    (row,) = [row for row in TABLES[name].values() if row.name == default]
    monkeypatch.setitem(TABLES[name], "another", row)
    other = dataclasses.replace(RICH, **{name: "another"})
    assert dataclasses.replace(RICH, **{name: FIELDS[name].default}).digest == RICH.digest != other.digest
    assert other.to_dict() == {**RICH.to_dict(), name: "another"}
    assert Recipe.from_dict(json.loads(json.dumps(other.to_dict()))) == other
    assert "another" in other.summary()
    assert briefs(other)[name] == texts(other, 3)[name] == "another"
    assert factors_of([RICH, other])[0][name] == [default, "another"]
    (column,) = [column for column in columns_of([RICH, other]) if column not in columns_of([RICH])]
    assert [column.cell(recipe) for recipe in (RICH, other)] == [default, "another"]
