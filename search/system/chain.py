"""Lines of a file that only grows, each with a checksum over itself and all lines before it.

A line that was changed, removed, added or put elsewhere no longer fits. This finds damage and edits; it is no
signature, as anyone can compute the checksums again.
"""

import hashlib
import re
from typing import Any

DIGITS = 16  # of SHA-256, in hexadecimal
KEY = "sum"
SEAL = re.compile(rb', "%s": "([0-9a-f]{%d})"\}$' % (KEY.encode(), DIGITS))


class Chain:
    """The running checksum of lines of JSON, each of which is an object that is not empty.

    Lines without a checksum, as older versions wrote them, may only come first. They count for the checksum of
    the first line that has one. ``sealed`` says that every further line needs one.
    """

    def __init__(self, lines: Any = None, *, sealed: bool = False) -> None:
        """Begin before the first line, or after the lines of a running hash; ``sealed`` where one had a checksum."""
        self._hash = hashlib.sha256() if lines is None else lines
        self.sealed = sealed

    @property
    def checksum(self) -> str:
        """The checksum of the lines so far."""
        return self._hash.hexdigest()[:DIGITS]

    def __copy__(self) -> "Chain":
        """Return a chain that goes on from here by itself."""
        return Chain(self._hash.copy(), sealed=self.sealed)

    def seal(self, text: bytes) -> bytes:
        """Take in the text of a JSON object as the next line; return it with its checksum."""
        self._take(text)
        self.sealed = True
        return text[:-1] + f', "{KEY}": "{self.checksum}"}}'.encode()

    def problem(self, line: bytes, *, needs_checksum: bool = False) -> str:
        """Take in the next line; return what is wrong with it, "" where it fits.

        ``needs_checksum`` says that whoever wrote the line gave it a checksum, even if no line before it has one.
        """
        seal = SEAL.search(line)
        if seal is None:
            self._take(line)
            return self._why_unsealed(line, needs_checksum)
        self._take(line[: seal.start()] + b"}")
        if self.checksum.encode() == seal[1]:
            self.sealed = True
            return ""
        what = "removed, added or exchanged" if self.sealed else "changed, removed, added or exchanged"
        return f"does not fit its checksum: it was changed, or a line before it was {what}"

    def _why_unsealed(self, line: bytes, needs_checksum: bool) -> str:
        if SEAL.search(line.removesuffix(b"\r")):
            return "ends with CRLF, but was written with LF: its line ends were changed. Change them back to LF"
        if self.sealed:
            return "has no checksum, though the line before it has one"
        return "has no checksum, though lines of its format have one: it was changed" if needs_checksum else ""

    def _take(self, text: bytes) -> None:
        self._hash.update(text)
        self._hash.update(b"\n")
