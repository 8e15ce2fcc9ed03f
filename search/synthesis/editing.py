"""Editing of images with OpenCV: foregrounds, warps, colours and blends, of which methods make new images.

Images are (side, side, 3) uint8 RGB, and so is what comes back. Nothing is drawn here but by the ``rng`` that is given.
"""

import contextlib
from collections.abc import Iterator

import cv2
import numpy as np

INSET = 0.12  # of the side: how far in the rectangle begins within which a foreground is looked for
ROUNDS = 4  # of GrabCut
SMALLEST, LARGEST = 0.03, 0.5  # of an image: a foreground that covers less or more was not found
LIGHTNESS, LEAST_SPREAD = 100.0, 1.0  # of Lab
STRETCH = (0.5, 2.0)  # limits of a change of spread: a nearly even image would become noise
STEEPNESS = 4.0  # of the edges of patches
WHITE = 255


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV from starting threads, on which last digits may depend, and begin its random numbers anew."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)  # GrabCut draws from it
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def foreground(image: np.ndarray) -> np.ndarray:
    """Return how much each pixel belongs to what stands in the middle of an image, (side, side) float32 in [0, 1].

    GrabCut (Rother, Kolmogorov and Blake 2004) from a centred rectangle. Only the largest connected part counts, with
    its holes filled and a soft edge. Where that is nearly nothing, or nearly everything, the foreground is a disc in
    the middle that fades out slowly.
    """
    side = len(image)
    inset = max(1, round(INSET * side))
    mask = np.zeros((side, side), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        rectangle = (inset, inset, side - 2 * inset, side - 2 * inset)
        cv2.grabCut(_bgr(image), mask, rectangle, *models, ROUNDS, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # an image of one colour has no two mixtures of colours
        mask[:] = cv2.GC_BGD
    whole = _whole_part(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    if not SMALLEST <= whole.mean() <= LARGEST:
        return _soft_disc(side)
    shrunk = cv2.erode(whole, np.ones((3, 3), np.uint8))  # its edge holds colours of what was behind it
    return cv2.GaussianBlur(shrunk.astype(np.float32), (0, 0), max(0.6, side / 120))


def _soft_disc(side: int) -> np.ndarray:
    disc = np.zeros((side, side), np.float32)
    cv2.circle(disc, (side // 2, side // 2), round(0.3 * side), 1, cv2.FILLED)
    return cv2.GaussianBlur(disc, (0, 0), side / 12)


def _bgr(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)


def _whole_part(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected part of a mask of 0 and 1, its holes filled and its edge smoothed."""
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros_like(mask)
    if contours:
        cv2.drawContours(whole, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return whole


def pasted(
    image: np.ndarray, mask: np.ndarray, background: np.ndarray, scale: float, turn: float, shift: tuple[float, float]
) -> np.ndarray:
    """Return what ``mask`` keeps of an image, on a background.

    It is scaled and turned (degrees) about the middle of the mask, which is moved by ``shift`` (px, to the right and
    down).
    """
    side = len(image)
    y, x = np.average(np.mgrid[:side, :side].reshape(2, -1), axis=1, weights=mask.ravel() + 1e-9)
    motion = cv2.getRotationMatrix2D((float(x), float(y)), turn, scale)
    motion[:, 2] += np.array(shift)
    moved = cv2.warpAffine(image, motion, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(mask, motion, (side, side), flags=cv2.INTER_LINEAR)[..., None]
    return _rounded(cover * moved + (1 - cover) * background)


def blended(image: np.ndarray, other: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """Return an image with a ``share`` in [0, 1] of another one: one number, or one for each pixel."""
    weight = share[..., None] if isinstance(share, np.ndarray) else share
    return _rounded((1 - weight) * image.astype(np.float32) + weight * other)


def patches(side: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return a map of soft patches, (side, side) float32 in [0, 1], whose mean is about ``share`` in [0, 1)."""
    if share <= 0:
        return np.zeros((side, side), np.float32)
    coarse = rng.normal(size=(4, 4)).astype(np.float32)
    field = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    level = np.quantile(field, 1 - share)
    return 1 / (1 + np.exp((level - field) * STEEPNESS / max(field.std(), 1e-6)))


def recoloured(image: np.ndarray, model: np.ndarray, amount: float) -> np.ndarray:
    """Return an image whose colours are moved towards those of a ``model``, by an ``amount`` in [0, 1].

    Means and standard deviations of each channel in Lab (Reinhard, Ashikhmin, Gooch and Shirley 2001, who took lαβ).
    """
    own, others = (cv2.cvtColor(one.astype(np.float32) / WHITE, cv2.COLOR_RGB2LAB) for one in (image, model))
    mean, spread = own.mean((0, 1)), np.maximum(own.std((0, 1)), LEAST_SPREAD)
    wanted = np.clip(others.std((0, 1)) / spread, *STRETCH)
    lab = own + amount * ((own - mean) * wanted + others.mean((0, 1)) - own)
    lab[..., 0] = lab[..., 0].clip(0, LIGHTNESS)
    return _rounded(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB) * WHITE)


def bent(image: np.ndarray, tilt: float, waves: float, rng: np.random.Generator) -> np.ndarray:
    """Return an image seen from elsewhere, and stretched like rubber; its edges are mirrored where it ends.

    Each corner moves by up to ``tilt`` of the side, and the pixels by ``waves`` of the side (twice the standard
    deviation of the displacements, which change slowly from place to place: Simard, Steinkraus and Platt 2003).
    """
    side = len(image)
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    moved = (corners + rng.uniform(-tilt, tilt, (4, 2)) * side).astype(np.float32)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    at = cv2.perspectiveTransform(np.stack([x, y], -1).reshape(1, -1, 2), cv2.getPerspectiveTransform(moved, corners))
    at = at.reshape(side, side, 2)
    field = cv2.GaussianBlur(rng.normal(size=(side, side, 2)).astype(np.float32), (0, 0), side / 10)
    at += field / max(field.std(), 1e-6) * waves * side / 2
    return cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, WHITE).astype(np.uint8)


def aligned(image: np.ndarray, mask: np.ndarray, other: np.ndarray, others_mask: np.ndarray) -> np.ndarray:
    """Return the other image moved and scaled so that its foreground lies where that of ``image`` lies, as large.

    Both are given by masks, as ``foreground`` returns them. What was outside is mirrored.
    """
    side = len(image)
    (x, y, area), (others_x, others_y, others_area) = (_extent(one) for one in (mask, others_mask))
    scale = float(np.clip(np.sqrt(area / others_area), *STRETCH))
    motion = np.array([[scale, 0, x - scale * others_x], [0, scale, y - scale * others_y]])
    return cv2.warpAffine(other, motion, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _extent(mask: np.ndarray) -> tuple[float, float, float]:
    """Return the middle of a mask, to the right and down, and its area, all in px."""
    moments = cv2.moments(mask)
    area = moments["m00"]
    return moments["m10"] / area, moments["m01"] / area, area


def morphed(image: np.ndarray, other: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return both images, each bent towards the other so far that their outlines meet after a ``share`` of the way.

    The way is the optical flow between both (DIS: Kroeger, Timofte, Dai and Van Gool 2016).
    """
    side = len(image)
    grey, others_grey = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (image, other))
    flow = np.zeros((side, side, 2), np.float32)
    cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey, others_grey, flow)
    flow = cv2.GaussianBlur(flow, (0, 0), side / 40).clip(-side / 8, side / 8)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    at = np.stack([x, y], -1)
    ways = at - share * flow, at + (1 - share) * flow
    first, second = (
        cv2.remap(one, way[..., 0], way[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for one, way in zip((image, other), ways, strict=True)
    )
    return first, second
