"""Amounts of synthetic images: a number for each class, a ratio of its real images, or these by class."""

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from search.repertoire.fields import FIFTH, NUMBER, declare, describe, pairs_in_words
from search.system.errors import UserError
from search.system.validation import named_fields, real, whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

HIGHEST_RATIO = 100
ANY = "any"  # method

JsonNumber = int | float
JsonAmount = JsonNumber | dict[str, JsonNumber]


@named_fields
@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """How many synthetic images of each class join the training part, where that many are admissible.

    ``Synthetic(count=8)`` is so many of each class, 0 or more. ``Synthetic(ratio=0.5)`` is a ratio of
    the class's real images there, from 0 to 100: one for two real ones, rounded down.
    ``Synthetic(by_class={"cat": 8, "dog": Synthetic(ratio=0.5)})`` is these by class, in which a
    class that is not named gets none. ``Synthetic()`` is none at all. ``by_class`` is kept as sorted pairs.

    Recipes also take what was written before there was this class: an int for a count, a float for
    a ratio, a dict of these by class.

    Raises UserError for a value out of range, and for more than one of the three.
    """

    count: int = 0
    ratio: float = 0.0
    by_class: "Mapping[str, int | Synthetic] | tuple[tuple[str, Synthetic], ...]" = ()

    def __post_init__(self) -> None:
        """Validate, and leave out the classes of which none is wanted."""
        set_ = object.__setattr__
        set_(self, "count", whole("Synthetic count", self.count, 0))
        set_(self, "ratio", real("Synthetic ratio", self.ratio, 0, HIGHEST_RATIO))
        set_(self, "by_class", _pairs(self.by_class))
        if sum(map(bool, (self.count, self.ratio, self.by_class))) > 1:
            raise UserError(f"{self!r} must have one of count, ratio and by_class.")

    def __bool__(self) -> bool:
        """Return whether it asks for any."""
        return bool(self.count or self.ratio or self.by_class)

    @property
    def amounts(self) -> dict[str, "Synthetic"]:
        """The amounts by class, empty where all classes are alike."""
        return dict(self.by_class)  # type: ignore[arg-type] # settled to pairs of amounts when it was made

    @property
    def classes(self) -> Sequence[str]:
        """The classes that it names, none where all are alike."""
        return list(self.amounts)

    def wanted(self, real_images: Mapping[str, int]) -> dict[str, int]:
        """Return how many images of each class it asks for, of the classes that it asks for.

        ``real_images`` counts the real training images of every class. A ratio is taken as it is
        written, in decimals, and rounded down: 0.29 of 100 is 29.
        """
        amounts = self.amounts or (dict.fromkeys(real_images, self) if self else {})
        return {name: amount.of(real_images[name]) for name, amount in amounts.items()}

    def of(self, real_images: int) -> int:
        """Return how many images a count or a ratio asks for, of a class with so many real ones."""
        return floored(self.ratio, real_images) if self.ratio else self.count

    def to_json(self) -> JsonAmount:
        """Return it as journals hold it: an int for a count, a float for a ratio (1.0 is one), or these by class."""
        return {name: amount.number for name, amount in self.amounts.items()} or self.number

    @property
    def number(self) -> JsonNumber:
        """A count as an int, a ratio as a float."""
        return self.ratio or self.count

    @property
    def words(self) -> str:
        """Words such as "8 synthetic", "0.5× synthetic", or "synthetic cat: 8; dog: 0.5×"; "" for none."""
        if not self.by_class:
            return f"{self.word} synthetic" if self else ""
        return "synthetic " + pairs_in_words([(name, amount.word) for name, amount in self.amounts.items()])

    @property
    def word(self) -> str:
        """A count or a ratio, as "8" or "0.5×"."""
        return f"{self.ratio:g}×" if self.ratio else str(self.count)


AnyAmount = Synthetic | float | Mapping[str, Any]  # however people write it


def _pairs(by_class: Any) -> tuple[tuple[str, Synthetic], ...]:
    """Return the amounts by class as sorted pairs, without those of none."""
    try:
        amounts = {name: _amount(name, amount) for name, amount in dict(by_class).items()}
    except (TypeError, ValueError):
        raise UserError(f'Synthetic by_class={by_class!r} must be amounts by class, as in {{"cat": 8}}.') from None
    return tuple(sorted((name, amount) for name, amount in amounts.items() if amount))


def _amount(name: Any, amount: Any) -> Synthetic:
    field = f"Synthetic by_class[{name!r}]"
    if not isinstance(name, str):
        raise UserError(f"{field}: the name of a class must be a text.")
    if isinstance(amount, Synthetic):
        if amount.by_class:
            raise UserError(f"{field}={amount!r} must be a count or a ratio: classes have no classes.")
        return amount
    if isinstance(amount, float):
        raise UserError(f"{field}={amount!r} must be a whole number; a ratio is Synthetic(ratio={amount!r}).")
    return Synthetic(count=whole(field, amount, 0))


