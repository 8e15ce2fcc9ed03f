"""How good frozen features are: the tables of the embedded backbone's model card.

    KERAS_HOME=../shared/keras python tests/repertoire/probes.py ../shared/data

Logistic regression (C = 0.1 on standardised features) on the pooled last map of each backbone. With
20 images of each class: the mean of ten draws from the first 120 of each, tested on the others of
these. On all images: five stratified folds, which keep groups together where a set has them.
"""

import csv
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.table import BACKBONES
from search.system.tf import keras
from search.training.folding import folded

FEW, MOST, DRAWS = 20, 120, 10
BATCH = 64
WITH_FEW = ("digits", "hymenoptera", "cats_dogs", "trash6")
COLUMNS = (  # heading, backbone, whether pretrained, px
    ("random weights, 64 px", "Embedded_scratch", False, 64),
    ("random weights, 96 px", "Embedded_scratch", False, 96),
    ("Embedded, 64 px", "Embedded", True, 64),
    ("Embedded, 96 px", "Embedded", True, 96),
    ("Embedded, 128 px", "Embedded", True, 128),
    ("MobileNet_0.25, 96 px", "MobileNet_0.25", True, 96),
    ("MobileNet_0.25, 128 px", "MobileNet_0.25", True, 128),
    ("MobileNetV2_0.35, 128 px", "MobileNetV2_0.35", True, 128),
)


@dataclass(frozen=True)
class Images:
    """Pictures of a set, their labels, and what must stay together."""

    pictures: list[Image.Image]
    labels: np.ndarray
    groups: np.ndarray

    def at(self, size: int) -> np.ndarray:
        """Return them at ``size`` px, (n, size, size, 3) uint8."""
        return np.stack(
            [np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)) for picture in self.pictures]
        )

    def first(self, most: int) -> "Images":
        """Return the first ones of each class."""
        rows = first_rows(self.labels, most)
        return Images([self.pictures[row] for row in rows], self.labels[rows], self.groups[rows])


def first_rows(labels: np.ndarray, most: int) -> np.ndarray:
    """Return the rows of the first ones of each class, in order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:most] for label in np.unique(labels)]))


def digits() -> Images:
    """Return scikit-learn's handwritten digits, 8 px scans."""
    scans, labels = load_digits(return_X_y=True)
    pictures = [Image.fromarray((scan.reshape(8, 8) * 255 / 16).astype(np.uint8)).convert("RGB") for scan in scans]
    return Images(pictures, labels, np.arange(len(labels)))


def photographs(folder: Path) -> Images:
    """Return the images that the CSV beside a folder lists; an image without a group is one of its own."""
    with folder.with_suffix(".csv").open() as file:
        lines = sorted(csv.DictReader(file), key=lambda line: (line["label"], line["image"]))
    pictures = [Image.open(folder / line["image"]).convert("RGB") for line in lines]
    groups = [line.get("group") or line["image"] for line in lines]
    labels = [line["label"] for line in lines]
    return Images(pictures, np.unique(labels, return_inverse=True)[1], np.unique(groups, return_inverse=True)[1])


def sets(data: Path) -> dict[str, Images]:
    """Return the digits and every set of photographs in ``data``, by name."""
    return {"digits": digits(), **{path.stem: photographs(path.with_suffix("")) for path in sorted(data.glob("*.csv"))}}


def features_of(name: str, pretrained: bool) -> keras.Model:
    """Return what maps uint8 images to the pooled last map of a backbone."""
    backbone = BACKBONES[name]
    keras.utils.set_random_seed(1)
    network = folded(construct(backbone, pretrained))
    pixels = keras.Input((None, None, 3))
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(network(backbone.scaled(pixels), training=False)))


def probe() -> Any:
    """Return the classifier of frozen features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))


def with_few(features: np.ndarray, labels: np.ndarray, classifier: Callable[[], Any] = probe) -> float:
    """Return the mean accuracy with ``FEW`` images of each class."""
    scores = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        rows = [rng.permutation(np.flatnonzero(labels == label))[:FEW] for label in np.unique(labels)]
        train = np.concatenate(rows)
        rest = np.setdiff1d(np.arange(len(labels)), train)
        scores.append(classifier().fit(features[train], labels[train]).score(features[rest], labels[rest]))
    return float(np.mean(scores))


def over_folds(features: np.ndarray, images: Images, classifier: Callable[[], Any] = probe) -> float:
    """Return the mean accuracy over five folds."""
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(classifier(), features, images.labels, groups=images.groups, cv=folds).mean())


def measured(
    data: Path,
    columns: Sequence[tuple[str, str, bool, int]] = COLUMNS,
    only: Container[str] | None = None,
    few: Container[str] = WITH_FEW,
    classifier: Callable[[], Any] = probe,
) -> Iterator[tuple[str, str, str, float]]:
    """Yield (table, set, column, accuracy) of all sets, or ``only`` of some; with few images of those in ``few``."""
    networks = {column: features_of(column[1], column[2]) for column in columns}
    for name, images in sets(data).items():
        if only is not None and name not in only:
            continue
        first = first_rows(images.labels, MOST)
        for column, network in networks.items():
            features = network.predict(images.at(column[3]), BATCH, verbose=0)
            with threadpool_limits(1):  # beside other work, threads of matrix products wait for one another
                every = over_folds(features, images, classifier)
                some = with_few(features[first], images.labels[first], classifier) if name in few else None
            if some is not None:
                yield "few", name, column[0], some
            yield "all", name, column[0], every


def main() -> None:
    """Print both tables as Markdown."""
    scores = {(table, name, column): score for table, name, column, score in measured(Path(sys.argv[1]))}
    headings = [column[0] for column in COLUMNS]
    for table in ("few", "all"):
        lines = [f"| set | {' | '.join(headings)} |", f"|{'---|' * (len(headings) + 1)}"]
        for name in dict.fromkeys(name for kind, name, _ in scores if kind == table):
            row = [f"{scores[table, name, heading]:.3f}" for heading in headings]
            lines += [f"| {name} | {' | '.join(row)} |"]
        sys.stdout.write("\n".join([*lines, "", ""]))


if __name__ == "__main__":
    main()
