"""Somebody's own networks, small ones, as modules beside a space and as a .keras file."""

LAYERS = """
import keras

def block(x, filters):
    for strides in (2, 1):
        x = keras.layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    return x
"""
NETS = """
import random

import keras
from my_layers import block

def network():
    keras.utils.set_random_seed(4)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    return keras.Model(inputs, block(block(x, 8), 16))

def scratch():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, block(block(inputs, 8), 16))

def varied():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.RandomFlip("horizontal")(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2)(x)
    x = keras.Sequential([keras.layers.SeparableConv2D(8, 3), keras.layers.BatchNormalization()])(x)
    return keras.Model(inputs, keras.layers.Dropout(0.5)(x) + keras.layers.Conv2D(8, 1)(x))

def other_each_time():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, block(inputs, random.SystemRandom().randrange(4, 2**10)))

def with_lambda():
    keras.utils.set_random_seed(4)
    inputs = keras.Input((28, 28, 3))
    x = keras.layers.Lambda(lambda maps: 2 * maps)(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, block(x, 8))

def mixed():
    model = network()
    keras.utils.set_random_seed(random.SystemRandom().randrange(2**30))
    return keras.Model(model.input, block(model.output, 8))

def broken():
    raise ValueError("this one")

def text():
    return "network"

def subclass():
    return type("Mine", (keras.Model,), {})()

def grey():
    inputs = keras.Input((32, 32, 1))
    return keras.Model(inputs, block(inputs, 8))

def words():
    inputs = keras.Input((32, 32, 3))
    return keras.Model(inputs, keras.layers.Reshape((-1, 8))(block(inputs, 8)))
"""


def write_file(path, side=40, classes=5):
    """Save a network that stands in a model with a classifier, as tutorials have it."""
    import keras

    keras.utils.set_random_seed(3)
    names = {}
    exec(LAYERS, names)
    inputs, images = keras.Input((side, side, 3)), keras.Input((side, side, 3))
    inner = keras.Model(inputs, names["block"](names["block"](inputs, 8), 16))
    x = keras.layers.RandomFlip("horizontal")(images)
    x = inner(keras.layers.Rescaling(1 / 255)(x), training=False)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(images, keras.layers.Dense(classes, activation="softmax", name="kinds")(x)).save(path)
