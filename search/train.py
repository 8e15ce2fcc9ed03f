"""Train one Job. Names in, results out; writes nothing but entries of the cache.

Every run starts from fresh weights, and every draw in it comes from (seed, recipe, fold), so
neither the order of runs nor the process that they happen in changes a result.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sklearn.utils.class_weight import compute_class_weight

from search.catalog import BACKBONES
from search.data.folds import Fold
from search.data.images import decode
from search.data.synthetic import SyntheticPool, tally
from search.digests import seed_from
from search.errors import UserError
from search.models.build import Network, Shape, build, shape_of
from search.models.prefix import PLAIN, Activations, Images
from search.racing import Job
from search.recipe import Augment, Recipe
from search.tf import silenced, tf

TRAINING_VERSION = 1  # part of what a search is: results of another version are not mixed with ours
WARM_UP = 0.1  # of the steps
CHUNK_BYTES = 128 * 2**20
PREDICTION_BATCH = 64
NETWORKS_KEPT = 4


class DivergedError(Exception):
    """The loss is no number. The same run would do the same again."""


@dataclass(frozen=True)
class Materials:
    """What all jobs of a search share: the images by path and content, labels, folds, weights, seed.

    ``weights`` maps backbones to the SHA-256 of their weights, which lie in ``keras_home``.
    ``threads`` pins TensorFlow's thread count, on which the fourth decimal of a result depends.
    """

    cache: Path
    seed: int
    classes: int
    paths: tuple[Path, ...]
    contents: tuple[str, ...]
    labels: np.ndarray
    pool: SyntheticPool | None
    folds: dict[str, Fold]
    weights: dict[str, str]
    keras_home: Path
    threads: int


@dataclass(frozen=True)
class RunResult:
    """One run as it comes back: predictions with their rows and labels, curve, seconds, synthetic images used.

    ``probabilities`` has the shape (n validation images, classes), ``curve`` (epochs, 2) holds
    training loss and accuracy. ``synthetic`` counts, by class, the images
    "asked" for, "admissible" and "drawn"; it is empty where the recipe asks for none.
    """

    fold: str
    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    curve: np.ndarray
    seconds: float
    synthetic: dict[str, dict[str, int]]


@dataclass(frozen=True)
class JobResult:
    """The runs of a job, and the worker's memory in bytes after it."""

    job: Job
    runs: tuple[RunResult, ...]
    memory: int


def set_up(threads: int) -> None:
    """Make TensorFlow deterministic in this process, before its first operation.

    Raises UserError where TensorFlow has already run here with other numbers of threads.
    """
    with silenced():
        _pin_threads(threads)
        tf.config.experimental.enable_op_determinism()
        tf.zeros(())


def _pin_threads(threads: int) -> None:
    pinned = tf.config.threading
    if (pinned.get_intra_op_parallelism_threads(), pinned.get_inter_op_parallelism_threads()) != (threads, 1):
        try:
            pinned.set_intra_op_parallelism_threads(threads)
            pinned.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            raise UserError(
                f"TensorFlow has already run in this process, so its threads cannot be set to {threads} any more and "
                "results could not be repeated. Train in worker processes (executor='processes'), or start afresh."
            ) from None


