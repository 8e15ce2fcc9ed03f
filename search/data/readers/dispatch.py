"""A data set, whatever it is: class folders, folders already split, a CSV manifest, arrays in one file.

``FORMATS`` is the table of what one file can be. A new format is a file with its reader and a row here.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.data.dataset import Dataset
from search.data.foreign import check_downloaded
from search.data.readers.arrays import NPZ, PICKLES, parts, unpack
from search.data.readers.folders import TABLES, read_class_folders
from search.data.readers.manifest import MANIFEST, read_manifest
from search.data.reading import AS_IT_IS, Reading
from search.system.cache import stored
from search.system.digests import digest, file_sha256
from search.system.errors import UserError
from search.system.texts import visible_names

# DECISIONS: Arrays are unpacked to files in the cache
UNPACKING_VERSION = 3
UNPACKED_TO_8_BITS = 2  # the version that did this to arrays of 16 bits, for searches that it began


@dataclass(frozen=True)
class Format:
    """A form of data sets in one file: its name in words, the suffixes of its files, and what reads one.

    ``read`` takes the file, the cache, which is where it may unpack it, and what a person said of the data. It raises
    UserError for a file that cannot be opened or understood.
    """

    name: str
    suffixes: frozenset[str]
    read: Callable[[Path, Path, Reading], Dataset]

    def __str__(self) -> str:
        """Return its name with its suffixes."""
        return f"{self.name} ({', '.join(sorted(self.suffixes))})"


def read_dataset(data: Path, cache: Path, reading: Reading = AS_IT_IS, *, deep: bool = True) -> Dataset:
    """Return the data set that ``data`` is: a folder of class folders, or a file in one of ``FORMATS``.

    ``reading`` is what a person says of it. Arrays are unpacked into ``cache`` once; unless ``deep``, those of 16 bits
    to images of 8, as in earlier versions. Groups are the equal files only. Raises UserError for what is not there or
    cannot be understood.
    """
    earlier = dataclasses.replace(ARRAYS, read=partial(_read_arrays, deep=False))
    formats = FORMATS if deep else [earlier if form is ARRAYS else form for form in FORMATS]
    try:
        return read_as(formats, data, cache, reading)
    except UserError as error:
        raise UserError(visible_names(str(error), [str(data)])) from None


def read_as(formats: Sequence[Format], data: Path, cache: Path, reading: Reading = AS_IT_IS) -> Dataset:
    """Return the data set as ``read_dataset`` does, where files can have these formats."""
    if any("\ud800" <= letter <= "\udfff" for letter in str(data)):
        raise UserError(f"The path {str(data)!r} is not valid UTF-8, so no record could name it. Rename the folder.")
    form = next((form for form in formats if data.suffix.lower() in form.suffixes), None)
    if form is not None and not os.path.exists(data):
        raise UserError(f"There is no file {data} (in {Path.cwd()}).")
    if os.path.isdir(data) or not os.path.exists(data):
        with _openable(data):
            return read_class_folders(data, reading)
    if not os.path.isfile(data):
        raise UserError(f"{data} is a pipe, device or socket. Name a folder of class folders, or a file.")
    if form is None:
        *names, last = ("a folder of class folders", *map(str, formats))
        raise UserError(f"{data} is no data set that can be read: name {', '.join(names)}, or {last}.")
    reading.check_file(data)
    with _openable(data):
        check_downloaded(data)
    return form.read(data, cache, reading)


def _read_csv(data: Path, _cache: Path, reading: Reading) -> Dataset:
    with _openable(data):
        return read_manifest(data, reading)


def _read_arrays(data: Path, cache: Path, reading: Reading, deep: bool = True) -> Dataset:
    reading.check_no_table(data)
    version = UNPACKING_VERSION if deep else UNPACKED_TO_8_BITS
    with _openable(data):
        key = digest(["unpacked", version, *(file_sha256(part) for part in parts(data))])
    return stored(
        cache / "unpacked" / key,
        lambda folder: unpack(data, folder, deep),
        lambda folder: _whole(read_manifest(folder / MANIFEST, Reading(single=reading.single), source=data)),
    )


@contextlib.contextmanager
def _openable(data: Path) -> Iterator[None]:
    """Turn the errors of folders and files that may not be opened into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or data} cannot be opened: {error.strerror}. Give yourself the right to read it."
        ) from None


def _whole(dataset: Dataset) -> Dataset:
    """Return a data set as it was unpacked. Raises ValueError, upon which it is unpacked anew, if a file is gone."""
    if dataset.unreadable:
        raise ValueError(f"{dataset.unreadable[0]} is gone from the cache")
    return dataset


ARRAYS = Format("arrays", NPZ | PICKLES, _read_arrays)
FORMATS = (
    Format("a CSV manifest", TABLES, _read_csv),
    ARRAYS,
)
