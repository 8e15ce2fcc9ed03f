"""How work says what it does and how far it is: three kinds of functions that are handed to it."""

from collections.abc import Callable

Say = Callable[[str], None]  # shows a lasting line
Progress = Callable[[str, int, int], None]  # what the work is, how many steps are done, of how many
Steps = Callable[[int, int], None]  # the same for one work: how many steps are done, of how many


def silent(_what: str, _done: int, _of: int) -> None:
    """Show nothing: the Progress of work that nobody watches."""
