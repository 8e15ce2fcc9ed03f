"""How much random folds would flatter: a simple classifier, scored with and without copies of its training images.

Where near-duplicates lie on both sides of a fold, a classifier can look the answer up. The
difference between the two scores is what a search over random folds would have claimed.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from search.data.images import Decoded
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.tf import silenced
from search.training.activations import PLAIN, Activations, Images
from search.training.compiled import CompiledNetwork
from search.training.materials import Materials
from search.training.network import build

SIDE = 16  # of the thumbnails that stand in for features where no pretrained backbone is at hand


@dataclass(frozen=True)
class Flattery:
    """Accuracy of one classifier over random folds and over folds that keep groups whole.

    ``features`` names what it looked at, ``images`` counts its images.
    """

    random: float
    grouped: float
    features: str
    images: int

    def __str__(self) -> str:
        """Return it in a sentence."""
        points = 100 * (self.random - self.grouped)
        scores = f"{self.random:.3f} over random folds, {self.grouped:.3f} over folds that keep copies together"
        how = f"logistic regression on {self.features}: {scores}"
        luck = 200 * (self.grouped * (1 - self.grouped) / self.images) ** 0.5
        if points < max(1, luck):
            return f"Whether random folds would flatter cannot be told from {self.images} images ({how})"
        return f"Random folds would flatter by about {points:.0f} points of accuracy ({how})"


def flattery(
    features: np.ndarray, name: str, labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> Flattery:
    """Return the cross-validated accuracy of logistic regression on ``features``, over both kinds of folds.

    ``features`` has the shape (n, …), ``labels`` and ``groups`` (n,); ``name`` says what the features are.
    """
    # In float32 and to this tolerance it takes a fortieth of the time, for half a point less of both.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300, tol=1e-2))
    rows = features.reshape(len(features), -1).astype(np.float32)

    def score(splits: list[tuple[np.ndarray, np.ndarray]]) -> float:
        return float(accuracy_score(labels, cross_val_predict(model, rows, labels, cv=splits)))

    random = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, labels)
    grouped = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(rows, labels, groups)
    return Flattery(score(list(random)), score(list(grouped)), name, len(labels))


def thumbnail_features(thumbnails: np.ndarray) -> np.ndarray:
    """Return (n, SIDE, SIDE, 3) means of blocks of the thumbnails."""
    n, side = thumbnails.shape[:2]
    block = side // SIDE
    cut = thumbnails[:, : SIDE * block, : SIDE * block]
    return cut.reshape(n, SIDE, block, SIDE, block, 3).mean(axis=(2, 4))


def backbone_features(materials: Materials, backbone: str, images: Decoded) -> np.ndarray:
    """Return the frozen activations of a pretrained backbone, (n, features), from the cache where they are there."""
    weights = materials.weights[backbone]
    inputs = Images(images.pixels, materials.contents, images.key)
    with silenced():
        shape = shape_of(Recipe(backbone, image_size=images.pixels.shape[1]))
        network = CompiledNetwork(shape, lambda: build(shape, materials.classes, pretrained=True, sha256=weights))
        activations = Activations(materials.cache, weights, materials.seed, materials.cache_bytes)
        return activations.of(network, inputs, PLAIN, 0)[:]
