"""Values that people write, brought to what the program uses, or refused by the name of their field."""

import difflib
import numbers
from collections.abc import Iterable
from typing import Any

from search.system.errors import UserError


def one_of(field_name: str, value: object, options: Iterable[str]) -> None:
    """Raise a UserError unless ``value`` is among ``options``; it names the nearest option."""
    options = list(options)
    if value in options:
        return
    near = difflib.get_close_matches(str(value), options, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"{field_name}={value!r} is not known.{hint} Choose one of: {', '.join(options)}.")


def whole(field_name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int in [low, high], or raise a UserError that names the field."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):
        limits = f"{low} or more" if high is None else f"from {low} to {high}"
        raise UserError(f"{field_name}={value!r} must be a whole number, {limits}.")
    return int(value)


def real(field_name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> float:
    """Return ``value`` as a float in [low, high], or raise a UserError that names the field."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or (open_low and value == low):
        lower = f"above {low:g}" if open_low else f"{low:g} or more"
        raise UserError(f"{field_name}={value!r} must be a number, {lower} and at most {high:g}.")
    return float(value) + 0.0  # -0.0 has another digest than 0.0
