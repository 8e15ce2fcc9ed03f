"""How much random folds would flatter: a simple classifier, scored with and without copies of its training images.

Where near-duplicates lie on both sides of a fold, a classifier can look the answer up. The
difference between the two scores is what a search over random folds would have claimed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import normalize

from search.audit.inspection import count
from search.data.draws import prefix, random_order
from search.data.images import Decoded
from search.repertoire.backbones.backbone import Backbone
from search.system.machine import release
from search.system.progress import Progress, silent
from search.training.materials import Materials

SIDE = 16  # of the thumbnails that stand in for features where no pretrained backbone is at hand
MEASURING = "Measuring what copies flatter"
IMAGES_MAPPED = 512  # whose memory is given back at once
# DECISIONS: What copies flatter is measured on whole classes
MOST_IMAGES = 3000  # that are classified: more of them have more classes too, and the time grows with both


@dataclass(frozen=True)
class Flattery:
    """Accuracy of one classifier over random folds and over folds that keep groups whole.

    ``features`` names what it looked at, ``images`` counts its images, and ``sample`` says in words of what they are a
    part, "" where they are all.
    """

    random: float
    grouped: float
    features: str
    images: int
    sample: str = ""

    def __str__(self) -> str:
        """Return it in a sentence."""
        points = 100 * (self.random - self.grouped)
        scores = f"{self.random:.3f} over random folds, {self.grouped:.3f} over folds that keep copies together"
        how = f"logistic regression on {self.features}{self.sample and f' of {self.sample}'}: {scores}"
        luck = 200 * (self.grouped * (1 - self.grouped) / self.images) ** 0.5
        if points < max(1, luck):
            return f"Whether random folds would flatter cannot be told from {self.images} images ({how})"
        return f"Random folds would flatter by about {count(round(points), 'point')} of accuracy ({how})"


def flattery(
    features: np.ndarray,
    name: str,
    labels: np.ndarray,
    groups: np.ndarray,
    folds: int,
    seed: int,
    progress: Progress = silent,
) -> Flattery:
    """Return the cross-validated accuracy of logistic regression on ``features``, over both kinds of folds.

    The features of each image are brought to length 1. ``features`` has the shape (n, …), ``labels`` and ``groups``
    (n,); ``name`` says what the features are.
    """
    # DECISIONS: Frozen features are brought to length 1, not standardised
    model = LogisticRegression(C=100, max_iter=300, tol=3e-4)
    rows = normalize(features.reshape(len(features), -1).astype(np.float32, copy=False))
    random = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, labels)
    grouped = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(rows, labels, groups)
    splits = [*random, *grouped]
    correct = np.zeros((2, len(labels)), bool)
    for number, (train, validation) in enumerate(splits):
        progress(MEASURING, number, len(splits))
        predicted = model.fit(rows[train], labels[train]).predict(rows[validation])
        correct[number // folds, validation] = predicted == labels[validation]
    progress(MEASURING, len(splits), len(splits))
    return Flattery(float(correct[0].mean()), float(correct[1].mean()), name, len(labels))


def sample_of(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows to classify, in order: all, or of more than ``MOST_IMAGES`` whole classes, drawn by ``seed``.

    ``labels`` and ``groups`` have the shape (n,). There are two classes at least; where they are too large, they give
    equal numbers of images in whole groups.
    """
    if len(labels) <= MOST_IMAGES:
        return np.arange(len(labels))
    counts = np.bincount(labels)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(counts))
    classes = order[: max(2, int((counts[order].cumsum() <= MOST_IMAGES).sum()))]
    if counts[classes].sum() <= MOST_IMAGES:
        return np.flatnonzero(np.isin(labels, classes))
    ranks = random_order(pd.factorize(groups)[0], seed)
    members = [np.flatnonzero(labels == label) for label in classes]
    return np.sort(np.concatenate([rows[prefix(ranks[rows], MOST_IMAGES // len(classes))] for rows in members]))


def sample_in_words(labels: np.ndarray, rows: np.ndarray) -> str:
    """Return of what these rows are a part, "" where they are all."""
    if len(rows) == len(labels):
        return ""
    classes, every = len(np.unique(labels[rows])), len(np.unique(labels))
    of_classes = "" if classes == every else f" and {classes} of {every} classes"
    return f"{len(rows)} of {len(labels)} images{of_classes}, drawn at random"


def thumbnail_features(thumbnails: np.ndarray) -> np.ndarray:
    """Return (n, SIDE, SIDE, 3) means of blocks of the thumbnails."""
    n, side = thumbnails.shape[:2]
    block = side // SIDE
    cut = thumbnails[:, : SIDE * block, : SIDE * block]
    return cut.reshape(n, SIDE, block, SIDE, block, 3).mean(axis=(2, 4))


def backbone_features(
    materials: Materials, backbone: Backbone, images: Decoded, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return the frozen activations of a pretrained backbone, (rows, features), of these rows or of all.

    Those of all are kept in the cache, and found there.
    """
    from search.system.tf import silenced  # TensorFlow takes half a gigabyte
    from search.training.activations import PLAIN, Activations, Computed, Images
    from search.training.features import frozen_network

    weights = materials.weights[backbone.name]
    inputs = Images(images.pixels, materials.contents, images.key)
    with silenced():
        network = frozen_network(backbone, images.pixels.shape[1], weights, materials.home)
        if rows is not None and len(rows) < len(images.pixels):
            computed, parts = Computed(network, inputs, PLAIN, 0, materials.seed), []
            for at in range(0, len(rows), IMAGES_MAPPED):
                parts.append(computed[rows[at : at + IMAGES_MAPPED]])
                release(images.pixels)
            return np.concatenate(parts)
        activations = Activations(materials.cache, weights, materials.seed, materials.cache_bytes)
        return activations.of(network, inputs, PLAIN, 0)[:]
