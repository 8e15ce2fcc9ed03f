"""What the rule of admission guards: without it, a generator that has seen everything flatters every score."""

import numpy as np
import pytest
from kit.runs import materials, run, small
from PIL import Image

from search.data.synthetic import SyntheticPool
from search.training.trainer import Trainer, set_up

set_up(2)
IMAGES, SIDE, TILES = 40, 32, 4


@pytest.fixture
def noise(tmp_path):
    """Images of coloured tiles, whose labels mean nothing: half of them can be told, and no more."""
    rng = np.random.default_rng(3)
    for number in range(IMAGES):
        folder = tmp_path / "noise" / ("heads", "tails")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        tiles = rng.integers(0, 256, (TILES, TILES, 3)).astype(np.uint8)
        Image.fromarray(tiles.repeat(SIDE // TILES, 0).repeat(SIDE // TILES, 1)).save(folder / f"{number:02d}.png")
    return tmp_path / "noise"


def write_memory(folder, root):
    """Write a pool of what a generator remembers that was fitted on all images, validation images among them."""
    rng, ids = np.random.default_rng(5), sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    folder.mkdir()
    lines = ["image,label,sources,trained_on,method"]
    for number, id_ in enumerate(ids):
        with Image.open(root / id_) as image:
            pixels = np.asarray(image) + rng.normal(0, 12, (SIDE, SIDE, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{id_.split('/')[0]},,{';'.join(ids)},gan")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def accuracy(trainer):
    recipe = small(epochs=60, dropout=0.0, synthetic_per_class=1000)
    results = run(trainer, recipe, *trainer.materials.folds)
    right = [(result.probabilities.argmax(axis=1) == result.labels) for result in results]
    return float(np.concatenate(right).mean()), [result.synthetic["drawn"] for result in results]


def test_a_generator_fitted_on_everything_is_refused_by_every_fold_and_would_flatter(noise, tmp_path, monkeypatch):
    pool = write_memory(tmp_path / "pool", noise)
    fields = {"pool": pool, "folds": 4, "train_fractions": (1.0,)}
    honest, drawn = accuracy(Trainer(materials(noise, tmp_path / "cache", **fields)))
    assert drawn == [{"heads": 0, "tails": 0}] * 4
    monkeypatch.setattr(SyntheticPool, "admissible", lambda self, _fold: np.arange(len(self)))
    flattered, drawn = accuracy(Trainer(materials(noise, tmp_path / "cache", **fields)))
    assert drawn == [{"heads": IMAGES // 2, "tails": IMAGES // 2}] * 4
    assert honest < 0.75
    assert flattered > 0.9
    assert flattered - honest > 0.25
