"""A text file as a table of texts: with commas, tabs or semicolons, with or without a first line of names."""

import codecs
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from search.data.decoding import SUFFIXES
from search.data.readers.beside import Beside
from search.data.readers.columns import GROUP, IMAGE, LABEL, SPLIT, Columns, columns_of, knows
from search.system.errors import UserError
from search.system.texts import visible

KNOWN = frozenset({IMAGE, LABEL, SPLIT, GROUP, "sources"})  # in any case of letters
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "upright strokes"}
HEAD = 65_536  # characters that show what separates the columns
LINES = 50


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a CSV file as text columns; its index is the line of each row, as blank lines are left out.

    Raises UserError for what is no CSV file or lacks one of ``columns``.
    """
    table = _headed(_texts(path, ","), path)
    absent = [column for column in columns if column not in table.columns]
    if absent:
        one = len(table.columns) == 1 and ";" in table.columns[0]
        way_out = "Save it with commas instead of semicolons" if one else "Name its columns so in the first line"
        raise UserError(
            f"{path} lacks the column {absent[0]!r}; it needs {', '.join(columns)}, and has "
            f"{', '.join(table.columns)}. {way_out}."
        )
    return _filled(table)


def read_columns(path: Path, beside: Beside) -> tuple[pd.DataFrame, Columns, list[str]]:
    """Return a table as ``read_table`` does, the columns that name image and label, and in words how it was understood.

    Raises UserError for what is no table, and where image or label is in no column.
    """
    delimiter = _delimiter(path)
    texts = _texts(path, delimiter)
    first = [value.strip() for value in texts.iloc[0].fillna("")]
    notes = [] if delimiter == "," else [f"its columns are separated by {DELIMITERS[delimiter]}"]
    if _is_row(first, beside):
        notes.append("its first line is an image, not names of columns")
        table = _filled(texts)
        table.columns = pd.Index(_names_of_row(table, beside, path))
    else:
        table = _filled(_headed(texts, path))
    columns = columns_of(table, path, beside.is_there)
    if words := columns.in_words():
        notes.append(words)
    return table, columns, [f"Table {path.name}: {'; '.join(notes)}"] if notes else []


def _texts(path: Path, delimiter: str) -> pd.DataFrame:
    """Return the lines of a file as texts; the index counts from one."""
    try:
        # With its own header pandas renames a second column of one name, and takes the first for an index where
        # lines are longer than the header.
        table = pd.read_csv(
            path,
            sep=delimiter,
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            encoding=_encoding(path),
        )
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except ValueError as error:  # pandas' own errors are ValueErrors, and so is UnicodeError
        raise UserError(
            f"{path} cannot be read as CSV: {_in_words(error, path)}. Save it anew as CSV with commas, in UTF-8."
        ) from None
    table.index += 1
    return table


def _encoding(path: Path) -> str:
    """Return how a text is encoded: in UTF-16 where it begins with the mark of that, else in UTF-8."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else "utf-8-sig"


def _in_words(error: ValueError, path: Path) -> str:
    """Return why a file is no table, in words."""
    if isinstance(error, UnicodeError):
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as odd:
                text = visible(line[max(0, odd.start - 20) : odd.start + 20].decode("latin-1"))
                return f"line {number} is not in UTF-8 but perhaps in Latin-1 or another old encoding ({text!r})"
        return "its text is broken"
    if isinstance(error, pd.errors.EmptyDataError):
        return "it is empty"
    if counts := re.search(r"Expected \d+ fields in line \d+, saw \d+", str(error)):
        return f"{counts[0]}; a text that holds a comma needs quotes"
    if "EOF inside string" in str(error):
        return 'a quote (") is opened and never closed'
    return str(error).strip()


def _headed(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the table with its first line as names of the columns. Raises UserError for a name that is there twice."""
    names = ["" if pd.isna(name) else name.strip() for name in table.iloc[0]]
    names = [name.lower() if name.lower() in KNOWN else name for name in names]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None and not knows(names[:1]) and all(name.replace(".", "").isdigit() for name in names):
        names = [str(at) for at in range(len(names))]  # a line of pixels
    elif twice is not None:
        raise UserError(f"{path} has two columns {twice!r}. Remove or rename one of them.")
    table = table.iloc[1:]
    table.columns = pd.Index([name or f"Unnamed: {at}" for at, name in enumerate(names)])
    return table


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with empty texts where lines end early, without its blank lines."""
    table = table.fillna("")
    return table[table.ne("").any(axis=1)]


def _delimiter(path: Path) -> str:
    """Return what separates the columns: what most of the first lines hold as often as the first one."""
    try:
        with path.open(encoding=_encoding(path), errors="replace") as file:
            lines = [line for line in file.read(HEAD).splitlines()[:LINES] if line.strip()]
    except FileNotFoundError:
        return ","
    counts = {sign: [line.count(sign) for line in lines] for sign in DELIMITERS}
    fits = {sign: (sum(n == many[0] for n in many), many[0]) for sign, many in counts.items() if many and many[0]}
    if "," in fits and fits[","][0] == len(lines):
        return ","
    return max(fits, key=lambda sign: fits[sign], default=",")


def _is_row(first: Sequence[str], beside: Beside) -> bool:
    """Return whether a first line is an image and its label."""
    if any(PurePosixPath(value).suffix.lower() in SUFFIXES for value in first):
        return True
    return len(first) > 1 and not knows(first) and beside.is_there(first)


def _names_of_row(table: pd.DataFrame, beside: Beside, path: Path) -> list[str]:
    """Return names for the columns of a table that has none. Raises UserError where which is which is unknown."""
    columns = [table[at].str.strip() for at in table.columns]
    pictures = [
        at
        for at, values in enumerate(columns)
        if PurePosixPath(values.iloc[0]).suffix.lower() in SUFFIXES or beside.is_there(values.tolist())
    ]
    if len(columns) != 2 or len(pictures) != 1:
        raise UserError(
            f"{path}: its first line must hold the names of its {len(columns)} columns, such as image,label. Write "
            "such a line."
        )
    return [IMAGE if at in pictures else LABEL for at in range(2)]
