"""Shape: what makes two networks equal, so that one can serve the runs of both."""

from dataclasses import dataclass

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.recipe import Recipe


@dataclass(frozen=True)
class Shape:
    """What makes two recipes of one search need different networks.

    Learning rate, dropout rate, weight decay and the like are no part of it: they are values of a run, not
    constants of its network. The number of classes is the same throughout a search.
    """

    backbone: str | Backbone
    unfrozen_blocks: int
    image_size: int
    head: str
    optimizer: str

    @property
    def architecture(self) -> Backbone:
        """The backbone itself."""
        return self.backbone if isinstance(self.backbone, Backbone) else BACKBONES[self.backbone]

    @property
    def frozen(self) -> bool:
        """Whether a part of the network stays as it is."""
        return self.architecture.has_frozen_part(self.unfrozen_blocks)


def shape_of(recipe: Recipe) -> Shape:
    """Return the shape of the network that a recipe needs; its image size must be settled."""
    image_size, unfrozen_blocks = recipe.settled
    return Shape(recipe.backbone, unfrozen_blocks, image_size, recipe.head, recipe.optimizer)
