"""Networks of ``keras.applications`` and their ImageNet weights, as the families of backbones use them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.repertoire.backbones.backbone import Weights

ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications"


def application(name: str, **options: Any) -> Callable[[Path | None], Any]:
    """Return what builds the network that ``keras.applications`` has under this name, with these options."""

    def make(file: Path | None) -> Any:
        from search.system.tf import keras

        with warnings.catch_warnings():
            # Keras says that it takes the 224 px weights for any size: this is what we want.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined")
            # The very file that weights="imagenet" would load; named, it can never be fetched behind anyone's back.
            return getattr(keras.applications, name)(
                input_shape=(None, None, 3), include_top=False, weights=file and str(file), **options
            )

    return make


def imagenet(folder: str, file: str) -> Weights:
    """Return the weights that Keras keeps in this folder at its address."""
    return Weights(file, f"{ADDRESS}/{folder}/{file}")
