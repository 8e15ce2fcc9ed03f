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
