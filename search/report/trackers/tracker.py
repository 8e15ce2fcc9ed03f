"""What a tracker is: where people keep their experiments, and the option of ``report`` that writes to it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.system.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from search.record import Record


@dataclass(frozen=True)
class Tracker:
    """A tracker by its name, which is that of its option, of its package and of its extra.

    ``write`` takes a search and what the option was given, and returns a line that says what was written and where.
    It raises UserError where that cannot be done.
    """

    name: str
    metavar: str
    help: str
    write: "Callable[[Record, str], str]"


def missing(name: str, package: str, error: ImportError) -> UserError:
    """Return the error that says which package an option needs, and how to get it."""
    return UserError(
        f"--{name} needs the package {package}, which cannot be loaded ({error}). Install it with: "
        f"pip install {package} (or the extra: pip install -e '.[{name}]')."
    )