def amount_of(field: str, value: Any) -> Synthetic:
    """Return an amount from any way to write one: a Synthetic, or an int, a float, or these by class.

    An int is a count, 0 or more, a float a ratio from 0.0 to 100: 1 is one image of each class, 1.0 as
    many as there are real ones. Amounts by class may be pairs. Raises UserError, naming the field.
    """
    if isinstance(value, Synthetic):
        return value
    if not isinstance(value, Mapping | tuple):
        return _number_of(field, value)
    try:
        pairs = dict(value)
    except (TypeError, ValueError):
        raise _refusal(field, value) from None
    if not all(isinstance(name, str) for name in pairs):
        raise _refusal(field, value)
    return Synthetic(by_class={name: _of_class(f"{field}[{name!r}]", amount) for name, amount in pairs.items()})


def _of_class(field: str, value: Any) -> Synthetic:
    return value if isinstance(value, Synthetic) and not value.by_class else _number_of(field, value)


def _number_of(field: str, value: Any) -> Synthetic:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not value >= 0:
        raise _refusal(field, value)
    if isinstance(value, numbers.Integral):
        return Synthetic(count=int(value))
    if value > HIGHEST_RATIO:
        raise UserError(
            f"{field}={value!r} is a ratio, as it has a decimal point: at most {HIGHEST_RATIO} synthetic images for "
            "each real one. Write a whole number, such as 480, for a number of images."
        )
    return Synthetic(ratio=float(value))


def _refusal(field: str, value: object) -> UserError:
    return UserError(
        f"{field}={value!r} must be a whole number of images of each class, 0 or more; a ratio of its real images, "
        f'from 0.0 to {HIGHEST_RATIO}; or these by class, as in {{"Bathroom": 480, "Kitchen": 0.5}}.'
    )


def in_words(amount: Any) -> Any:
    """Return an amount, as JSON holds it, for a reader: as it is where it is a count, or else in words."""
    return amount if isinstance(amount, int) else amount_of("amount", amount).words


# DECISIONS: Counts of images are rounded down, as they are written
def floored(part: float, count: int) -> int:
    """Return the whole images in a part of ``count``, taking ``part`` as it is written: 0.29 of 100 is 29."""
    return math.floor(Fraction(str(float(part))) * count)


def _words(recipe: "Recipe") -> str:
    """Return words such as "+480 synthetic (gan)", or "480 synthetic (gan, replacing 0.3 of the real ones)"."""
    if not recipe.synthetic:
        return ""
    share = recipe.synthetic_replacing
    how = ", ".join(
        ([recipe.synthetic_method] if recipe.synthetic_method else [])
        + ([f"replacing {share:g} of the real ones"] if share else [])
    )
    return f"{'' if share else '+'}{recipe.synthetic.words}" + (f" ({how})" if how else "")


SYNTHETIC = declare(
    "synthetic a class",
    lambda name, value, _recipe: amount_of(name, value),
    describe({}, "Synthetic images asked for: a number, a ratio, or these by class."),
    words=_words,
    level=lambda recipe: recipe.synthetic.words or "0",
    to_json=lambda amount: amount.to_json(),
    brief=lambda amount: amount.words if amount.ratio or amount.by_class else amount.count,
    exact=True,
)


def _check_there_are_some(name: str, value: Any, recipe: "Recipe") -> None:
    if not recipe.synthetic:
        raise UserError(
            f"{name}={value!r} with synthetic_per_class=0: there are no synthetic images that it could be about. Give "
            f"an amount, or leave {name} out; in a space, write {name}={name} if amount else the default."
        )


def _settle_method(name: str, value: Any, recipe: "Recipe") -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{name}={value!r} must be a name from the column method of the manifest, or None for all.")
    _check_there_are_some(name, value, recipe)
    return value


METHOD = declare(
    "synthetic method",
    _settle_method,
    describe({"type": ["string", "null"]}, "How the synthetic images were made that train, null for any way."),
    level=lambda recipe: recipe.synthetic_method or ANY,
    brief=lambda method: method or ANY,
    is_choice=lambda recipe: bool(recipe.synthetic),
    since=FIFTH,
)


def _settle_replacing(name: str, value: Any, recipe: "Recipe") -> float:
    share = real(name, value, 0, 1)
    if share:
        _check_there_are_some(name, value, recipe)
    return share


# DECISIONS: Synthetic images are added, or replace real ones
REPLACING = declare(
    "real replaced",
    _settle_replacing,
    describe(NUMBER, "Share of the real images for which synthetic ones stand in each epoch; 0 adds them instead."),
    is_choice=lambda recipe: bool(recipe.synthetic),
    since=FIFTH,
)
