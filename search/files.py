"""Write files so that a crash leaves the old one or the new one, never half of one."""

import contextlib
import fcntl
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
JUST_MADE = 60.0  # seconds in which a folder may not be locked yet


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file at ``path`` by ``data`` in one step; its folder must exist."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp hides the file from everyone else
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace the file at ``path`` by ``text`` (UTF-8) in one step."""
    write_bytes(path, text.encode())


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Return the arrays as the bytes of an uncompressed ``.npz`` file."""
    buffer = io.BytesIO()
    savez: Callable[..., Any] = np.savez
    savez(buffer, **arrays)
    return buffer.getvalue()


@contextlib.contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``final`` and, when the block ends well, rename it to ``final``.

    Where another process was first, its folder stays and this one is dropped: entries are
    immutable and named by their content, so both are the same.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}."))
    handle = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # for as long as this process lives: sweep_folders then knows it is no wreck
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
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


def sweep_folders(parent: Path) -> None:
    """Remove the temporary folders below ``parent`` that killed processes left; those being filled stay."""
    for wreck in parent.glob("*/.*.*"):
        with contextlib.suppress(OSError):
            handle = os.open(wreck, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if time.time() - os.fstat(handle).st_mtime < JUST_MADE:
                    continue
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(wreck, ignore_errors=True)
            finally:
                os.close(handle)
