"""Logit adjustment: predictions for even classes, by a network that was trained on uneven ones (Menon et al. 2021)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from search.repertoire.fields import FOURTH, NUMBER, declare, describe
from search.repertoire.weighting import level_of
from search.system.errors import UserError
from search.system.validation import real

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

HIGHEST_TAU = 3


def log_prior(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the logarithm of each class's part of the images that train a run (classes,), from their labels (n,)."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    return np.log(counts / counts.sum()).astype(np.float32)


def assumption(recipe: Any) -> str:
    """Return in a sentence what the probabilities of an adjusted recipe assume, "" for one that is not adjusted."""
    tau = recipe.logit_adjustment
    if tau == 0:
        return ""
    if tau == 1:
        what = "that all classes are equally frequent"
    elif tau < 1:
        what = "classes that are more even than in the images that trained it"
    else:
        what = "that classes which were rare in training are more frequent than the others"
    return f"Its logits are adjusted (logit_adjustment={tau:g}), so its probabilities assume {what}."


# DECISIONS: Logits are adjusted where no weights are
def _settle(name: str, value: Any, recipe: "Recipe") -> float:
    tau = real(name, value, 0, HIGHEST_TAU)
    if tau and recipe.class_weight != "none":
        raise UserError(
            f"{name}={value!r} with class_weight={level_of(recipe.class_weight)!r}: each makes up for uneven classes, "
            f"and together they would do it twice. Give {name}=0, or class_weight='none'."
        )
    return tau


LOGIT_ADJUSTMENT = declare(
    "logit adjustment",
    _settle,
    describe(NUMBER, "Factor of the logarithm of each class's frequency that predictions leave out."),
    words=lambda recipe: f"logits adjusted by {recipe.logit_adjustment:.2g}",
    since=FOURTH,
)
