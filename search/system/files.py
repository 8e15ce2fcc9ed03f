"""Files and folders that a crash leaves old or new, never half written; and locks between processes."""

import contextlib
import fcntl
import io
import os
import re
import secrets
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from search.system.errors import naming
from search.system.heartbeat import waiting

T = TypeVar("T")
JUST_MADE = 60.0  # seconds in which a folder may not be locked yet
LOCK = ".lock"
MARK = ".tmp-"  # in the names of temporary files and folders; nobody's own file is called so
TEMPORARY = rf"{re.escape(MARK)}[a-z0-9_]{{8}}"  # with what tempfile adds
TEMPORARY_BEFORE = r"\.[a-z0-9_]{8}|\.\d+\.\d+"  # in earlier versions: people name files so too, but not by digests
FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, process


@contextlib.contextmanager
def new_file(path: Path, beside: Path | None = None) -> Iterator[IO[bytes]]:
    """Give a temporary file and, when the block ends well, let it replace the one at ``path`` in one step.

    It is made beside ``path``, or else ``beside``, and named after that. Its ``name`` is its path.
    """
    place = beside or path
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=_prefix(place), delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the name must not survive a power cut that the content does not
            os.chmod(file.name, 0o644)  # it is hidden from everyone else
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _prefix(path: Path) -> str:
    return f".{path.name}{MARK}"


def temporary_path(path: Path) -> Path:
    """Return a path beside ``path`` that is recognised as temporary, and at which there is nothing."""
    return path.with_name(_prefix(path) + secrets.token_hex(4))


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file at ``path`` by ``data`` in one step; its folder must exist."""
    with naming(path), new_file(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Replace the file at ``path`` by ``text`` (UTF-8) in one step."""
    write_bytes(path, text.encode())


def unused(path: Path) -> Path:
    """Return ``path``, or the first of ``path-2``, ``path-3`` … where there is nothing yet, not even a broken link."""
    candidate, number = path, 1
    while candidate.exists() or candidate.is_symlink():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Return the arrays as the bytes of an uncompressed ``.npz`` file."""
    buffer = io.BytesIO()
    savez: Callable[..., Any] = np.savez
    savez(buffer, **arrays)
    return buffer.getvalue()


def write_rows(path: Path, shape: tuple[int, ...], dtype: np.dtype, batches: Iterable[np.ndarray]) -> None:
    """Write an array of this shape to a ``.npy`` file, batch of rows after batch; it is never whole in memory.

    A full disk is an OSError, where writing to a map of the file would kill the process.
    """
    with naming(path), path.open("wb") as file:
        _write_rows(file, shape, dtype, batches)


def _write_rows(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, batches: Iterable[np.ndarray]) -> None:
    descr, written = np.lib.format.dtype_to_descr(dtype), 0
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    for batch in batches:
        assert batch.shape[1:] == shape[1:], f"rows of {batch.shape[1:]}, not {shape[1:]}"
        file.write(np.ascontiguousarray(batch, dtype).data)
        written += len(batch)
    assert written == shape[0], f"{written} rows, not {shape[0]}"


def write_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, batches: Iterable[np.ndarray]) -> None:
    """Replace the ``.npy`` file at ``path`` in one step by an array that comes batch of rows after batch."""
    with naming(path), new_file(path) as file:
        _write_rows(file, shape, dtype, batches)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file at ``path``, whose folder must exist, for the block; give whether it is held.

    It is False only where another process or thread holds it and ``wait`` is False. A lock dies
    with its process, and its file is taken away with it. Where there are no locks (some network
    file systems, a file of somebody else's) it is True for everyone, who then do the same work twice.
    """
    try:
        handle = _lock(path, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    except PermissionError:
        yield True
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # while it is held: who waits for it then sees that it is gone
        os.close(handle)


def _lock(path: Path, how: int) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _flock(handle, how)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
            os.close(handle)
        except FileNotFoundError:  # whoever held it took it away
            os.close(handle)
        except BaseException:
            os.close(handle)
            raise


def _flock(handle: int, how: int) -> None:
    """Lock an open file or folder, where the file system has locks."""
    try:
        with contextlib.nullcontext() if how & fcntl.LOCK_NB else waiting():
            fcntl.flock(handle, how)
    except BlockingIOError:
        raise
    except OSError:
        return


# DECISIONS: Whoever watches asks for a lock and never takes one
def mark_held(handle: int) -> None:
    """Mark a file that is open for writing as in use, until it is closed or its process dies.

    ``is_held`` sees the mark. It keeps nobody out: ``locked`` does not look at it.
    """
    if _can_ask():
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))


