"""The files of a search that are written once: their digests, which its journal holds, and whether they still fit."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from search.journal.journal import FILE, WAYS_OUT, check_lines
from search.system.digests import file_sha256
from search.system.errors import UserError


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of those of the files ``names``, paths within ``folder``, that are in it."""
    return {name: file_sha256(folder / name) for name in names if (folder / name).is_file()}


def check_journal_is_there(folder: Path, study: str, runs: str) -> None:
    """Raise UserError where a search has begun in ``folder``, but its journal is gone or was emptied.

    ``study`` and ``runs`` are the names of what is there then. A driver makes the journal first, then the study, and
    runs only after the first line of the journal.
    """
    journal = folder / FILE
    traces = [name for name in (study, runs) if _holds_something(folder / name)]
    is_empty = journal.exists() and not journal.stat().st_size
    if not traces or (journal.exists() and not (is_empty and runs in traces)):
        return
    raise UserError(
        f"The journal {journal} is {'empty' if is_empty else 'gone'}, but its search had begun: "
        f"{' and '.join(traces)} {'are' if len(traces) > 1 else 'is'} there. {WAYS_OUT}"
    )


def _holds_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


def check_written(folder: Path) -> None:
    """Raise UserError unless the files that were written once are as the journal says; old journals do not say it."""
    for name, sha256 in journalled_digests(folder / FILE).items():
        path = folder / name
        try:
            same = file_sha256(path) == sha256
        except FileNotFoundError:
            check_lines(folder / FILE)
            raise UserError(f"{path} is gone. It was written when the search began. {WAYS_OUT}") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
        if not same:
            check_lines(folder / FILE)  # it may be the digest that was changed
            raise UserError(f"{path} was changed since the search began: its checksum is another one. {WAYS_OUT}")


def journalled_digests(journal: Path) -> dict[str, str]:
    """Return the SHA-256 of the files that were written once, by name, as the journal says; {} where it does not.

    Only its first session that says it is read: whether the lines fit is checked where they are replayed.
    """
    try:
        with journal.open("rb") as lines:
            for line in lines:
                if line.startswith(b'{"event": "session"') and b'"files": {' in line:
                    files = json.loads(line)["files"]
                    return {str(name): str(sha256) for name, sha256 in files.items() if _is_within(name)}
    except (OSError, ValueError, KeyError, AttributeError):  # the replay says it better
        return {}
    return {}


def _is_within(name: str) -> bool:
    """Return whether ``name`` leads nowhere but into the folder of the search."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
