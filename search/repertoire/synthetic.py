"""Amounts of synthetic images: a number for each class, a ratio of its real images, or these by class.

Whole numbers and ratios never mix: 1 is one image of each class, 1.0 as many as there are real ones.
"""

import math
import numbers
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from search.system.errors import UserError

HIGHEST_RATIO = 100
NAMED = 3  # classes in one line of words

Number = int | float
Amounts = Number | Mapping[str, Number] | tuple[tuple[str, Number], ...]


class Ratio(float):
    """Synthetic images for each real one of a class, above 0 and at most 100; no whole number equals it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same ratio; Python's own 1.0 == 1 would make two recipes one."""
        return isinstance(other, float) and float.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        """Return whether it is another ratio, or none."""
        return not self == other

    __hash__ = float.__hash__


def settled(field: str, value: Any) -> Amounts:
    """Return an amount that can be compared and hashed: an int, a Ratio, or sorted (class, amount) pairs.

    ``value`` is a whole number, 0 or more; a ratio from 0.0 to 100; or a mapping from class names
    to these, also as pairs. None at all is always the int 0. Raises UserError, naming the field.
    """
    if not isinstance(value, Mapping | tuple):
        return _number(field, value)
    try:
        named = dict(value)
    except (TypeError, ValueError):
        raise _refusal(field, value) from None
    if not all(isinstance(name, str) for name in named):
        raise _refusal(field, value)
    pairs = {name: _number(f"{field}[{name!r}]", amount) for name, amount in named.items()}
    return tuple(sorted((name, amount) for name, amount in pairs.items() if amount)) or 0


def _number(field: str, value: Any) -> Number:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not value >= 0:
        raise _refusal(field, value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if value > HIGHEST_RATIO:
        raise UserError(
            f"{field}={value!r} is a ratio, as it has a decimal point: at most {HIGHEST_RATIO} synthetic images for "
            "each real one. Write a whole number, such as 480, for a number of images."
        )
    return Ratio(value) if value else 0


def _refusal(field: str, value: object) -> UserError:
    return UserError(
        f"{field}={value!r} must be a whole number of images of each class, 0 or more; a ratio of its real images, "
        f'from 0.0 to {HIGHEST_RATIO}; or these by class, as in {{"Bathroom": 480, "Kitchen": 0.5}}.'
    )


def plain(amounts: Amounts) -> Number | dict[str, Number]:
    """Return a settled amount as JSON types; a ratio stays a float, also a whole one."""
    if isinstance(amounts, tuple | Mapping):
        return {name: _plain(number) for name, number in dict(amounts).items()}
    return _plain(amounts)


def _plain(number: Number) -> Number:
    return float(number) if isinstance(number, float) else number


def floored(part: float, count: int) -> int:
    """Return the whole images in a part of ``count``, taking ``part`` as it is written: 0.29 of 100 is 29."""
    return math.floor(Fraction(str(float(part))) * count)


def wanted(amounts: Amounts, real: Mapping[str, int]) -> dict[str, int]:
    """Return how many synthetic images of each class a settled amount asks for, of classes that it asks for.

    ``real`` counts the real training images of every class. A ratio is taken as it is written,
    in decimals, and rounded down: 0.29 of 100 is 29.
    """
    numbers_of = dict(amounts) if isinstance(amounts, tuple | Mapping) else dict.fromkeys(real, amounts)
    return {name: _of(number, real[name]) for name, number in numbers_of.items() if number}


def _of(number: Number, real: int) -> int:
    return floored(number, real) if isinstance(number, float) else number


def classes_named(amounts: Amounts) -> Sequence[str]:
    """Return the classes that a settled amount names, none where it is for all classes alike."""
    return [name for name, _ in amounts] if isinstance(amounts, tuple) else []


def in_words(amounts: Amounts) -> str:
    """Return a settled amount as "8 synthetic", "0.5× synthetic", or "synthetic cat: 8; dog: 0.5×"; "" for none."""
    if not amounts:
        return ""
    if not isinstance(amounts, tuple | Mapping):
        return f"{_word(amounts)} synthetic"
    pairs = list(dict(amounts).items())
    more = f"; {len(pairs) - NAMED} more classes" if len(pairs) > NAMED else ""
    return "synthetic " + "; ".join(f"{name}: {_word(number)}" for name, number in pairs[:NAMED]) + more


def _word(number: Number) -> str:
    return f"{number:g}×" if isinstance(number, float) else str(number)
