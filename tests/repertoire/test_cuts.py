"""The cuts that are found in the graph of a network."""

import numpy as np
import pytest

from search.repertoire.backbones.cuts import found_cuts
from search.repertoire.backbones.graph import graph_of
from search.system.tf import keras

layers = keras.layers


def convolved(x, filters, stride, name, **options):
    return layers.Conv2D(filters, 3, strides=stride, padding="same", activation="relu", name=name, **options)(x)


def test_the_last_place_before_each_halving_is_a_cut_and_widened_or_padded_maps_are_none():
    inputs = keras.Input((None, None, 3))
    x = convolved(inputs, 8, 2, "stem")
    x = convolved(x, 8, 1, "first")
    x = convolved(x, 48, 1, "widened")
    x = convolved(layers.ZeroPadding2D(name="padded")(x), 16, 2, "narrowed")
    x = convolved(x, 16, 1, "second") + x
    x = convolved(layers.MaxPooling2D(name="pooled")(x), 32, 1, "third")
    x = convolved(x, 32, 2, "last")
    sum_of_two = next(call.name for call in graph_of(keras.Model(inputs, x)).calls if call.name.startswith("add"))
    assert found_cuts(keras.Model(inputs, x)) == ("first", "pooled", "third")
    assert sum_of_two in [place.name for place in graph_of(keras.Model(inputs, x)).places]


def two_in_one():
    """Return a network of two models, one in the other, and an addition."""
    inner = keras.Sequential([layers.Conv2D(4, 3, padding="same", name="inner"), layers.ReLU(name="inner_relu")])
    inputs = keras.Input((16, 16, 3))
    x = convolved(inputs, 4, 1, "outer")
    return keras.Model(inputs, convolved(inner(x) + 1.0, 4, 2, "end"))


def test_models_within_a_network_and_additions_are_cut_too():
    model = two_in_one()
    graph = graph_of(model)
    names = [call.name for call in graph.places]
    assert [name for name in names if not name.startswith("add")] == ["outer", "inner", "inner_relu"]
    assert len(names) == 4
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    for name in names:
        below, above = keras.Model(graph.input, graph.tensors[name]), keras.Model(graph.tensors[name], graph.output)
        np.testing.assert_allclose(above(below(images)), model(images), rtol=1e-5, atol=1e-6)
        parts = [{id(variable) for variable in part.variables} for part in (below, above)]
        assert not parts[0] & parts[1]
        assert parts[0] | parts[1] == {id(variable) for variable in model.variables}


def test_a_layer_with_weights_that_is_called_twice_is_never_on_both_sides():
    inputs = keras.Input((16, 16, 3))
    twice, relu = layers.Conv2D(3, 3, padding="same", name="twice"), layers.ReLU(name="relu")
    x = relu(twice(relu(twice(layers.Rescaling(2.0, name="scaled")(inputs)))))
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="end")(layers.Dropout(0.5, name="dropout")(x)))
    assert [place.name for place in graph_of(model).places] == ["scaled", "twice", "relu", "dropout"]


def test_only_networks_with_a_graph_have_cuts():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    one, other = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    for model in (Own(), keras.Model([one, other], one + other)):
        with pytest.raises(ValueError, match="functional model with one input and one output"):
            found_cuts(model)
