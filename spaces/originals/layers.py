"""Keras layers and networks of the original projects, which their spaces name as "originals.layers:function"."""

import keras

from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.hub import allowed
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import resolve
from search.system.errors import UserError


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
    return _pretrained("VGG16")


def lite0():
    """Return EfficientNetLite0 with its ImageNet weights, for the same."""
    return _pretrained("EfficientNetLite0")


def mobilenet():
    """Return MobileNetV2_0.35 with its ImageNet weights, for the same."""
    return _pretrained("MobileNetV2_0.35")


def _pretrained(name):
    """Return a network with its ImageNet weights, which are fetched before the first trial unless it is offline."""
    downloads = allowed()
    offline, announce = (downloads.offline, downloads.announce) if downloads else (True, print)
    _, missing = resolve([BACKBONES[name]], offline=offline, announce=announce)
    if missing:
        raise UserError(
            f"its ImageNet weights are not here ({missing[0].reason}). python -m search backbones {name} says how to "
            "have them; or name another network: --backbones EfficientNetLite0."
        )
    return construct(BACKBONES[name], pretrained=True)
