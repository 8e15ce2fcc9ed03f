"""What the rows of ``keras.applications`` have in common: how a network is built, and where its weights are."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.repertoire.backbones.backbone import Weights

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications"


def application(
    name: str, input_shape: tuple[int | None, int | None, int] = (None, None, 3), **options: Any
) -> Callable[[Path | None], Any]:
    """Return what builds the network that ``keras.applications`` has under this name, with these options.

    It takes images of any size, unless ``input_shape`` fixes one.
    """

    def make(file: Path | None) -> Any:
        from search.system.tf import keras

        with warnings.catch_warnings():
            # Keras says that it takes the 224 px weights for any size: this is what we want.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined")
            # The very file that weights="imagenet" would load; named, it can never be fetched behind anyone's back.
            return getattr(keras.applications, name)(
                input_shape=input_shape, include_top=False, weights=file and str(file), **options
            )

    return make


def imagenet(folder: str, file: str, *, licence: str, at: str = "", **digests: str) -> Weights:
    """Return the weights that Keras keeps in a folder at its address, there perhaps under another name (``at``)."""
    return Weights(file, f"{ADDRESS}/{folder}/{at or file}", licence=licence, **digests)


def width_name(name: str, width: float) -> str:
    """Return the name of a network whose layers have so many times the usual channels."""
    return name if width == 1 else f"{name}_{width:g}"
