"""Features of images by a frozen backbone whose weights come with pip, built when they are first asked for."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import fault, is_cached
from search.system.errors import UserError

if TYPE_CHECKING:
    from search.training.compiled import CompiledNetwork  # which loads TensorFlow

PREFERRED = ("EfficientNetLite0", "MobileNetV2_0.35", "MobileNet_0.25", "Embedded")


class Extractor:
    """A function from images (n, side, side, 3) uint8 to features (n, D) float32, each row of length 1.

    ``pixels`` are the real images of a study, whose features are ``real``. Raises UserError where no backbone that it
    knows takes images of their size.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        """Choose the backbone."""
        self._pixels = pixels
        self.backbone = _backbone_for(self.image_size)

    @property
    def image_size(self) -> int:
        """The side of the images in px."""
        return int(self._pixels.shape[1])

    @cached_property
    def real(self) -> np.ndarray:
        """The features of the real images."""
        return self(self._pixels)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the features of images."""
        from search.system.tf import silenced
        from search.training.features import features_by

        with silenced():
            return features_by(self._network, pixels)

    @cached_property
    def _network(self) -> "CompiledNetwork":
        from search.training.features import frozen_network

        return frozen_network(self.backbone, self.image_size)


def _backbone_for(image_size: int) -> Backbone:
    """Return the first of the preferred backbones whose weights are here and that takes images of this size."""
    for name in PREFERRED:
        backbone = BACKBONES[name]
        if is_cached(backbone) and not fault(backbone) and backbone.takes(image_size):
            return backbone
    raise UserError(
        f"None of {', '.join(PREFERRED)} takes images of {image_size} px. Give the study another image_size."
    )
