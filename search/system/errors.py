"""The one error that people are meant to read, and errors of the system in words."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

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
    """Return the first line of what an error says, "" where it says nothing."""
    return (str(error).splitlines() or [""])[0]


def fault_of(error: Exception) -> str:
    """Return what is wrong with fields that were read from a file, from the error that they raised, without a stop."""
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]}"
    return str(error).rstrip(".") if isinstance(error, UserError) else "a value is not of the kind that belongs there"
