"""Shape: what makes two networks equal, so that one can serve the runs of both."""

import itertools
from dataclasses import dataclass, replace

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.pooling import AVERAGE
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.body import LEARNING
from search.repertoire.heads import AnyHead
from search.repertoire.losses import CROSS_ENTROPY, row_of
from search.repertoire.recipe import Recipe


@dataclass(frozen=True)
class Shape:
    """What makes two recipes of one search need different networks.

    Learning rate, dropout rate, weight decay and the like are no part of it: they are values of a run, not
    constants of its network. The number of classes is the same throughout a search. ``branches`` are the shapes of
    several networks whose features stand side by side; ``image_size`` is then the largest of theirs. ``clips`` tells
    whether gradients are clipped, at whatever norm. The blocks may learn ``by_block``, at rates of their own, and be
    ``anchored`` to their pretrained weights; all weights may be ``averaged`` over the steps. ``norms_learn`` where
    BatchNorm of unfrozen blocks does. ``loss`` is the name of that of an unfrozen body.
    """

    backbone: str | Backbone
    unfrozen_blocks: int
    image_size: int
    head: AnyHead
    optimizer: str
    branches: tuple["Shape", ...] = ()
    clips: bool = False  # DECISIONS: Clipping is part of a network's shape
    by_block: bool = False
    anchored: bool = False
    averaged: bool = False
    norms_learn: bool = False
    pooling: str = AVERAGE
    loss: str = CROSS_ENTROPY

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
    loss = CROSS_ENTROPY if recipe.head_only else row_of(recipe.loss).name
    one = Shape(
        recipe.architecture.reference,
        unfrozen_blocks,
        image_size,
        recipe.head,
        recipe.optimizer,
        clips=recipe.clip_norm is not None and not recipe.head_only,
        by_block=recipe.layer_decay < 1,
        anchored=recipe.l2_sp > 0,
        averaged=recipe.ema > 0,
        pooling=recipe.pooling,
        norms_learn=recipe.batch_norm == LEARNING,
        loss=loss,
    )
    if not recipe.is_joint:
        return one
    pairs = itertools.product(recipe.backbones, recipe.sizes)
    branches = (replace(one, backbone=backbone.reference, image_size=size) for backbone, size in pairs)
    return replace(one, backbone=recipe.architecture, branches=tuple(branches))
