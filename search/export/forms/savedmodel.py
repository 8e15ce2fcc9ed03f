"""SavedModel: a folder that TensorFlow loads without Keras, as TensorFlow Serving does."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search.export.forms.form import Calibration, Form, Pixels, Program, names_of

if TYPE_CHECKING:
    from search.system.tf import keras

FOLDER = "saved_model"
SIGNATURE = "serving_default"  # takes inputs by name, as TensorFlow Serving gives them


def write(model: "keras.Model", path: Path, calibration: Calibration) -> None:  # noqa: ARG001 the others need it
    """Write a model as a SavedModel."""
    model.export(path, format="tf_saved_model", verbose=False)


def run(path: Path, pixels: Pixels) -> np.ndarray:
    """Return the probabilities of images (n, classes)."""
    from search.system.tf import tf

    images = {name: tf.constant(each, tf.float32) for name, each in zip(names_of(pixels), pixels, strict=True)}
    model = tf.saved_model.load(str(path))  # which has its variables for as long as it lives
    return np.asarray(next(iter(model.signatures[SIGNATURE](**images).values())))


def _call(inputs: Mapping[str, str]) -> str:
    images = ", ".join(f"{name}=tf.constant({code})" for name, code in inputs.items())
    return f'probabilities = next(iter(model.signatures["{SIGNATURE}"]({images}).values()))[0].numpy()'


SAVEDMODEL = Form(
    "savedmodel",
    "SavedModel",
    FOLDER,
    write,
    run,
    Program("import tensorflow as tf", f'model = tf.saved_model.load("{FOLDER}")', _call),
    "tensorflow numpy pillow",
    "tensorflow",
)
