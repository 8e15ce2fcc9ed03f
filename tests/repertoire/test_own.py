"""Somebody's own networks as backbones: what is found of them, and what is refused."""

import dataclasses

import keras
import numpy as np
import pytest
from kit.own import LAYERS, NETS, write_file

from search import Backbone, Recipe, UserError
from search.repertoire.backbones.backbone import IDENTITY
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.own import in_words
from search.repertoire.backbones.table import BACKBONES
from search.system.modules import Beside


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with modules of networks, where we are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_nets.py").write_text(NETS)
    (tmp_path / "my_layers.py").write_text(LAYERS)
    return tmp_path


def recipe(*values, **fields):
    return Recipe(Backbone(*values, **fields), None)


def test_what_a_network_of_a_function_tells_is_found(place):
    mine = recipe("mine", make="my_nets:network")
    found = mine.backbone
    assert (found.scaling, found.cuts, found.blocks, mine.unfrozen_blocks) == (IDENTITY, ("re_lu_1",), 2, 2)
    assert (found.pretrained, found.side, found.network.vectors) == (True, None, False)
    assert found.mega_macs == pytest.approx(22.4, rel=0.1)  # 112² (27 8 + 72 8) + 56² (72 16 + 144 16), in millions
    assert found == recipe("mine", make="my_nets:network").backbone
    assert construct(found, pretrained=True).output.shape == (None, None, None, 16)


def test_a_recipe_of_an_own_network_is_json_and_back_without_the_network(place):
    mine = recipe("mine", make="my_nets:network")
    fields = mine.to_dict()
    (place / "my_nets.py").unlink()
    assert Recipe.from_dict(fields) == mine
    assert Recipe.from_dict(fields).digest == mine.digest
    assert mine.summary().startswith("mine, all blocks")


def test_the_code_and_the_weights_that_it_gives_name_a_network(place):
    one = recipe("mine", make="my_nets:network")
    (place / "my_layers.py").write_text(LAYERS + "\n# another text\n")
    other = recipe("mine", make="my_nets:network")
    assert one.backbone.network.sha256 != other.backbone.network.sha256
    assert one.digest != other.digest
    with pytest.raises(UserError, match=r"'mine' .* changed: its network is another one than the search began with"):
        construct(one.backbone, pretrained=True)
    scratch, again = (recipe("raw", make="my_nets:scratch", scaling=(1 / 255, 0)) for _ in range(2))
    assert not scratch.backbone.pretrained
    assert scratch == again  # its weights are drawn anew, and are no part of it
    with pytest.raises(UserError, match="starts from random weights"):
        dataclasses.replace(scratch, unfrozen_blocks=0)


