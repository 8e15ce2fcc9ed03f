"""A head of which the logits are lowered by class when it predicts, whatever the head; training knows nothing of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.system.tf import keras


@dataclass(frozen=True)
class Adjusted:
    """A fitted ``head`` that lowers the logit of each class by ``adjustment`` (classes,).

    It works on probabilities, which all heads give: each is multiplied by a factor, and they are then divided by
    their sum.
    """

    head: Any
    adjustment: np.ndarray

    @property
    def _factors(self) -> np.ndarray:
        return np.exp(self.adjustment.min() - self.adjustment).astype(np.float32)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities (n, classes) of rows of features (n, D)."""
        weighted = self.head.predict(features) * self._factors
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True), np.float32)

    def layers(self) -> Sequence[Any]:
        """Return the layers of the head, and two that adjust its probabilities."""
        factors = [float(factor) for factor in self._factors]
        weighted = keras.Input((len(factors),))
        parts = weighted / keras.ops.sum(weighted, axis=-1, keepdims=True)
        return [
            *self.head.layers(),
            keras.layers.Rescaling(factors, name="logit_adjustment"),
            keras.Model(weighted, parts, name="adjusted"),
        ]
