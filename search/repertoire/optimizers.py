"""Optimizers: each for a network that Keras trains, and for the heads of many runs that are trained together.

Both forms take the same steps, up to rounding. A new optimizer is one more row of ``OPTIMIZERS``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from search.repertoire.fields import FOURTH, NUMBER, SECOND, TEXT, declare, describe
from search.system.errors import UserError
from search.system.validation import one_of, real

NOT_CLIPPED = "none"  # the level of recipes without clipping
NOT_DECAYED = ("bias", "gamma", "beta")  # parts of the names of variables
EPSILON = 1e-7
BETA_1, BETA_2 = 0.9, 0.999  # of AdamW and Adam
MOMENTUM = 0.9  # of SGD
RMSPROP_RHO, ADADELTA_RHO = 0.9, 0.95
LION_BETA_1, LION_BETA_2 = 0.9, 0.99
USUAL_DECAY, HIGHEST_DECAY = 1e-4, 10
LOWEST_NORM, HIGHEST_NORM = 1e-4, 1000  # below it the slopes of a head are less than EPSILON, and AdamW hardly moves

Moments = tuple[Any, ...]
Step = Callable[[Any, Any, Moments, Any, Any, Any], tuple[Any, Moments]]


@dataclass(frozen=True)
class Optimizer:
    """A rule by which slopes change variables, in both forms.

    ``make()`` is a Keras optimizer as its class gives it. ``step(values, slopes, moments, rate, time, decay)``
    returns the values and moments after one step: tensors of one shape, whatever it is, with ``moments`` (so many
    of them, zero at first) for what the optimizer remembers of each; ``rate`` and ``decay`` spread over that shape,
    and ``time`` is the number of the step as a float, from 1 on. ``rate_factor`` is how many times as high as
    AdamW's its learning rate usually is. Without ``decays`` the optimizer knows no weight decay.
    """

    name: str
    make: Callable[[], Any]
    moments: int
    step: Step
    rate_factor: float = 1.0
    decays: bool = True

    def keras(self) -> Any:
        """Return a Keras optimizer that spares ``NOT_DECAYED``; its rates can be set after its step was compiled."""
        from search.system.tf import keras

        optimizer = self.make()
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
        optimizer.weight_decay = keras.Variable(0.0, trainable=False, name="weight_decay")
        return optimizer

    @staticmethod
    def clipped(slopes: Sequence[Any], norm: Any) -> list[Any]:
        """Return slopes of R heads, (R, ...) each, so short that all of a head together have this norm at most.

        It is what ``tf.clip_by_global_norm`` makes of those of a network (Pascanu et al. 2013).
        """
        from search.system.tf import tf

        squares = [tf.reduce_sum(slope * slope, axis=range(1, slope.shape.rank)) for slope in slopes]
        shares = norm / tf.maximum(tf.sqrt(tf.add_n(squares)), norm)
        return [slope * tf.reshape(shares, (-1, *[1] * (slope.shape.rank - 1))) for slope in slopes]


def _of_keras(name: str, **settings: Any) -> Callable[[], Any]:
    """Return what makes Keras' optimizer of a class, without importing Keras before."""

    def make() -> Any:
        from search.system.tf import keras

        return getattr(keras.optimizers, name)(**settings)

    return make


def _adamw_step(values: Any, slopes: Any, moments: Moments, rate: Any, time: Any, decay: Any) -> tuple[Any, Moments]:
    """Take a step by Keras' formula of AdamW (Loshchilov & Hutter 2019)."""
    from search.system.tf import tf

    first, second = moments
    first += (slopes - first) * (1 - BETA_1)
    second += (slopes * slopes - second) * (1 - BETA_2)
    scale = rate * tf.sqrt(1 - BETA_2**time) / (1 - BETA_1**time)
    return values - (values * (decay * rate) + first * scale / (tf.sqrt(second) + EPSILON)), (first, second)


def _sgd_step(values: Any, slopes: Any, moments: Moments, rate: Any, _time: Any, decay: Any) -> tuple[Any, Moments]:
    """Take a step of gradient descent with momentum; as in Keras, what moves on has the rates of its own steps."""
    (velocity,) = moments
    velocity = velocity * MOMENTUM - slopes * rate
    return values - values * (decay * rate) + velocity, (velocity,)


def _rmsprop_step(values: Any, slopes: Any, moments: Moments, rate: Any, _time: Any, decay: Any) -> tuple[Any, Moments]:
    """Take a step by Keras' formula of RMSprop (Hinton 2012), without momentum."""
    from search.system.tf import tf

    (squares,) = moments
    squares = RMSPROP_RHO * squares + (1 - RMSPROP_RHO) * slopes * slopes
    return values - (values * (decay * rate) + rate * slopes / tf.sqrt(squares + EPSILON)), (squares,)


