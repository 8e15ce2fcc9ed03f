"""Fitted heads of dense layers, one after another, as Keras has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from search.system.tf import keras

LINEAR = "linear"  # Keras' activation that changes nothing
ABSENT = -1e4  # the logit of a class without examples
THREADS = 1  # of matrix products in scikit-learn: with as many as a machine has cores, results would depend on it
SHORTEST = 1e-12  # square of the length of a row, as in Keras: one of zeros stays so


class Dense(NamedTuple):
    """The values of a dense layer: its kernel (inputs, units), its bias (units,) and the name of its activation."""

    kernel: np.ndarray
    bias: np.ndarray
    activation: str = LINEAR


@dataclass(frozen=True)
class DenseHead:
    """The head of one run: dense layers, the last of which gives logits; softmax follows.

    Where it is ``unit``, rows of features are brought to length 1 before.
    """

    dense: tuple[Dense, ...]
    unit: bool = False

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities (n, classes) of rows (n, features)."""
        x = keras.ops.convert_to_tensor(features)
        for layer in self._layers:
            x = layer(x)
        return np.asarray(keras.ops.convert_to_numpy(x), np.float32)

    @cached_property
    def _layers(self) -> list[Any]:
        return self.layers()

    def layers(self) -> list[Any]:
        """Return Keras layers from features to probabilities, with names of their own."""
        made: list[Any] = [keras.layers.UnitNormalization(dtype="float32", name="unit")] if self.unit else []
        for number, values in enumerate(self.dense):
            features, units = values.kernel.shape
            layer = keras.layers.Dense(units, values.activation, dtype="float32", name=f"dense_{number}")
            layer.build((None, features))
            layer.set_weights([values.kernel, values.bias])
            made.append(layer)
        return [*made, keras.layers.Softmax(dtype="float32", name="probabilities")]


def mlp_of(weights: Sequence[np.ndarray], activation: str, output: str = LINEAR) -> DenseHead:
    """Return an MLP of kernels and biases, alternately; its last layer has the output of its loss for an activation."""
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    hidden = tuple(Dense(kernel, bias, activation) for kernel, bias in pairs[:-1])
    return DenseHead((*hidden, Dense(*pairs[-1], output)))


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Return rows of features (n, D) at length 1, in double precision."""
    rows = features.astype(np.float64)
    lengths: np.ndarray = np.sqrt(np.maximum((rows * rows).sum(axis=1, keepdims=True), SHORTEST))
    return np.asarray(rows / lengths)
