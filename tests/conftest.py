"""What tests share: small real data sets made on the spot, and the real photographs where they are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# A busy machine is slow, and no test here is about time.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def photographs():
    """Real photographs, where they lie beside the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the real photographs in {SHARED / 'data'}")
    return SHARED / "data"


@pytest.fixture
def imagenet(monkeypatch):
    """Real ImageNet weights, where they lie beside the project."""
    if not (SHARED / "keras" / "models").is_dir():
        pytest.skip(f"needs the real ImageNet weights in {SHARED / 'keras'}")
    monkeypatch.setenv("KERAS_HOME", str(SHARED / "keras"))
    return SHARED / "keras"


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


@pytest.fixture
def shapes(tmp_path):
    """Two classes of twelve 32 px images."""
    return write_shapes(tmp_path / "shapes", {"across": 12, "down": 12})
