"""The exported network is the one that was trained, in layers that plain Keras has."""

import json
import subprocess
import sys

import numpy as np
import pytest

from search.catalog import BACKBONES
from search.models import build as building
from search.models import plain
from search.models.backbones import construct
from search.models.build import Shape, build
from search.models.engine import Engine
from search.models.heads import Batches, Heads
from search.models.plain import plain_model

SIDE, CLASSES = 64, 3
CHEAP = ("SmallCNN", "MobileNet_0.25", "MobileNetV2_0.35")

# Loads each file where this package cannot be imported.
LOADER = """
import sys
sys.modules["search"] = None
import json, keras, numpy as np
pixels = np.load(sys.argv[1])
print(json.dumps([keras.models.load_model(file).predict(pixels, verbose=0).tolist() for file in sys.argv[2:]]))
"""


def depths(name):
    """Some blocks, none and all; where nothing can be frozen, all."""
    blocks = BACKBONES[name].blocks
    return (0, 1, blocks) if BACKBONES[name].pretrained else (blocks,)


def weights_like_trained_ones(variables, seed):
    """Move every weight, those of BatchNorm too, so that what is lost or swapped is seen."""
    rng = np.random.default_rng(seed)
    for variable in variables:
        drawn = rng.uniform(0.8, 1.2, variable.shape).astype(np.float32)
        is_sum = variable.path.endswith(("beta", "moving_mean", "bias"))
        variable.assign(np.asarray(variable) + (drawn - 1 if is_sum else 0) if is_sum else np.asarray(variable) * drawn)


@pytest.fixture
def pixels():
    return np.random.default_rng(5).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture
def random_weights(monkeypatch):
    """Every backbone is built with the same random weights each time, BatchNorm's statistics among them."""

    def same(backbone, _weights, _sha256=""):
        base = construct(backbone, None)
        if backbone.pretrained:
            building.initialise(base, 3) if False else None
        return base

    return monkeypatch, same


def trained(shape, weights, pixels):
    """Return the probabilities of a network as training sees it, its body's weights and its head."""
    network = build(shape, weights)
    rng = np.random.default_rng(1)
    if network.body is None:
        features = network.prefix(pixels).numpy()
        heads = Heads([7], features.shape[1], CLASSES, 0.2, 0.0)
        shown = features[None, None]
        ones = np.ones(shown.shape[:3], np.float32)
        labels = np.array([0, 1, 2, 1], np.int32)[None, None]
        heads.train(Batches(shown, labels, ones, ones / len(pixels)), np.array([0.05], np.float32))
        return heads.predict(0, features), {}, heads.weights(0)
    weights_like_trained_ones(network.body.weights, 2)
    for variable in network.head.variables:
        variable.assign(rng.normal(0, 0.05, variable.shape))
    engine = Engine(shape, lambda: network)
    inputs = pixels if network.prefix is None else network.prefix(pixels)
    head = network.head.kernel.numpy(), network.head.bias.numpy()
    return engine.predict(inputs).numpy(), network.body_weights, head
