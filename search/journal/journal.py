"""The journal: append events; replay them into a History.

Everything that happened is one line of JSON in ``journal.jsonl``; the state of a search is
``replay(events)`` and nothing else. Only the driver writes; it holds a lock until it ends.
"""

import copy
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from search.journal.events import FORMAT, Event, event_of
from search.journal.history import History
from search.journal.outcomes import Line
from search.system.chain import KEY, Chain
from search.system.errors import UserError, fault_of
from search.system.files import mark_held, unused, write_bytes

FILE, BEGINNING = "journal.jsonl", b'{"event": "'
WAYS_OUT = "Restore the file from a copy, or begin anew with --fresh (which moves the old folder aside)."


def replay(
    lines: Iterable[Line], history: History | None = None, first: int = 1, path: str | Path = "The journal"
) -> History:
    """Return the history of lines of ``path``, after that of ``history``; ``first`` is the number of the first line."""
    history = history or History()
    for number, line in enumerate(lines, start=first):
        try:
            if (event := event_of(line)) is not None:
                history.apply(event)
        except (AttributeError, KeyError, TypeError, ValueError, UserError) as error:
            raise UserError(f"{path}, line {number} cannot be understood ({fault_of(error)}). {WAYS_OUT}") from None
    return history


def read_events(path: Path, chain: Chain | None = None) -> Iterator[Line]:
    """Yield the events of a journal as JSON; an unterminated last line, left by a crash, is not one of them.

    ``chain`` takes in the lines. Raises UserError for a line that is not an event, or does not fit its checksum:
    nothing is guessed.
    """
    yield from events_in(path.read_bytes(), path, 1, chain or Chain())


def check_lines(path: Path) -> None:
    """Raise UserError for a journal with a line that is not an event, or does not fit its checksum."""
    for _ in read_events(path):
        pass


def events_in(data: bytes, path: Path, first: int, chain: Chain) -> Iterator[Line]:
    """Yield the events of lines of the journal at ``path``, from number ``first``, after those that ``chain`` has."""
    for number, line in enumerate(data.split(b"\n")[:-1], start=first):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise UserError(f"{path}, line {number} is damaged. {WAYS_OUT}")
        version = event.get("format", 0) if event.get("event") == "session" else 0
        if isinstance(version, int) and version > FORMAT:
            raise UserError(
                f"{path}, line {number} has format {version}, this version reads {FORMAT} and all before. Use the "
                "version that wrote it."
            )
        if problem := chain.problem(line, needs_checksum=version != 0):  # those before 5 have no number
            raise UserError(f"{path}, line {number} {problem}. {WAYS_OUT}")
        event.pop(KEY, None)
        yield event


class Journal:
    """The open journal of a search, with its history; events are appended to both.

    Opening it locks it, cuts a torn tail and replays the rest. Raises UserError where another
    process holds it or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        """Open the journal in ``folder``, which must exist."""
        self.path = folder / FILE
        self._chain = Chain()
        self._problem = ""  # what became of the file while it was open
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise UserError(f"The journal {self.path} cannot be written: {error.strerror}.") from None
        try:
            _lock(self._file, folder)
            mark_held(self._file)  # for those who watch
            self.history = replay(read_events(self.path, self._chain), path=self.path)
            self._cut_tail()
            self._state = self._state_of_file()
        except BaseException:
            os.close(self._file)
            raise

    def _cut_tail(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if not whole and data.strip(b"\0") and not data.startswith(BEGINNING) and not BEGINNING.startswith(data):
            raise UserError(f"{self.path} is no journal, so it is left as it is. Give the search another --name.")
        if whole < len(data):
            os.ftruncate(self._file, whole)

    def append(self, event: Event) -> None:
        """Append an event in a single write, sync it to the disk, and apply it to the history as it will be read.

        Raises UserError where it cannot be written, and where the file is no longer as this driver left it.
        """
        self.check_untouched()
        text, chain = json.dumps(event.to_json(), ensure_ascii=False, allow_nan=False).encode(), copy.copy(self._chain)
        line = chain.seal(text) + b"\n"
        before = os.fstat(self._file).st_size
        problem = "only a part of a line could be written"
        try:
            size = os.write(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            size, problem = 0, str(error.strerror)
        if size != len(line):
            os.ftruncate(self._file, before)  # the next line must not be joined to half of this one
            self._state = self._state_of_file()
            raise UserError(
                f"The journal {self.path} cannot be written: {problem}. Make room; the same command resumes."
            )
        self._chain, self._state = chain, self._state_of_file()
        if (reread_event := event_of(json.loads(text))) is not None:
            self.history.apply(reread_event)

    def check_untouched(self) -> None:
        """Raise UserError unless the file at its place is still this one, with the lines that this driver left in it.

        What it had written is kept beside it where another file, or none, has taken its place.
        """
        if not self._problem:
            self._problem = self._new_problem()
        if self._problem:
            raise UserError(self._problem)

    def _new_problem(self) -> str:
        try:
            is_mine = os.path.samestat(self.path.stat(), os.fstat(self._file))
        except OSError:
            if not self.path.parent.is_dir():
                return (
                    f"The folder {self.path.parent} was moved, renamed or removed while its search ran. Put it back, "
                    "and the same command resumes it; without it, that command begins anew."
                )
            return f"The journal {self.path} is gone: it was removed or moved while this search ran.{self._rescue()}"
        if not is_mine:
            return f"The journal {self.path} was replaced by another file while this search ran.{self._rescue()}"
        if self._state == self._state_of_file() or self._has_my_lines():
            return ""
        return f"The journal {self.path} was changed by something else while this search ran. {WAYS_OUT}"

    def _state_of_file(self) -> tuple[int, int]:
        status = os.fstat(self._file)
        return status.st_size, status.st_mtime_ns

    def _has_my_lines(self) -> bool:
        """Return whether the file, though something touched it, holds what this driver left, and nothing else."""
        chain = Chain()
        try:
            for _ in read_events(self.path, chain):
                pass
        except (OSError, UserError):
            return False
        return chain.checksum == self._chain.checksum and self._state_of_file()[0] == self._state[0]

    def _rescue(self) -> str:
        """Keep the lines of this driver in a file beside the place of the journal; return where, in words."""
        place = unused(self.path.with_name(f"{FILE}.rescued"))
        try:
            write_bytes(place, os.pread(self._file, os.fstat(self._file).st_size, 0))
        except OSError:
            return ""
        return f" Its lines are now in {place}. To go on, move that file to {self.path}; the same command resumes."

    def close(self) -> None:
        """Release the lock."""
        os.close(self._file)


def check_unused(folder: Path) -> None:
    """Raise UserError if a search is running in ``folder``, whatever its journal holds."""
    if (folder / FILE).is_file():
        file = os.open(folder / FILE, os.O_RDWR)
        try:
            _lock(file, folder)
        finally:
            os.close(file)


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UserError(
            f"{folder} is in use: another search is running there. Wait for it, or give this one another --name."
        ) from None
