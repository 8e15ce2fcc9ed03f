"""Near-duplicates among images: the same picture again, re-encoded, mirrored, turned, cropped or brightened.

Candidates are those that look most alike (`neighbours`). Each pair is then registered and judged (`registration`).
"""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from search.data.neighbours import Candidate, neighbours
from search.data.registration import SIDE, registered
from search.system.machine import cores, release
from search.system.progress import Progress, silent

# DECISIONS: Near-duplicates are registered, not hashed
DUPLICATES_VERSION = 5
NEIGHBOURS = 12  # enough to connect large groups
ORIGINALS = 4  # enough to find what one image was made from
FLAT = 2.0
WAITING = 4096  # pairs that are handed to the threads at once, and images that are mapped
LOOKING, COMPARING = "Looking for images that look alike", "Comparing pairs of images"


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates, by row, ``first`` before ``second``.

    ``likeness`` is how well their detail agrees, 1 for equal pixels. ``how`` says in words in what they differ.
    """

    first: int
    second: int
    likeness: float
    how: str


_Match = tuple[int, int, float, str]


def near_duplicates(
    thumbnails: np.ndarray, progress: Progress = silent, others: np.ndarray | None = None
) -> list[Pair]:
    """Return the pairs of near-duplicates among uint8 (n, SIDE, SIDE, 3) RGB thumbnails, stretched to squares.

    Each image is compared with its nearest neighbours, so not every pair of a large group is listed. Which pairs
    are found does not depend on the order of the images. With ``others`` (n,), bool, those are compared with the rest
    and among each other, but the rest is not; equal pictures are paired all the same.
    """
    rows: dict[bytes, list[int]] = {}
    for row, thumbnail in enumerate(thumbnails):
        rows.setdefault(hashlib.sha256(thumbnail.tobytes()).digest(), []).append(row)
        if row % WAITING == 0:
            release(thumbnails)
    distinct = [rows[name] for name in sorted(rows)]
    pairs = [Pair(same[0], row, 1.0, "the same picture") for same in distinct for row in same[1:]]
    row_of, greys = _textured(thumbnails, [same[0] for same in distinct])
    if others is None:
        matches = _all_matches(greys, progress)
    else:
        asks = others[row_of].astype(bool)
        asking, rest = np.flatnonzero(asks), np.flatnonzero(~asks)
        looked = partial(progress, LOOKING)
        candidates = [pair for among in (rest, asking) for pair in neighbours(greys, asking, among, ORIGINALS, looked)]
        matches = _matches(greys, candidates, progress)
    for first, second, likeness, how in matches:
        ends = int(row_of[first]), int(row_of[second])
        pairs.append(Pair(min(ends), max(ends), likeness, how))
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def _textured(thumbnails: np.ndarray, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return those of the rows that are not of a single shade, and their pictures in grey (rows, SIDE, SIDE)."""
    greys = np.empty((len(rows), SIDE, SIDE), np.uint8)
    kept = list[int]()
    for done, at in enumerate(np.argsort(rows).tolist()):  # as they lie in the file, to give its memory back
        greys[at] = cv2.cvtColor(thumbnails[rows[at]], cv2.COLOR_RGB2GRAY)
        if done % WAITING == 0:
            release(thumbnails)
    release(thumbnails)
    for at, row in enumerate(rows):
        if greys[at].std() > FLAT:
            greys[len(kept)] = greys[at]
            kept.append(row)
    return np.array(kept, dtype=int), greys[: len(kept)]


def _all_matches(greys: np.ndarray, progress: Progress) -> list[_Match]:
    """Return the near-duplicates among pictures.

    Where copies alone are among the neighbours of one, other copies may lie behind them: neighbours are then
    looked for again, of one image of each group, until no image has copies alone around it.
    """
    queries, matches = np.arange(len(greys)), list[_Match]()
    while True:
        candidates = neighbours(greys, queries, queries, NEIGHBOURS, partial(progress, LOOKING))
        new = _matches(greys, candidates, progress)
        matches += new
        if max(Counter(end for first, second, *_ in new for end in (first, second)).values(), default=0) < NEIGHBOURS:
            return matches
        groups = grouped(len(greys), [Pair(*match) for match in matches])
        queries = queries[np.unique(groups[queries], return_index=True)[1]]


def _matches(greys: np.ndarray, candidates: Sequence[Candidate], progress: Progress) -> list[_Match]:
    """Return those candidates that are near-duplicates, with their likeness and in what they differ."""

    def judge(candidate: Candidate) -> tuple[float, str] | None:
        return registered(greys[candidate.first], greys[candidate.second], candidate.start)

    matches, done = [], 0
    with _one_thread_each(), ThreadPoolExecutor(cores()) as pool:
        for at in range(0, len(candidates), WAITING):  # each that waits takes memory
            part = candidates[at : at + WAITING]
            for candidate, verdict in zip(part, pool.map(judge, part), strict=True):
                if verdict:
                    matches.append((candidate.first, candidate.second, *verdict))
                done += 1
                progress(COMPARING, done, len(candidates))
    return matches


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep OpenCV from starting threads of its own beside ours: they take a quarter more time."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def grouped(n: int, pairs: Sequence[Pair]) -> np.ndarray:
    """Return the number of the group of each of ``n`` images, shape (n,): those that pairs connect."""
    ends = np.array([(pair.first, pair.second) for pair in pairs], dtype=int).reshape(-1, 2)
    groups: np.ndarray = connected_components(coo_array((np.ones(len(ends)), ends.T), shape=(n, n)), directed=False)[1]
    return groups
