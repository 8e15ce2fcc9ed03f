"""Small images that a network can learn."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_shapes(root: Path, counts: dict[str, int], side: int = 32, seed: int = 0) -> Path:
    """Write class folders of bright bars: the class decides the direction, so a network can learn it."""
    rng = np.random.default_rng(seed)
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 60, (side, side, 3), dtype=np.uint8)
            at = rng.integers(2, side - 6)
            bar = (slice(at, at + 4), slice(None)) if label % 2 else (slice(None), slice(at, at + 4))
            pixels[bar] = 200
            Image.fromarray(pixels).save(root / name / f"{name}_{number:03d}.png")
    return root
