"""ONNX: a file that many runtimes read, among them ONNX Runtime."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search.export.forms.form import Calibration, Form, Pixels, Program, names_of

if TYPE_CHECKING:
    from search.system.tf import keras

FILE = "model.onnx"
PROVIDERS = ["CPUExecutionProvider"]  # there is one everywhere


def write(model: "keras.Model", path: Path, calibration: Calibration) -> None:  # noqa: ARG001 the others need it
    """Write a model as ONNX."""
    model.export(path, format="onnx", verbose=False)


def run(path: Path, pixels: Pixels) -> np.ndarray:
    """Return the probabilities of images (n, classes)."""
    from onnxruntime import InferenceSession

    session = InferenceSession(str(path), providers=PROVIDERS)
    images = {name: each.astype(np.float32) for name, each in zip(names_of(pixels), pixels, strict=True)}
    return np.asarray(session.run(None, images)[0])


def _call(inputs: Mapping[str, str]) -> str:
    images = ", ".join(f'"{name}": {code}' for name, code in inputs.items())
    return f"probabilities = model.run(None, {{{images}}})[0][0]"


ONNX = Form(
    "onnx",
    "ONNX",
    FILE,
    write,
    run,
    Program("from onnxruntime import InferenceSession", f'model = InferenceSession("{FILE}")', _call),
    "onnxruntime numpy pillow",
    "onnx",
    needs=("onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.17"),
    extra="onnx",
)
