"""The cache on disk: entries that are made once, named by their content, and dropped when there are too many.

An entry is a folder, ``<cache>/<kind>/<name>``, made whole or not at all, by one process at a time:
others wait for it. Its time is when it was last used. Dropping one is always safe: whoever has it
mapped keeps it, whoever wants it makes it anew. Its files are compared with their checksums
(CRC-32: disks err, and it reads 6 GB/s where SHA-256 reads 1.9) when a process first loads it.

A folder is a cache only if it carries our marker, which an empty folder gets. Nothing is ever removed
but what lies in a folder of one of our kinds and has a name of our form; links are never followed.
"""

import contextlib
import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from search.system.errors import UserError
from search.system.files import (
    LOCK,
    is_left_over,
    is_real_folder,
    locked,
    new_folder,
    sweep_folder,
    temporary_path,
    write_text,
)

T = TypeVar("T")

KINDS = ("activations", "decoded", "duplicates", "extents", "scripts", "unpacked")
PERMANENT = frozenset({"unpacked"})  # images themselves: a search that runs would miss them
# DECISIONS: A folder is a cache by its marker
MARKER = "CACHEDIR.TAG"  # known to backup programs: https://bford.info/cachedir/
MARKER_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of finetune-search, which deletes old entries in it. It can be deleted at any time.\n"
)
ENTRY = re.compile(r"[0-9a-f]{16}")  # a digest
IN_USE = 600.0  # seconds since its last use in which an entry is never dropped
TOUCH_EVERY = 60.0
CHECKSUMS = "checksums.json"  # file in the entry: [bytes, CRC-32]
DAMAGE = (EOFError, OSError, ValueError)
READ_BYTES = 2**20
TRIES = 3
LARGEST_SHARE = 0.5  # of the cache, which also holds decoded images and what other recipes need

_sound: dict[Path, dict[str, tuple[int, ...]]] = {}  # entries that this process has verified, with what it saw


def claim(folder: Path) -> None:
    """Make ``folder`` a cache, if it is new, empty, a cache already, or one of an older version, which had no marker.

    Raises UserError for a folder with anything else in it, and OSError where it cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_cache(folder):
        return
    others = [path for path in folder.iterdir() if not path.name.startswith(f".{MARKER}.")]
    foreign = next((path for path in others if not _is_ours(path)), None)
    if foreign is not None and not is_cache(folder):  # another process may have claimed it just now
        raise UserError(
            f"{folder} holds other things, such as {foreign.name}, and a cache deletes old entries. "
            "Give a new or an empty folder with --cache. If it is an old cache, it can be deleted."
        )
    write_text(folder / MARKER, MARKER_TEXT)


def is_cache(folder: Path) -> bool:
    """Return whether ``folder`` carries our marker."""
    marker = folder / MARKER
    try:
        return not marker.is_symlink() and marker.read_text(encoding="utf-8") == MARKER_TEXT
    except (OSError, UnicodeDecodeError):
        return False


def _is_ours(path: Path) -> bool:
    """Return whether ``path`` is the folder of a kind that holds only entries, whole ones and half-made ones."""
    return path.name in KINDS and is_real_folder(path) and all(map(_is_entry_or_left_over, path.iterdir()))


def _is_entry_or_left_over(path: Path) -> bool:
    return is_left_over(path.name, ENTRY) or _is_entry(path)


def _is_entry(path: Path) -> bool:
    return ENTRY.fullmatch(path.name) is not None and is_real_folder(path)


def _kinds(cache: Path) -> list[Path]:
    """Return the folders of ``cache`` in which anything may be removed; none where it is no cache."""
    return [cache / kind for kind in KINDS if is_real_folder(cache / kind)] if is_cache(cache) else []


def sweep(cache: Path) -> None:
    """Remove what killed processes left in a cache: half-made entries and lock files; those in use stay."""
    for folder in _kinds(cache):
        sweep_folder(folder, ENTRY)


class BusyError(Exception):
    """Another process is making the entry."""


def stored(folder: Path, fill: Callable[[Path], None], load: Callable[[Path], T], *, wait: bool = True) -> T:
    """Return ``load(folder)`` of a cache entry, made by ``fill`` if it is not there.

    An entry that cannot be loaded, differs from its checksums or has none (of an older version) is
    dropped and made once more. What another process is making is waited for; without ``wait``,
    BusyError is raised.
    """
    with contextlib.suppress(*DAMAGE):
        return _load(folder, load)
    for _ in range(TRIES - 1):
        with contextlib.suppress(FileNotFoundError):  # somebody deletes the cache
            return _make(folder, fill, load, wait)
    return _make(folder, fill, load, wait)


def _make(folder: Path, fill: Callable[[Path], None], load: Callable[[Path], T], wait: bool) -> T:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock_of(folder), wait=wait) as is_ours:
        if not is_ours:
            raise BusyError(folder)
        with contextlib.suppress(*DAMAGE):  # made while we waited
            return _load(folder, load)
        if folder.is_dir():
            _drop(folder)
        with new_entry(folder) as temporary:
            fill(temporary)
        return _load(folder, load)


def lock_of(folder: Path) -> Path:
    """Return the lock file of an entry: whoever makes the entry holds it."""
    return folder.with_name(f".{folder.name}{LOCK}")


@contextlib.contextmanager
def new_entry(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes the entry ``folder``, with checksums, when the block ends well."""
    with new_folder(folder) as temporary:
        yield temporary
        names = [path.relative_to(temporary).as_posix() for path in temporary.rglob("*") if path.is_file()]
        sums = {name: _checksum(temporary / name) for name in sorted(names)}
        (temporary / CHECKSUMS).write_text(json.dumps(sums), encoding="utf-8")


