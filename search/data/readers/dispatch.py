"""Read a data set, whatever it is: class folders, folders already split, a CSV manifest, arrays in one file."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from search.data.dataset import Dataset
from search.data.readers.arrays import NPZ, PICKLES, parts, unpack
from search.data.readers.folders import read_class_folders
from search.data.readers.manifest import MANIFEST, read_manifest
from search.system.cache import stored
from search.system.digests import digest, file_sha256
from search.system.errors import UserError

UNPACKING_VERSION = 2


def read_dataset(data: Path, cache: Path) -> Dataset:
    """Return the data set that ``data`` is: a folder, a ``.csv``, a ``.npz``, or a pickle of arrays.

    Arrays are unpacked into ``cache`` once. Groups are the equal files only. Raises UserError for
    what is not there or cannot be understood.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in str(data)):
        raise UserError(f"The path {str(data)!r} is not valid UTF-8, so no record could name it. Rename the folder.")
    suffix = data.suffix.lower()
    if suffix in {".csv", *NPZ, *PICKLES} and not os.path.exists(data):
        raise UserError(f"There is no file {data} (in {Path.cwd()}).")
    if os.path.isdir(data) or not os.path.exists(data):
        with _openable(data):
            return read_class_folders(data)
    if not os.path.isfile(data):
        raise UserError(f"{data} is a pipe, device or socket. Name a folder of class folders, or a file.")
    if suffix == ".csv":
        with _openable(data):
            return read_manifest(data)
    if suffix in NPZ | PICKLES:
        with _openable(data):
            key = digest(["unpacked", UNPACKING_VERSION, *(file_sha256(part) for part in parts(data))])
        return stored(
            cache / "unpacked" / key,
            lambda folder: unpack(data, folder),
            lambda folder: _whole(read_manifest(folder / MANIFEST, source=data)),
        )
    raise UserError(
        f"{data} is no data set that can be read: name a folder of class folders, a CSV manifest (.csv), or arrays "
        f"({', '.join(sorted(NPZ | PICKLES))})."
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


def _whole(unpacked: Dataset) -> Dataset:
    """Return a data set as it was unpacked. Raises ValueError, upon which it is unpacked anew, if a file is gone."""
    if unpacked.unreadable:
        raise ValueError(f"{unpacked.unreadable[0]} is gone from the cache")
    return unpacked
