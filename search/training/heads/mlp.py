"""MLP heads of many runs, trained as one batched model on stored features.

An MLP is dense layers with an activation after all but the last, with dropout. Its kernels begin as Keras draws them
(Glorot & Bengio 2010), from the seed of the run. As with linear heads, how runs are grouped changes a result by
rounding only.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from search.system.digests import seed_from
from search.system.tf import keras, tf
from search.training.heads.dense import DenseHead, mlp_of
from search.training.heads.linear import drop, sums, trained

if TYPE_CHECKING:
    from search.repertoire.losses import Loss
    from search.repertoire.optimizers import Moments, Optimizer
    from search.training.batches import PaddedBatches
    from search.training.loop import HeadRuns

COMPILED_KEPT = 32
STATE_BYTES = 256 * 2**20  # of the heads that train together


class State(NamedTuple):
    """All that training changes, for R heads: kernels and biases alternately, (R, …) each, and what is kept of each.

    ``moments`` are those of the optimizer, and ``averages`` the moving averages, where these are kept.
    """

    weights: tuple[Any, ...]
    moments: tuple["Moments", ...]
    averages: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a step is compiled for: layers from ``sizes[0]`` features to ``sizes[-1]`` classes, and how they train.

    ``drops`` tells of each layer whether dropout acts before it.
    """

    sizes: tuple[int, ...]
    activation: str
    drops: tuple[bool, ...]
    optimizer: "Optimizer"
    loss: "Loss"
    clips: bool
    averaged: bool

    @property
    def head_bytes(self) -> int:
        """The size of what training changes in a head."""
        values = sum((inputs + 1) * units for inputs, units in itertools.pairwise(self.sizes))
        return 4 * values * (1 + self.optimizer.moments + self.averaged)


def layers(widths: Sequence[int], activation: str, classes: int) -> list[Any]:
    """Return Keras layers from features to logits; their kernels begin as Keras draws them (Glorot uniform)."""
    hidden = [keras.layers.Dense(width, activation, dtype="float32") for width in widths]
    return [*hidden, keras.layers.Dense(classes, dtype="float32")]


