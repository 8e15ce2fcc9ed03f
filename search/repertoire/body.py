"""How the unfrozen blocks of a pretrained backbone train: deeper ones slower, and how far from where they began.

``ema`` is here as well, although it averages any weights that train.
"""

from typing import TYPE_CHECKING, Any

from search.repertoire.fields import FOURTH, NUMBER, TEXT, Settle, declare, describe, member, number
from search.repertoire.rates import has_body
from search.system.errors import UserError

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

STRONGEST_PULL = 10
FROZEN, LEARNING = "frozen", "learning"  # what BatchNorm of unfrozen blocks does


def _of_a_body(settle: Settle, default: Any) -> Settle:
    """Return what settles a field that means something only where blocks of a pretrained backbone train."""

    def settled(name: str, value: Any, recipe: "Recipe") -> Any:
        value = settle(name, value, recipe)
        if value != default and not has_body(recipe):
            why = (
                "only the head trains" if recipe.head_only else f"{recipe.architecture.name} has no pretrained weights"
            )
            raise UserError(
                f"{name}={value!r} with unfrozen_blocks={recipe.unfrozen_blocks}: {why}, so it would change nothing. "
                f"Leave {name} out, or unfreeze blocks of a pretrained backbone; in a space, put it under "
                'hp.conditional_scope("unfrozen_blocks", [the numbers above 0]).'
            )
        return value

    return settled


def block_rate(recipe: "Recipe", depth: int) -> float:
    """Return the learning rate of a block as a factor of the head's; ``depth`` counts from 1 at the last block.

    Each block is slower than the one above it by ``layer_decay``, as in BEiT (Bao et al. 2022), whose head has the
    factor 1; ``body_rate`` holds for all of them.
    """
    return recipe.body_rate * recipe.layer_decay**depth


LAYER_DECAY = declare(
    "layer decay",
    _of_a_body(number(0, 1, open_low=True), 1.0),
    describe(NUMBER, "Learning rate of each unfrozen block as a factor of that of the block above it."),
    words=lambda recipe: f"layer decay {recipe.layer_decay:.2g}",
    is_choice=has_body,
    since=FOURTH,
)
L2_SP = declare(
    "pull to pretrained",
    _of_a_body(number(0, STRONGEST_PULL), 0.0),
    describe(NUMBER, "Decay of the unfrozen blocks towards their pretrained weights, in place of weight decay."),
    words=lambda recipe: f"L2-SP {recipe.l2_sp:.2g}",
    is_choice=has_body,
    since=FOURTH,
)
WISE_FT = declare(
    "share of pretrained",
    _of_a_body(number(0, 1), 0.0),
    describe(NUMBER, "Share of the pretrained weights in the unfrozen blocks, mixed in after training."),
    words=lambda recipe: f"WiSE-FT {recipe.wise_ft:.2g}",
    is_choice=has_body,
    since=FOURTH,
)
BATCH_NORM = declare(
    "BatchNorm",
    _of_a_body(member((FROZEN, LEARNING)), FROZEN),
    describe(TEXT, f"{FROZEN} or {LEARNING}: the statistics of BatchNorm in unfrozen blocks."),
    words=lambda recipe: f"{recipe.batch_norm} BatchNorm",
    level=lambda recipe: recipe.batch_norm,
    is_choice=has_body,
    since=FOURTH,
)
EMA = declare(
    "average of weights",
    number(0, 0.9999),
    describe(NUMBER, "Decay of the exponential moving average of the weights; 0 takes the last weights."),
    words=lambda recipe: f"EMA {recipe.ema:.4g}",
    since=FOURTH,
)
