"""The network of a recipe: its backbone, how deep it trains, and the size of its images, as people give them."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from search.repertoire.backbones.backbone import IDENTITY, Backbone, NetworkFacts
from search.repertoire.backbones.table import backbone_of, check_name
from search.repertoire.fields import INTEGER, TEXT, declare, describe
from search.system.errors import UserError
from search.system.validation import whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

SMALLEST, LARGEST = 32, 1024  # px
SIDES = (16, LARGEST)  # px, of a network of a person's own that takes one size only
ANY_SIZE = "Or give a network that takes any size: keras.Input((None, None, 3))."
HEAD_ONLY, ALL = "head only", "all"  # levels of depth beside numbers of blocks

Value = str | Backbone | tuple[str | Backbone, ...]
Size = int | tuple[int, ...] | None


def settle_backbone(name: str, value: Any, _recipe: "Recipe") -> Value:
    """Return the name of a row of the table, or an own backbone with all that was found of it; or several of these.

    Those that stand together must be pretrained, as their features are taken as they are.
    """
    if not isinstance(value, tuple):
        return _reference(name, value)
    backbones = tuple(backbone_of(name, each) for each in value)
    names = [backbone.name for backbone in backbones]
    if not names or len(set(names)) < len(names):
        raise UserError(f"{name}={tuple(names)!r} must have several backbones, each once, as in ('Embedded', 'VGG16').")
    if random := [backbone.name for backbone in backbones if not backbone.pretrained and len(backbones) > 1]:
        raise UserError(
            f"{name}={tuple(names)!r}: {random[0]} starts from random weights, and only pretrained backbones can stand "
            "side by side. Leave it out."
        )
    references = tuple(backbone.reference for backbone in backbones)
    return references if len(references) > 1 else references[0]


def _reference(name: str, value: Any) -> str | Backbone:
    if not isinstance(value, Backbone):
        check_name(name, value)
        return str(value)
    return backbone_of(name, value).reference


def settle_image_size(name: str, value: Any, recipe: "Recipe") -> Size:
    """Return the side of the images in px, or the only one that a backbone takes; or several, from the smallest.

    It is None where it is the study's.
    """
    sizes = value if isinstance(value, tuple) else (value,)
    sides = {backbone.side: backbone.name for backbone in recipe.backbones if backbone.side is not None}
    if len(sides) > 1:
        takes = ", ".join(f"{own!r} takes images of {side} px only" for side, own in sides.items())
        raise UserError(f"{takes}: these backbones cannot stand side by side. Leave one out. {ANY_SIZE}")
    for backbone in recipe.backbones:
        if backbone.side is not None:
            sizes = (backbone.side,) if value is None else sizes
            if set(sizes) != {backbone.side}:
                raise UserError(
                    f"{name}={value!r} with backbone={backbone.name!r}, which takes images of {backbone.side} px only. "
                    f"Leave {name} out. {ANY_SIZE}"
                )
    if sizes == (None,):
        return None
    if not sizes or len(set(sizes)) < len(sizes):
        raise UserError(f"{name}={value!r} must have several sizes, each once, as in (160, 224).")
    ordered = tuple(sorted(whole(name, size, *(SIDES if sides else (SMALLEST, LARGEST))) for size in sizes))
    for backbone, size in itertools.product(recipe.backbones, ordered):
        _check_taken(name, size, backbone)
    return ordered if len(ordered) > 1 else ordered[0]


def _check_taken(name: str, size: int, backbone: Backbone) -> None:
    if backbone.takes(size):
        return
    steps = f" that is a multiple of {backbone.step}" if backbone.step > 1 else ""
    raise UserError(
        f"{name}={size} with backbone={backbone.name!r}: its images need a side of {backbone.smallest} px or "
        f"more{steps}. Give the recipe {name}={backbone.nearest_size(size)}, or take another backbone."
    )


def settle_depth(name: str, value: Any, recipe: "Recipe") -> int:
    """Return how many blocks train, all of them for None."""
    backbone = recipe.architecture
    if recipe.is_joint and value != 0:
        raise UserError(
            f"{name}={value!r} with several backbones or image sizes ({backbone.name}): only a head trains on their "
            "features, as these are made once and kept. Give unfrozen_blocks=0; in a space, put unfrozen_blocks under "
            'hp.conditional_scope("backbone", [the single ones]).'
        )
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


def sizes_of(size: Size) -> tuple[int, ...]:
    """Return the image sizes in px, none where the study says it."""
    return size if isinstance(size, tuple) else () if size is None else (size,)


def together(backbones: Sequence[Backbone], sizes: Sequence[int]) -> Backbone:
    """Return what stands for several backbones, or for one at several sizes: a head trains on all their features.

    Its cost is that of one pass through all of them, at the largest size as if that were 224 px.
    """
    at = f" at {', '.join(map(str, sizes[:-1]))} and {sizes[-1]} px" if len(sizes) > 1 else ""
    share = sum((size / max(sizes)) ** 2 for size in sizes) if sizes else 1.0
    return Backbone(
        " + ".join(backbone.name for backbone in backbones) + at,
        make=_cannot_be_made,
        scaling=IDENTITY,
        cuts=(),
        mega_macs=share * sum(backbone.mega_macs for backbone in backbones),
        network=NetworkFacts("", pretrained=True, side=None, vectors=True, cut_off=""),
    )


def _cannot_be_made(_file: Path | None) -> NoReturn:
    raise AssertionError("its branches are made, each by itself")


def backbone_to_json(value: Value) -> Any:
    """Return a backbone of a recipe, or several, as JSON types."""
    if isinstance(value, tuple):
        return [backbone_to_json(each) for each in value]
    return value.to_json() if isinstance(value, Backbone) else value


def backbone_from_json(fields: Any) -> Value:
    """Return what ``backbone_to_json`` was given."""
    if isinstance(fields, list):
        return tuple(Backbone.from_json(each) for each in fields)
    return Backbone.from_json(fields)


def name_of(value: Value) -> str:
    """Return what a backbone is called, or several."""
    if isinstance(value, tuple):
        return " + ".join(map(name_of, value))
    return value.name if isinstance(value, Backbone) else value


def _depth_in_words(recipe: "Recipe") -> str:
    if recipe.whole:
        return "all blocks"
    if recipe.head_only:
        return HEAD_ONLY
    return "1 block" if recipe.unfrozen_blocks == 1 else f"{recipe.unfrozen_blocks} blocks"


def depth(recipe: "Recipe") -> str:
    """Return how deep a recipe unfreezes, as a level: "head only", a number of blocks, or "all"."""
    if recipe.head_only:
        return HEAD_ONLY
    return ALL if recipe.whole else str(recipe.unfrozen_blocks)


BACKBONE = declare(
    "backbone",
    settle_backbone,
    describe(TEXT, "Recipe."),
    words=lambda recipe: recipe.architecture.name,
    level=lambda recipe: recipe.architecture.name,
    to_json=backbone_to_json,
    from_json=backbone_from_json,
    cell=name_of,
    brief=name_of,
    tuples=True,
)
UNFROZEN_BLOCKS = declare(
    "unfrozen blocks",
    settle_depth,
    describe(INTEGER, "Blocks that train, from the top; 0 is the head alone."),
    words=_depth_in_words,
    level=depth,
)
IMAGE_SIZE = declare(
    "image size",
    settle_image_size,
    describe(INTEGER, "Side in px; the largest of several."),
    words=lambda recipe: f"{recipe.sizes[0]} px" if len(recipe.sizes) == 1 else "",
    aside=True,
    to_json=lambda size: list(size) if isinstance(size, tuple) else size,
    from_json=lambda size: tuple(size) if isinstance(size, list) else size,
    cell=lambda size: max(sizes_of(size), default=None),
    brief=lambda size: max(sizes_of(size), default=None),
    tuples=True,
)
