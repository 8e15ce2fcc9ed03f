"""Linear heads of many runs, trained as one batched model on stored features.

A head is softmax regression on the pooled features of a frozen backbone, with dropout, from zero
(as in BiT, Kolesnikov et al. 2020). Heads share nothing but the calls that compute them: each has
its own examples, weights, draws and moments, so how runs are grouped changes a result by rounding only.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from search.system.tf import keras, tf
from search.training.heads.dense import LINEAR, Dense, DenseHead

if TYPE_CHECKING:
    from search.repertoire.losses import Loss
    from search.repertoire.optimizers import Moments, Optimizer
    from search.training.batches import PaddedBatches
    from search.training.loop import HeadRuns

LANES = 4  # draws of 16 bits in one of 64
COMPILED_KEPT = 32


class State(NamedTuple):
    """All that training changes, for R heads of D features and C classes: weights, and the optimizer's moments of them.

    ``kernels`` and each of their moments are (R, D, C), ``biases`` and each of theirs (R, C). ``averages`` are the
    moving averages of both, where these are kept.
    """

    kernels: Any
    biases: Any
    kernel_moments: "Moments"
    bias_moments: "Moments"
    averages: tuple[Any, ...] = ()


@dataclass(frozen=True)
class LinearHead:
    """The head of one run: its kernel (features, classes) and bias (classes,), and the ``output`` of its loss."""

    kernel: np.ndarray
    bias: np.ndarray
    output: str = LINEAR

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities (n, classes) of rows (n, features)."""
        logits = tf.matmul(features, self.kernel) + self.bias
        return tf.nn.softmax(keras.activations.get(self.output)(logits)).numpy()

    def layers(self) -> list[Any]:
        """Return one Keras layer from features to probabilities, or two where the loss has an output of its own."""
        if self.output != LINEAR:
            return DenseHead((Dense(self.kernel, self.bias, self.output),)).layers()
        features, classes = self.kernel.shape
        dense = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")
        dense.build((None, features))
        dense.set_weights([self.kernel, self.bias])
        return [dense]


def layers(classes: int) -> list[Any]:
    """Return one Keras layer from features to logits. It begins at zero: the loss is convex, so no noise is needed."""
    return [keras.layers.Dense(classes, kernel_initializer="zeros", dtype="float32")]


def fit(runs: "HeadRuns") -> list[LinearHead]:
    """Return the heads of the runs, trained together for the epochs of their recipe."""
    recipe = runs.recipe
    values = recipe.dropout, recipe.weight_decay, runs.optimizer, runs.loss, runs.gamma, recipe.clip_norm, recipe.ema
    heads = Heads(runs.seeds, runs.features, runs.classes, *values)
    return trained(runs, heads)


def trained(runs: "HeadRuns", heads: Any) -> list[Any]:
    """Return the heads of the runs after all epochs; ``heads`` are those of any kind that trains batch by batch."""
    for epoch in runs.epochs():
        for batches, rates in runs.batches(epoch):
            runs.note(epoch, heads.train(batches, rates))
        runs.watch(epoch, heads.head)
    heads.end()
    return [heads.head(number) for number in range(len(runs.seeds))]


# DECISIONS: Heads train as one batched model
class Heads:
    """R heads of D features and C classes, before their first step or after some."""

    def __init__(
        self,
        seeds: Sequence[int],
        features: int,
        classes: int,
        dropout: float,
        decay: float,
        optimizer: "Optimizer",
        loss: "Loss",
        gamma: float = 0.0,
        norm: float | None = None,
        ema: float = 0.0,
    ) -> None:
        """Begin at zero; each head's dropout draws from its own seed. Gradients are clipped at ``norm``, if given."""
        # DECISIONS: The head starts at zero
        kernels, biases = tf.zeros((len(seeds), features, classes)), tf.zeros((len(seeds), classes))
        moments = (kernels,) * optimizer.moments, (biases,) * optimizer.moments
        self._state = State(kernels, biases, *moments, (kernels, biases) if ema else ())
        self._steps = compile_steps(len(seeds), features, classes, optimizer, loss, norm is not None, ema > 0)
        values = {"dropout": dropout, "decay": decay, "norm": norm or 0, "ema": ema, "gamma": gamma}
        values = {name: tf.constant(value, tf.float32) for name, value in values.items()}  # once, not at each call
        self._values = {"seeds": tf.constant(seeds, tf.int64), **values}
        self._loss, self._gamma = loss, gamma
        self._steps_taken = 0

    def train(self, batches: "PaddedBatches", rates: np.ndarray) -> np.ndarray:
        """Take the steps; return (R, 2): the sum of each head's losses in them, and its number of hits."""
        weights = batches.weights * batches.shares
        first = tf.constant(self._steps_taken, tf.int64)
        self._state, logits = self._steps(
            self._state, batches.features, batches.targets, weights, rates, first=first, **self._values
        )
        self._steps_taken += len(rates)
        logits = logits.numpy()
        return sums(self._loss.measure(batches.targets, logits, self._gamma), logits, batches)

    def end(self) -> None:
        """Give the heads their averages, where these are kept."""
        if self._state.averages:
            kernels, biases = self._state.averages
            self._state = self._state._replace(kernels=kernels, biases=biases)

    def head(self, number: int) -> LinearHead:
        """Return one head as it is now."""
        kernels, biases = self._state.kernels.numpy(), self._state.biases.numpy()
        return LinearHead(kernels[number].copy(), biases[number].copy(), self._loss.output)


