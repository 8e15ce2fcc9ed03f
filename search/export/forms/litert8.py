"""LiteRT in 8 bits: weights and what flows between layers are whole numbers, for a quarter of the size.

Post-training quantisation (Jacob et al. 2018), by TensorFlow's converter. Training images give the ranges.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from search.export.forms.form import Calibration, Form
from search.export.forms.litert import EXTRA, NEEDS, PACKAGES, convert, program, run

if TYPE_CHECKING:
    from search.system.tf import keras


def write(model: "keras.Model", path: Path, calibration: Calibration) -> None:
    """Write a model as LiteRT in 8 bits; what has no kernel of 8 bits stays float32, and so do pixels and outputs."""
    from search.system.tf import tf

    convert(model, path, optimizations=[tf.lite.Optimize.DEFAULT], representative_dataset=calibration)


FILE = "model_8bit.tflite"
LITERT8 = Form(
    "litert8",
    "LiteRT in 8 bits",
    FILE,
    write,
    run,
    program(FILE),
    PACKAGES,
    "tflite",
    tolerance=None,
    needs=NEEDS,
    extra=EXTRA,
)
