"""The exported network is the one that was trained, in layers that plain Keras has."""

import json
import subprocess
import sys

import numpy as np
import pytest
from kit.networks import linear_shape
from kit.rows import REPRESENTATIVES

from search.export import plain
from search.export.plain import plain_model
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.table import BACKBONES
from search.training import network as building
from search.training.compiled import CompiledNetwork
from search.training.heads.linear import LinearHead
from search.training.network import build

SIDE, CLASSES = 32, 3

# Loads each file where this package cannot be imported.
LOADER = """
import sys
sys.modules["search"] = None
import json, keras, numpy as np
pixels = np.load(sys.argv[1])
told = [keras.models.load_model(file).predict_on_batch(pixels).tolist() for file in sys.argv[2:]]
print(json.dumps(told))
"""


def depths(name):
    """No block, one and all; all where nothing can be frozen."""
    blocks = BACKBONES[name].blocks
    return (0, 1, blocks) if BACKBONES[name].pretrained else (blocks,)


def draw(variables):
    """Draw every weight anew, BatchNorm's statistics too."""
    rng = np.random.default_rng(3)
    for variable in variables:
        if "kernel" in variable.path:
            fan_in = np.prod(variable.shape[: 2 if variable.shape[-1] == 1 else -1])  # of a depthwise one, or another
            variable.assign(rng.normal(0, np.sqrt(2 / fan_in), variable.shape))
        else:
            is_factor = variable.path.endswith(("gamma", "moving_variance"))
            variable.assign(
                rng.uniform(0.8, 1.2, variable.shape) if is_factor else rng.uniform(-0.1, 0.1, variable.shape)
            )


def train(variables):
    """Move every weight a little, as training does, so that what is lost or swapped is seen."""
    rng = np.random.default_rng(2)
    for variable in variables:
        variable.assign(variable.numpy() * rng.uniform(0.9, 1.1, variable.shape) + rng.uniform(0, 0.01, variable.shape))


def head_for(features):
    """Return a head that tells images of these features (n, D) apart."""
    kernel = np.random.default_rng(1).normal(0, 1, (features.shape[1], CLASSES))
    kernel /= np.std(features @ kernel, axis=0)
    return LinearHead(kernel.astype(np.float32), -(features @ kernel).mean(axis=0).astype(np.float32))


def trained(shape, pretrained, pixels):
    """Return the probabilities that a network in training gives, the weights of its body, and its head."""
    network = build(shape, CLASSES, pretrained)
    if network.body is None:
        features = network.prefix(pixels).numpy()
        head = head_for(features)
        return head.predict(features), {}, head
    train(network.body.weights)
    inputs = pixels if network.prefix is None else network.prefix(pixels)
    shown = network.backbone.scaled(pixels) if network.prefix is None else inputs
    head = head_for(network.pool(network.body(shown, training=False)).numpy())
    (dense,) = network.head
    dense.set_weights([head.kernel, head.bias])
    return CompiledNetwork(shape, lambda: network).predict(inputs).numpy(), network.body_weights, head


def pixels_of(side):
    coarse = np.random.default_rng(5).integers(0, 256, (4, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(side // 4, axis=1).repeat(side // 4, axis=2)


@pytest.fixture
def pixels():
    return pixels_of(SIDE)


def check_exported(shapes, pretrained, pixels, tmp_path, atol=1e-4):
    """Save each network as plain Keras, and compare what it says elsewhere with what it said in training."""
    np.save(tmp_path / "pixels.npy", pixels)
    expected, files = [], []
    for number, shape in enumerate(shapes):
        probabilities, body, head = trained(shape, pretrained, pixels)
        expected.append(probabilities)
        files.append(tmp_path / f"{number}.keras")
        plain_model(shape, body, head, pretrained).save(files[-1])
        assert np.ptp(probabilities, axis=0).max() > 1e-3, "it tells no images apart, so nothing is compared"
    told = subprocess.run(
        [sys.executable, "-c", LOADER, tmp_path / "pixels.npy", *files], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    for shape, one, other in zip(shapes, json.loads(told.stdout.splitlines()[-1]), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=atol, err_msg=str(shape))


def check_with_random_weights(shapes, pixels, tmp_path, monkeypatch):
    def same(backbone, *_):
        base = construct(backbone, pretrained=False)
        draw(base.weights)
        return base

    for module in (building, plain):
        monkeypatch.setattr(module, "construct", same)
    # Random weights make more of the last bits than trained ones; a weight that is lost or swapped changes far more.
    check_exported(shapes, False, pixels, tmp_path, atol=2e-3)


def test_every_kind_of_scaling_gives_the_same_probabilities(pixels, tmp_path, monkeypatch):
    costly_first = sorted(BACKBONES.values(), key=lambda backbone: -backbone.mega_macs)
    kinds = {str(backbone.scaling): backbone.name for backbone in costly_first}  # the least of each; slow ones have all
    shapes = [linear_shape(name, depths(name)[-2:][0], SIDE) for name in kinds.values()]
    assert len(shapes) == 5
    check_with_random_weights(shapes, pixels, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_every_family_gives_the_same_probabilities_at_every_depth(name, tmp_path, monkeypatch):
    side = max(SIDE, -(-BACKBONES[name].smallest // 4) * 4)
    shapes = [linear_shape(name, depth, side) for depth in depths(name)]
    check_with_random_weights(shapes, pixels_of(side), tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["MobileNet_0.25", pytest.param("MobileNetV2_0.35", marks=pytest.mark.slow)])
def test_imagenet_weights_give_the_same_probabilities_at_every_depth(name, imagenet, pixels, tmp_path):
    check_exported([linear_shape(name, depth, SIDE) for depth in depths(name)], True, pixels, tmp_path)
