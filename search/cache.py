"""The cache on disk: entries that are made once, named by their content, and dropped when there are too many.

An entry is a folder, ``<cache>/<kind>/<name>``, made whole or not at all. Its time is when it was
last used. Dropping one is always safe: whoever has it mapped keeps it, whoever wants it makes it anew.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from search.files import new_folder

T = TypeVar("T")

KEPT = frozenset({"unpacked"})  # images themselves: a search that runs would miss them
IN_USE = 600.0  # seconds since its last use in which an entry is never dropped
TOUCH_EVERY = 60.0


def stored(folder: Path, fill: Callable[[Path], None], load: Callable[[Path], T]) -> T:
    """Return ``load(folder)`` of a cache entry, made by ``fill`` if it is not there.

    An entry that cannot be loaded (a disk lost part of it) is dropped and made once more.
    """
    for last_try in (False, True):
        if not folder.is_dir():
            with new_folder(folder) as temporary:
                fill(temporary)
        try:
            _touch(folder)
            return load(folder)
        except (EOFError, OSError, ValueError):
            if last_try:
                raise
            shutil.rmtree(folder, ignore_errors=True)
    raise AssertionError("the second try returns or raises")


def _touch(folder: Path) -> None:
    """Note that an entry is used; in a cache of somebody else's that cannot be noted, and need not."""
    if time.time() - folder.stat().st_mtime > TOUCH_EVERY:
        with contextlib.suppress(PermissionError):
            os.utime(folder)


def trim(cache: Path, limit: int) -> int:
    """Drop the entries that were not used for longest until the cache holds ``limit`` bytes; return how many went.

    Entries used in the last ten minutes stay, and unpacked images do: the cache may then hold more.
    """
    entries = [(*_used_and_bytes(path), path) for path in cache.glob("*/[!.]*") if path.is_dir()]
    total = sum(size for _, size, _ in entries)
    dropped = 0
    for used, size, path in sorted(entries):
        if total <= limit or used > time.time() - IN_USE:
            break
        if path.parent.name not in KEPT and _drop(path):
            total -= size
            dropped += size
    return dropped


def _used_and_bytes(entry: Path) -> tuple[float, int]:
    with contextlib.suppress(OSError):  # another process may have dropped it
        used = entry.stat().st_mtime
        return used, sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())
    return 0.0, 0


def _drop(entry: Path) -> bool:
    """Take an entry away in one step, so that nobody loads half of it; return whether that was possible."""
    wreck = entry.with_name(f".{entry.name}.{os.getpid()}")
    try:
        entry.rename(wreck)
    except OSError:
        return False
    shutil.rmtree(wreck, ignore_errors=True)
    return True
