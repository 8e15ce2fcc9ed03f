"""The contract of backbones, which every row of the table keeps; most rows are tested where tests may be slow."""

import gc
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from kit.networks import linear_shape
from kit.rows import ALL

from search.export import plain
from search.export.plain import plain_model
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.cost import mega_macs_of
from search.repertoire.backbones.cuts import found_cuts
from search.repertoire.backbones.graph import graph_of
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import check_weights, is_cached, weights_file
from search.system.errors import UserError
from search.system.tf import keras, tf
from search.training import network as building
from search.training.folding import folded
from search.training.heads.linear import LinearHead
from search.training.network import build

CLASSES = 3
TYPED = {  # whose cuts are not those found; searches began with them
    "SmallCNN": "its blocks are single convolutions, of which the finder takes the first for a stem",
    "Embedded": "its last two blocks have maps of one size",
    "Embedded_scratch": "its last two blocks have maps of one size",
    "EfficientNetV2B0": "a further cut lies between two stages whose maps have one size",
    "ResNet50V2": "its blocks end where its stages do, whose last unit halves the map",
    "ResNet101V2": "like those of ResNet50V2",
    "ResNet152V2": "like those of ResNet50V2",
    "EfficientNetLite0": "a further cut lies between two stages whose maps have one size",
    "EfficientNetLite1": "like those of EfficientNetLite0",
    "EfficientNetLite2": "like those of EfficientNetLite0",
}
UNKNOWN = ("MobileNet", "MobileNetV2")  # whose files Keras knows no digest of


@pytest.fixture(scope="module", params=ALL)
def row(request):
    """A backbone with random weights, its graph, and two images of the smallest size that it takes."""
    backbone, rng = BACKBONES[request.param], np.random.default_rng(1)
    base = construct(backbone, pretrained=False)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # as training would leave it
            for variable in layer.variables:
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    pixels = rng.integers(0, 256, (2, backbone.smallest, backbone.smallest, 3)).astype("uint8")
    yield SimpleNamespace(backbone=backbone, base=base, graph=graph_of(base), pixels=pixels)
    keras.backend.clear_session()
    gc.collect()


def variables_of(*models):
    return {id(variable) for model in models for variable in model.variables}


def test_what_is_said_of_a_row_is_what_its_network_has(row):
    assert row.base.count_params() == row.backbone.parameters
    assert mega_macs_of(row.base) == row.backbone.mega_macs
    assert (found_cuts(row.base) == row.backbone.cuts) == (row.backbone.name not in TYPED)


def test_the_frozen_part_and_then_the_rest_are_the_whole(row):
    backbone, graph = row.backbone, row.graph
    images = backbone.scaled(row.pixels)
    assert tuple(images.shape) == row.pixels.shape
    assert images.dtype == "float32"
    whole = np.asarray(row.base(images, training=False))
    pooled = backbone.pooling()(whole)
    np.testing.assert_allclose(np.asarray(pooled), whole.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    counts = []
    for cut in backbone.cuts:
        below = keras.Model(graph.input, graph.tensors[cut])
        above = keras.Model(graph.tensors[cut], graph.output)
        assert not variables_of(below) & variables_of(above)
        assert variables_of(below, above) == variables_of(row.base)
        counts.append(len(above.trainable_variables))
        rest = np.asarray(above(below(images, training=False), training=False))
        np.testing.assert_allclose(rest, whole, rtol=1e-3, atol=1e-5 * np.abs(whole).max())
    assert counts == sorted({*counts}, reverse=True)
    assert all(0 < count < len(row.base.trainable_variables) for count in counts)


@pytest.fixture
def in_64_bits():
    """Let Keras compute in 64 bits here: random networks this deep lose what early layers do in the last of 32."""
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


CALM = {"gamma": (0.4, 1.0), "beta": (-0.3, 0.3), "moving_mean": (-0.1, 0.1), "moving_variance": (0.5, 1.5)}


def test_a_folded_backbone_computes_the_same(row, in_64_bits):
    """With factors of BatchNorm at which no network is chaotic: with those of the row, some make much of 1e-16."""
    base, images, rng = row.backbone.make(None), row.backbone.scaled(row.pixels), np.random.default_rng(1)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.variables:
                variable.assign(rng.uniform(*CALM[variable.name], variable.shape))
    wanted = np.asarray(base(images, training=False))
    assert wanted.dtype == np.float64
    after = folded(base)
    np.testing.assert_allclose(after(images, training=False), wanted, atol=1e-9 * np.abs(wanted).max())
    assert variables_of(after) == variables_of(base)


@pytest.fixture
def constructed(row, monkeypatch):
    """Let everything use the network of the row, instead of constructing it again."""
    for module in (building, plain):
        monkeypatch.setattr(module, "construct", lambda *_: row.base)


def test_saving_and_loading_an_export_keeps_its_output(row, constructed, tmp_path):
    backbone = row.backbone
    features = np.asarray(row.base(backbone.scaled(row.pixels), training=False)).mean(axis=(1, 2))
    kernel = np.random.default_rng(2).normal(0, 1 / np.abs(features).sum(), (features.shape[1], CLASSES))
    head = LinearHead(kernel.astype(np.float32), np.zeros(CLASSES, np.float32))
    plain_model(linear_shape(backbone.name, 0, backbone.smallest), {}, head).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(loaded(row.pixels)), head.predict(features), atol=1e-4)


