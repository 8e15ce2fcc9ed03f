"""Pickles are programmes, which may call whatever they can name: a stand-in is all that they may name here."""

import pickle
from collections.abc import Callable
from typing import Any


class StandIn:
    """What a pickle names: it can be called, which makes a note of what it is given, and nothing else can be done."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        """Keep what makes the note."""
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        """Return what stands for the result."""
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        """Refuse: without this method a pickle could set the attributes of the object, for good."""
        raise pickle.UnpicklingError("a state for what has none")
