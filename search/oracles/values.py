"""The values that a space may give to its hyperparameters, and the labels by which journals know them."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from search.repertoire.augmentation import Augment
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.heads import Settings
from search.repertoire.losses import Focal
from search.repertoire.mixing import Mix
from search.repertoire.recipe import Recipe
from search.repertoire.sampling import Sampling
from search.repertoire.schedules import Schedule
from search.repertoire.synthetic import Synthetic
from search.repertoire.weighting import EffectiveNumber
from search.system.digests import canonical
from search.system.errors import UserError
from search.system.texts import is_utf8

PLAIN = (str, int, float, bool)  # what Keras Tuner's Choice holds, if all values are of one of these types
CLOSE = 1e-9
NAMES_FOR_VALUES = (
    'Give the values names: VALUES = {{"first": …, "second": …}}, and VALUES[hp.Choice({name!r}, list(VALUES))].'
)


def plain(value: Any) -> Any:
    """Return a value of NumPy as Python's own, and any other as it is."""
    is_single = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return value.item() if is_single else value


def options_of(name: str, values: Any) -> list[Any]:
    """Return the values of a choice as a list. Raises UserError for a text, a set, or nothing."""
    if isinstance(values, str):
        raise UserError(f"hp.Choice({name!r}, {values!r}) has a text in place of a list. Write [{values!r}].")
    if isinstance(values, set | frozenset):
        raise UserError(f"hp.Choice({name!r}, …) has a set, which has no order of its own. Give a list.")
    if not isinstance(values, Iterable):
        raise UserError(f"hp.Choice({name!r}, {values!r}) must have a list of values, such as [{values!r}].")
    options = [plain(value) for value in values]
    if not options:
        raise UserError(f"hp.Choice({name!r}, []) has no values. Give some.")
    return options


def is_plain(options: list[Any]) -> bool:
    """Return whether Keras Tuner's own Choice holds these values."""
    return len({type(option) for option in options}) == 1 and isinstance(options[0], PLAIN)


def labels_of(name: str, values: list[Any]) -> dict[str, Any]:
    """Return the values of a choice by their labels."""
    labels: dict[str, Any] = {}
    for value in values:
        label = label_of(value)
        if label is None:
            raise UserError(_unwritable(f"hp.Choice({name!r}, …)", value) + NAMES_FOR_VALUES.format(name=name))
        if label in labels:
            raise UserError(
                f"hp.Choice({name!r}, …) has the values {labels[label]!r} and {value!r}, which a journal cannot tell "
                "apart. Leave one out. Or: " + NAMES_FOR_VALUES.format(name=name)
            )
        labels[label] = value
    return labels


def label_of_fixed(name: str, value: Any) -> str:
    """Return the label of a fixed value."""
    label = label_of(value)
    if label is None:
        raise UserError(
            _unwritable(f"hp.Fixed({name!r}, …)", value)
            + f'Give the value a name: VALUES = {{"first": …}}, and VALUES[hp.Fixed({name!r}, "first")].'
        )
    return label


def _unwritable(where: str, value: Any) -> str:
    return f"{where} has the value {value!r}, which cannot be written into a journal. "


def label_of(value: Any) -> str | None:
    """Return the text by which journals know a value (None, a number, an Augment, a list …), None where it has none."""
    try:
        if value is None or (isinstance(value, PLAIN) and not isinstance(value, str)):
            return repr(value)
        json_types = json_of(value)
        label = json_types if isinstance(json_types, str) else canonical(json_types)
    except (TypeError, ValueError, RecursionError):
        return None
    return label if is_utf8(label) else None


def json_of(value: Any) -> Any:
    """Return a value of a recipe as JSON types. Raises TypeError for what is none.

    A Backbone is its name, an Augment, a Mix, a head, a Focal, an EffectiveNumber or a Sampling its level.
    """
    match value:
        case Backbone() | Augment() | Mix() | Settings() | Focal() | EffectiveNumber() | Sampling():
            return value.name if isinstance(value, Backbone) else value.level
        case Synthetic() | Schedule():
            return value.to_json()
        case Recipe():
            return value.to_dict()
        case Mapping():
            return {str(key): json_of(item) for key, item in value.items()}
        case list() | tuple():
            return [json_of(item) for item in value]
    json.dumps(value, allow_nan=False)
    return value


def check_name(kind: str, name: Any) -> None:
    """Raise UserError for a name of a hyperparameter that no journal can hold."""
    if isinstance(name, str) and not is_utf8(name):
        raise UserError(f"hp.{kind}({name!r}, …) has a name that is not valid Unicode. Write another one.")


def check_values(where: str, values: Iterable[Any]) -> None:
    """Raise UserError for a number that is not finite, and for a text that cannot be written."""
    for value in values:
        if isinstance(value, str) and not is_utf8(value):
            raise UserError(f"{where} has the text {value!r}, which is not valid Unicode. Write another one.")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{where} has the value {value!r}, which is no finite number. Give a finite one, or None.")


def check_range(where: str, low: Any, high: Any, step: Any, default: Any) -> None:
    """Raise UserError for bounds, a step or a default that are no finite numbers, swapped bounds, and a step of 0."""
    for name, value in (("min_value", low), ("max_value", high), ("step", step), ("default", default)):
        if isinstance(value, int | float) and not _is_finite(value):
            shown = repr(value) if isinstance(value, float) else "a number of more than 300 digits"
            raise UserError(f"{where}: {name} is {shown}, which is no finite number. Give a finite one.")
    if isinstance(step, int | float) and step == 0:
        raise UserError(f"{where}: step is 0, so that no value would follow the first. Give a step above 0, or none.")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        raise UserError(f"{where}: the lowest value, {low}, is above the highest, {high}. Swap them.")


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that no float can hold
        return False


def misses_the_last(low: float, high: float, step: float) -> bool:
    """Return whether Keras Tuner's rounding loses the highest value: 0.5 // 0.1 is 4."""
    steps = (high - low) / step
    return abs(steps - round(steps)) < CLOSE * max(1.0, steps) and (high - low) // step < round(steps)
