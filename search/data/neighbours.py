"""Which images of a set look most alike, whether mirrored, turned or moved: the candidates for near-duplicates.

Each image has a small descriptor. Those of one image in 88 positions are compared with those of all
others as they are. A descriptor is a linear function of the pixels, so that all 88 are two products
of matrices; and its first principal components tell who may be near.
"""

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from search.data.registration import COARSE, at_side, window
from search.system.machine import cores
from search.system.progress import Steps

DESCRIPTOR = 12
COMPONENTS = 64  # of a descriptor's 144: those that tell who may be near
SHORTLIST = 8  # times as many as are wanted are compared by whole descriptors
BLOCK, TILE = 256, 4096  # images whose likenesses are in the processor's cache at once
ITSELF = -2.0
# Degrees, and px to the right and down at COARSE. Those aslant find what lost a corner; those straight are longer.
TURNS = ((-10, 0, 0), (0, 0, 0), (10, 0, 0))
SHIFTS = ((0, -4, 0), (0, 4, 0), (0, 0, -4), (0, 0, 4), (0, -3, -3), (0, -3, 3), (0, 3, -3), (0, 3, 3))


@dataclass(frozen=True)
class Candidate:
    """Two images that look alike, by number; ``start`` (2, 3) moves ``second``, at COARSE px, about onto ``first``."""

    first: int
    second: int
    start: np.ndarray


_Link = tuple[float, int, int, int]  # likeness, first, second, number of the start


def neighbours(
    greys: np.ndarray, queries: np.ndarray, among: np.ndarray, count: int, progress: Steps | None = None
) -> list[Candidate]:
    """Return each of ``queries`` with those ``count`` of ``among`` that look most like it, each pair once.

    ``greys`` is (n, SIDE, SIDE) uint8; the others are numbers of its images. The pairs are in order.
    """
    if not len(queries) or not len(among):
        return []
    blocks = [among[at : at + BLOCK] for at in range(0, len(among), BLOCK)]
    base = np.concatenate([_unit(_operator(1)[1] @ _sampled(greys, block, _operator(1)[0]))[0] for block in blocks])
    components = np.linalg.eigh(base.T @ base)[1][:, : -COMPONENTS - 1 : -1]
    search = functools.partial(_links, greys, among, base, components, count)
    best: dict[tuple[int, int], _Link] = {}
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
        done = 0
        for links in pool.map(search, (queries[at : at + BLOCK] for at in range(0, len(queries), BLOCK))):
            for link in links:
                key = (min(link[1:3]), max(link[1:3]))
                best[key] = max(best.get(key, link), link)
            done += min(BLOCK, len(queries) - done)
            if progress:
                progress(done, len(queries))
    return [Candidate(first, second, starts()[number]) for _, (_, first, second, number) in sorted(best.items())]


def _links(
    greys: np.ndarray, among: np.ndarray, base: np.ndarray, components: np.ndarray, count: int, block: np.ndarray
) -> list[_Link]:
    """Return the links of a block of queries to their neighbours."""
    sampling, shaping = _operator(len(starts()))
    moved = _unit(shaping @ _sampled(greys, block, sampling))  # (starts, images, numbers)
    likeness = _likeness(moved @ components, base @ components)
    likeness[block[:, None] == among] = ITSELF
    few = min(SHORTLIST * count, len(among))
    shortlist = np.argpartition(-likeness, few - 1, axis=1)[:, :few]
    links = list[_Link]()
    for row, near in enumerate(shortlist):
        alike = moved[:, row] @ base[near].T
        alike[:, likeness[row, near] == ITSELF] = ITSELF
        whole = alike.max(axis=0)
        best = [at for at in np.lexsort((near, -whole))[:count].tolist() if whole[at] > ITSELF]
        links += [(float(whole[at]), int(among[near[at]]), int(block[row]), int(alike[:, at].argmax())) for at in best]
    return links


