"""The backbone that comes with the package: a small residual network (He et al. 2016), and the file of its weights.

``search.pretraining.pretrain`` makes the weights; the model card beside them, ``embedded.md``, says what
they are good for.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.repertoire.backbones.backbone import SIGNED, Backbone, Weights

STEM = 16
BLOCKS = ((32, 2, 1), (64, 2, 2), (128, 2, 2), (192, 1, 1))  # filters, stride, residual units
FEATURES = 512  # of the last map: a linear head tells more from many than from few
RARE = 0.9  # momentum of BatchNorm where few steps are made, as in a search
Norm = Callable[..., Any]


def usual(**options: Any) -> Any:
    """Return a BatchNorm for networks that make few steps."""
    from search.system.tf import keras

    return keras.layers.BatchNormalization(momentum=RARE, **options)


def embedded(norm: Norm = usual) -> Any:
    """Return the network for images of any size, with random weights; its maps are 1/16 of the image's side.

    Input is pixels in -1..1, (n, side, side, 3); ``block_1`` to ``block_4`` end its blocks. The last block
    widens at its end (as Sandler et al. 2018, "MobileNetV2", do), and has the norm ``features`` after it.
    ``norm`` makes its normalisations.
    """
    from search.system.tf import keras

    inputs = keras.Input((None, None, 3))
    x = keras.layers.ReLU(name="stem")(_convolved(inputs, STEM, 3, 2, "stem", norm))
    for block, (filters, stride, units) in enumerate(BLOCKS, start=1):
        for unit in range(1, units + 1):
            name = f"block_{block}" if unit == units and block < len(BLOCKS) else f"block_{block}_unit_{unit}"
            x = _unit(x, filters, stride if unit == 1 else 1, name, norm)
    x = keras.layers.ReLU(name="block_4")(_convolved(x, FEATURES, 1, 1, "block_4", norm))
    x = norm(name="features")(x)
    return keras.Model(inputs, x, name="embedded")


def _unit(x: Any, filters: int, stride: int, name: str, norm: Norm) -> Any:
    """Return two convolutions and a way past them, which averages where it shrinks (He et al. 2019, "ResNet-D")."""
    from search.system.tf import keras

    layers = keras.layers
    y = layers.ReLU(name=f"{name}_relu")(_convolved(x, filters, 3, stride, f"{name}_a", norm))
    y = _convolved(y, filters, 3, 1, f"{name}_b", norm)
    if x.shape[-1] != filters:
        x = layers.AveragePooling2D(stride, padding="same", name=f"{name}_pool")(x) if stride > 1 else x
        x = _convolved(x, filters, 1, 1, f"{name}_past", norm)
    return layers.ReLU(name=name)(layers.Add(name=f"{name}_add")([x, y]))


def _convolved(x: Any, filters: int, side: int, stride: int, name: str, norm: Norm) -> Any:
    from search.system.tf import keras

    convolution = keras.layers.Conv2D(
        filters,
        side,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )
    return norm(name=f"{name}_norm")(convolution(x))


def weights_bytes(network: Any) -> bytes:
    """Return the file of the network's weights, as 16-bit floats; OverflowError where one is beyond them."""
    import numpy as np

    from search.system.files import npz_bytes

    with np.errstate(over="ignore"):
        rounded = {weight.path: weight.numpy().astype(np.float16) for weight in network.weights}
    beyond = [path for path, values in rounded.items() if not np.isfinite(values).all()]
    if beyond:
        raise OverflowError(f"{', '.join(beyond)} cannot be written as 16-bit floats")
    return npz_bytes(rounded)


def load_weights(network: Any, file: Path) -> None:
    """Give the network the weights in ``file``; ValueError or KeyError where they are not its own."""
    import numpy as np

    with np.load(file) as arrays:
        for weight in network.weights:
            weight.assign(arrays[weight.path].astype(np.float32))


def make(file: Path | None) -> Any:
    """Return the network with the weights in ``file``, or with random ones."""
    network = embedded()
    if file is not None:
        load_weights(network, file)
    return network


SHA256 = "41b97d151cfe0de812d7261211ea206fb892e8bcd4ebc7a6c5353c33d520aace"
CUTS = ("block_1", "block_2", "block_3")
MEGA_MACS = 388
PARAMETERS = 1_356_656

EMBEDDED = Backbone(
    "Embedded",
    make=make,
    scaling=SIGNED,
    cuts=CUTS,
    mega_macs=MEGA_MACS,
    weights=Weights("embedded.npz", sha256=SHA256, licence="MIT"),
    parameters=PARAMETERS,
)
EMBEDDED_SCRATCH = Backbone(
    "Embedded_scratch", make=make, scaling=SIGNED, cuts=CUTS, mega_macs=MEGA_MACS, parameters=PARAMETERS
)

FAMILY = (EMBEDDED, EMBEDDED_SCRATCH)
