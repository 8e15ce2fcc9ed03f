"""LiteRT, which was called TensorFlow Lite: for phones and small computers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.export.forms.form import Calibration, Form, Pixels, Program, names_of

if TYPE_CHECKING:
    from search.system.tf import keras

NEEDS = ("keras>=3.13", "ai-edge-litert>=2.0")
EXTRA, PACKAGES = "litert", "ai-edge-litert numpy pillow"


def convert(model: "keras.Model", path: Path, **settings: Any) -> None:
    """Write a model as LiteRT, of operations that its runtime has by itself; ``settings`` are those of the converter.

    Raises what the converter raises, where the model has others.
    """
    from search.system.tf import tf

    only = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(path, format="litert", verbose=False, target_spec=only, **settings)


def write(model: "keras.Model", path: Path, calibration: Calibration) -> None:  # noqa: ARG001 the others need it
    """Write a model as LiteRT in float32."""
    convert(model, path)


def run(path: Path, pixels: Pixels) -> np.ndarray:
    """Return the probabilities of images (n, classes), which the file sees one at a time, as on a phone."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    signature = interpreter.get_signature_runner()
    rows = []
    for at in range(len(pixels[0])):
        images = {
            name: each[at : at + 1].astype(np.float32) for name, each in zip(names_of(pixels), pixels, strict=True)
        }
        rows.append(next(iter(signature(**images).values()))[0])
    return np.array(rows)


def _call(inputs: Mapping[str, str]) -> str:
    arguments = ", ".join(f"{name}={code}" for name, code in inputs.items())
    return f"probabilities = next(iter(model({arguments}).values()))[0]"


def program(file: str) -> Program:
    """Return the lines of Python that run a file of this form."""
    return Program(
        "from ai_edge_litert.interpreter import Interpreter",
        f'model = Interpreter(model_path="{file}").get_signature_runner()',
        _call,
    )


FILE = "model.tflite"
LITERT = Form("litert", "LiteRT", FILE, write, run, program(FILE), PACKAGES, "tflite", needs=NEEDS, extra=EXTRA)
