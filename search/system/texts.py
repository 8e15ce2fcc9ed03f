"""Texts of strangers (names of classes, files, folders) made harmless for a terminal, a spreadsheet and XML."""

import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from search.system.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# What spreadsheets take for a formula, also with the quotes that we put before it.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def visible(text: str) -> str:
    r"""Return a text in one line with escapes such as ``\x1b`` for what a terminal would obey, or could not show."""
    return text if text.isprintable() else "".join(map(_visible, text))


def visible_lines(text: str) -> str:
    """Return the same of a text whose lines stay."""
    return "\n".join(map(visible, text.split("\n")))


def visible_names(text: str, paths: Iterable[str]) -> str:
    r"""Return a text in which the names in ``paths`` have such escapes, ``\n`` for a line break, too.

    Lines of the text itself stay. So no name of a folder can look like a line of its own.
    """
    names = {name for path in paths for name in re.split("[/=]", path) if not name.isprintable()}
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, visible(name))
    return text


def _visible(letter: str) -> str:
    return letter if letter.isprintable() or unicodedata.category(letter) == "Zs" else ascii(letter)[1:-1]


def is_utf8(text: str) -> bool:
    """Return whether a name from the file system, or from the command line, can be written to a file as text."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def rename_hint() -> str:
    """Return the way out where a name is not valid UTF-8 as Python reads it here."""
    if sys.getfilesystemencoding() == "utf-8":
        return "Rename it."
    return "This locale knows ASCII alone, so write PYTHONUTF8=1 before the command, or rename it."


def check_utf8(name: str, what: str) -> None:
    """Raise UserError for a name that no text could hold; ``what`` says whose name it is."""
    if not is_utf8(name):
        raise UserError(f"{what} {visible(name)!r} has a name that is not valid UTF-8. {rename_hint()}")


def json_text(value: Any, indent: int | None = None) -> str:
    """Return JSON that is harmless in a terminal, whatever texts it holds, and that says the same to a program."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return "".join(letter if letter in _visible(letter) + "\n" else json.dumps(letter)[1:-1] for letter in text)


def xml_text(text: str) -> str:
    """Return text with U+FFFD for each character that XML forbids; charts are drawn by way of XML."""
    return NO_XML.sub("\ufffd", text)


def as_cell(value: Any) -> Any:
    """Return what stands for a value in CSV: a text that a spreadsheet would run has a ``'`` before it."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def from_cell(value: Any) -> Any:
    """Return the value that ``as_cell`` was given."""
    return value[1:] if isinstance(value, str) and value.startswith("'") and FORMULA.match(value) else value


def csv_text(table: "pd.DataFrame") -> str:
    """Return a table as CSV without its index, in which no spreadsheet finds a formula."""
    texts = table.select_dtypes(["object", "string", "category"]).columns
    harmless = table.assign(**{name: table[name].map(as_cell) for name in texts})
    return str(harmless.rename(columns=as_cell).to_csv(index=False))
