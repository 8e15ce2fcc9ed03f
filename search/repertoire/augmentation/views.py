"""Views: view ``v`` of an image is one fixed version of it.

A draw depends on (seed, policy, its strength and options, content of the image, view) and on nothing else, so a
view is the same in every fold, trial, worker and session, whether stored or drawn again.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
from PIL import Image

from search.repertoire.augmentation.augment import Augment
from search.system.digests import seed_from
from search.system.machine import cores
from search.system.modules import Home

AS_IS, MIRRORED = 0, -1  # views of an image without augmentation, which has no others
BATCHES_IN_ADVANCE = 2
THREADS = 4  # draw faster than a network computes


def batches_of(
    pixels: np.ndarray,
    contents: Sequence[str],
    augment: Augment,
    view: int,
    seed: int,
    rows: np.ndarray,
    size: int,
    home: Home | None = None,
) -> Iterator[np.ndarray]:
    """Yield view ``view`` of these rows of ``pixels`` (n, side, side, 3), uint8, ``size`` at a time.

    ``contents`` are the digests of the images. Threads draw the next batches meanwhile. Without augmentation, view
    ``MIRRORED`` is the mirror image. ``home`` is where the modules of the space lie.
    """
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    if augment.is_plain:
        yield from (pixels[part][:, :, ::-1] if view == MIRRORED else pixels[part] for part in parts)
        return

    if augment.row.prepare:  # before there are threads
        augment.row.prepare(home=home, **augment.settings)

    def view_of(row: int) -> np.ndarray:
        return _drawn(pixels[row], contents[row], augment, view, seed, home)

    queue: deque[list[Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(min(THREADS, cores())) as pool:
        for part in parts:
            queue.append([pool.submit(view_of, row) for row in part.tolist()])
            if len(queue) > BATCHES_IN_ADVANCE:
                yield np.stack([image.result() for image in queue.popleft()])
        for batch in queue:
            yield np.stack([image.result() for image in batch])


def _drawn(pixels: np.ndarray, content: str, augment: Augment, view: int, seed: int, home: Home | None) -> np.ndarray:
    policy, image = augment.row, Image.fromarray(pixels)
    if policy.versions:  # every version as often, from one that is drawn for each image
        order = np.random.default_rng(seed_from(seed, *augment.key, content)).permutation(len(policy.versions))
        return np.asarray(policy.versions[order[view % len(order)]](image))
    assert policy.draw is not None, "it is not plain"
    draw = partial(policy.draw, home=home) if policy.prepare else policy.draw
    rng = np.random.default_rng(seed_from(seed, *augment.key, content, view))
    return np.asarray(draw(image, augment.strength or 0.0, rng, **augment.settings))
