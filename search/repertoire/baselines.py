"""Baselines: what people do without a search, trained on the same folds, so that its worth can be said."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from search.repertoire.augmentation import Augment
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.recipe import Recipe


@dataclass(frozen=True)
class Baseline:
    """A recipe that needs no search: a row of the table of baselines.

    ``recipe`` makes it of the name of a backbone and the image size in px. It is for ``pretrained``
    backbones, or else for a search that has none of these.
    """

    name: str
    recipe: Callable[[str, int], Recipe]
    pretrained: bool = True


def _head(backbone: str, image_size: int) -> Recipe:
    return Recipe(backbone, 0, image_size=image_size)


def _whole(backbone: str, image_size: int) -> Recipe:
    """Return a recipe that is like BiT-HyperRule (Kolesnikov et al. 2020) in kind.

    Everything trains for a fixed time, with a decaying learning rate, flips and crops, no dropout and no
    other choice. It uses AdamW, and is shorter: 15 epochs, where the rule takes 500 steps of 512 images.
    """
    flips = Augment("flip_crop")
    return Recipe(backbone, None, dropout=0.0, augment=flips, learning_rate=5e-4, image_size=image_size)


def _scratch(backbone: str, image_size: int) -> Recipe:
    return Recipe(backbone, None, augment=Augment("flip_crop"), learning_rate=3e-3, image_size=image_size)


HEAD = Baseline("head alone, default settings", _head)
WHOLE = Baseline("everything fine-tuned, default settings", _whole)
SCRATCH = Baseline("trained from scratch, default settings", _scratch, pretrained=False)

# DECISIONS: Baselines are trials of their own
BASELINES = (HEAD, WHOLE, SCRATCH)


def baselines(backbones: Iterable[Backbone], image_size: int) -> dict[str, Recipe]:
    """Return the baselines of the first pretrained backbone, by name; of the first one where none is pretrained."""
    candidates = list(backbones)
    backbone = next((each for each in candidates if each.pretrained), candidates[0])
    rows = [row for row in BASELINES if row.pretrained == backbone.pretrained]
    return {row.name: row.recipe(backbone.name, image_size) for row in rows}
