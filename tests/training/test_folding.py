"""Folded networks compute what Keras' layers compute, one after another, forward and backward."""

import numpy as np
import pytest

from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.table import BACKBONES
from search.system.tf import keras, tf
from search.training.folding import Folded, folded
from search.training.trainer import set_up

set_up(2)
RNG = np.random.default_rng(0)


def stirred(model):
    """Give every BatchNorm statistics and factors as training would."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.variables:
                variable.assign(RNG.uniform(0.5, 1.5, variable.shape))
    return model


def folds_in(model):
    return sum(isinstance(layer, Folded) for layer in model.layers)


FOLDS = {"MobileNet_0.25": 27, "MobileNetV2_0.35": 52, "DenseNet121": 59, "VGG16": 0}


@pytest.mark.parametrize("name", FOLDS)
def test_convolutions_take_the_norms_that_follow_them(name):
    assert folds_in(folded(construct(BACKBONES[name], pretrained=False))) == FOLDS[name]


def chain(*layers):
    inputs = keras.Input((8, 8, 3))
    x = inputs
    for layer in layers:
        x = layer(x)
    return stirred(keras.Model(inputs, x))


CONVOLUTIONS = {
    "bias": lambda: keras.layers.Conv2D(4, 3, strides=2, padding="same"),
    "no bias": lambda: keras.layers.Conv2D(4, 3, use_bias=False),
    "dilated": lambda: keras.layers.Conv2D(4, 3, dilation_rate=2, padding="same"),
    "depthwise": lambda: keras.layers.DepthwiseConv2D(3, padding="same"),
}


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("factors", [{}, {"scale": False}, {"center": False}])
def test_gradients_reach_the_same_variables(convolution, factors):
    model = chain(CONVOLUTIONS[convolution](), keras.layers.BatchNormalization(**factors), keras.layers.ReLU())
    after = folded(model)
    assert folds_in(after) == 1
    images = RNG.normal(size=(5, 8, 8, 3)).astype(np.float32)
    slopes = []
    for network in (model, after):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(images, training=False) ** 2)
        slopes.append(tape.gradient(loss, [variable.value for variable in model.trainable_variables]))
    for one, other in zip(*slopes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(one).max())


def test_what_cannot_be_folded_stays():
    norm = keras.layers.BatchNormalization
    activated = chain(keras.layers.Conv2D(4, 3, activation="relu"), norm())
    grouped = chain(keras.layers.Conv2D(3, 3, groups=3), norm())
    first = chain(norm(), keras.layers.Conv2D(4, 3))
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    shared = stirred(keras.Model(inputs, keras.layers.Add()([norm()(x), x])))
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    added = stirred(keras.Model(inputs, norm()(x) + x))
    inputs, twice = keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3, padding="same")
    repeated = stirred(keras.Model(inputs, twice(norm()(twice(inputs)))))
    images = RNG.normal(size=(5, 8, 8, 3)).astype(np.float32)
    for model in (activated, grouped, first, shared, added, repeated):
        after = folded(model)
        assert folds_in(after) == 0
        np.testing.assert_allclose(after(images, training=False), model(images, training=False), atol=1e-5)


def test_models_within_a_network_are_folded_too():
    inner = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.ReLU()])
    middle = keras.Input((6, 6, 4))
    outer = chain(inner, keras.Model(middle, keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 1)(middle))))
    for variable in outer.variables:
        variable.assign(RNG.uniform(0.5, 1.5, variable.shape))
    images = RNG.normal(size=(5, 8, 8, 3)).astype(np.float32)
    after = folded(outer)
    assert folds_in(after) == 2
    np.testing.assert_allclose(after(images, training=False), outer(images, training=False), rtol=1e-4)
    assert {id(variable) for variable in after.variables} == {id(variable) for variable in outer.variables}
