"""The one error that people are meant to read, and errors of the system in words."""

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

LETTERS = 400  # of an error of a library, which can be long
BOLD = re.compile(r"\x1b\[\d*m")  # as Keras writes it for terminals
CALLING = "Exception encountered when calling"  # begins what Keras says of a layer

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class UserError(Exception):
    """A mistake that its maker can mend: the message says what is wrong, where, and the way out.

    The command line prints it without a traceback and exits with 1.
    """


def in_words(error: OSError, nameless: str = "a file") -> str:
    """Return what the system refused, where, and the way out; ``nameless`` stands for a file that it does not name."""
    text = f"{error.filename or nameless}: {error.strerror or error}."
    way_out = {
        **dict.fromkeys(FULL, "Make room, or raise the limit (`ulimit -f`)"),
        errno.EACCES: "Change who may write there, or name another place",
        errno.EROFS: "Name another place",
        errno.EMFILE: "Raise the limit (`ulimit -n`)",
    }.get(error.errno or 0)
    return f"{text} {way_out}; the same command then goes on." if way_out else text


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError name ``path``: not nothing, and not the temporary file or folder beside it that is written to."""
    try:
        yield
    except OSError as error:
        if error.filename is None or f"/.{path.name}." in f"/{error.filename}":
            error.filename, error.filename2 = str(path), None
        raise


def first_line(error: Exception) -> str:
    """Return the first line of an error that says why, or else what kind it is.

    What Keras raises for a layer names this layer in a line, and says why in the next: then both are given.
    """
    text = str(error)
    if isinstance(error, KeyError) and error.args and "\n" in str(error.args[0]):
        text = str(error.args[0])  # which Python quotes
    lines = [line.strip() for line in BOLD.sub("", text).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].startswith(CALLING) else 1])[:LETTERS]


def with_kind(error: Exception) -> str:
    """Return what kind of error it is, and its first line if it says anything."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def fault_of(error: Exception) -> str:
    """Return what is wrong with fields that were read from a file, from the error that they raised, without a stop."""
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]}"
    return str(error).rstrip(".") if isinstance(error, UserError) else "a value is not of the kind that belongs there"
