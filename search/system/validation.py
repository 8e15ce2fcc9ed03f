"""Values that people write, brought to what the program uses, or refused by the name of their field."""

import difflib
import functools
import inspect
import numbers
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from search.system.errors import UserError

T = TypeVar("T")
LIKE = 0.6  # of 1: so alike are names that are meant
FEW = 3  # names in a message
FEWEST = 3  # letters of an option with which a longer name begins: grid of GridSearch


def alike(name: str, options: Iterable[str], most: int) -> list[str]:
    """Return so many options at most that are like a name, the nearest first."""
    by_lower_case = {option.lower(): option for option in options}
    return [by_lower_case[name] for name in difflib.get_close_matches(name.lower(), by_lower_case, most, LIKE)]


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option that a misspelt or a longer name probably means, None where none is near."""
    by_lower_case = {option.lower(): option for option in options}
    longer = [option for key, option in by_lower_case.items() if len(key) >= FEWEST and name.lower().startswith(key)]
    return next(iter(alike(name, by_lower_case.values(), 1) or longer), None)


def one_of(field_name: str, value: object, options: Iterable[str], listing: str = "") -> None:
    """Raise a UserError unless ``value`` is among ``options``; it names the nearest ones.

    It names all of them, or where they are many the command that lists them.
    """
    options = list(options)
    if value in options:
        return
    near = nearest(str(value), options)
    hint = f" Did you mean {near!r}?" if near else ""
    others = [repr(name) for name in alike(str(value), options, FEW) if name != near] if listing else []
    hint += f" Others are {' and '.join(others)}." if others else ""
    all_names = f"For the list of all: {listing}" if listing else f"Choose one of: {', '.join(options)}."
    raise UserError(f"{field_name}={value!r} is not known.{hint} {all_names}")


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


def named_fields(cls: type[T]) -> type[T]:
    """Return the dataclass, which from now on refuses a misspelt or missing field by its name, with a UserError.

    Where it has ``REFUSED``, this maps names of fields that people may expect to the reason why there are none.
    """
    made = cls.__init__
    signature = inspect.signature(made)

    @functools.wraps(made)
    def make(self: Any, *values: Any, **fields: Any) -> None:
        try:
            made(self, *values, **fields)
        except TypeError as error:
            if problem := _misfit(cls, signature, values, fields):
                raise UserError(problem) from error
            raise

    cls.__init__ = make  # type: ignore[method-assign]
    return cls


def _misfit(cls: type, signature: inspect.Signature, values: tuple[Any, ...], fields: dict[str, Any]) -> str:
    """Return what is wrong with the fields that a class is called with, "" where they fit."""
    parameters, name = dict(list(signature.parameters.items())[1:]), cls.__name__
    refused: Mapping[str, str] = getattr(cls, "REFUSED", {})
    for field in fields:
        if field not in parameters and field in refused:
            return f"{name} has no field {field!r}. {refused[field]}."
        if field not in parameters:
            near = nearest(field, parameters)
            hint = f" Did you mean {near!r}?" if near else ""
            return f"{name} has no field {field!r}.{hint} Its fields are: {', '.join(parameters)}."
    in_order = [
        key
        for key, parameter in parameters.items()
        if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD)
    ]
    if len(values) > len(in_order):
        return (
            f"{name}(…) has {len(values)} values without a name, and takes {len(in_order)} at most. Write the names of "
            f"the fields: {', '.join(parameters)}."
        )
    if twice := [field for field in in_order[: len(values)] if field in fields]:
        return f"{name}(…) has {twice[0]!r} twice: once in its place, and once by its name."
    missing = [
        key
        for key, parameter in list(parameters.items())[len(values) :]
        if key not in fields and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    return f"{name}(…) lacks {missing[0]!r}, which has no default." if missing else ""
