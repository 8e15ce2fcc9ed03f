"""Whether two pictures show the same: one is laid upon the other, and their fine detail is compared.

The affine transformation maximises the enhanced correlation coefficient (Evangelidis & Psarakis
2008). Similar pictures agree in the large only, copies in the fine detail too. Most pairs show
different things, and small versions of them, or a few rounds, tell that for a part of the work.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from search.data.images import THUMBNAIL

SIDE, COARSE, TINY = THUMBNAIL, 48, 24

# Measured on hands of 64 px: copies, once registered, agree by .92 or more, different hands by .90 or less. Pictures of
# little detail agree more easily, scanned digits of 8 px (richness 20 to 80) by up to .945, so they must agree better.
DISAGREEMENT = 0.09
RICH = 110.0
OVERLAP = 0.5
SCALES = (0.65, 1.5)
STRETCH = 1.35
# DECISIONS: Most pairs are rejected by a small version of them
UNLIKE_COARSE = (0.45, 0.65)  # at once, and after five rounds
UNLIKE_FINE = (0.15, 0.55)  # at once, and after three rounds
ALIKE_FINE = 0.75  # at once, so that three rounds are not needed


@dataclass(frozen=True)
class _Picture:
    """A picture in grey: ``pixels`` (side, side) float32."""

    pixels: np.ndarray

    @functools.cached_property
    def detail(self) -> np.ndarray:
        """Its `_detail`: a picture is compared with several positions of another."""
        return _detail(self.pixels)

    def at_side(self, side: int) -> "_Picture":
        """Return it at ``side`` px."""
        return _Picture(at_side(self.pixels, side))


class _Fit(NamedTuple):
    """How well the detail of two pictures agrees where ``by`` (2, 3) moves the second, and what part they share."""

    likeness: float
    shared: float
    by: np.ndarray


def registered(one: np.ndarray, other: np.ndarray, start: np.ndarray) -> tuple[float, str] | None:
    """Return (likeness, how) of two near-duplicates, None for different pictures.

    Both are grey (SIDE, SIDE) uint8. ``start`` (2, 3) moves the pixels of ``other``, at COARSE px, about to where
    ``one`` has them. ``likeness`` is how well their detail agrees, 1 for equal pixels; ``how`` says in words in what
    they differ.
    """
    fine, other_fine = _Picture(one.astype(np.float32)), _Picture(other.astype(np.float32))
    coarse, other_coarse = fine.at_side(COARSE), other_fine.at_side(COARSE)
    fit = _promising((fine, coarse), (other_fine, other_coarse), start)
    if fit is None:
        return None
    likeness, shared, by = _refined(fine, other_fine, fit, 15, 3, 1e-4)
    if likeness < 1 - DISAGREEMENT:
        return None
    if likeness < 1 - DISAGREEMENT * min(1, _richness(fine.detail) / RICH, _richness(other_fine.detail) / RICH):
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


def _promising(one: tuple[_Picture, ...], other: tuple[_Picture, ...], start: np.ndarray) -> _Fit | None:
    """Return how two pictures, each (fine, coarse), fit in the main; None where they can hardly be made to agree.

    Each step takes longer than the one before, and is for the pairs that are left.
    """
    (fine, coarse), (other_fine, other_coarse) = one, other
    tiny, other_tiny = coarse.at_side(TINY), other_coarse.at_side(TINY)
    by = scaled(_aligned(tiny, other_tiny, scaled(start, TINY / COARSE), 6, 3, 1e-3), COARSE / TINY)
    fit = max(_agreement(coarse, other_coarse, by), _agreement(coarse, other_coarse, start), key=_likeness)
    if fit.likeness < UNLIKE_COARSE[0]:
        return None
    fit = _refined(coarse, other_coarse, fit, 5, 5, 1e-3)
    if fit.likeness < UNLIKE_COARSE[1]:
        return None
    fit = _agreement(fine, other_fine, scaled(fit.by, SIDE / COARSE))
    if UNLIKE_FINE[0] <= fit.likeness < ALIKE_FINE:
        fit = _refined(fine, other_fine, fit, 3, 3, 1e-3)
    return fit if fit.likeness >= UNLIKE_FINE[1] else None


def _aligned(one: _Picture, other: _Picture, start: np.ndarray, rounds: int, blur: int, enough: float) -> np.ndarray:
    """Return ``start`` refined in so many rounds at most, or as it is where that leads nowhere."""
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, rounds, enough)
    try:
        return cv2.findTransformECC(
            one.pixels, other.pixels, start.copy(), cv2.MOTION_AFFINE, criteria, _everywhere(len(other.pixels)), blur
        )[1]
    except cv2.error:  # it does not converge on pictures that have nothing in common
        return start


def _refined(one: _Picture, other: _Picture, fit: _Fit, rounds: int, blur: int, enough: float) -> _Fit:
    """Return the better of ``fit`` and its refinement, by detail: bright backgrounds lead astray."""
    by = _aligned(one, other, fit.by, rounds, blur, enough)
    return max(_agreement(one, other, by), fit, key=_likeness)


def _likeness(fit: _Fit) -> float:
    return fit.likeness


def _agreement(one: _Picture, other: _Picture, by: np.ndarray) -> _Fit:
    """Return the correlation of the detail and the shared part of ``one``, both 0 where no copy is moved like that."""
    (a, b), (c, d) = by[:, :2].tolist()
    one_sense, other_sense = math.hypot(a + d, b - c) / 2, math.hypot(a - d, b + c) / 2
    large, little = one_sense + other_sense, abs(one_sense - other_sense)  # the singular values
    if not SCALES[0] < little <= large < min(SCALES[1], STRETCH * little):
        return _Fit(0, 0, by)
    inside = cv2.erode(_warp(np.ones_like(other.pixels), by, cv2.BORDER_CONSTANT), np.ones((5, 5)))
    shared = float(inside.mean())
    if shared < OVERLAP:
        return _Fit(0, 0, by)
    moved = _detail(_warp(other.pixels, by, cv2.BORDER_REPLICATE))
    return _Fit(_correlation(one.detail, moved, inside * window(len(moved))), shared, by)


def _warp(image: np.ndarray, by: np.ndarray, border: int) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, by, image.shape, flags=flags, borderMode=border)


def _above(image: np.ndarray, sigma: float) -> np.ndarray:
    return image - cv2.GaussianBlur(image, (0, 0), sigma)


@functools.cache
def _everywhere(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)


@functools.cache
def window(side: int) -> np.ndarray:
    """Return weights (side, side) that fade to the border."""
    edge = np.sqrt(np.hanning(side + 2)[1:-1])
    return np.outer(edge, edge).astype(np.float32)


def _detail(image: np.ndarray) -> np.ndarray:
    """Return the fine detail, evened out: strong edges, which many pictures share, count no more than faint texture."""
    fine = _above(cv2.GaussianBlur(image, (0, 0), 1.5), 2.5)
    return fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4)) + 3)


def _richness(detail: np.ndarray) -> float:
    """Return about how many independent numbers a detail holds: the participation ratio of its spectrum."""
    power = np.abs(np.fft.fft2(detail * window(len(detail)) ** 2)) ** 2
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
