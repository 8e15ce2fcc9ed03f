"""A finding: something that a person should know before a search, and its words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ERROR, WARNING, NOTE = "error", "warning", "note"
LEVELS = (ERROR, WARNING, NOTE)  # gravest first
FILES_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """Something that a person should know: how grave (error, warning or note), about what, in words.

    ``files`` are the ids that it is about, all of them; ``way_out`` says what to do.
    """

    level: str
    topic: str
    text: str
    way_out: str = ""
    files: tuple[str, ...] = ()


def in_a_line(finding: dict[str, Any]) -> str:
    """Return a finding, as its dict, in a line with the first of its files."""
    files = finding["files"]
    named = f" ({listed(files)})" if files else ""
    return f"{finding['topic']}: {finding['text']}{named}"


def listed(names: Sequence[str]) -> str:
    """Return the first of some names in a line."""
    return ", ".join(names[:FILES_NAMED]) + (" …" if len(names) > FILES_NAMED else "")
