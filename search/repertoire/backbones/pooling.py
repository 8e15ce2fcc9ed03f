"""Pooling: how the last maps of a backbone become a vector of features. A new way is one more row of ``POOLINGS``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.fields import FOURTH, TEXT, declare, describe
from search.system.errors import UserError
from search.system.validation import one_of

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

AVERAGE, MAXIMUM, FLATTEN = "average", "maximum", "flatten"
STRIDE = 32  # px of an image to a place of the last maps, of most backbones


@dataclass(frozen=True)
class Pooling:
    """One way from maps (n, h, w, c) to features: a row of the table.

    ``layer(backbone, places, channels, **options)`` is the Keras layer for maps of so many places, h · w. The features
    are the channels, or where it ``keeps_places`` one for each channel of each place.
    """

    name: str
    layer: Callable[..., Any]
    keeps_places: bool = False

    def features(self, places: int, channels: int) -> int:
        """Return how many features come of maps."""
        return places * channels if self.keeps_places else channels


def _average(backbone: Backbone, _places: int, _channels: int, **options: Any) -> Any:
    return backbone.pooling(**options)


def _maximum(_backbone: Backbone, _places: int, _channels: int, **options: Any) -> Any:
    from search.system.tf import keras

    return keras.layers.GlobalMaxPooling2D(**options)


def _flatten(_backbone: Backbone, places: int, channels: int, **options: Any) -> Any:
    from search.system.tf import keras

    return keras.layers.Reshape((places * channels,), **options)  # Flatten needs a shape without gaps


POOLINGS: dict[str, Pooling] = {
    pooling.name: pooling
    for pooling in (
        Pooling(AVERAGE, _average),
        Pooling(MAXIMUM, _maximum),
        Pooling(FLATTEN, _flatten, keeps_places=True),
    )
}


def pooled(backbone: Backbone, pooling: str, base: Any, side: int, **options: Any) -> tuple[Any, int]:
    """Return the Keras layer that pools the maps of a network for images of this side, and the number of features."""
    row, channels, places = POOLINGS[pooling], base.output.shape[-1], 1
    if row.keeps_places:
        _, height, width, _ = base.compute_output_shape((None, side, side, 3))
        places = height * width
    return row.layer(backbone, places, channels, **options), row.features(places, channels)


def share_of_features(recipe: "Recipe") -> float:
    """Return how many times as many features a recipe has as with average pooling, roughly: the estimate asks."""
    return max(1.0, recipe.side / STRIDE) ** 2 if POOLINGS[recipe.pooling].keeps_places else 1.0


def settle_pooling(name: str, value: Any, recipe: "Recipe") -> str:
    """Return the name of a pooling. Raises UserError where a backbone gives vectors, which have no places to pool."""
    one_of(name, value, POOLINGS)
    vectors = [backbone.name for backbone in recipe.backbones if backbone.network and backbone.network.vectors]
    if value != AVERAGE and vectors:
        raise UserError(
            f"{name}={value!r} with backbone={vectors[0]!r}: this network gives vectors of features, which have no "
            f"places to pool. Leave {name} out, or give another backbone."
        )
    return str(value)


POOLING = declare(
    "pooling",
    settle_pooling,
    describe(TEXT, f"{', '.join(POOLINGS)}: how maps become features."),
    words=lambda recipe: f"{recipe.pooling} pooling",
    level=lambda recipe: recipe.pooling,
    since=FOURTH,
)
