"""Keras layers and networks of the original projects, which their spaces name as "originals.layers:function"."""

import keras

from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.table import BACKBONES


def rooms():
    """Return the augmentation of real_estate.py: mirrored, turned, zoomed a little, other contrast, shifted."""
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.1),
            keras.layers.RandomZoom(0.005),
            keras.layers.RandomContrast(0.1, value_range=(0, 255)),
            keras.layers.RandomTranslation((-0.2, 0.3), (-0.2, 0.3)),
        ]
    )


def vgg16():
    """Return VGG16 with its ImageNet weights, for good_bad.py, which shows it pixels that are not scaled."""
    return construct(BACKBONES["VGG16"], pretrained=True)


def lite0():
    """Return EfficientNetLite0 with its ImageNet weights, for the same."""
    return construct(BACKBONES["EfficientNetLite0"], pretrained=True)