def is_held(handle: int) -> bool | None:
    """Return whether a process has marked this open file as held; None where that cannot be known.

    No lock is taken to find out: another process could then fail to take it at the same moment.
    """
    if not _can_ask():
        return None
    try:
        answer = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError:
        return None
    return bool(FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _can_ask() -> bool:
    return sys.platform == "linux" and sys.maxsize > 2**32  # the layout of struct flock is that of these


@contextlib.contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``final`` and, when the block ends well, rename it to ``final``.

    Where another process was first, its folder stays and this one is dropped: entries are
    immutable and named by their content, so both are the same.
    """
    with naming(final), _temporary_folder(final) as temporary:
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())  # the name must not survive a power cut that the content does not
        os.chmod(temporary, 0o755)
        try:
            os.rename(temporary, final)
        except OSError:
            if not final.is_dir():
                raise


@contextlib.contextmanager
def _temporary_folder(final: Path) -> Iterator[Path]:
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=_prefix(final)))
    handle = os.open(temporary, os.O_RDONLY)
    try:
        _flock(handle, fcntl.LOCK_EX)  # for as long as this process lives: sweep_folder then leaves it alone
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


def is_real_folder(path: Path) -> bool:
    """Return whether there is a folder at ``path`` itself, and not a link to one."""
    return path.is_dir() and not path.is_symlink()


def is_left_over(name: str, final: re.Pattern[str]) -> bool:
    """Return whether ``name`` is one that we give to a lock or a temporary folder of something named like ``final``.

    Such is also what earlier versions gave, so ``final`` must be names that nobody types.
    """
    endings = "|".join((re.escape(LOCK), TEMPORARY, TEMPORARY_BEFORE))
    return re.fullmatch(rf"\.(?:{final.pattern})(?:{endings})", name) is not None


def sweep_files(parent: Path, final: re.Pattern[str]) -> None:
    """Remove the half-written files of things named like ``final`` that a killed process left in ``parent``.

    Nobody else may be writing there. Only regular files with the names that ``new_file`` gives are removed;
    nothing is looked for behind a link.
    """
    if is_real_folder(parent):
        for path in parent.iterdir():
            if re.fullmatch(rf"\.(?:{final.pattern}){TEMPORARY}", path.name) and is_real_file(path):
                path.unlink()


def is_real_file(path: Path) -> bool:
    """Return whether there is a file at ``path`` itself, and not a link to one."""
    return path.is_file() and not path.is_symlink()


def sweep_folder(parent: Path, final: re.Pattern[str]) -> None:
    """Remove the temporary folders and the locks that killed processes left in ``parent``; those in use stay.

    Only what ``is_left_over`` of something named like ``final`` is removed; links are never followed.
    """
    for remnant in [path for path in parent.iterdir() if is_left_over(path.name, final) and not path.is_symlink()]:
        with contextlib.suppress(OSError):
            if remnant.name.endswith(LOCK):
                if remnant.is_file():
                    with locked(remnant, wait=False):
                        pass
            else:
                _sweep_wreck(remnant)


def _sweep_wreck(wreck: Path) -> None:
    handle = os.open(wreck, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if time.time() - os.fstat(handle).st_mtime >= JUST_MADE:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(wreck, ignore_errors=True)
    finally:
        os.close(handle)
