"""The network that is trained from scratch: four stride-2 convolutions with BatchNorm."""

from pathlib import Path
from typing import Any

from search.repertoire.backbones.backbone import SIGNED, Backbone

# DECISIONS: Small networks from scratch use BatchNorm with momentum 0.9
MOMENTUM = 0.9  # of BatchNorm: low, because a small training part makes few steps


def small_cnn(_file: Path | None = None) -> Any:
    """Return the network for images of any size, with random weights; it has no others. 0.10 million parameters."""
    from search.system.tf import keras

    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = inputs
    for block, filters in enumerate((16, 32, 64, 128), start=1):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"conv_{block}")(x)
        x = layers.BatchNormalization(momentum=MOMENTUM, name=f"norm_{block}")(x)
        x = layers.ReLU(name=f"block_{block}")(x)
    return keras.Model(inputs, x, name="small_cnn")


SMALL_CNN = Backbone(
    "SmallCNN",
    make=small_cnn,
    scaling=SIGNED,
    cuts=("block_1", "block_2", "block_3"),
    mega_macs=48.8,
    parameters=98_160,
)

FAMILY = (SMALL_CNN,)