def test_a_file_loses_its_classifier_and_keeps_its_size(place):
    write_file(place / "flowers.keras")
    mine = recipe("flowers", make="flowers.keras")
    assert (mine.image_size, mine.backbone.network.vectors) == (40, True)
    (cut,) = mine.backbone.cuts
    assert cut.startswith("re_lu_")  # Keras numbers unnamed layers over all networks that a process builds
    assert "without its classifier, the layer 'kinds'; for images of 40 px" in in_words(mine.backbone)
    whole = keras.models.load_model("flowers.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 40, 40, 3)).astype(np.float32)
    kernel, bias = whole.get_layer("kinds").get_weights()
    features = construct(mine.backbone, pretrained=True)(pixels, training=False).numpy()
    probabilities = keras.activations.softmax(features @ kernel + bias).numpy()
    assert probabilities == pytest.approx(whole(pixels, training=False).numpy(), abs=1e-6)
    with pytest.raises(UserError, match=r"image_size=64 with backbone='flowers', which takes images of 40 px only"):
        Recipe(mine.backbone, image_size=64)


@keras.saving.register_keras_serializable("tests")
class Registered(keras.layers.Layer):
    """A layer that this process knows, and workers do not."""

    def call(self, inputs):
        """Double."""
        return 2 * inputs


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"make": "my_nets:netwrk"}, "has no function 'netwrk'. Did you mean 'network'"),
        ({"make": "no_nets:network"}, "there is no module no_nets in "),
        ({"make": "my_nets:broken"}, r"broken\(\) fails: ValueError: this one"),
        ({"make": "my_nets"}, "must be 'module:function'"),
        ({"make": lambda file: None}, "make must be a text that workers can follow"),
        ({"make": "my_nets:text"}, "gives str, where a keras.Model is wanted"),
        ({"make": "my_nets:subclass"}, "gives a model without a graph, .* Wrap it"),
        ({"make": "my_nets:grey"}, r"takes inputs of the shape \(None, 32, 32, 1\)"),
        ({"make": "my_nets:words"}, r"gives outputs of the shape \(None, .*vectors \(None, features\)"),
        ({"make": "my_nets:mixed"}, "has weights that are drawn anew each time"),
        ({"make": "my_nets:other_each_time"}, "has other layers each time it is made"),
        ({"make": "registered.keras"}, "Could not locate class 'Registered'.*Write a function"),
        ({"make": "my_nets:scratch"}, r"it is not known which pixels it takes. Say it: scaling=\(scale, offset\)"),
        ({"make": "my_nets:network", "scaling": "unit"}, "or one of tf, torch, caffe"),
        ({"make": "my_nets:network", "scaling": (1,)}, r"must be \(scale, offset\)"),
        ({"make": "my_nets:network", "cuts": ["relu_1"]}, "cannot be cut after 'relu_1': .* Did you mean 're_lu_1'"),
        ({"make": "my_nets:network", "cuts": ["re_lu_1", "re_lu"]}, "from the input to the output, each once"),
        ({"make": "none.keras"}, "there is no such file in "),
        ({"make": "code.keras"}, "Code is never run from a file.*Write a function"),
        ({"name": "VGG16", "make": "my_nets:network"}, "has the name of one that the program has"),
        ({"mke": "my_nets:network"}, "has no field 'mke'. Did you mean 'make'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_way_out(place, fields, message):
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, keras.layers.Lambda(lambda x: 2 * x)(inputs)).save("code.keras")
    keras.Model(inputs, Registered()(inputs)).save("registered.keras")  # in a module that only the driver imports
    with pytest.raises(UserError, match=f"(?s){message}"):
        recipe(**{"name": "mine", **fields})


def test_a_network_with_a_lambda_is_said_to_have_one_and_takes_its_small_size(place):
    mine = recipe("doubling", make="my_nets:with_lambda")
    assert mine.image_size == 28
    assert "with a Lambda, so it cannot be exported" in in_words(mine.backbone)
    assert Recipe.from_dict(mine.to_dict()) == mine
    assert "has_lambda" not in str(mine.to_dict())
    write_file(place / "flowers.keras")
    both = (mine.backbone, Backbone("flowers", make="flowers.keras"))
    with pytest.raises(UserError, match="'doubling' takes images of 28 px only, 'flowers' takes images of 40 px only"):
        Recipe(both, 0)


def test_a_network_is_not_built_while_its_space_is_read(place):
    (place / "space.py").write_text(
        "from search import Backbone, Recipe\nRecipe(Backbone('mine', make='my_nets:network'))\n"
    )
    from search.space import load_space_file

    with pytest.raises(UserError, match=r"line 2: .*is built when the search begins. Make recipes with it inside"):
        load_space_file(place / "space.py")


def test_layers_without_a_name_are_called_alike_whatever_was_built_before(place):
    keras.layers.ReLU()(keras.Input((8, 8, 3)))
    assert recipe("mine", make="my_nets:network").backbone.cuts == ("re_lu_1",)
    beside = Beside(place)
    with beside.importable():
        assert recipe("mine", make="my_nets:network").backbone.cuts == ("re_lu_1",)
    assert set(beside.texts) == {"my_nets.py", "my_layers.py"}  # kept with the search


def test_a_row_of_the_table_is_its_name():
    assert Recipe(BACKBONES["SmallCNN"], None) == Recipe("SmallCNN", None)
