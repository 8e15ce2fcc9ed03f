"""Near-duplicates among images: the same picture again, re-encoded, mirrored, turned, cropped or brightened.

Candidates are the nearest neighbours of small descriptors, over mirrored, turned and moved
versions. Each is then registered by an affine transformation that maximises the enhanced
correlation coefficient (Evangelidis & Psarakis 2008), and judged by how well the fine detail of
the two pictures agrees where they overlap: similar pictures agree in the large only.
"""

import contextlib
import functools
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from search.data.images import THUMBNAIL
from search.system.machine import cores
from search.system.progress import Steps

# DECISIONS: Near-duplicates are registered, not hashed
DUPLICATES_VERSION = 3
SIDE = THUMBNAIL
COARSE = 48
DESCRIPTOR = 12
NEIGHBOURS = 12  # enough to connect large groups
ORIGINALS = 4  # enough to find what one image was made from
ITSELF = -2.0
BLOCK = 256
# Degrees, and px to the right and down at COARSE. Those aslant find what lost a corner; those straight are longer.
TURNS = ((-10, 0, 0), (0, 0, 0), (10, 0, 0))
SHIFTS = ((0, -4, 0), (0, 4, 0), (0, 0, -4), (0, 0, 4), (0, -3, -3), (0, -3, 3), (0, 3, -3), (0, 3, 3))

