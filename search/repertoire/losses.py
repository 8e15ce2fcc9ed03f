"""Losses: what an example costs that is classified wrongly, for bodies and for the heads of many runs alike.

A new loss is one more row of ``LOSSES``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from search.repertoire.fields import FOURTH, NUMBER, TEXT, declare, describe
from search.repertoire.heads import kind_of
from search.system.errors import UserError
from search.system.validation import named_fields, one_of, real

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

CROSS_ENTROPY, BINARY, FOCAL = "cross_entropy", "binary_cross_entropy", "focal"
HIGHEST_GAMMA = 10
MOST_SMOOTHED = 0.9
SMALLEST = 1e-30  # of 1 minus a probability, which is divided by

Formula = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Loss:
    """What an example costs: a row of the table of losses.

    ``of(targets, logits, gamma)`` are the losses (…) of examples, tensors whose slopes TensorFlow can take, from
    targets and logits (…, classes). ``slopes`` are those by the logits, (…, classes). ``measure`` gives the losses as
    arrays, of arrays. Losses without a parameter ignore ``gamma``. ``output`` is the activation that Keras knows by
    this name, by which logits become those of softmax when a network predicts.
    """

    name: str
    of: Formula
    slopes: Formula
    measure: Formula
    output: str = "linear"


def _cross_entropy(targets: Any, logits: Any, _gamma: Any) -> Any:
    from search.system.tf import tf

    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def _slopes_of_cross_entropy(targets: Any, logits: Any, _gamma: Any) -> Any:
    from search.system.tf import tf

    return tf.nn.softmax(logits) - targets


@np.errstate(invalid="ignore", over="ignore")  # where training diverges, the sums say so
def _measured_cross_entropy(targets: np.ndarray, logits: np.ndarray, _gamma: float) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    of_targets = (np.where(targets > 0, shifted, 0) * targets).sum(-1)
    return np.asarray(np.log(np.exp(shifted).sum(-1)) - of_targets)


# DECISIONS: Sigmoids are divided by their sum
def _binary(targets: Any, logits: Any, _gamma: Any) -> Any:
    """Return −Σ t log σ + (1 − t) log (1 − σ) over the classes, of targets t and the sigmoids σ of logits."""
    from search.system.tf import tf

    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), -1)


def _slopes_of_binary(targets: Any, logits: Any, _gamma: Any) -> Any:
    from search.system.tf import tf

    return tf.sigmoid(logits) - targets


@np.errstate(invalid="ignore", over="ignore")  # as above
def _measured_binary(targets: np.ndarray, logits: np.ndarray, _gamma: float) -> np.ndarray:
    return np.asarray((np.logaddexp(0, logits) - targets * logits).sum(-1))


def _focal(targets: Any, logits: Any, gamma: Any) -> Any:
    """Return −Σ t (1 − p)^γ log p of targets t and probabilities p (Lin et al. 2017)."""
    from search.system.tf import tf

    @tf.custom_gradient  # type: ignore[untyped-decorator] # TensorFlow's own is no number where p is 1 and gamma below 1
    def losses(logits: Any) -> tuple[Any, Callable[[Any], Any]]:
        log_p = tf.nn.log_softmax(logits)
        values = -tf.reduce_sum(targets * tf.pow(-tf.math.expm1(log_p), gamma) * log_p, -1)
        return values, lambda upstream: upstream[..., None] * _slopes_of_focal(targets, logits, gamma)

    return losses(logits)


def _slopes_of_focal(targets: Any, logits: Any, gamma: Any) -> Any:
    """Return the slopes: g − p Σ g, where g = t (1 − p)^γ (γ p log p / (1 − p) − 1) is p times the slope by p."""
    from search.system.tf import tf

    log_p = tf.nn.log_softmax(logits)
    p, rest = tf.exp(log_p), -tf.math.expm1(log_p)
    g = targets * tf.pow(rest, gamma) * (gamma * p * log_p / tf.maximum(rest, SMALLEST) - 1)
    return g - p * tf.reduce_sum(g, -1, keepdims=True)


def _measured_focal(targets: np.ndarray, logits: np.ndarray, gamma: float) -> np.ndarray:
    return np.asarray(_focal(targets, logits, np.float32(gamma)))


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(CROSS_ENTROPY, _cross_entropy, _slopes_of_cross_entropy, _measured_cross_entropy),
        Loss(BINARY, _binary, _slopes_of_binary, _measured_binary, output="log_sigmoid"),
        Loss(FOCAL, _focal, _slopes_of_focal, _measured_focal),
    )
}


@named_fields
@dataclass(frozen=True)
class Focal:
    """The focal loss: examples that are classified well count less, the more so the larger ``gamma`` is.

    ``gamma`` is above 0 and at most 10. Raises UserError for another one.
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "gamma", real("Focal gamma", self.gamma, 0, HIGHEST_GAMMA, open_low=True))

    @property
    def level(self) -> str:
        """The loss and its parameter, as in "focal 2"."""
        return f"{FOCAL} {self.gamma:g}"


AnyLoss = str | Focal


def row_of(loss: AnyLoss) -> Loss:
    """Return the row of the loss of a recipe."""
    return LOSSES[FOCAL if isinstance(loss, Focal) else loss]


def gamma_of(loss: AnyLoss) -> float:
    """Return the parameter of the loss of a recipe; 0 for a loss that has none."""
    return loss.gamma if isinstance(loss, Focal) else 0.0


def smoothed(targets: np.ndarray, smoothing: float) -> np.ndarray:
    """Return targets (…, classes) of which a part ``smoothing`` is spread evenly over all classes."""
    if smoothing == 0:
        return targets
    return np.asarray(targets * (1 - smoothing) + smoothing / targets.shape[-1], np.float32)


def level_of(loss: AnyLoss) -> str:
    """Return a loss in a word or two."""
    return loss.level if isinstance(loss, Focal) else loss


def _settle_loss(name: str, value: Any, recipe: "Recipe") -> AnyLoss:
    if not isinstance(value, Focal):
        one_of(name, value, LOSSES)
        value = Focal() if value == FOCAL else str(value)
    if value != CROSS_ENTROPY:
        _check_steps(name, value, recipe, f'"{CROSS_ENTROPY}"')
    return value


def _settle_smoothing(name: str, value: Any, recipe: "Recipe") -> float:
    smoothing = real(name, value, 0, MOST_SMOOTHED)
    if smoothing:
        _check_steps(name, smoothing, recipe, "0")
    return smoothing


def _check_steps(name: str, value: Any, recipe: "Recipe", default: str) -> None:
    head = kind_of(recipe.head)
    if head.layers is None:
        raise UserError(
            f"{name}={value!r} with head={head.name!r}: this head is fitted all at once, by a loss of its own. Give "
            f"{name}={default}, or another head."
        )


LOSS = declare(
    "loss",
    _settle_loss,
    describe(TEXT, f"{CROSS_ENTROPY}, {BINARY}, or {FOCAL} with its gamma."),
    words=lambda recipe: f"{level_of(recipe.loss)} loss",
    level=lambda recipe: level_of(recipe.loss),
    to_json=lambda loss: {FOCAL: loss.gamma} if isinstance(loss, Focal) else loss,
    from_json=lambda value: Focal(value[FOCAL]) if isinstance(value, dict) else value,
    cell=level_of,
    brief=level_of,
    since=FOURTH,
)
LABEL_SMOOTHING = declare(
    "label smoothing",
    _settle_smoothing,
    describe(NUMBER, "Part of each target that is spread over all classes."),
    words=lambda recipe: f"labels smoothed by {recipe.label_smoothing:.2g}",
    since=FOURTH,
)