@np.errstate(invalid="ignore", over="ignore")  # where it diverges, the sums say so
def sums(losses: np.ndarray, logits: np.ndarray, batches: "PaddedBatches") -> np.ndarray:
    """Return (R, 2) of losses (steps, R, B) and logits (…, C): the sum of each head's losses, its number of hits."""
    is_example, targets = batches.shares > 0, batches.targets
    losses = losses * batches.weights * is_example
    hits = (logits.argmax(-1) == targets.argmax(-1)) & is_example
    return np.stack([losses.sum((0, 2)), hits.sum((0, 2))], axis=-1)


@functools.lru_cache(COMPILED_KEPT)
def compile_steps(
    heads: int, features: int, classes: int, optimizer: "Optimizer", loss: "Loss", clips: bool, averaged: bool
) -> Callable[..., tuple[State, Any]]:
    """Return ``train_steps`` for these numbers, and any number of steps and examples."""
    kernels, biases = tf.TensorSpec((heads, features, classes)), tf.TensorSpec((heads, classes))
    moments = (kernels,) * optimizer.moments, (biases,) * optimizer.moments
    signature = {
        "state": State(kernels, biases, *moments, (kernels, biases) if averaged else ()),
        "features": tf.TensorSpec((None, heads, None, features)),
        "targets": tf.TensorSpec((None, heads, None, classes)),
        "weights": tf.TensorSpec((None, heads, None)),
        "rates": tf.TensorSpec((None, heads)),
        "seeds": tf.TensorSpec((heads,), tf.int64),
        "first": tf.TensorSpec((), tf.int64),
        "dropout": tf.TensorSpec(()),
        "decay": tf.TensorSpec(()),
        "norm": tf.TensorSpec(()),
        "ema": tf.TensorSpec(()),
        "gamma": tf.TensorSpec(()),
    }
    steps = functools.partial(train_steps, optimizer.step, optimizer.clipped if clips else None, loss.slopes)
    # Asked for by its signature, TensorFlow would look at each argument three times a call.
    return tf.function(steps, input_signature=list(signature.values())).get_concrete_function()


def train_steps(
    step_of: Callable[..., tuple[Any, "Moments"]],
    clipped: Callable[..., list[Any]] | None,
    slopes_of: Callable[..., Any],
    state: State,
    features: Any,
    targets: Any,
    weights: Any,
    rates: Any,
    seeds: Any,
    first: Any,
    dropout: Any,
    decay: Any,
    norm: Any,
    ema: Any,
    gamma: Any,
) -> tuple[State, Any]:
    """Take one step of every head for each batch; return the new state and the logits of the batches.

    ``step_of`` is the step of an optimizer; ``clipped`` shortens slopes to the ``norm``, if given; ``slopes_of`` are
    those of a loss with parameter ``gamma``. ``features`` (steps, R, B, D), ``targets`` and logits (steps, R, B, C),
    ``weights`` (steps, R, B) the part of each example in its batch's loss, ``rates`` (steps, R), ``seeds`` (R,),
    ``first`` the number of the first step, ``ema`` the decay of the averages. The kernels alone decay.
    """
    kernels, biases, kernel_moments, bias_moments, averages = state
    steps = tf.shape(rates)[0]
    outputs = tf.TensorArray(tf.float32, steps)
    for step in tf.range(steps):
        number = first + tf.cast(step, tf.int64)
        inputs, scale = drop(features[step], seeds, number, dropout)
        logits = tf.matmul(inputs, kernels) * scale + biases[:, None]
        outputs = outputs.write(step, logits)
        slopes = slopes_of(targets[step], logits, gamma) * weights[step][..., None]
        changes = [tf.matmul(inputs, slopes, transpose_a=True) * scale, tf.reduce_sum(slopes, 1)]
        of_kernels, of_biases = clipped(changes, norm) if clipped else changes
        rate, time = rates[step][:, None], tf.cast(number + 1, tf.float32)
        kernels, kernel_moments = step_of(kernels, of_kernels, kernel_moments, rate[..., None], time, decay)
        biases, bias_moments = step_of(biases, of_biases, bias_moments, rate, time, 0.0)
        averages = tuple(ema * mean + (1 - ema) * new for mean, new in zip(averages, (kernels, biases), strict=False))
    return State(kernels, biases, kernel_moments, bias_moments, averages), outputs.stack()


def drop(features: Any, seeds: Any, step: Any, rate: Any) -> tuple[Any, Any]:
    """Return the features (R, B, D) with a share ``rate`` of them zero, and what to multiply the rest by.

    Each head draws from its own seed and the number of the step, 16 bits for each feature.
    """
    heads, _, width = features.shape
    words = -(-width // LANES)

    def masked() -> Any:
        count = [tf.shape(features)[1] * words]
        draws = [_bits(count, tf.stack([seeds[head], step])) for head in range(heads)]
        bits = tf.reshape(tf.bitcast(tf.stack(draws), tf.uint16), (heads, -1, words * LANES))[..., :width]
        return tf.where(bits >= tf.cast(rate * 2**16, tf.uint16), features, 0.0)

    return tf.cond(rate > 0, masked, lambda: features), 1 / (1 - rate)


def _bits(count: Any, seed: Any) -> Any:
    return tf.random.stateless_uniform(count, seed, minval=None, maxval=None, dtype=tf.uint64)
