"""Every backbone of the catalog: its blocks partition it, and its input is scaled as it was trained."""

import numpy as np
import pytest

from search.repertoire.backbones.constructions import CONSTRUCTIONS, border_of, check_weights, construct, scaled
from search.repertoire.catalog import BACKBONES
from search.repertoire.shape import Shape
from search.system.errors import UserError
from search.system.tf import keras
from search.training.network import build


@pytest.mark.parametrize("name", BACKBONES)
def test_blocks_are_nested_and_partition_the_weights(name):
    backbone = BACKBONES[name]
    base = construct(backbone, pretrained=False)
    whole = len(base.trainable_variables)
    counts = []
    for depth in range(1, backbone.blocks):
        tensor = base.get_layer(border_of(backbone, depth)).output
        below = {id(v) for v in keras.Model(base.input, tensor).variables}
        above = {id(v) for v in keras.Model(tensor, base.output).variables}
        assert not below & above
        assert len(below | above) == len(base.variables)
        counts.append(len(keras.Model(tensor, base.output).trainable_variables))
    assert counts == sorted(set(counts))
    assert counts[0] > 0
    assert counts[-1] < whole
    assert border_of(backbone, 0) is None
    assert border_of(backbone, backbone.blocks) == ""


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
        "Embedded": keras.applications.mobilenet,  # ours: scaled like it
    }
    module = next(module for prefix, module in modules.items() if name.startswith(prefix))
    return module.preprocess_input(pixels.astype("float32"))


@pytest.mark.parametrize("name", [name for name, backbone in BACKBONES.items() if backbone.pretrained])
def test_input_scaling_is_that_of_keras_applications(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("uint8")
    np.testing.assert_allclose(np.asarray(scaled(BACKBONES[name], pixels)), expected_scaling(name, pixels), atol=1e-5)


def test_every_constructor_exists():
    for construction in CONSTRUCTIONS.values():
        assert callable(construction.application) or hasattr(keras.applications, construction.application)


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
        build(Shape(backbone.name, 0, 96), 2, pretrained=True)
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
