"""Runs of small recipes on small data sets."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from search.data.folds import make_plan
from search.data.images import decode
from search.data.origins import read_pool
from search.data.readers.folders import read_class_folders
from search.racing import Job
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.recipe import Recipe
from search.repertoire.weights import weights_folder, weights_sha256
from search.study import Study
from search.training.materials import Materials


def materials(root, cache, *, size=32, pool=None, seed=7, weights=(), **study):
    dataset = read_class_folders(Path(root))
    decoded = decode(dataset.paths, dataset.contents, size, Path(cache))
    dataset = dataset.readable(decoded)
    folds = make_plan(dataset, Study(data=root, seed=seed, **study)).folds
    return Materials(
        cache=Path(cache),
        seed=seed,
        classes=len(dataset.classes),
        paths=tuple(dataset.paths),
        contents=tuple(dataset.contents),
        labels=dataset.labels,
        pool=read_pool(pool, dataset) if pool else None,
        folds={fold.id: fold for fold in folds},
        weights={name: weights_sha256(BACKBONES[name]) for name in weights},
        keras_home=weights_folder().parent,
        threads=2,
        class_names=dataset.classes,
        groups=np.unique(dataset.groups, return_inverse=True)[1],
    )


def small(**fields):
    defaults = {"backbone": "SmallCNN", "unfrozen_blocks": None, "image_size": 32, "epochs": 6, "learning_rate": 5e-3}
    return Recipe(**{**defaults, **fields})


def run(trainer, recipe, *folds):
    return trainer.run(Job("0000", 1, recipe, folds)).runs


def write_pool(folder, root, pattern="*.png", methods=("inverted",)):
    """One synthetic image (inverted) for each real one, some made of two images; the methods take turns."""
    lines = ["image,label,sources,method"]
    folder.mkdir()
    ids = sorted(path.relative_to(root).as_posix() for path in root.rglob(pattern))
    for number, id_ in enumerate(ids):
        ImageOps.invert(Image.open(root / id_).convert("RGB")).save(folder / f"{number}.png")
        second = f";{ids[number - 1]}" if number % 4 == 3 else ""
        lines.append(f"{number}.png,{Path(id_).parent},{id_}{second},{methods[number % len(methods)]}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder
