"""Baselines: what people do without a search, trained on the same folds, so that its worth can be said."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from search.repertoire.architecture import sizes_of
from search.repertoire.augmentation import Augment
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.networks import AnyRecipe, NetworkRecipe
from search.repertoire.recipe import Recipe


@dataclass(frozen=True)
class Baseline:
    """A recipe that needs no search: a row of the table of baselines.

    ``recipe`` makes it of a backbone, as recipes have it, and the image size in px. It is for ``pretrained``
    backbones, or else for a search that has none of these.
    """

    name: str
    recipe: Callable[[str | Backbone, int], Recipe]
    pretrained: bool = True


def _head(backbone: str | Backbone, image_size: int) -> Recipe:
    return Recipe(backbone, 0, image_size=image_size)


def _whole(backbone: str | Backbone, image_size: int) -> Recipe:
    """Return a recipe that is like BiT-HyperRule (Kolesnikov et al. 2020) in kind.

    Everything trains for a fixed time, with a decaying learning rate, flips and crops, no dropout and no
    other choice. It uses AdamW, and is shorter: 15 epochs by default, where the rule takes 500 steps of 512 images.
    """
    flips = Augment("flip_crop")
    return Recipe(backbone, None, dropout=0.0, augment=flips, learning_rate=5e-4, image_size=image_size)


def _scratch(backbone: str | Backbone, image_size: int) -> Recipe:
    return Recipe(backbone, None, augment=Augment("flip_crop"), learning_rate=3e-3, image_size=image_size)


HEAD = Baseline("head alone, default settings", _head)
WHOLE = Baseline("everything fine-tuned, default settings", _whole)
SCRATCH = Baseline("trained from scratch, default settings", _scratch, pretrained=False)

# DECISIONS: Baselines are trials of their own
BASELINES = (HEAD, WHOLE, SCRATCH)


FOR_NETWORKS = ("EfficientNetLite0", "MobileNetV2_0.35", "Embedded")  # the first at hand: beside the space's own

SHARED = ("image_size", "epochs", "batch_size")  # fields that baselines take from the space


def baselines(backbones: Iterable[Backbone], image_size: int, space: Sequence[AnyRecipe] = ()) -> dict[str, Recipe]:
    """Return the baselines of the first pretrained backbone, by name; of the first one where none is pretrained.

    They train at ``image_size`` px, or the nearest size that the backbone takes, unless ``space`` says otherwise:
    recipes of the space of the search, first the one at the first value of everything that varies. What all of these
    with the same backbone have in common, of image size, epochs and batch size, baselines have too; where such a field
    varies, it has its first value.
    Beside networks that the space builds there is one baseline, the head, as it takes seconds.
    """
    if any(isinstance(recipe, NetworkRecipe) for recipe in space):
        backbone = next(iter(backbones))
        return {HEAD.name: HEAD.recipe(backbone.name, backbone.nearest_size(image_size))}
    recipes_of_space = [recipe for recipe in space if isinstance(recipe, Recipe)]
    candidates = list(backbones)
    backbone = next((each for each in candidates if each.pretrained), candidates[0])
    rows = [row for row in BASELINES if row.pretrained == backbone.pretrained]
    size = backbone.side or backbone.nearest_size(image_size)
    recipes = {row.name: row.recipe(backbone.reference, size) for row in rows}
    if not recipes_of_space:
        return recipes
    alike = [recipe for recipe in recipes_of_space if recipe.architecture.name == backbone.name] or recipes_of_space
    shared = {field: _common(recipes_of_space[0], alike, field) for field in SHARED}
    if sizes := sizes_of(shared["image_size"]):  # a baseline has one
        shared["image_size"] = backbone.side or max(sizes)
    return {name: dataclasses.replace(recipe, **shared) for name, recipe in recipes.items()}


def _common(first: Recipe, recipes: Sequence[Recipe], field: str) -> Any:
    values = {getattr(recipe, field) for recipe in recipes}
    return values.pop() if len(values) == 1 else getattr(first, field)