def fit(runs: "HeadRuns") -> list[DenseHead]:
    """Return the heads of the runs, as many trained together as fit into memory."""
    recipe, settings = runs.recipe, runs.settings
    sizes = (runs.features, *settings.widths, runs.classes)
    drops = tuple(settings.drops(layer) for layer in range(len(sizes) - 1))
    plan = Plan(
        sizes, settings.activation, drops, runs.optimizer, runs.loss, recipe.clip_norm is not None, recipe.ema > 0
    )
    size = max(1, STATE_BYTES // plan.head_bytes)
    starts = range(0, len(runs.runs), size)
    return [head for at in starts for head in _fit(dataclasses.replace(runs, runs=runs.runs[at : at + size]), plan)]


def _fit(runs: "HeadRuns", plan: Plan) -> list[DenseHead]:
    recipe = runs.recipe
    values = recipe.dropout, recipe.weight_decay, runs.gamma, recipe.clip_norm, recipe.ema
    heads = Heads(plan, runs.seeds, runs.first_weights(), *values)
    return trained(runs, heads)


class Heads:
    """R heads of one plan, before their first step or after some."""

    def __init__(
        self,
        plan: Plan,
        seeds: Sequence[int],
        weights: Sequence[Sequence[np.ndarray]],
        dropout: float,
        decay: float,
        gamma: float = 0.0,
        norm: float | None = None,
        ema: float = 0.0,
    ) -> None:
        """Begin each head at its weights, kernels and biases alternately; its dropout draws from its own seed."""
        first = tuple(tf.constant(np.stack(values)) for values in zip(*weights, strict=True))
        moments = tuple((tf.zeros_like(value),) * plan.optimizer.moments for value in first)
        self._plan, self._state = plan, State(first, moments, first if plan.averaged else ())
        self._steps = compile_steps(plan, len(seeds))
        values = {"dropout": dropout, "decay": decay, "norm": norm or 0, "ema": ema, "gamma": gamma}
        values = {name: tf.constant(value, tf.float32) for name, value in values.items()}  # once, not at each call
        self._values = {"seeds": tf.constant(dropout_seeds(seeds, len(plan.drops)), tf.int64), **values}
        self._gamma = gamma
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
        return sums(self._plan.loss.measure(batches.targets, logits, self._gamma), logits, batches)

    def end(self) -> None:
        """Give the heads their averages, where these are kept."""
        if self._state.averages:
            self._state = self._state._replace(weights=self._state.averages)

    def head(self, number: int) -> DenseHead:
        """Return one head as it is now."""
        weights = [value[number].numpy() for value in self._state.weights]
        return mlp_of(weights, self._plan.activation, self._plan.loss.output)


def dropout_seeds(seeds: Sequence[int], layers: int) -> list[list[int]]:
    """Return what dropout before each layer draws from, (layers, R): before the first the seeds of the runs."""
    return [[seed if layer == 0 else seed_from(seed, "dropout", layer) for seed in seeds] for layer in range(layers)]


@functools.lru_cache(COMPILED_KEPT)
def compile_steps(plan: Plan, heads: int) -> Callable[..., tuple[State, Any]]:
    """Return ``train_steps`` for so many heads of a plan, and any number of steps and examples."""
    pairs = itertools.pairwise(plan.sizes)
    shapes = [shape for inputs, units in pairs for shape in ((heads, inputs, units), (heads, units))]
    weights = tuple(tf.TensorSpec(shape) for shape in shapes)
    moments = tuple((value,) * plan.optimizer.moments for value in weights)
    signature = {
        "state": State(weights, moments, weights if plan.averaged else ()),
        "features": tf.TensorSpec((None, heads, None, plan.sizes[0])),
        "targets": tf.TensorSpec((None, heads, None, plan.sizes[-1])),
        "weights": tf.TensorSpec((None, heads, None)),
        "rates": tf.TensorSpec((None, heads)),
        "seeds": tf.TensorSpec((len(plan.drops), heads), tf.int64),
        "first": tf.TensorSpec((), tf.int64),
        "dropout": tf.TensorSpec(()),
        "decay": tf.TensorSpec(()),
        "norm": tf.TensorSpec(()),
        "ema": tf.TensorSpec(()),
        "gamma": tf.TensorSpec(()),
    }
    steps = tf.function(functools.partial(train_steps, plan), input_signature=list(signature.values()))
    return steps.get_concrete_function()


def train_steps(
    plan: Plan,
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

    ``seeds`` are (layers, R); the rest is as for linear heads.
    """
    values, moments, averages = state
    steps = tf.shape(rates)[0]
    outputs = tf.TensorArray(tf.float32, steps)
    for step in tf.range(steps):
        number = first + tf.cast(step, tf.int64)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            logits = _logits(plan, values, features[step], seeds, number, dropout)
        outputs = outputs.write(step, logits)
        slopes = plan.loss.slopes(targets[step], logits, gamma) * weights[step][..., None]
        changes = tape.gradient(logits, values, output_gradients=slopes)
        changes = plan.optimizer.clipped(changes, norm) if plan.clips else changes
        values, moments = _changed(plan, values, moments, changes, rates[step], number, decay)
        averages = tuple(ema * mean + (1 - ema) * new for mean, new in zip(averages, values, strict=False))
    return State(values, moments, averages), outputs.stack()


def _logits(plan: Plan, values: Sequence[Any], features: Any, seeds: Any, step: Any, dropout: Any) -> Any:
    """Return the logits (R, B, classes) of a batch in training."""
    activation, x, last = keras.activations.get(plan.activation), features, len(plan.drops) - 1
    for layer, drops in enumerate(plan.drops):
        kernels, biases = values[2 * layer : 2 * layer + 2]
        x, scale = drop(x, seeds[layer], step, dropout) if drops else (x, 1.0)
        x = tf.matmul(x, kernels) * scale + biases[:, None]
        x = x if layer == last else activation(x)
    return x


def _changed(
    plan: Plan, values: Any, moments: Any, slopes: Any, rates: Any, step: Any, decay: Any
) -> tuple[tuple[Any, ...], tuple["Moments", ...]]:
    """Return weights and moments after one step; the kernels alone decay."""
    time, after = tf.cast(step + 1, tf.float32), []
    for number, (value, moment, slope) in enumerate(zip(values, moments, slopes, strict=True)):
        is_kernel = number % 2 == 0
        rate = rates[:, None, None] if is_kernel else rates[:, None]
        after.append(plan.optimizer.step(value, slope, moment, rate, time, decay if is_kernel else 0.0))
    return tuple(value for value, _ in after), tuple(moment for _, moment in after)
