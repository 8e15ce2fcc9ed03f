"""How fast a network learns, and from where: factors of a base that suits its depth, and its head apart from its body.

With a factor no draw of a space is wasted on a rate at which a network of that depth does not learn.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.repertoire.augmentation import Augment
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.fields import NUMBER, ROW, TEXT, THIRD, declare, describe
from search.repertoire.mixing import Mix
from search.repertoire.optimizers import Optimizer, optimizer_of
from search.system.validation import named_fields, one_of, real

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

HIGHEST, HIGHEST_FACTOR = 10, 100
ZERO, FITTED = "zero", "fitted"  # how the head of an unfrozen body starts

# DECISIONS: Learning rates are factors of a base
BASES = {  # AdamW's peaks of the schedule, by what trains
    "head": 3e-3,
    "blocks": 4e-4,
    "everything": 3e-4,
    "scratch": 3e-3,
}


@named_fields
@dataclass(frozen=True)
class Times:
    """A learning rate as a factor of ``base_rate``, above 0 and at most 100: ``Times(0.5)`` is half of it.

    A recipe keeps the rate that comes of it. Raises UserError for a factor out of range.
    """

    factor: float

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "factor", real("Times factor", self.factor, 0, HIGHEST_FACTOR, open_low=True))

    def of(self, base: float) -> float:
        """Return the learning rate."""
        return self.factor * base


def base_rate(backbone: Backbone, unfrozen_blocks: int, optimizer: Optimizer) -> float:
    """Return the learning rate at which a recipe of this depth usually learns best, with batches of 32."""
    return BASES[_trained_part(backbone, unfrozen_blocks)] * optimizer.rate_factor


def _trained_part(backbone: Backbone, unfrozen_blocks: int) -> str:
    if unfrozen_blocks == 0:
        return "head"
    if not backbone.pretrained:
        return "scratch"
    return "blocks" if backbone.has_frozen_part(unfrozen_blocks) else "everything"


def has_body(recipe: "Recipe") -> bool:
    """Return whether blocks of a pretrained backbone train, whose head may start and learn apart from them."""
    return recipe.architecture.pretrained and not recipe.head_only


def settle_rate(name: str, value: Any, recipe: "Recipe") -> float:
    """Return the learning rate of a recipe: a number, or ``Times``."""
    if isinstance(value, Times):
        value = value.of(base_rate(recipe.architecture, recipe.unfrozen_blocks or 0, optimizer_of(recipe)))
    return real(name, value, 0, HIGHEST, open_low=True)


def settle_start(name: str, value: Any, recipe: "Recipe") -> str:
    """Return how the head of an unfrozen body starts; "zero" where there is no such body."""
    one_of(name, value, (ZERO, FITTED))
    return str(value) if has_body(recipe) else ZERO


def settle_body_rate(name: str, value: Any, recipe: "Recipe") -> float:
    """Return the rate of an unfrozen body as a factor of its head's; 1 where there is no such body."""
    factor = real(name, value, 0, 1, open_low=True)
    return factor if has_body(recipe) else 1.0


def first_step(recipe: "Recipe") -> "Recipe | None":
    """Return how the head of an unfrozen body is fitted before the body trains; None where it starts at zero.

    It is the recipe with a frozen backbone, the learning rate of heads, the images as they are, unmixed, and no
    adjustment of logits, which is made of a whole network once. What only a body has, or is chosen over folds, has its
    default.
    """
    if recipe.head_start == ZERO:
        return None
    rows = dataclasses.fields(recipe)
    changes: dict[str, Any] = {row.name: row.default for row in rows if row.metadata[ROW].is_choice is has_body}
    changes |= {"augment": Augment(), "mix": Mix(), "tta": "none", "logit_adjustment": 0.0, "epoch": "last"}
    changes["sampling"] = recipe.sampling.of_one_view
    return dataclasses.replace(recipe, **{**changes, "unfrozen_blocks": 0, "learning_rate": Times(1.0)})


LEARNING_RATE = declare(
    "learning rate",
    settle_rate,
    describe(NUMBER, "Peak of the schedule."),
    words=lambda recipe: f"lr {recipe.rate:.2g}",
)
HEAD_START = declare(
    "head's start",
    settle_start,
    describe(TEXT, f"{ZERO} or {FITTED}: how the head of an unfrozen body starts."),
    words=lambda recipe: f"{recipe.head_start} start",
    level=lambda recipe: recipe.head_start,
    is_choice=has_body,
    since=THIRD,
)
BODY_RATE = declare(
    "body's rate",
    settle_body_rate,
    describe(NUMBER, "Learning rate of the unfrozen blocks, as a factor of the head's."),
    words=lambda recipe: f"body at {recipe.body_rate:.2g} of the rate",
    is_choice=has_body,
    since=THIRD,
)
