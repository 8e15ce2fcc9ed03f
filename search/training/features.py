"""Features of images by a frozen backbone."""

import numpy as np
from sklearn.preprocessing import normalize

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.recipe import Recipe
from search.repertoire.shape import shape_of
from search.system.modules import Home
from search.training.activations import PLAIN, Computed, Images
from search.training.compiled import CompiledNetwork
from search.training.network import build

FEWEST_CLASSES = 2  # of a head that nobody asks


def frozen_network(backbone: Backbone, image_size: int, sha256: str = "", home: Home | None = None) -> CompiledNetwork:
    """Return a pretrained backbone of which nothing trains, for images of ``image_size`` px.

    ``sha256`` is the digest that its weights must have, if given, and ``home`` is where the modules of a space lie.
    """
    shape = shape_of(Recipe(backbone.reference, image_size=image_size))
    return CompiledNetwork(shape, lambda: build(shape, FEWEST_CLASSES, pretrained=True, sha256=sha256, home=home))


def features_by(network: CompiledNetwork, pixels: np.ndarray) -> np.ndarray:
    """Return the features (n, D) float32 of images (n, side, side, 3) uint8, each row of length 1."""
    images = Images(pixels, [""] * len(pixels), "")  # their names would matter to augmentation alone
    rows = Computed(network, images, PLAIN, view=0, seed=0)[:].reshape(len(pixels), -1)
    return np.asarray(normalize(rows), np.float32)
