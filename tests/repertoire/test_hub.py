"""Presets of KerasHub as backbones, from folders of tiny networks with random weights."""

import json
import shutil
import sys
import time

import numpy as np
import pytest
from kit.networks import linear_shape
from kit.presets import SIDE, write_preset

from search import UserError, hub
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.hub import Downloads, allowing
from search.repertoire.backbones.own import found, in_words
from search.system.modules import Beside
from search.system.tf import keras
from search.training.network import build

hub_here = pytest.mark.skipif("not __import__('importlib').util.find_spec('keras_hub')", reason="keras-hub is not here")
PIXELS = np.random.default_rng(3).integers(0, 256, (2, SIDE, SIDE, 3)).astype("float32")
SCALE, OFFSET = [1 / 58, 1 / 57, 1 / 56], [-2.1, -2.0, -1.8]


@pytest.fixture
def beside(tmp_path):
    """A folder where a space would lie, at work; it remembers nothing."""
    one = Beside(tmp_path)
    with one.at_work():
        yield one


def given(network, kind):
    """Return the tokens or maps that KerasHub's own network gives for the pixels, scaled as its converter says."""
    scaled = PIXELS * np.array(SCALE, "float32") + np.array(OFFSET, "float32")
    if kind == "siglip":
        network = keras.Model(network.inputs, network.post_layer_norm.output)
        return np.asarray(network(scaled))
    return np.asarray(network(keras.tree.map_structure(lambda _: scaled, network.input)))


@hub_here
@pytest.mark.parametrize(
    ("kind", "first", "cuts"),
    [
        ("vit", 1, ("transformer_block_1", "transformer_block_2", "transformer_block_3")),
        ("dinov2", 2, ("layers_0",)),
        ("dinov3", 5, ()),
        ("siglip", 0, ()),
    ],
)
def test_a_preset_is_pooled_and_cut_at_its_blocks_and_its_parts_give_what_kerashub_gives(
    beside, tmp_path, kind, first, cuts
):
    network = write_preset(tmp_path / kind, kind)
    backbone = found(hub(kind, pool="tokens"))
    assert (backbone.name, backbone.cuts, backbone.side, backbone.pretrained) == (kind, cuts, SIDE, True)
    assert "pixels scaled by its own image converter" in in_words(backbone)
    assert "an export needs keras-hub" in in_words(backbone)
    assert Backbone.from_json(json.loads(json.dumps(backbone.to_json()))) == backbone

    tokens = given(network, kind)
    token = np.asarray(network.head(tokens)) if kind == "siglip" else tokens[:, 0]
    wanted = np.concatenate([token, tokens[:, first:].mean(1)], 1)
    np.testing.assert_allclose(construct(backbone, pretrained=True, home=beside.home())(PIXELS), wanted, atol=1e-5)
    one = build(linear_shape(backbone, 1, SIDE), 3, pretrained=True, home=beside.home())
    if cuts:
        np.testing.assert_allclose(one.body(one.prefix(PIXELS.astype("uint8"))), wanted, atol=1e-5)
    assert len(one.update.groups[0].variables) < len(network.trainable_variables) if cuts else one.prefix is None


@hub_here
def test_a_preset_of_maps_is_cut_where_they_are_halved_and_its_files_are_its_identity(beside, tmp_path):
    network = write_preset(tmp_path / "resnet", "resnet")
    backbone = found(hub("resnet", name="small"))
    assert backbone.side is None
    assert [cut.startswith("stack0") for cut in backbone.cuts] == [True]
    np.testing.assert_allclose(construct(backbone, pretrained=True)(PIXELS), given(network, "resnet"), atol=1e-5)
    sha256 = backbone.network.sha256
    write_preset(tmp_path / "resnet", "resnet", seed=1)
    with pytest.raises(UserError, match="its network is another one than the search began with"):
        construct(backbone, pretrained=True)
    beside.memory.clear()
    assert found(hub("resnet", name="small")).network.sha256 != sha256


@hub_here
def test_a_named_preset_is_fetched_once_where_that_is_allowed_and_announced(beside, tmp_path, monkeypatch):
    """KerasHub also fetches from addresses of files, as from others."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    write_preset(tmp_path / "far" / "vit", "vit")
    far, lines = hub(f"file://{tmp_path}/far/vit"), []
    with pytest.raises(UserError, match="it is fetched before the first trial"):
        found(far)
    with allowing(Downloads(offline=True, announce=lines.append)), pytest.raises(UserError, match="--offline downl"):
        found(far)
    assert not lines
    assert not list((tmp_path / "home").rglob("*.h5"))
    with allowing(Downloads(offline=False, announce=lines.append)):
        backbone = found(far)
    assert [line.startswith(f"Downloading the preset file://{tmp_path}/far/vit") for line in lines] == [True]
    (copy,) = (tmp_path / "home").rglob("metadata.json")
    before = copy.read_text()
    shutil.rmtree(tmp_path / "home")
    beside.memory.clear()
    time.sleep(1)  # it notes the second
    with allowing(Downloads(offline=False, announce=lines.append)):
        assert found(far) == backbone  # on another machine, say
    assert copy.read_text() != before
    shutil.rmtree(tmp_path / "far")
    features = construct(backbone, pretrained=True)(PIXELS)
    assert features.shape == (2, 16)
    beside.memory.clear()
    assert found(far) == backbone
    with allowing(Downloads(offline=False, announce=lines.append)), pytest.raises(UserError, match="Did you mean"):
        found(hub("resnet_18_imagent"))


@hub_here
def test_what_cannot_be_used_is_said(beside, tmp_path):
    write_preset(tmp_path / "vit", "vit", converter=False)
    write_preset(tmp_path / "resnet", "resnet")
    with pytest.raises(UserError, match="it is not known which pixels it takes"):
        found(hub("vit"))
    assert found(hub("vit", name="scaled", scaling="tf")).scaling == "tf"
    with pytest.raises(UserError, match="cannot be loaded from"):
        found(hub("vit", image_size=48))
    with pytest.raises(UserError, match="wants a network with a token of the class"):
        found(hub("resnet", pool="tokens"))
    (tmp_path / "resnet" / "config.json").write_text('{"registered_name": "my>Network"}')
    with pytest.raises(UserError, match="describes no network of KerasHub"):
        found(hub("resnet"))


def test_a_preset_is_called_by_its_name_and_not_by_its_version():
    assert hub("kaggle://keras/resnetv1/keras/resnet_18/2").name == "resnet_18"
    assert hub("presets/2").name == "presets"
    assert hub("18").name == "18"


def test_without_kerashub_the_way_to_have_it_is_said(beside, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)  # as where it is not installed
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit" / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"needs KerasHub, which cannot be imported .* pip install 'keras-hub>=0.3"):
        found(hub("vit"))
    with pytest.raises(UserError, match="pool='toknes' is not known"):
        hub("vit", pool="toknes")