@dataclass
class Rows:
    """Inputs by row number: real images first, synthetic ones after them."""

    real: np.ndarray
    synthetic: np.ndarray | None

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the inputs of these rows, in their order."""
        if self.synthetic is None:
            return np.ascontiguousarray(self.real[rows])
        is_real = rows < len(self.real)
        taken = np.empty((len(rows), *self.real.shape[1:]), self.real.dtype)
        taken[is_real] = self.real[rows[is_real]]
        taken[~is_real] = self.synthetic[rows[~is_real] - len(self.real)]
        return taken


class Engine:
    """A network with its compiled training and prediction steps."""

    def __init__(self, network: Network) -> None:
        """Compile lazily: tracing happens at the first call."""
        self.network = network
        if network.body is None:
            inputs = tf.TensorSpec([None, network.head.kernel.shape[0]], tf.float32)
        elif network.prefix is None:
            size = network.shape.image_size
            inputs = tf.TensorSpec([None, size, size, 3], tf.uint8)
        else:
            inputs = tf.TensorSpec(network.body.input.shape, tf.float32)
        self.predict: Callable[..., Any] = tf.function(self._predict, input_signature=[inputs])
        vector = tf.TensorSpec([None], tf.float32)
        numbers = tf.TensorSpec([None], tf.int32)
        self.epoch: Callable[..., Any] = tf.function(
            self._epoch, input_signature=[inputs, numbers, vector, numbers, vector]
        )

    def _predict(self, inputs: Any) -> Any:
        return tf.nn.softmax(self.network.logits(inputs, training=False))

    def _epoch(self, inputs: Any, labels: Any, weights: Any, ends: Any, rates: Any) -> tuple[Any, Any]:
        """Take one optimiser step for each batch; return (sum of losses, number of hits).

        Batch ``i`` ends before row ``ends[i]`` and steps at ``rates[i]``.
        """
        network, start = self.network, 0
        total, hits = 0.0, 0
        for step in tf.range(tf.shape(ends)[0]):
            end = ends[step]
            truth = labels[start:end]
            network.optimizer.learning_rate.assign(rates[step])
            with tf.GradientTape() as tape:
                logits = network.logits(inputs[start:end], training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits) * weights[start:end]
                loss = tf.reduce_mean(losses)
            variables = network.trained
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            network.optimizer.apply(gradients, variables)
            total += tf.reduce_sum(losses)
            hits += tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == truth, tf.int32))
            start = end
        return total, hits


class Trainer:
    """Trains the jobs of one search in this process."""

    def __init__(self, materials: Materials) -> None:
        """Hold on to what all jobs share; nothing is read before the first job."""
        self.materials = materials
        self._engines: OrderedDict[Shape, Engine] = OrderedDict()
        self._decoded: dict[tuple[tuple[str, ...], int], Images] = {}

    def run(self, job: Job) -> JobResult:
        """Return the results of a job. Raises DivergedError where a loss is no number."""
        engine = self._engine(shape_of(job.recipe, self.materials.classes))
        runs = tuple(self._train(engine, job.recipe, self.materials.folds[fold]) for fold in job.folds)
        return JobResult(job, runs, psutil.Process().memory_info().rss)

    def _engine(self, shape: Shape) -> Engine:
        if shape not in self._engines:
            pretrained = BACKBONES[shape.backbone].pretrained
            weights = self.materials.weights.get(shape.backbone, "")
            self._engines[shape] = Engine(build(shape, "imagenet" if pretrained else None, weights))
        self._engines.move_to_end(shape)
        while len(self._engines) > NETWORKS_KEPT:
            self._engines.popitem(last=False)
        return self._engines[shape]

    def _train(self, engine: Engine, recipe: Recipe, fold: Fold) -> RunResult:
        began = time.perf_counter()
        seed = seed_from(self.materials.seed, recipe.digest, fold.id)
        rows, synthetic = self._training_rows(recipe, fold)
        labels = self._labels[rows]
        weights = sample_weights(labels, recipe.class_weight)
        engine.network.reset(recipe, seed)
        curve = self._fit(engine, recipe, rows, labels, weights, seed)
        plain = self._inputs(engine.network, PLAIN, 0, with_pool=False)
        probabilities = np.concatenate(
            [
                engine.predict(plain.take(fold.validation[at : at + PREDICTION_BATCH])).numpy()
                for at in range(0, len(fold.validation), PREDICTION_BATCH)
            ]
        )
        if not np.isfinite(probabilities).all():
            raise DivergedError("the predictions are no numbers: learning rate too high?")
        truth = self.materials.labels[fold.validation]
        seconds = time.perf_counter() - began
        return RunResult(fold.id, fold.validation, truth, probabilities, curve, seconds, synthetic)

    def _fit(
        self, engine: Engine, recipe: Recipe, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, seed: int
    ) -> np.ndarray:
        """Train the fixed number of epochs; return the curve."""
        steps = -(-len(rows) // recipe.batch_size)
        rates = learning_rates(recipe, steps)
        rng = np.random.default_rng(seed)
        curve = np.zeros((recipe.epochs, 2), np.float32)
        for epoch in range(recipe.epochs):
            inputs = self._inputs(
                engine.network, recipe.augment, epoch % recipe.views, bool(recipe.synthetic_per_class)
            )
            order = rng.permutation(len(rows))
            for batches, steps_of in _chunks(np.array_split(order, steps), inputs):
                shown = np.concatenate(batches)
                ends = np.cumsum([len(batch) for batch in batches], dtype=np.int32)
                part = inputs.take(rows[shown]), labels[shown], weights[shown], ends, rates[epoch, steps_of]
                loss, hits = engine.epoch(*part)
                curve[epoch] += float(loss), float(hits)
            curve[epoch] /= len(rows)
            if not np.isfinite(curve[epoch, 0]):
                raise DivergedError(
                    f"the loss is no number in epoch {epoch + 1} of {recipe.epochs}: learning rate too high?"
                )
        return curve

    def _training_rows(self, recipe: Recipe, fold: Fold) -> tuple[np.ndarray, dict[str, dict[str, int]]]:
        """Return the rows that train, real and synthetic, and the tally of the synthetic ones."""
        pool = self.materials.pool
        if pool is None or not recipe.synthetic_per_class:
            return fold.train, {}
        asked = pool.asked(recipe.synthetic_per_class, fold, self.materials.labels)
        drawn = pool.draw(fold, asked, self.materials.seed)
        rows = np.concatenate([fold.train, len(self.materials.labels) + drawn])
        return rows, tally(asked, pool.counts(fold))

    @cached_property
    def _labels(self) -> np.ndarray:
        """Labels of all rows, real and synthetic."""
        pool = self.materials.pool
        parts = [self.materials.labels] + ([pool.labels] if pool else [])
        return np.concatenate(parts).astype(np.int32)

    def _inputs(self, network: Network, augment: Augment, view: int, with_pool: bool) -> Rows:
        materials, size = self.materials, network.shape.image_size
        activations = Activations(materials.cache, materials.weights.get(network.shape.backbone, ""), materials.seed)
        real = self._images(materials.paths, materials.contents, size)
        pool = materials.pool if with_pool else None
        synthetic = self._images(pool.paths, pool.contents, size) if pool else None
        return Rows(
            activations.of(network, real, augment, view),
            activations.of(network, synthetic, augment, view) if synthetic else None,
        )

    def _images(self, paths: tuple[Path, ...], contents: tuple[str, ...], size: int) -> Images:
        known = self._decoded.get((contents, size))  # asked for in every epoch, and named by a digest of all contents
        if known is not None:
            return known
        decoded = decode(paths, contents, size, self.materials.cache)
        if decoded.unreadable:
            names = ", ".join(str(paths[row]) for row in list(decoded.unreadable)[:3])
            raise UserError(f"Images that could be read when the search began cannot be read any more: {names}.")
        return self._decoded.setdefault((contents, size), Images(decoded.pixels, contents, decoded.key))


def _chunks(batches: list[np.ndarray], inputs: Rows) -> Iterator[tuple[list[np.ndarray], slice]]:
    """Yield the batches of an epoch, as many at a time as fit into memory, with the slice of their steps."""
    row_bytes = int(np.prod(inputs.real.shape[1:])) * inputs.real.itemsize
    size = max(1, CHUNK_BYTES // max(1, row_bytes * len(batches[0])))
    for at in range(0, len(batches), size):
        yield batches[at : at + size], slice(at, at + size)


def sample_weights(labels: np.ndarray, class_weight: str) -> np.ndarray:
    """Return the weight of each training image in the loss: 1, or n / (classes · n of its class)."""
    if class_weight == "none":
        return np.ones(len(labels), np.float32)
    present = np.unique(labels)
    weights = compute_class_weight("balanced", classes=present, y=labels)
    return weights[np.searchsorted(present, labels)].astype(np.float32)


def learning_rates(recipe: Recipe, steps: int) -> np.ndarray:
    """Return the rate of each step, (epochs, steps): linear warm-up, then a cosine to zero."""
    total = recipe.epochs * steps
    warm = max(1, round(WARM_UP * total))
    at = np.arange(total)
    up = (at + 1) / warm
    down = 0.5 * (1 + np.cos(np.pi * (at - warm) / max(1, total - warm)))
    return (recipe.learning_rate * np.where(at < warm, up, down)).astype(np.float32).reshape(recipe.epochs, steps)
