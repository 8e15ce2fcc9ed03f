"""The table of backbones: constructor, input scaling, block borders.

``search.repertoire.catalog`` holds the names and the weights; this is what they do.
"""

import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.repertoire.backbones.embedded import embedded, load_weights
from search.repertoire.catalog import BACKBONES, Backbone
from search.repertoire.weights import check_packaged, weights_file, weights_sha256
from search.system.errors import UserError
from search.system.tf import keras

# Input scaling, as (scale, offset) of uint8 pixels; IDENTITY where the network scales by itself.
SIGNED = (1 / 127.5, -1.0)
IDENTITY = (1.0, 0.0)


@dataclass(frozen=True)
class Construction:
    """How to build a backbone.

    ``application`` is a function of ``keras.applications`` by its name, or one of our own; ``scaling`` is one of
    the pairs above or the name of a ``keras.applications`` preprocessing mode, ``borders`` the
    layers after which a block ends, from the input to the output, without the last block.
    """

    application: str | Callable[[], keras.Model]
    options: dict[str, Any]
    scaling: tuple[float, float] | str
    borders: tuple[str, ...]


_MOBILENET = ("conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu")
_MOBILENET_V2 = ("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add")


def small_cnn() -> keras.Model:
    """Return the network that is trained from scratch: four stride-2 convolutions with BatchNorm.

    0.10 million parameters. The momentum of its BatchNorm is low, because a small training part
    makes few steps.
    """
    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = inputs
    for block, filters in enumerate((16, 32, 64, 128), start=1):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"conv_{block}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm_{block}")(x)
        x = layers.ReLU(name=f"block_{block}")(x)
    return keras.Model(inputs, x, name="small_cnn")


_OURS = ("block_1", "block_2", "block_3")

CONSTRUCTIONS = {
    "SmallCNN": Construction(small_cnn, {}, SIGNED, _OURS),
    "Embedded": Construction(embedded, {}, SIGNED, _OURS),
    "Embedded_scratch": Construction(embedded, {}, SIGNED, _OURS),
    "MobileNet_0.25": Construction("MobileNet", {"alpha": 0.25}, SIGNED, _MOBILENET),
    "MobileNet": Construction("MobileNet", {"alpha": 1.0}, SIGNED, _MOBILENET),
    "MobileNetV2_0.35": Construction("MobileNetV2", {"alpha": 0.35}, SIGNED, _MOBILENET_V2),
    "MobileNetV2": Construction("MobileNetV2", {"alpha": 1.0}, SIGNED, _MOBILENET_V2),
    "MobileNetV3Small": Construction(
        "MobileNetV3Small",
        {},
        IDENTITY,
        ("expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add"),
    ),
    "EfficientNetV2B0": Construction(
        "EfficientNetV2B0",
        {},
        IDENTITY,
        ("block1a_project_activation", "block2b_add", "block3b_add", "block4c_add", "block5e_add"),
    ),
    "ResNet50V2": Construction("ResNet50V2", {}, SIGNED, ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out")),
    "DenseNet121": Construction("DenseNet121", {}, "torch", ("pool2_pool", "pool3_pool", "pool4_pool")),
    "VGG16": Construction("VGG16", {}, "caffe", ("block1_pool", "block2_pool", "block3_pool", "block4_pool")),
}


def construct(backbone: Backbone, pretrained: bool, sha256: str = "") -> keras.Model:
    """Return the network of a backbone for images of any size, without pooling or a head.

    It is ``pretrained``, or has random weights (where it has no others, or for tests of the structure).
    Raises UserError where the weights are absent, other than the ``sha256`` that the search began
    with, or damaged.
    """
    if pretrained:
        check_weights(backbone, sha256)
    how, file = CONSTRUCTIONS[backbone.name], weights_file(backbone) if pretrained else None
    try:
        if not callable(how.application):
            return _application(how, file)
        network = how.application()
        if file is not None:
            load_weights(network, file)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        way_out = "Install the package again" if callable(how.application) else "Delete the file and fetch it again"
        raise UserError(f"The weights of {backbone.name} cannot be loaded from {file}: {error}. {way_out}.") from error
    return network


def _application(how: Construction, file: Path | None) -> keras.Model:
    """Return a network of ``keras.applications``, with the weights in ``file`` if it is given."""
    with warnings.catch_warnings():
        # Keras says that it takes the 224 px weights for any size: this is what we want.
        warnings.filterwarnings("ignore", message="`input_shape` is undefined")
        # The very file that weights="imagenet" would load; named, it can never be fetched behind anyone's back.
        return getattr(keras.applications, str(how.application))(
            input_shape=(None, None, 3), include_top=False, weights=file and str(file), **how.options
        )


def check_weights(backbone: Backbone, sha256: str = "") -> None:
    """Raise UserError unless the backbone's weights are there, and equal ``sha256`` if given; ours must be whole."""
    packaged = check_packaged(backbone)
    file = packaged or weights_file(backbone)
    if file is None or not file.is_file():
        raise UserError(
            f"The weights of {backbone.name} are gone: {file} is not there. Put it back, or set KERAS_HOME."
        )
    if sha256 and weights_sha256(backbone) != sha256:
        if packaged:
            raise UserError(
                f"This search began with other weights of {backbone.name}, of another version of this package: go on "
                "with that version, or begin anew with --fresh or under another --name."
            )
        raise UserError(f"The weights of {backbone.name} changed: {file} is another file than the search began with.")


def scaled(backbone: Backbone, pixels: Any) -> Any:
    """Return uint8 ``pixels`` (…, 3) as the float32 input that the backbone was trained on."""
    scaling = CONSTRUCTIONS[backbone.name].scaling
    images = keras.ops.cast(pixels, "float32")
    if isinstance(scaling, str):
        return keras.applications.imagenet_utils.preprocess_input(images, mode=scaling)
    scale, offset = scaling
    return images * scale + offset


def border_of(backbone: Backbone, unfrozen_blocks: int) -> str | None:
    """Return the last frozen layer; None where the whole backbone is frozen ("" is the input).

    ``unfrozen_blocks`` counts from the output.
    """
    borders = CONSTRUCTIONS[backbone.name].borders
    if unfrozen_blocks == 0:
        return None
    return "" if unfrozen_blocks == len(borders) + 1 else borders[-unfrozen_blocks]


assert set(CONSTRUCTIONS) == set(BACKBONES), "catalog and constructions name different backbones"