# Measured on hands of 64 px: copies, once registered, agree by .92 or more, different hands by .90 or less. Pictures of
# little detail agree more easily, scanned digits of 8 px (richness 20 to 80) by up to .945, so they must agree better.
DISAGREEMENT = 0.09
RICH = 110.0
FLAT = 2.0
OVERLAP = 0.5
HOPELESS = 0.5
SCALES = (0.65, 1.5)
STRETCH = 1.35


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates, by row, ``first`` before ``second``.

    ``likeness`` is how well their detail agrees, 1 for equal pixels. ``how`` says in words in what they differ.
    """

    first: int
    second: int
    likeness: float
    how: str


@dataclass(frozen=True)
class _Picture:
    """One image in grey: ``fine`` (SIDE, SIDE) uint8, ``coarse`` (COARSE, COARSE) float32, and its `_richness`."""

    fine: np.ndarray
    coarse: np.ndarray
    richness: float


_Candidate = tuple[int, int, np.ndarray]
_Match = tuple[int, int, float, str]


def near_duplicates(
    thumbnails: np.ndarray, progress: Steps | None = None, others: np.ndarray | None = None
) -> list[Pair]:
    """Return the pairs of near-duplicates among uint8 (n, SIDE, SIDE, 3) RGB thumbnails, stretched to squares.

    Each image is compared with its nearest neighbours, so not every pair of a large group is listed. Which pairs
    are found does not depend on the order of the images. With ``others`` (n,), bool, those are compared with the rest
    and among each other, but the rest is not; equal pictures are paired all the same.
    """
    rows: dict[bytes, list[int]] = {}
    for row, thumbnail in enumerate(thumbnails):
        rows.setdefault(hashlib.sha256(thumbnail.tobytes()).digest(), []).append(row)
    distinct = [rows[name] for name in sorted(rows)]
    pairs = [Pair(same[0], row, 1.0, "the same picture") for same in distinct for row in same[1:]]
    greys = [cv2.cvtColor(thumbnails[same[0]], cv2.COLOR_RGB2GRAY) for same in distinct]
    textured = [number for number, grey in enumerate(greys) if grey.std() > FLAT]
    pictures = [_picture(greys[number]) for number in textured]
    if others is None:
        matches = _all_matches(pictures, progress)
    else:
        asks = np.array([others[distinct[number][0]] for number in textured], dtype=bool)
        asking, rest = np.flatnonzero(asks), np.flatnonzero(~asks)
        candidates = [pair for among in (rest, asking) for pair in _candidates(pictures, asking, among, ORIGINALS)]
        matches = _matches(pictures, candidates, progress)
    row_of = [distinct[number][0] for number in textured]
    for first, second, likeness, how in matches:
        ends = row_of[first], row_of[second]
        pairs.append(Pair(min(ends), max(ends), likeness, how))
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def _all_matches(pictures: Sequence[_Picture], progress: Steps | None) -> list[_Match]:
    """Return the near-duplicates among pictures.

    Where copies alone are among the neighbours of one, other copies may lie behind them: neighbours are then
    looked for again, of one image of each group, until no image has copies alone around it.
    """
    queries, matches = np.arange(len(pictures)), list[_Match]()
    while True:
        new = _matches(pictures, list(_candidates(pictures, queries, queries, NEIGHBOURS)), progress)
        matches += new
        if max(Counter(end for first, second, *_ in new for end in (first, second)).values(), default=0) < NEIGHBOURS:
            return matches
        groups = grouped(len(pictures), [Pair(*match) for match in matches])
        queries = queries[np.unique(groups[queries], return_index=True)[1]]


def _matches(pictures: Sequence[_Picture], candidates: Sequence[_Candidate], progress: Steps | None) -> list[_Match]:
    """Return those candidates that are near-duplicates, with their likeness and in what they differ."""

    def judge(candidate: _Candidate) -> tuple[float, str] | None:
        first, second, start = candidate
        return _register(pictures[first], pictures[second], start)

    matches = []
    with _one_thread_each(), ThreadPoolExecutor(cores()) as pool:
        for done, verdict in enumerate(pool.map(judge, candidates), 1):
            if verdict:
                matches.append((*candidates[done - 1][:2], *verdict))
            if progress:
                progress(done, len(candidates))
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


def _picture(grey: np.ndarray) -> _Picture:
    fine = grey.astype(np.float32)
    coarse = cv2.resize(fine, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    return _Picture(grey, coarse, _richness(_detail(fine)))


def _starts() -> list[np.ndarray]:
    """Return the transformations to start from: mirrored or not, turned, moved."""
    middle, starts = (COARSE - 1) / 2, []
    for mirror, turn, (angle, *shift) in product((1, -1), (0, 90, 180, 270), TURNS + SHIFTS):
        radians = math.radians(turn + angle)
        cos, sin = math.cos(radians), math.sin(radians)
        linear = np.array([[mirror * cos, -sin], [mirror * sin, cos]])
        moved = middle - linear @ (middle, middle) + shift
        starts.append(np.column_stack([linear, moved]).astype(np.float32))
    return starts


def _warp(image: np.ndarray, by: np.ndarray, side: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, by, (side, side), flags=flags, borderMode=border)


def _descriptors(images: Sequence[np.ndarray], by: np.ndarray) -> np.ndarray:
    """Return unit vectors (n, DESCRIPTOR²): the images moved, small, without coarse shades, fading to the border."""
    step = COARSE / DESCRIPTOR
    sampled = by.copy()
    sampled[:, 2] += by[:, :2].sum(axis=1) * (step - 1) / 2
    sampled[:, :2] *= step
    small = np.stack([_warp(image, sampled, DESCRIPTOR) for image in images])
    vectors = (small - gaussian_filter(small, (0, 2, 2))) * _window(DESCRIPTOR)
    vectors = vectors.reshape(len(images), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _candidates(
    pictures: Sequence[_Picture], queries: np.ndarray, among: np.ndarray, count: int
) -> Iterator[_Candidate]:
    """Yield (first, second, start) of the ``count`` neighbours in ``among`` of each of ``queries``.

    These are numbers of pictures. ``start`` moves the pixels of ``second`` about to where ``first`` has them.
    """
    if not len(queries) or not len(among):
        return
    starts = _starts()
    base = _descriptors([_blurred(pictures[number]) for number in among], np.eye(2, 3, dtype=np.float32))
    best: dict[tuple[int, int], tuple[float, int, int, int]] = {}
    for begin in range(0, len(queries), BLOCK):
        block = queries[begin : begin + BLOCK]
        coarse = [_blurred(pictures[query]) for query in block]
        moved = np.stack([_descriptors(coarse, start) for start in starts])
        likeness = np.full((len(block), len(base)), -1, np.float32)
        for vectors in moved:
            np.maximum(likeness, vectors @ base.T, out=likeness)
        likeness[block[:, None] == among] = ITSELF
        nearest = np.argpartition(-likeness, min(count, len(among)) - 1, axis=1)[:, :count]
        for row, near in enumerate(nearest):
            alike = moved[:, row] @ base[near].T
            for other, number in zip(near.tolist(), alike.argmax(axis=0).tolist(), strict=True):
                link = (float(likeness[row, other]), int(among[other]), int(block[row]), number)
                key = (min(link[1:3]), max(link[1:3]))
                if link[0] > ITSELF:
                    best[key] = max(best.get(key, link), link)
    for _, (_, first, second, number) in sorted(best.items()):
        yield first, second, starts[number]


def _blurred(picture: _Picture) -> np.ndarray:
    return cv2.GaussianBlur(picture.coarse, (0, 0), 2)


def _register(one: _Picture, other: _Picture, start: np.ndarray) -> tuple[float, str] | None:
    """Return (likeness, how) of near-duplicates, None for different pictures."""
    likeness, _, by = _refine(one.coarse, other.coarse, start, 40, 5)
    if likeness < HOPELESS:
        return None
    factor = SIDE / COARSE
    by[:, 2] = factor * by[:, 2] + (factor - 1) / 2 * (1 - by[:, :2].sum(axis=1))
    likeness, shared, by = _refine(one.fine.astype(np.float32), other.fine.astype(np.float32), by, 15, 3)
    if likeness < 1 - DISAGREEMENT * min(1, one.richness / RICH, other.richness / RICH):
        return None
    return min(likeness, 1.0), _how(by, shared)


def _refine(
    one: np.ndarray, other: np.ndarray, start: np.ndarray, rounds: int, blur: int
) -> tuple[float, float, np.ndarray]:
    """Return the better of ``start`` and its refinement, after its `_agreement`: bright backgrounds lead astray."""
    everywhere = np.ones(other.shape, np.uint8)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, rounds, 1e-4)
    unrefined = (*_agreement(one, other, start), start.copy())
    try:
        by = cv2.findTransformECC(one, other, start.copy(), cv2.MOTION_AFFINE, criteria, everywhere, blur)[1]
    except cv2.error:  # it does not converge on pictures that have nothing in common
        return unrefined
    return max((*_agreement(one, other, by), by), unrefined, key=lambda result: result[0])


def _agreement(one: np.ndarray, other: np.ndarray, by: np.ndarray) -> tuple[float, float]:
    """Return (correlation of the detail, shared part of ``one``); (0, 0) where no copy would be moved like that."""
    (a, b), (c, d) = by[:, :2].tolist()
    one_sense, other_sense = math.hypot(a + d, b - c) / 2, math.hypot(a - d, b + c) / 2
    large, little = one_sense + other_sense, abs(one_sense - other_sense)  # the singular values
    if not SCALES[0] < little <= large < min(SCALES[1], STRETCH * little):
        return 0, 0
    side = len(one)
    inside = cv2.erode(_warp(np.ones_like(other), by, side, cv2.BORDER_CONSTANT), np.ones((5, 5)))
    shared = float(inside.mean())
    if shared < OVERLAP:
        return 0, 0
    return _correlation(_detail(one), _detail(_warp(other, by, side)), inside * _window(side)), shared


def _above(image: np.ndarray, sigma: float) -> np.ndarray:
    return image - cv2.GaussianBlur(image, (0, 0), sigma)


@functools.cache
def _window(side: int) -> np.ndarray:
    edge = np.sqrt(np.hanning(side + 2)[1:-1])
    return np.outer(edge, edge).astype(np.float32)


def _detail(image: np.ndarray) -> np.ndarray:
    """Return the fine detail, evened out: strong edges, which many pictures share, count no more than faint texture."""
    fine = _above(cv2.GaussianBlur(image, (0, 0), 1.5), 2.5)
    return fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4)) + 3)


def _richness(detail: np.ndarray) -> float:
    """Return about how many independent numbers the detail holds: the participation ratio of its spectrum."""
    power = np.abs(np.fft.fft2(detail * _window(SIDE) ** 2)) ** 2
    power[0, 0] = 0
    return float(power.sum() ** 2 / max((power**2).sum(), 1e-12))


def _correlation(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> float:
    weights = weights / weights.sum()
    one, other = one - (weights * one).sum(), other - (weights * other).sum()
    scale = (weights * one * one).sum() * (weights * other * other).sum()
    return float((weights * one * other).sum() / math.sqrt(max(scale, 1e-12)))


def _how(by: np.ndarray, shared: float) -> str:
    """Return words for a transformation."""
    linear = by[:, :2].astype(float)
    mirrored = np.linalg.det(linear) < 0
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    angle = abs(round(math.degrees(math.atan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))))
    words = ["mirrored"] if mirrored else []
    if angle >= 2:
        words.append(f"turned by {angle} degrees")
    if shared < 0.93 or abs(math.sqrt(abs(np.linalg.det(linear))) - 1) > 0.03:
        words.append("cropped or moved")
    return ", ".join(words) or "the same picture"
