"""Every backbone of the table: its blocks partition it, and its input is scaled as it was trained."""

import subprocess
import sys

import numpy as np
import pytest
from kit.networks import linear_shape

from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import check_weights, is_cached, weights_file
from search.system.errors import UserError
from search.system.tf import keras
from search.training.network import build

SIDE = 64  # px: as small as every network can see


@pytest.mark.parametrize("name", BACKBONES)
def test_blocks_are_nested_and_partition_the_weights(name):
    backbone = BACKBONES[name]
    base = construct(backbone, pretrained=False)
    whole = len(base.trainable_variables)
    counts = []
    for depth in range(1, backbone.blocks):
        tensor = base.get_layer(backbone.border(depth)).output
        below = {id(v) for v in keras.Model(base.input, tensor).variables}
        above = {id(v) for v in keras.Model(tensor, base.output).variables}
        assert not below & above
        assert len(below | above) == len(base.variables)
        counts.append(len(keras.Model(tensor, base.output).trainable_variables))
    assert counts == sorted(set(counts))
    assert counts[0] > 0
    assert counts[-1] < whole
    assert backbone.border(0) is None
    assert backbone.border(backbone.blocks) == ""


class Lite:
    """Its authors' code subtracts 127 and divides by 128."""

    @staticmethod
    def preprocess_input(images):
        return (images - 127) / 128


def expected_scaling(name, pixels):
    """Scale as the module of keras.applications does that brought the backbone."""
    modules = {
        "MobileNetV2": keras.applications.mobilenet_v2,
        "MobileNetV3": keras.applications.mobilenet_v3,
        "MobileNet": keras.applications.mobilenet,
        "EfficientNetV2": keras.applications.efficientnet_v2,
        "ResNet50V2": keras.applications.resnet_v2,
        "DenseNet": keras.applications.densenet,
        "VGG16": keras.applications.vgg16,
        "EfficientNetLite": Lite,
        "Embedded": keras.applications.mobilenet,  # ours: scaled like it
    }
    module = next(module for prefix, module in modules.items() if name.startswith(prefix))
    return module.preprocess_input(pixels.astype("float32"))


@pytest.mark.parametrize("name", [name for name, backbone in BACKBONES.items() if backbone.pretrained])
def test_input_scaling_is_that_of_its_authors(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("uint8")
    np.testing.assert_allclose(np.asarray(BACKBONES[name].scaled(pixels)), expected_scaling(name, pixels), atol=1e-5)


def test_the_table_is_light_as_help_texts_read_it():
    code = "import sys, search.repertoire.backbones.table; print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


@pytest.mark.parametrize("name", BACKBONES)
def test_a_row_is_whole(name):
    backbone = BACKBONES[name]
    assert backbone.name == name
    assert backbone.blocks == len(set(backbone.cuts)) + 1
    assert backbone.mega_macs > 0
    assert all(backbone.has_frozen_part(depth) for depth in range(backbone.blocks))
    assert not backbone.has_frozen_part(backbone.blocks)
    file = weights_file(backbone)
    assert (file is None) == (not backbone.pretrained)
    assert file is not None or is_cached(backbone)
    assert file is None or file.as_posix().endswith(f"/{backbone.weights.file}")
    assert file is None or bool(backbone.weights.url) != bool(backbone.weights.sha256)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_frozen_part_and_then_the_rest_are_the_whole(name):
    backbone = BACKBONES[name]
    base = construct(backbone, pretrained=False)
    pixels = np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3)).astype("uint8")
    images = backbone.scaled(pixels)
    assert tuple(images.shape) == pixels.shape
    assert images.dtype == "float32"
    layers = [base.get_layer(cut).output for cut in backbone.cuts]
    *tensors, last = keras.Model(base.input, [*layers, base.output])(images, training=False)
    pooled = backbone.pooling()(last)
    assert tuple(pooled.shape) == (2, last.shape[-1])
    np.testing.assert_allclose(np.asarray(pooled), np.asarray(last).mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    for layer, tensor in zip(layers, tensors, strict=True):
        rest = keras.Model(layer, base.output)(tensor, training=False)
        np.testing.assert_allclose(np.asarray(rest), np.asarray(last), rtol=1e-3, atol=1e-5)


def test_pretrained_weights_are_loaded(imagenet):
    backbone = BACKBONES["MobileNetV2_0.35"]
    first, second = construct(backbone, pretrained=True), construct(backbone, pretrained=True)
    fresh = construct(backbone, pretrained=False)
    for one, two in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    assert not np.allclose(first.get_layer("Conv1").kernel.numpy(), fresh.get_layer("Conv1").kernel.numpy())


def test_missing_or_changed_weights_are_refused_not_replaced_by_random_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    backbone = BACKBONES["MobileNet_0.25"]
    with pytest.raises(UserError, match=r"are gone.*mobilenet_2_5_224_tf_no_top.h5"):
        build(linear_shape(backbone.name, 0, 96), 2, pretrained=True)
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / backbone.weights.file
    file.write_bytes(b"not weights")
    with pytest.raises(UserError, match="changed"):
        check_weights(backbone, "0" * 64)


def test_damaged_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    backbone = BACKBONES["MobileNet_0.25"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / backbone.weights.file).write_bytes(b"not weights")
    with pytest.raises(UserError, match=r"mobilenet_2_5.*Delete the file"):
        construct(backbone, pretrained=True)
