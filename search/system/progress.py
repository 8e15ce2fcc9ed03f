"""How work tells people what it does and how far it is, whoever shows it."""

from collections.abc import Callable

Say = Callable[[str], None]  # a lasting line
Tell = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


def untold(_what: str, _done: int, _of: int) -> None:
    """Show nobody how far a thing is."""
