"""Read a data set, whatever it is: class folders, folders already split, a CSV manifest, arrays in one file."""

from pathlib import Path

from search.data.arrays import NPZ, PICKLES, parts, unpack
from search.data.dataset import Dataset
from search.data.folders import read_class_folders
from search.data.manifest import read_manifest
from search.digests import digest, file_sha256
from search.errors import UserError
from search.files import stored

UNPACKING_VERSION = 1
MANIFEST = "manifest.csv"


def read_dataset(data: Path, cache: Path) -> Dataset:
    """Return the data set that ``data`` is: a folder, a ``.csv``, a ``.npz``, or a pickle of arrays.

    Arrays are unpacked into ``cache`` once. Groups are the equal files only. Raises UserError for
    what is not there or cannot be understood.
    """
    suffix = data.suffix.lower()
    if data.is_dir() or not data.exists():
        return read_class_folders(data)
    if suffix == ".csv":
        return read_manifest(data)
    if suffix in NPZ | PICKLES:
        key = digest(["unpacked", UNPACKING_VERSION, *(file_sha256(part) for part in parts(data))])
        return stored(
            cache / "unpacked" / key,
            lambda folder: unpack(data, folder),
            lambda folder: read_manifest(folder / MANIFEST, source=data),
        )
    raise UserError(
        f"{data} is no data set that can be read: name a folder of class folders, a CSV manifest (.csv), or arrays "
        f"({', '.join(sorted(NPZ | PICKLES))})."
    )
