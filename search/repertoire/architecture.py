"""The network of a recipe: its backbone, how deep it trains, and the size of its images, as people give them."""

from typing import TYPE_CHECKING, Any

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.table import backbone_of, check_name
from search.system.errors import UserError
from search.system.validation import whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

SMALLEST, LARGEST = 32, 1024  # px


def settle_backbone(name: str, value: Any, _recipe: "Recipe") -> str | Backbone:
    """Return the name of a row of the table, or an own backbone with all that was found of it."""
    if not isinstance(value, Backbone):
        check_name(name, value)
        return str(value)
    return backbone_of(name, value).reference


def settle_image_size(name: str, value: Any, recipe: "Recipe") -> int | None:
    """Return the side of the images, or the only one that the backbone takes; None where it is the study's."""
    backbone, side = recipe.architecture, recipe.architecture.side
    if side is None:
        return None if value is None else _taken(name, whole(name, value, SMALLEST, LARGEST), backbone)
    if value not in {None, side}:
        raise UserError(
            f"{name}={value!r} with backbone={backbone.name!r}, which takes images of {side} px only. Leave "
            f"{name} out, or give a network that takes any size: keras.Input((None, None, 3))."
        )
    return side


def _taken(name: str, size: int, backbone: Backbone) -> int:
    if backbone.takes(size):
        return size
    steps = f" that is a multiple of {backbone.step}" if backbone.step > 1 else ""
    raise UserError(
        f"{name}={size} with backbone={backbone.name!r}: its images need a side of {backbone.smallest} px or "
        f"more{steps}. Give the recipe {name}={backbone.nearest_size(size)}, or take another backbone."
    )


def settle_depth(name: str, value: Any, recipe: "Recipe") -> int:
    """Return how many blocks train, all of them for None."""
    backbone = recipe.architecture
    if value is None:
        return backbone.blocks
    if not backbone.pretrained and value != backbone.blocks:
        raise UserError(
            f"{name}={value!r} with backbone={backbone.name!r}, which starts from random "
            "weights: a frozen block would stay random. Give None (train everything); in a space, put "
            'unfrozen_blocks under hp.conditional_scope("backbone", [the pretrained ones]).'
        )
    try:
        return whole(name, value, 0, backbone.blocks)
    except UserError:
        raise UserError(
            f"{name}={value!r} with backbone={backbone.name!r}, which has {backbone.blocks} blocks: it must be a whole "
            f"number from 0 (the head alone) to {backbone.blocks}, or None for everything."
        ) from None


def name_of(backbone: str | Backbone) -> str:
    """Return what a backbone is called."""
    return backbone.name if isinstance(backbone, Backbone) else backbone
