"""How an epoch is cut into batches, as many of them at a time as fit into memory.

Between what feeds a run and the step that trains it, an example is its inputs, its targets and its weight in the
loss. The targets of an example are the shares of the classes in it, which sum to 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.repertoire.losses import smoothed
from search.repertoire.mixing import Mix, blended
from search.system.digests import seed_from
from search.system.heartbeat import beat
from search.training.inputs import AnyRows, Part

CHUNK_BYTES = 64 * 2**20


# DECISIONS: Soft targets keep every bit
@dataclass(frozen=True)
class Batches:
    """Batches of one run, which follow each other: batch ``i`` ends before row ``ends[i]``.

    ``inputs`` is (n, ...), ``targets`` (n, classes) and ``weights``, of the examples in the loss, (n,).
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class PaddedBatches:
    """Batches of R heads, B examples each at most: ``features`` (steps, R, B, D), ``targets`` (steps, R, B, C).

    ``weights``, of the examples in the loss, and ``shares`` are (steps, R, B). A share is the part of an
    example in the mean of its batch, 0 where a batch is shorter than B.
    """

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    shares: np.ndarray


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the targets (..., classes) of examples that are of one class each."""
    return np.eye(classes, dtype=np.float32)[labels]


def batches_of_run(
    part: Part, order: np.ndarray, steps: int, inputs: AnyRows, classes: int, smoothing: float = 0.0
) -> Iterator[tuple[slice, Batches]]:
    """Yield some steps of an epoch at a time, and their batches, in the order of the examples given.

    A part ``smoothing`` of each target is spread over all classes.
    """
    split = np.array_split(order, steps)
    for chunk in _chunks(steps, len(split[0]) * inputs.row_bytes):
        rows = np.concatenate(split[chunk])
        ends = np.cumsum([len(batch) for batch in split[chunk]], dtype=np.int32)
        targets = smoothed(one_hot(part.labels[rows], classes), smoothing)
        yield chunk, Batches(inputs.take(part.rows[rows]), targets, part.weights[rows], ends)


def batches_of_heads(
    parts: Sequence[Part],
    orders: Sequence[np.ndarray],
    steps: int,
    inputs: AnyRows,
    classes: int,
    smoothing: float = 0.0,
) -> Iterator[tuple[slice, PaddedBatches]]:
    """Yield some steps of an epoch at a time, and the batches of all heads in them; short batches are padded.

    A part ``smoothing`` of each target is spread over all classes.
    """
    splits = [np.array_split(order, steps) for order in orders]
    shape = steps, len(parts), max(len(split[0]) for split in splits)
    rows, labels = np.zeros(shape, np.int64), np.zeros(shape, np.int32)
    weights, shares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for head, (part, split) in enumerate(zip(parts, splits, strict=True)):
        for step, batch in enumerate(split):
            at = step, head, slice(len(batch))
            rows[at], labels[at], weights[at] = part.rows[batch], part.labels[batch], part.weights[batch]
            shares[at] = 1 / len(batch)
    for chunk in _chunks(steps, shape[1] * shape[2] * inputs.row_bytes):
        features = inputs.take(rows[chunk].ravel()).reshape(*rows[chunk].shape, -1)
        targets = smoothed(one_hot(labels[chunk], classes), smoothing)
        yield chunk, PaddedBatches(features, targets, weights[chunk], shares[chunk])


def mixed_of_run(mix: Mix, batches: Batches, seed: int, epoch: int, first: int) -> Batches:
    """Return the batches of a run with their examples mixed, if at all; the first is step ``first`` of an epoch.

    Draws come from the seed of the run, the epoch and the step.
    """
    if not mix.mixes:
        return batches
    rows = (batches.inputs.copy(), batches.targets.copy(), batches.weights.copy())
    for number, (start, end) in enumerate(zip([0, *batches.ends], batches.ends, strict=False)):
        _mix(mix, rows, np.s_[start:end], seed_from(seed, "mix", epoch, first + number))
    return Batches(*rows, batches.ends)


def mixed_of_heads(mix: Mix, batches: PaddedBatches, seeds: Sequence[int], epoch: int, first: int) -> PaddedBatches:
    """Return the batches of heads with the examples of each mixed among themselves, with draws as for a run alone."""
    if not mix.mixes:
        return batches
    rows = (batches.features.copy(), batches.targets.copy(), batches.weights.copy())
    for number, head in np.ndindex(*batches.shares.shape[:2]):
        examples = np.count_nonzero(batches.shares[number, head])
        _mix(mix, rows, np.s_[number, head, :examples], seed_from(seeds[head], "mix", epoch, first + number))
    return PaddedBatches(*rows, batches.shares)


def _mix(mix: Mix, rows: tuple[np.ndarray, np.ndarray, np.ndarray], at: Any, seed: int) -> None:
    """Mix the examples of the batch that stands ``at`` a place of the rows: inputs, targets and weights."""
    inputs, targets, weights = rows
    mixed = blended(mix, inputs[at], targets[at], weights[at], np.random.default_rng(seed))
    inputs[at], targets[at], weights[at] = mixed


def _chunks(steps: int, step_bytes: int) -> Iterator[slice]:
    """Yield the steps of an epoch, as many at a time as fit into memory."""
    size = max(1, CHUNK_BYTES // max(1, step_bytes))
    for at in range(0, steps, size):
        yield slice(at, at + size)
        beat()
