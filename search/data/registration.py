"""Whether two pictures show the same: one is laid upon the other, and their fine detail is compared.

The affine transformation maximises the enhanced correlation coefficient (Evangelidis & Psarakis
2008). Similar pictures agree in the large only, copies in the fine detail too. Most pairs show
different things, and small versions of them tell that for a tenth of the work.
"""

import functools
import math

import cv2
import numpy as np

from search.data.images import THUMBNAIL

SIDE, COARSE, TINY = THUMBNAIL, 48, 24

# Measured on hands of 64 px: copies, once registered, agree by .92 or more, different hands by .90 or less. Pictures of
# little detail agree more easily, scanned digits of 8 px (richness 20 to 80) by up to .945, so they must agree better.
DISAGREEMENT = 0.09
RICH = 110.0
OVERLAP = 0.5
HOPELESS = 0.5
SCALES = (0.65, 1.5)
STRETCH = 1.35
# DECISIONS: Most pairs are rejected by a small version of them
UNLIKE_COARSE = 0.45
UNLIKE_FINE = (0.15, 0.3)  # at once, and after two rounds


def registered(one: np.ndarray, other: np.ndarray, start: np.ndarray) -> tuple[float, str] | None:
    """Return (likeness, how) of two near-duplicates, None for different pictures.

    Both are grey (SIDE, SIDE) uint8. ``start`` (2, 3) moves the pixels of ``other``, at COARSE px, about to where
    ``one`` has them. ``likeness`` is how well their detail agrees, 1 for equal pixels; ``how`` says in words in what
    they differ.
    """
    fine, other_fine = one.astype(np.float32), other.astype(np.float32)
    coarse, other_coarse = at_side(fine, COARSE), at_side(other_fine, COARSE)
    if _are_unlike((fine, coarse), (other_fine, other_coarse), start):
        return None
    likeness, _, by = _refine(coarse, other_coarse, start, 40, 5)
    if likeness < HOPELESS:
        return None
    likeness, shared, by = _refine(fine, other_fine, scaled(by, SIDE / COARSE), 15, 3)
    if likeness < 1 - DISAGREEMENT:
        return None
    if likeness < 1 - DISAGREEMENT * min(1, _richness(fine) / RICH, _richness(other_fine) / RICH):
        return None
    return min(likeness, 1.0), _how(by, shared)


def at_side(image: np.ndarray, side: int) -> np.ndarray:
    """Return a picture at ``side`` px, each pixel the mean of those that it stands for."""
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def scaled(by: np.ndarray, factor: float) -> np.ndarray:
    """Return a transformation of pictures that are ``factor`` times as large."""
    larger = by.copy()
    larger[:, 2] = factor * by[:, 2] + (factor - 1) / 2 * (1 - by[:, :2].sum(axis=1))
    return larger


def _are_unlike(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], start: np.ndarray) -> bool:
    """Return whether two pictures, each (fine, coarse), differ so much that no registration can make them agree."""
    (fine, coarse), (other_fine, other_coarse) = one, other
    small, other_small = at_side(coarse, TINY), at_side(other_coarse, TINY)
    by = scaled(_aligned(small, other_small, scaled(start, TINY / COARSE), 12, 3, 1e-3), COARSE / TINY)
    agreements = [(_agreement(coarse, other_coarse, each)[0], each) for each in (by, start)]
    likeness, by = max(agreements, key=lambda pair: pair[0])
    if likeness < UNLIKE_COARSE:
        return True
    by = scaled(by, SIDE / COARSE)
    likeness = _agreement(fine, other_fine, by)[0]
    if UNLIKE_FINE[0] <= likeness < UNLIKE_FINE[1]:
        likeness = _agreement(fine, other_fine, _aligned(fine, other_fine, by, 2, 3, 1e-3))[0]
    return likeness < UNLIKE_FINE[1]


def _aligned(
    one: np.ndarray, other: np.ndarray, start: np.ndarray, rounds: int, blur: int, enough: float
) -> np.ndarray:
    """Return ``start`` refined in so many rounds at most, or as it is where that leads nowhere."""
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, rounds, enough)
    try:
        return cv2.findTransformECC(
            one, other, start.copy(), cv2.MOTION_AFFINE, criteria, np.ones(other.shape, np.uint8), blur
        )[1]
    except cv2.error:  # it does not converge on pictures that have nothing in common
        return start


def _refine(
    one: np.ndarray, other: np.ndarray, start: np.ndarray, rounds: int, blur: int
) -> tuple[float, float, np.ndarray]:
    """Return the better of ``start`` and its refinement, after its `_agreement`: bright backgrounds lead astray."""
    both = (_aligned(one, other, start, rounds, blur, 1e-4), start)
    return max(((*_agreement(one, other, by), by) for by in both), key=lambda result: result[0])


def _agreement(one: np.ndarray, other: np.ndarray, by: np.ndarray) -> tuple[float, float]:
    """Return (correlation of the detail, shared part of ``one``); (0, 0) where no copy would be moved like that."""
    (a, b), (c, d) = by[:, :2].tolist()
    one_sense, other_sense = math.hypot(a + d, b - c) / 2, math.hypot(a - d, b + c) / 2
    large, little = one_sense + other_sense, abs(one_sense - other_sense)  # the singular values
    if not SCALES[0] < little <= large < min(SCALES[1], STRETCH * little):
        return 0, 0
    side = len(one)
    inside = cv2.erode(_warp(np.ones_like(other), by, cv2.BORDER_CONSTANT), np.ones((5, 5)))
    shared = float(inside.mean())
    if shared < OVERLAP:
        return 0, 0
    moved = _detail(_warp(other, by, cv2.BORDER_REPLICATE))
    return _correlation(_detail(one), moved, inside * window(side)), shared


def _warp(image: np.ndarray, by: np.ndarray, border: int) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, by, image.shape, flags=flags, borderMode=border)


def _above(image: np.ndarray, sigma: float) -> np.ndarray:
    return image - cv2.GaussianBlur(image, (0, 0), sigma)


@functools.cache
def window(side: int) -> np.ndarray:
    """Return weights (side, side) that fade to the border."""
    edge = np.sqrt(np.hanning(side + 2)[1:-1])
    return np.outer(edge, edge).astype(np.float32)


def _detail(image: np.ndarray) -> np.ndarray:
    """Return the fine detail, evened out: strong edges, which many pictures share, count no more than faint texture."""
    fine = _above(cv2.GaussianBlur(image, (0, 0), 1.5), 2.5)
    return fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4)) + 3)


def _richness(image: np.ndarray) -> float:
    """Return about how many independent numbers the detail holds: the participation ratio of its spectrum."""
    power = np.abs(np.fft.fft2(_detail(image) * window(len(image)) ** 2)) ** 2
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