def _load(folder: Path, load: Callable[[Path], T]) -> T:
    _touch(folder)
    _verify(folder)
    return load(folder)


def _touch(folder: Path) -> None:
    """Set the time of the entry's last use to now. In somebody else's cache this fails, which does no harm."""
    if time.time() - folder.stat().st_mtime > TOUCH_EVERY:
        with contextlib.suppress(OSError):
            os.utime(folder)


def _verify(folder: Path) -> None:
    """Raise ValueError or OSError unless files match their checksums; those that look unchanged count as verified."""
    if folder in _sound and _looks(folder, _sound[folder]) == _sound[folder]:
        return
    read = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    sums = read if isinstance(read, dict) else {}
    if not sums:
        raise ValueError(f"{folder / CHECKSUMS} is damaged")
    looks = _looks(folder, sums)
    for name, expected in sums.items():
        if _checksum(folder / name) != expected:
            raise ValueError(f"{folder / name} is damaged")
    _sound[folder] = looks


def _looks(folder: Path, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    stats = {name: (folder / name).stat() for name in names}
    return {name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def _checksum(path: Path) -> list[int]:
    size = crc = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(READ_BYTES):
            # DECISIONS: Files are checked when they are used
            size, crc = size + len(block), zlib.crc32(block, crc)
    return [size, crc]


def worth_keeping(images: int, row_bytes: int, views: int, limit: int | None) -> bool:
    """Return whether ``views`` entries of ``images`` rows fit into a cache of ``limit`` bytes (None: no limit).

    They may take half of it; otherwise each would push out the one that is needed next.
    """
    return limit is None or images * row_bytes * views <= LARGEST_SHARE * limit


def trim(cache: Path, limit: int) -> int:
    """Drop the least recently used entries until the cache holds ``limit`` bytes; return how many bytes were dropped.

    Entries used in the last ten minutes stay, and unpacked images do: the cache may then hold more.
    A folder that is no cache is left as it is.
    """
    paths = [path for kind in _kinds(cache) for path in kind.iterdir() if _is_entry(path)]
    entries = [(*_time_and_bytes(path), path) for path in paths]
    total = sum(size for _, size, _ in entries)
    dropped = 0
    for used, size, path in sorted(entries):
        if total <= limit or used > time.time() - IN_USE:
            break
        if path.parent.name not in PERMANENT and _drop(path):
            total -= size
            dropped += size
    return dropped


def _time_and_bytes(entry: Path) -> tuple[float, int]:
    with contextlib.suppress(OSError):  # another process may have dropped it
        used = entry.stat().st_mtime
        return used, sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())
    return 0.0, 0


def _drop(entry: Path) -> bool:
    """Take an entry away in one step, so that nobody loads half of it; return whether that was possible."""
    wreck = temporary_path(entry)
    try:
        entry.rename(wreck)
    except OSError:
        return False
    shutil.rmtree(wreck, ignore_errors=True)
    return True
