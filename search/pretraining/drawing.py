"""The generated pictures of a pretraining, on disk: drawn in parts of a thousand by worker processes.

Each picture belongs to the seed and its own number, so no part depends on another, and those that
are there already are not drawn again.
"""

import contextlib
import multiprocessing
import signal
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from search.system.errors import UserError
from search.system.files import write_array
from search.system.machine import die_with_parent

if TYPE_CHECKING:  # workers start faster without it
    from search.system.progress import Progress

PART = 1000
SIDE = 128


@dataclass(frozen=True)
class Pictures:
    """``count`` pictures (SIDE, SIDE, 3) of a ``seed`` in a ``folder``, where each part of them has a file."""

    folder: Path
    seed: int
    count: int

    @property
    def parts(self) -> list[range]:
        """The numbers of the pictures of each part."""
        return [range(first, min(first + PART, self.count)) for first in range(0, self.count, PART)]

    def file(self, part: range) -> Path:
        """Return the file of a part."""
        return self.folder / f"pictures-{part.start // PART:04d}-{len(part)}.npy"

    def load(self, part: range) -> np.ndarray:
        """Return the pictures of a part, (n, SIDE, SIDE, 3) uint8, read when they are looked at."""
        return load_array(self.file(part), (len(part), SIDE, SIDE, 3), mmap_mode="r")

    def draw(self, workers: int, progress: "Progress") -> None:
        """Draw the parts that are not there yet; what is done stays if this is interrupted."""
        absent = [part for part in self.parts if not self.file(part).exists()]
        done = self.count - sum(map(len, absent))
        progress("Drawing pictures", done, self.count)
        if not absent:
            return
        spawn = multiprocessing.get_context("spawn")  # a fork of a process that holds TensorFlow may hang
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin)
        try:
            futures: dict[Future[None], int] = {
                pool.submit(_draw, self.file(part), self.seed, part): len(part) for part in absent
            }
            for future in as_completed(futures):
                future.result()
                done += futures[future]
                progress("Drawing pictures", done, self.count)
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()  # what it draws would be waited for
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def readable(file: Path) -> Iterator[None]:
    """Raise UserError where the block cannot read ``file``, which an interrupted pretraining wrote."""
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{file} is damaged ({error}). Delete it and run the same line again: what it held is made anew."
        ) from None


def load_array(file: Path, shape: tuple[int, ...], mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    """Return the array of a file that a pretraining wrote. Raises UserError unless its shape begins with ``shape``."""
    with readable(file):
        array: np.ndarray = np.load(file, mmap_mode=mmap_mode)
        if array.shape[: len(shape)] != shape:
            raise ValueError(f"its shape is {array.shape}")
        return array


def _begin() -> None:
    """Leave Ctrl-C to the process that began this one, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def _draw(file: Path, seed: int, numbers: range) -> None:
    import cv2

    from search.pretraining.scenes import scene

    cv2.setNumThreads(1)
    rows = (scene(np.random.default_rng([seed, number]), SIDE)[None] for number in numbers)
    write_array(file, (len(numbers), SIDE, SIDE, 3), np.dtype(np.uint8), rows)
