"""The example that needs no download: scikit-learn's handwritten digits, written as class folders of images.

Real scans of handwriting (Alpaydin & Kaynak 1998, UCI "optdigits"), and beside them synthetic
ones: each is one real digit under a smooth random warp (Simard et al. 2003), with a manifest
that names it.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.datasets import load_digits

from search.system.digests import seed_from
from search.system.files import new_folder

PER_CLASS = 20  # so few that it matters how they are learnt from
SIDE = 64  # the least that the embedded backbone was trained with
SOFTNESS = 10.0
BEND = 6.0


def handwritten_digits(folder: str | Path = "data/few-digits") -> Path:
    """Write 20 digits of each class as 64 px PNG class folders, and 20 warped ones beside them, once.

    Returns the folder of the real ones; the others are in ``<folder>-synthetic``.
    """
    target = Path(folder)
    synthetic = target.with_name(f"{target.name}-synthetic")
    if not target.is_dir():
        with new_folder(target) as temporary:
            for name, pixels in _digits().items():
                _write(temporary / name, pixels)
    if not synthetic.is_dir():
        with new_folder(synthetic) as temporary:
            lines = ["image,label,sources"]
            for name, pixels in _digits().items():
                _write(temporary / name, _warp(pixels, seed_from("warp", name)))
                lines.append(f"{name},{Path(name).parent},{name}")
            (temporary / "manifest.csv").write_text("\n".join(lines) + "\n")
    return target


def _digits() -> dict[str, np.ndarray]:
    """Return the first images of each class as (64, 64) uint8, by id."""
    images, labels = load_digits(return_X_y=True)
    digits = {}
    for label in range(10):
        for row in np.flatnonzero(labels == label)[:PER_CLASS]:
            small = Image.fromarray((images[row].reshape(8, 8) * (255 / 16)).astype(np.uint8))
            digits[f"{label}/{row:04d}.png"] = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return digits


def _warp(pixels: np.ndarray, seed: int) -> np.ndarray:
    """Return the image moved by a smooth random field of displacements, 6 px at most each way."""
    rng = np.random.default_rng(seed)
    field = [gaussian_filter(rng.uniform(-1, 1, pixels.shape), SOFTNESS) for _ in range(2)]
    moves = [BEND * axis / (np.abs(axis).max() + 1e-9) for axis in field]
    grid = np.meshgrid(*(np.arange(side) for side in pixels.shape), indexing="ij")
    return map_coordinates(pixels, [at + move for at, move in zip(grid, moves, strict=True)], order=1, mode="nearest")


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
