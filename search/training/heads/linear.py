"""Heads of many runs, trained as one batched model on stored features.

A head is softmax regression on the pooled features of a frozen backbone, with dropout, from zero
(as in BiT, Kolesnikov et al. 2020), by AdamW (Loshchilov & Hutter 2019; Keras' formula). Heads
share nothing but the calls that compute them: each has its own examples, weights, draws and
moments, so how runs are grouped changes a result by rounding only.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from search.system.tf import tf

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
LANES = 4  # draws of 16 bits in one of 64
COMPILED_KEPT = 32


class State(NamedTuple):
    """All that training changes, for R heads of D features and C classes: weights, and AdamW's moments of them.

    ``kernels`` is (R, D, C), ``biases`` (R, C); ``moments`` are the first and second ones of each.
    """

    kernels: Any
    biases: Any
    moments: tuple[Any, Any, Any, Any]


@dataclass(frozen=True)
class Batches:
    """What some steps show to R heads: ``features`` (steps, R, B, D), and (steps, R, B) of each of the others.

    ``weights`` are those of classes in the loss; ``shares`` the part of an example in the mean of its batch,
    0 where a batch is shorter than B.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    shares: np.ndarray


class Heads:
    """R heads of D features and C classes, before their first step or after some."""

    def __init__(self, seeds: Sequence[int], features: int, classes: int, dropout: float, decay: float) -> None:
        """Begin at zero; each head's dropout draws from its own seed."""
        kernels, biases = tf.zeros((len(seeds), features, classes)), tf.zeros((len(seeds), classes))
        self._state = State(kernels, biases, (kernels, kernels, biases, biases))
        self._steps = compiled(len(seeds), features, classes)
        self._values = {"seeds": tf.constant(seeds, tf.int64), "dropout": float(dropout), "decay": float(decay)}
        self._done = 0

    def train(self, shown: Batches, rates: np.ndarray) -> np.ndarray:
        """Take the steps; return (R, 2): the sum of each head's losses in them, and its number of hits."""
        weights = shown.weights * shown.shares
        done = tf.constant(self._done, tf.int64)
        self._state, logits = self._steps(
            self._state, shown.features, shown.labels, weights, rates, done=done, **self._values
        )
        self._done += len(rates)
        return _sums(logits.numpy(), shown)

    def predict(self, head: int, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities (n, C) that one head gives to rows (n, D)."""
        kernels, biases, _ = self._state
        return tf.nn.softmax(tf.matmul(features, kernels[head]) + biases[head]).numpy()

    def weights(self, head: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the kernel (D, C) and the bias (C,) of one head."""
        kernels, biases, _ = self._state
        return kernels[head].numpy(), biases[head].numpy()


@np.errstate(invalid="ignore", over="ignore")  # where it diverges, the sums say so
def _sums(logits: np.ndarray, shown: Batches) -> np.ndarray:
    there = shown.shares > 0
    shifted = logits - logits.max(-1, keepdims=True)
    of_truth = np.take_along_axis(shifted, shown.labels[..., None], -1)[..., 0]
    losses = (np.log(np.exp(shifted).sum(-1)) - of_truth) * shown.weights * there
    hits = (logits.argmax(-1) == shown.labels) & there
    return np.stack([losses.sum((0, 2)), hits.sum((0, 2))], axis=-1)


@functools.lru_cache(COMPILED_KEPT)
def compiled(heads: int, features: int, classes: int) -> Callable[..., tuple[State, Any]]:
    """Return ``train_steps`` for these numbers, and any number of steps and examples."""
    kernels, biases = tf.TensorSpec((heads, features, classes)), tf.TensorSpec((heads, classes))
    signature = {
        "state": State(kernels, biases, (kernels, kernels, biases, biases)),
        "features": tf.TensorSpec((None, heads, None, features)),
        "labels": tf.TensorSpec((None, heads, None), tf.int32),
        "weights": tf.TensorSpec((None, heads, None)),
        "rates": tf.TensorSpec((None,)),
        "seeds": tf.TensorSpec((heads,), tf.int64),
        "done": tf.TensorSpec((), tf.int64),
        "dropout": tf.TensorSpec(()),
        "decay": tf.TensorSpec(()),
    }
    return tf.function(train_steps, input_signature=list(signature.values()))


def train_steps(
    state: State, features: Any, labels: Any, weights: Any, rates: Any, seeds: Any, done: Any, dropout: Any, decay: Any
) -> tuple[State, Any]:
    """Take one step of every head for each batch; return the new state and the logits of the batches.

    ``features`` (steps, R, B, D), ``labels`` (steps, R, B), ``weights`` (steps, R, B) the part of each example in
    its batch's loss, ``rates`` (steps,) learning rates, ``seeds`` (R,), ``done`` steps taken before, ``dropout``
    and weight ``decay`` rates. The logits are (steps, R, B, C), dropout included.
    """
    kernels, biases, moments = state
    steps, classes = tf.shape(rates)[0], kernels.shape[-1]
    seen = tf.TensorArray(tf.float32, steps)
    for step in tf.range(steps):
        taken = done + tf.cast(step, tf.int64)
        shown, scale = dropped(features[step], seeds, taken, dropout)
        logits = tf.matmul(shown, kernels) * scale + biases[:, None]
        seen = seen.write(step, logits)
        slopes = (tf.nn.softmax(logits) - tf.one_hot(labels[step], classes)) * weights[step][..., None]
        of_kernels = tf.matmul(shown, slopes, transpose_a=True) * scale
        adam = functools.partial(_adam, rate=rates[step], time=tf.cast(taken + 1, tf.float32))
        kernels, *kernel_moments = adam(kernels, of_kernels, *moments[:2], decay=decay)
        biases, *bias_moments = adam(biases, tf.reduce_sum(slopes, 1), *moments[2:], decay=0.0)
        moments = (*kernel_moments, *bias_moments)
    return State(kernels, biases, moments), seen.stack()


def _adam(values: Any, slopes: Any, first: Any, second: Any, rate: Any, time: Any, decay: Any) -> tuple[Any, Any, Any]:
    first += (slopes - first) * (1 - BETA_1)
    second += (slopes * slopes - second) * (1 - BETA_2)
    scale = rate * tf.sqrt(1 - BETA_2**time) / (1 - BETA_1**time)
    return values - (values * (decay * rate) + first * scale / (tf.sqrt(second) + EPSILON)), first, second


def dropped(features: Any, seeds: Any, step: Any, rate: Any) -> tuple[Any, Any]:
    """Return the features (R, B, D) with a share ``rate`` of them zero, and what to multiply the rest by.

    Each head draws from its own seed and the number of the step, 16 bits for each feature.
    """
    heads, _, width = features.shape
    words = -(-width // LANES)

    def masked() -> Any:
        count = [tf.shape(features)[1] * words]
        drawn = [_bits(count, tf.stack([seeds[head], step])) for head in range(heads)]
        bits = tf.reshape(tf.bitcast(tf.stack(drawn), tf.uint16), (heads, -1, words * LANES))[..., :width]
        return tf.where(bits >= tf.cast(rate * 2**16, tf.uint16), features, 0.0)

    return tf.cond(rate > 0, masked, lambda: features), 1 / (1 - rate)


def _bits(count: Any, seed: Any) -> Any:
    return tf.random.stateless_uniform(count, seed, minval=None, maxval=None, dtype=tf.uint64)