def _adadelta_step(
    values: Any, slopes: Any, moments: Moments, rate: Any, _time: Any, decay: Any
) -> tuple[Any, Moments]:
    """Take a step by Keras' formula of Adadelta (Zeiler 2012)."""
    from search.system.tf import tf

    squares, moves = moments
    squares = ADADELTA_RHO * squares + (1 - ADADELTA_RHO) * slopes * slopes
    move = tf.sqrt(moves + EPSILON) * slopes / tf.sqrt(squares + EPSILON)
    moves = ADADELTA_RHO * moves + (1 - ADADELTA_RHO) * move * move
    return values - (values * (decay * rate) + rate * move), (squares, moves)


def _lion_step(values: Any, slopes: Any, moments: Moments, rate: Any, _time: Any, decay: Any) -> tuple[Any, Moments]:
    """Take a step by Keras' formula of Lion (Chen et al. 2023)."""
    from search.system.tf import tf

    (momentum,) = moments
    direction = tf.sign(momentum * LION_BETA_1 + slopes * (1 - LION_BETA_1))
    momentum = momentum * LION_BETA_2 + slopes * (1 - LION_BETA_2)
    return values - (values * (decay * rate) + rate * direction), (momentum,)


_ADAM = {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": EPSILON}
_LION = {"beta_1": LION_BETA_1, "beta_2": LION_BETA_2}

# DECISIONS: Each optimiser has its own base of learning rates
OPTIMIZERS = {
    optimizer.name: optimizer
    for optimizer in (
        Optimizer("adamw", _of_keras("AdamW", weight_decay=0.0, **_ADAM), 2, _adamw_step),
        Optimizer("adam", _of_keras("Adam", **_ADAM), 2, _adamw_step, decays=False),
        Optimizer("sgd", _of_keras("SGD", momentum=MOMENTUM), 1, _sgd_step),
        Optimizer("rmsprop", _of_keras("RMSprop", rho=RMSPROP_RHO, epsilon=EPSILON), 1, _rmsprop_step, 0.3),
        Optimizer("adadelta", _of_keras("Adadelta", rho=ADADELTA_RHO, epsilon=EPSILON), 2, _adadelta_step, 300.0),
        Optimizer("lion", _of_keras("Lion", **_LION), 1, _lion_step, 0.3),
    )
}


def settle_optimizer(name: str, value: Any, _recipe: Any = None) -> str:
    """Return the name of an optimizer, which may be written as its class in Keras: "SGD" is "sgd"."""
    known = value.lower() if isinstance(value, str) and value.lower() in OPTIMIZERS else value
    one_of(name, known, OPTIMIZERS)
    return str(known)


def optimizer_of(recipe: Any) -> Optimizer:
    """Return the optimizer of a recipe, also where the field is not settled yet."""
    return OPTIMIZERS[settle_optimizer("optimizer", recipe.optimizer)]


def settle_decay(name: str, value: Any, recipe: Any) -> float:
    """Return the weight decay; with an optimizer that knows none it is 0, which the usual one becomes."""
    decay, optimizer = real(name, value, 0, HIGHEST_DECAY), optimizer_of(recipe)
    if optimizer.decays:
        return decay
    if decay not in {0, USUAL_DECAY}:
        raise UserError(
            f"{name}={decay:g} with optimizer={recipe.optimizer!r}: this optimizer has no weight decay (Adam with "
            f'one is "adamw"). Give another optimizer, or leave {name} out; in a space, put it under '
            'hp.conditional_scope("optimizer", [the others]).'
        )
    return 0.0


def settle_norm(name: str, value: Any, _recipe: Any) -> float | None:
    """Return the norm at which gradients are clipped, None for nowhere."""
    return None if value is None else real(name, value, LOWEST_NORM, HIGHEST_NORM)


def _norm_in_words(recipe: Any) -> str:
    return NOT_CLIPPED if recipe.clip_norm is None else f"{recipe.clip_norm:g}"


WEIGHT_DECAY = declare(
    "weight decay",
    settle_decay,
    describe(NUMBER, "The optimiser's."),
    words=lambda recipe: f"weight decay {recipe.weight_decay:.2g}",
    aside=True,
    is_choice=lambda recipe: optimizer_of(recipe).decays,
)
OPTIMIZER = declare(
    "optimizer",
    settle_optimizer,
    describe(TEXT, "What takes the steps of training."),
    words=lambda recipe: recipe.optimizer,
    level=lambda recipe: recipe.optimizer,
    since=SECOND,
)
CLIP_NORM = declare(
    "gradient clipping",
    settle_norm,
    describe(NUMBER, "Highest norm of a gradient; null where it is not clipped."),
    words=lambda recipe: f"gradients clipped at {_norm_in_words(recipe)}",
    level=_norm_in_words,
    brief=lambda norm: NOT_CLIPPED if norm is None else norm,
    since=FOURTH,
)