def test_exactly_the_parameters_above_a_cut_train(row, constructed):
    backbone = row.backbone
    depth = min(2, backbone.blocks) if backbone.pretrained else backbone.blocks
    shape = linear_shape(backbone.name, depth, backbone.smallest)
    network = build(shape, CLASSES, pretrained=False)
    border = backbone.border(depth)
    above = keras.Model(row.graph.tensors[border], row.graph.output) if border else row.base
    heads = {id(variable) for head in network.head for variable in head.trainable_variables}
    trained = {id(variable) for variable in network.trained} - heads
    assert trained == {id(variable) for variable in above.trainable_variables}
    for head in network.head:
        head.kernel.assign(np.random.default_rng(3).normal(size=head.kernel.shape))  # or no gradient leaves it
    before = [variable.numpy() for variable in row.base.variables]
    inputs = row.pixels if network.prefix is None else network.prefix(row.pixels)
    with tf.GradientTape() as tape:
        logits = network.logits(inputs, training=True)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(np.eye(CLASSES, dtype=np.float32)[:2], logits))
    gradients = tape.gradient(loss, [variable.value for variable in network.trained])
    assert all(gradient is not None for gradient in gradients)
    network.update.step(gradients, 1e-2)
    pairs = zip(row.base.variables, before, strict=True)
    moved = {id(variable) for variable, value in pairs if not np.array_equal(variable.numpy(), value)}
    assert moved
    assert moved <= trained | {id(variable) for variable in row.base.non_trainable_variables if not backbone.pretrained}


def applications():
    """Return the modules of keras.applications, by the names of the networks that each brought."""
    modules = [getattr(keras.applications, name) for name in dir(keras.applications) if name.islower()]
    named = {name: module for module in modules for name in dir(module) if name[0].isupper()}
    return named | dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), keras.applications.mobilenet_v3)


class Lite:
    """Its authors' code subtracts 127 and divides by 128."""

    @staticmethod
    def preprocess_input(images):
        return (images - 127) / 128


@pytest.mark.parametrize("name", [name for name, backbone in BACKBONES.items() if backbone.pretrained])
def test_input_scaling_is_that_of_its_authors(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("uint8")
    ours = {"Embedded": keras.applications.mobilenet}  # scaled like it
    module = Lite if "Lite" in name else (applications() | ours)[name.partition("_")[0]]
    expected = module.preprocess_input(pixels.astype("float32"))
    np.testing.assert_allclose(np.asarray(BACKBONES[name].scaled(pixels)), expected, atol=1e-5)


def test_every_network_of_keras_applications_is_in_the_table():
    names = {name for name in dir(keras.applications) if name[0].isupper()}
    assert len(names) >= 40
    assert names <= set(BACKBONES)


class AskedError(Exception):
    """Keras asks for a file of weights."""


@pytest.mark.parametrize("name", ALL)
def test_its_weights_are_the_file_that_keras_would_fetch(name, monkeypatch):
    backbone = BACKBONES[name]
    if not (backbone.weights and backbone.weights.url):
        return

    def ask(file, address, file_hash=None, **_options):
        raise AskedError(file, address, file_hash or "")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", ask)
    constructor, _, kind = name.partition("_")
    options = {"minimalistic": True} if kind == "minimalistic" else {"alpha": float(kind)} if kind else {}
    with keras.StatelessScope(initialize_variables=False), pytest.raises(AskedError) as asked:
        getattr(keras.applications, constructor)(include_top=False, weights="imagenet", **options)
    weights = backbone.weights
    assert asked.value.args == (weights.file, weights.url, weights.md5 or weights.sha256)
    assert bool(weights.md5 or weights.sha256) == (constructor not in UNKNOWN)


def test_the_table_is_light_as_help_texts_read_it():
    code = "import sys, search.repertoire.backbones.table; print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


@pytest.mark.parametrize("name", BACKBONES)
def test_a_row_is_whole(name):
    backbone = BACKBONES[name]
    assert backbone.border(0) is None
    assert backbone.border(backbone.blocks) == ""
    assert backbone.name == name
    assert backbone.blocks == len(set(backbone.cuts)) + 1
    assert backbone.mega_macs > 0
    assert all(backbone.has_frozen_part(depth) for depth in range(backbone.blocks))
    assert not backbone.has_frozen_part(backbone.blocks)
    file = weights_file(backbone)
    assert (file is None) == (not backbone.pretrained)
    assert file is not None or is_cached(backbone)
    assert file is None or file.as_posix().endswith(f"/{backbone.weights.file}")
    assert file is None or backbone.weights.url or backbone.weights.sha256
    assert file is None or backbone.weights.licence
    assert backbone.takes(backbone.smallest)
    assert not backbone.takes(backbone.smallest - 1)


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
