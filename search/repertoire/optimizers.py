"""Optimizers: each for a network that Keras trains, and for the heads of many runs that are trained together.

Both forms take the same steps, up to rounding. A new optimizer is one more row of ``OPTIMIZERS``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from search.repertoire.fields import NUMBER, SECOND, TEXT, declare, describe, member, number

NOT_DECAYED = ("bias", "gamma", "beta")  # parts of the names of variables
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

Moments = tuple[Any, ...]


@dataclass(frozen=True)
class Optimizer:
    """A rule by which slopes change variables, in both forms.

    ``make()`` is a Keras optimizer as its class gives it. ``step(values, slopes, moments, rate, time, decay)``
    returns the values and moments after one step: tensors of one shape, whatever it is, with ``moments`` (so many
    of them, zero at first) for what the optimizer remembers of each; ``time`` is the number of the step as a
    float, from 1 on.
    """

    name: str
    make: Callable[[], Any]
    moments: int
    step: Callable[[Any, Any, Moments, Any, Any, Any], tuple[Any, Moments]]

    def keras(self) -> Any:
        """Return a Keras optimizer that spares ``NOT_DECAYED``; its rates can be set after its step was compiled."""
        from search.system.tf import keras

        optimizer = self.make()
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
        optimizer.weight_decay = keras.Variable(0.0, trainable=False, name="weight_decay")
        return optimizer


def _adamw() -> Any:
    from search.system.tf import keras

    moments = {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": EPSILON}
    return keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=0.0, **moments)


def _adamw_step(values: Any, slopes: Any, moments: Moments, rate: Any, time: Any, decay: Any) -> tuple[Any, Moments]:
    """Take a step by Keras' formula of AdamW (Loshchilov & Hutter 2019)."""
    from search.system.tf import tf

    first, second = moments
    first += (slopes - first) * (1 - BETA_1)
    second += (slopes * slopes - second) * (1 - BETA_2)
    scale = rate * tf.sqrt(1 - BETA_2**time) / (1 - BETA_1**time)
    return values - (values * (decay * rate) + first * scale / (tf.sqrt(second) + EPSILON)), (first, second)


OPTIMIZERS = {optimizer.name: optimizer for optimizer in (Optimizer("adamw", _adamw, moments=2, step=_adamw_step),)}


WEIGHT_DECAY = declare(
    "weight decay",
    number(0, 10),
    describe(NUMBER, "AdamW's."),
    words=lambda recipe: f"weight decay {recipe.weight_decay:.2g}",
    aside=True,
)
OPTIMIZER = declare(
    "optimizer",
    member(OPTIMIZERS),
    describe(TEXT, "What takes the steps of training."),
    words=lambda recipe: recipe.optimizer,
    level=lambda recipe: recipe.optimizer,
    since=SECOND,
)