def _likeness(moved: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return how like each of some images (starts, images, numbers) is to each of ``base``, where it is most so."""
    likeness = np.empty((moved.shape[1], len(base)), np.float32)
    for at in range(0, len(base), TILE):
        tile = np.ascontiguousarray(base[at : at + TILE].T)
        best = moved[0] @ tile
        product_ = np.empty_like(best)
        for vectors in moved[1:]:
            np.maximum(best, np.matmul(vectors, tile, out=product_), out=best)
        likeness[:, at : at + TILE] = best
    return likeness


def _sampled(greys: np.ndarray, rows: np.ndarray, sampling: csr_array) -> np.ndarray:
    """Return small blurred images, moved: (starts, DESCRIPTOR², rows)."""
    coarse = [cv2.GaussianBlur(at_side(greys[row].astype(np.float32), COARSE), (0, 0), 2).ravel() for row in rows]
    samples: np.ndarray = sampling @ np.stack(coarse, axis=1)
    return samples.reshape(-1, DESCRIPTOR**2, len(rows))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return descriptors (starts, numbers, images) as unit vectors, (starts, images, numbers)."""
    vectors = np.ascontiguousarray(vectors.swapaxes(1, 2))
    vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-6)
    return vectors


@functools.cache
def starts() -> tuple[np.ndarray, ...]:
    """Return the transformations (2, 3) to start from: as it is first; mirrored or not, turned, moved."""
    middle, all_starts = (COARSE - 1) / 2, []
    for mirror, turn, (angle, *shift) in product((1, -1), (0, 90, 180, 270), TURNS + SHIFTS):
        radians = math.radians(turn + angle)
        cos, sin = math.cos(radians), math.sin(radians)
        linear = np.array([[mirror * cos, -sin], [mirror * sin, cos]])
        moved = middle - linear @ (middle, middle) + shift
        all_starts.append(np.column_stack([linear, moved]).astype(np.float32))
    return tuple(all_starts)


@functools.cache
def _operator(count: int) -> tuple[csr_array, np.ndarray]:
    """Return two matrices that make descriptors of a blurred image at COARSE px: one samples it, one shapes that.

    The first, (count × DESCRIPTOR², COARSE²), moves it by each of the starts, or for a count of one not at all, by
    bilinear interpolation. The second, (DESCRIPTOR²,) * 2, takes coarse shades away and lets it fade to the border.
    """
    chosen = starts() if count > 1 else (np.eye(2, 3, dtype=np.float32),)
    small = np.arange(DESCRIPTOR**2)
    at = (np.stack([small % DESCRIPTOR, small // DESCRIPTOR]) + 0.5) * (COARSE / DESCRIPTOR) - 0.5
    rows, columns, weights = [], [], []
    for number, by in enumerate(chosen):
        places = np.clip(by[:, :2] @ at + by[:, 2:], 0, COARSE - 1)
        low = np.minimum(places.astype(int), COARSE - 2)
        part = places - low
        for right, down in product((0, 1), (0, 1)):
            rows.append(number * DESCRIPTOR**2 + small)
            columns.append((low[1] + down) * COARSE + low[0] + right)
            weights.append(np.where(right, part[0], 1 - part[0]) * np.where(down, part[1], 1 - part[1]))
    shape = (len(chosen) * DESCRIPTOR**2, COARSE**2)
    ends = (np.concatenate(rows), np.concatenate(columns))
    units = np.eye(DESCRIPTOR**2, dtype=np.float32).reshape(-1, DESCRIPTOR, DESCRIPTOR)
    shaped = ((units - gaussian_filter(units, (0, 2, 2))) * window(DESCRIPTOR)).reshape(len(units), -1)
    shaped -= shaped.mean(axis=1, keepdims=True)
    return csr_array((np.concatenate(weights).astype(np.float32), ends), shape=shape), shaped.T.astype(np.float32)
