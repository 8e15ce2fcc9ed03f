"""Rows of the table of backbones for tests: a small one of a family always, the others where tests may be slow.

`BACKBONES_PART=2/8` leaves the second of eight parts of the others, so that they can be tested a part at a time.
"""

import os

import pytest

from search.repertoire.backbones.table import BACKBONES

REPRESENTATIVES = (  # none of NASNet: its training takes a minute to compile
    *("SmallCNN", "Embedded", "EfficientNetLite0", "MobileNet_0.25", "MobileNetV2_0.35", "MobileNetV3Small"),
    *("EfficientNetV2B0", "ResNet50V2", "DenseNet121", "VGG16", "InceptionV3", "ConvNeXtTiny"),
)
PART, PARTS = map(int, os.environ.get("BACKBONES_PART", "1/1").split("/"))
OTHERS = tuple(name for name in BACKBONES if name not in REPRESENTATIVES)[PART - 1 :: PARTS]
OPTIONS = {  # of the policies that need some; the layer is never built
    "generator": {"rotation_range": 40, "horizontal_flip": True},
    "layer": {"make": "my_layers:noise", "sha256": "0123456789abcdef"},
}
ALL = (*REPRESENTATIVES, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS))
