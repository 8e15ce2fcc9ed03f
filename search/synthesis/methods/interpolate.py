"""Interpolations: an image and its neighbours of one class, blended so that features lie between theirs.

The neighbours are those in the feature space of a frozen backbone. Each image is blended with them in several ways. The
way is kept whose features come nearest to the point on the sphere that lies between those of the sources. It is fitted
on nothing.
"""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from search.synthesis.methods.method import Material, Method, Picture, Request

NEIGHBOURS = 5  # of its class, among which the partners of an image are drawn
THREE = 1 / 3  # of the images have three sources
SHARE = (0.35, 0.5)  # of the neighbours, at strength 1
ALIGNMENTS = ("none", "foregrounds", "flow")
WEIGHINGS = (0.8, 1.2, "patches")  # of the share, evenly; or in patches
TILT, WAVES = 0.14, 0.02  # of an image without neighbours

Mask = Callable[[int], np.ndarray]


# DECISIONS: Interpolations are blended in pixels
def make(material: Material, request: Request) -> Iterator[Picture]:
    """Yield interpolations of the chosen images in turn, each with one or two of its nearest neighbours of its class.

    ``strength`` says how far they go towards the neighbours: at 1, up to half of the way. An image that is alone in its
    class is only bent. An image of 160 px takes 0.05 s on one core, and the features of its nine candidates 0.03 to
    0.13 s more, by a small backbone.
    """
    from search.synthesis.editing import bent, foreground, one_thread

    @cache
    def mask_of(row: int) -> np.ndarray:
        with one_thread():
            return foreground(material.pixels[row])

    features = material.features()
    for label, k in request.wanted():
        (row, _), rng = request.first_source(material, label, k), request.rng(label, k)
        partners = _partners(features, row, material.members(label), rng)
        if not len(partners):
            with one_thread():
                pixels = bent(material.pixels[row], TILT * request.strength, WAVES * request.strength, rng)
            yield Picture(pixels, label, (row,))
            continue
        share = rng.uniform(*SHARE) * request.strength
        with one_thread():
            candidates = np.stack(list(_candidates(material.pixels, row, partners, mask_of, share, rng)))
        target = (1 - share) * features[row] + share * features[partners].mean(axis=0)
        best = int(np.argmax(material.features_of(candidates) @ target))
        yield Picture(candidates[best], label, (row, *partners))


def _partners(features: np.ndarray, row: int, members: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Return one or two neighbours of an image among the members of its class; none where it is alone."""
    others = members[members != row]
    nearest = others[np.argsort(-(features[others] @ features[row]), kind="stable")][:NEIGHBOURS]
    number = 2 if rng.random() < THREE else 1
    return rng.permutation(nearest)[:number].tolist()


def _candidates(
    pixels: np.ndarray, row: int, partners: list[int], mask_of: Mask, share: float, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield blends of an image with its partners, which have a ``share`` of about this much together."""
    seed = int(rng.integers(2**31))  # the same patches in each alignment
    for alignment in ALIGNMENTS:
        for weighing in WEIGHINGS:
            patchy = np.random.default_rng(seed) if isinstance(weighing, str) else None
            whole = share if isinstance(weighing, str) else share * weighing
            image = pixels[row]
            for number, partner in enumerate(partners):
                each = whole / len(partners)
                own = each / (1 - each * (len(partners) - 1 - number))  # the next ones dilute what is there
                image = _blend(image, mask_of(row), pixels[partner], mask_of(partner), alignment, own, patchy)
            yield image


def _blend(
    image: np.ndarray,
    mask: np.ndarray,
    other: np.ndarray,
    others_mask: np.ndarray,
    alignment: str,
    share: float,
    patchy: np.random.Generator | None,
) -> np.ndarray:
    from search.synthesis.editing import aligned, blended, morphed, patches

    if alignment == "foregrounds":
        other = aligned(image, mask, other, others_mask)
    elif alignment == "flow":
        image, other = morphed(image, other, share)
    return blended(image, other, share if patchy is None else patches(len(image), share, patchy))


METHOD = Method(
    "interpolate", "images blended with neighbours of their class, as a backbone sees them", make, strength=1.0
)
