"""Policy: one way to make other versions of an image, as a row of the table of policies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from search.system.errors import UserError
from search.system.validation import one_of, real

GREY = (128, 128, 128)
SECONDS_TO_DRAW = 0.0007  # one view of one image at 160 px, on one thread

Draw = Callable[..., Image.Image]
Version = Callable[[Image.Image], Image.Image]


def in_words(name: str, value: Any) -> str:
    """Return what the level of a recipe says of an option: "shear 0.2", "zoom_range (0.8, 1.2)", "horizontal_flip"."""
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if isinstance(value, int):
        return f"{name} {value} px"
    return f"{name} {value:g}" if isinstance(value, float) and float(f"{value:g}") == value else f"{name} {value}"


@dataclass(frozen=True)
class Option:
    """A parameter of a policy, given by its name: ``settle(name, value)`` returns it as it is kept, or refuses it.

    ``words(name, value)`` is what the level of a recipe says of it, "" for nothing.
    """

    default: Any
    settle: Callable[[str, Any], Any]
    words: Callable[[str, Any], str] = in_words


@dataclass(frozen=True)
class Policy:
    """One way to make other versions of an image: a row of the table of policies.

    ``draw`` returns a version of a square image, of the same size and mode, from a strength (0 where the policy takes
    none), a generator, and the ``options`` by their names. A policy with few ``versions`` has these in place of
    ``draw``, and shows them in turn; one that has neither shows the image as it is. ``words`` is what the line of a
    recipe calls it. One of the options that it ``needs`` must be given. ``refused`` maps names that people may expect
    among the options to what takes their place. ``seconds`` is what a view of 160 px costs on one thread. One whose
    draws run code of a space has ``prepare``, which is called before any draw; both take ``home`` beside the options,
    where the modules of the space lie.
    """

    name: str
    draw: Draw | None
    takes_strength: bool
    words: str
    options: Mapping[str, Option] = field(default_factory=dict)
    versions: Sequence[Version] = ()
    needs: Sequence[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    seconds: float = SECONDS_TO_DRAW
    prepare: Callable[..., Any] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it shows each image as it is."""
        return self.draw is None and not self.versions


def number(low: float, high: float) -> Callable[[str, Any], Any]:
    """Return what settles a number in [low, high]."""
    return lambda name, value: real(name, value, low, high)


def truth(name: str, value: Any) -> bool:
    """Return True or False as it was given. Raises UserError for anything else."""
    if not isinstance(value, bool):
        raise UserError(f"{name}={value!r} must be True or False.")
    return value


def member(options: Sequence[str]) -> Callable[[str, Any], Any]:
    """Return what settles a name among others."""

    def settle(name: str, value: Any) -> Any:
        one_of(name, value, options)
        return value

    return settle
