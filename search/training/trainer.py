"""Train one Job. Names in, results out; writes nothing but entries of the cache.

Every run starts from fresh weights, and every draw in it comes from (seed, recipe, fold), so
neither the order of runs nor the process that they happen in changes a result.
"""

import contextlib
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import psutil

from search.data.folds import Fold
from search.racing import Job
from search.repertoire.heads import FittedHead
from search.repertoire.networks import AnyRecipe, Architecture, NetworkRecipe
from search.repertoire.rates import first_step
from search.repertoire.recipe import Recipe
from search.repertoire.shape import Shape, shape_of
from search.system.clock import Clock
from search.system.errors import UserError
from search.system.heartbeat import beat
from search.system.machine import NETWORKS_KEPT
from search.system.tf import any_kernels, is_deterministic, silenced, tf
from search.training.activations import Pixels
from search.training.compiled import CompiledNetwork
from search.training.inputs import Feed
from search.training.loop import TrainingRun, fit_body, fit_heads
from search.training.materials import Materials
from search.training.network import Network, build
from search.training.networks import OwnNetwork, fit_network

TRAINING_VERSION = 2  # part of what a search is: results of another version are not mixed with ours


class CancelledError(Exception):
    """Nobody waits for this job any more."""


class MemoryExhaustedError(Exception):
    """A device has too little memory for a job."""


@dataclass(frozen=True)
class RunResult:
    """One run as it comes back: predictions with their rows and labels, curve, seconds, synthetic images used.

    ``probabilities`` has the shape (n validation images, classes), ``curve`` (epochs, 2) holds
    training loss and accuracy, ``watched`` (points, 3) some epochs with both on the validation
    part. ``synthetic`` counts, by class, the images
    "asked" for, "admissible" and "drawn"; it is empty where the recipe asks for none. ``sampled`` likewise
    counts the real images that are "there" in the training part, and "trained", copies included. ``by_epoch``
    are the probabilities (epochs, n, classes) after each epoch, where the recipe counts the best of them on average.
    """

    fold: str
    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    curve: np.ndarray
    watched: np.ndarray
    seconds: float
    synthetic: dict[str, dict[str, int]]
    sampled: dict[str, dict[str, int]] = field(default_factory=dict)
    by_epoch: np.ndarray | None = None


@dataclass(frozen=True)
class TrainedNetwork:
    """A run, and what training made of the unfrozen part of its network: the weights by path.

    ``own`` is the network itself, where the space builds it.
    """

    run: TrainingRun
    body: dict[str, np.ndarray]
    own: OwnNetwork | None = None


@dataclass(frozen=True)
class JobResult:
    """The runs of a job, and the bytes of memory that are the worker's own after it.

    ``inexact`` says why they repeat only nearly, in TensorFlow's words; "" where they repeat to the last bit.
    """

    job: Job
    runs: tuple[RunResult, ...]
    memory: int
    inexact: str = ""


def set_up(threads: int) -> None:
    """Make TensorFlow deterministic in this process, before its first operation.

    Raises UserError where TensorFlow has already run here with other numbers of threads.
    """
    with silenced():
        _pin_threads(threads)
        tf.config.experimental.enable_op_determinism()
        tf.zeros(())


def pin_threads(threads: int) -> None:
    """Let TensorFlow use so many threads in this process, if it has not run here yet."""
    with contextlib.suppress(UserError), silenced():
        _pin_threads(threads)


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


class Trainer:
    """Trains the jobs of one search in this process; ``cancelled`` tells whether to give the present one up.

    ``report`` is called with the number of each epoch that a job begins, from 1 on; a job of several runs that are
    trained one after another begins anew with each.

    The stages of its ``clock`` are "images" (decoding), "views" (drawing them, activations of the
    frozen part), "build" (the network and its compiled steps) and "train" (predicting included).
    """

    def __init__(
        self,
        materials: Materials,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[int], None] = lambda _epoch: None,
    ) -> None:
        """Hold on to what all jobs share; nothing is read before the first job."""
        self.materials = materials
        self.clock = Clock()
        self._feed = Feed(materials, self.clock)
        self._cancelled, self._report = cancelled, report
        self._networks: OrderedDict[Shape, CompiledNetwork] = OrderedDict()
        self._inexact: dict[Shape | Architecture, str] = {}  # what has no deterministic kernel in networks of a shape

    # DECISIONS: An operation without a deterministic kernel does not end a search
    def run(self, job: Job) -> JobResult:
        """Return the results of a job; one without folds only stores what its recipe shows.

        Raises DivergedError where a loss is no number, CancelledError where nobody wants it any more, and
        MemoryExhaustedError where a device has too little memory.
        """
        try:
            if job.shape not in self._inexact:
                return self._run_job(job)
            with any_kernels():
                return replace(self._run_job(job), inexact=self._inexact[job.shape])
        except tf.errors.UnimplementedError as error:
            if not is_deterministic() or job.shape in self._inexact:
                raise
            self._inexact[job.shape] = determinism_in(error.message)
            self._networks.clear()  # what was traced may hold on to its kernels
            return self.run(job)
        except tf.errors.ResourceExhaustedError:
            self._networks.clear()  # the next attempt has more room
            raise MemoryExhaustedError(smaller(job.recipe)) from None

    def _run_job(self, job: Job) -> JobResult:
        epochs = itertools.cycle(range(1, job.recipe.epochs + 1))
        folds = [self.materials.folds[fold] for fold in job.folds]
        runs, seconds = self._fit_any(job.recipe, folds, lambda: self._proceed(next(epochs)))
        images = sum(len(run.part) for run in runs)
        return JobResult(job, tuple(self._result(run, seconds * len(run.part) / images) for run in runs), _own_memory())

    def train(
        self, recipe: AnyRecipe, fold: Fold, proceed: Callable[[], None], epochs: int | None = None
    ) -> TrainedNetwork:
        """Return a run with its weights, after so many epochs if given.

        ``proceed`` is called before each epoch. Raises DivergedError as ``run``.
        """
        if isinstance(recipe, NetworkRecipe):
            run = self._run(recipe, fold)
            return TrainedNetwork(run, {}, self._fit_network(recipe, run, proceed))
        (run,), _ = self._fit(recipe, [fold], proceed, epochs)
        compiled_network = self._network(shape_of(recipe))
        return TrainedNetwork(run, {} if recipe.head_only else compiled_network.network.body_weights)

    def _run(self, recipe: AnyRecipe, fold: Fold, epochs: int | None = None) -> TrainingRun:
        return TrainingRun(recipe, fold, self._feed.part(recipe, fold), self.materials.seed, epochs or recipe.epochs)

    def _fit_any(
        self, recipe: AnyRecipe, folds: Sequence[Fold], proceed: Callable[[], None]
    ) -> tuple[list[TrainingRun], float]:
        """Return the runs of a recipe of either kind, fitted, and the seconds that this took."""
        if isinstance(recipe, Recipe):
            return self._fit(recipe, folds, proceed)
        runs, began = [self._run(recipe, fold) for fold in folds], time.perf_counter()
        for run in runs:
            self._fit_network(recipe, run, proceed)
        return runs, time.perf_counter() - began

    def _fit_network(self, recipe: NetworkRecipe, run: TrainingRun, proceed: Callable[[], None]) -> OwnNetwork:
        """Return the network of a recipe whose network the space builds, built for this run and fitted."""
        networks = self.materials.networks
        assert networks is not None, "only a space that builds networks has such recipes"
        self._feed.store(Pixels(recipe.image_size), recipe)
        with self.clock.stage("train"):
            return fit_network(self._feed, lambda: networks.build(recipe), run, proceed)

    def _fit(
        self, recipe: Recipe, folds: Sequence[Fold], proceed: Callable[[], None], epochs: int | None = None
    ) -> tuple[list[TrainingRun], float]:
        """Return the runs, fitted, and the seconds that this took."""
        runs = [self._run(recipe, fold, epochs) for fold in folds]
        starts = self._starts(recipe, runs)
        compiled_network = self._network(shape_of(recipe))
        self._feed.store(compiled_network, recipe)
        if not recipe.head_only:
            with self.clock.stage("build"):
                compiled_network.trace()
        began = time.perf_counter()
        with self.clock.stage("train"):
            if recipe.head_only:
                fit_heads(self._feed, compiled_network, runs, proceed)
            else:
                for run, start in zip(runs, starts, strict=True):
                    fit_body(self._feed, compiled_network, run, proceed, start)
        return runs, time.perf_counter() - began

    # DECISIONS: A body and its head start and learn together
    def _starts(self, recipe: Recipe, runs: Sequence[TrainingRun]) -> Sequence[FittedHead | None]:
        """Return the heads that the runs start from: fitted on the training part of each run's own fold, if at all."""
        first = first_step(recipe)
        if first is None:
            return [None] * len(runs)
        network = self._network(shape_of(first))
        self._feed.store(network, first)
        heads = [self._run(first, run.fold) for run in runs]  # whose images are those of the runs, each as it is
        with self.clock.stage("train"):
            fit_heads(self._feed, network, heads, lambda: None)
        return [run.head for run in heads]

    def _build(self, shape: Shape) -> Network:
        pretrained = shape.architecture.pretrained
        with self.clock.stage("build"):
            sha256 = self.materials.weights.get(shape.architecture.name, "")
            materials = self.materials
            return build(shape, materials.classes, pretrained, sha256, materials.home, materials.precision)

    def _proceed(self, epoch: int) -> None:
        if self._cancelled():
            raise CancelledError
        beat()
        self._report(epoch)

    def _result(self, run: TrainingRun, seconds: float) -> RunResult:
        fold, truth = run.fold, self.materials.labels[run.fold.validation]
        watched = np.array(run.watched, np.float32).reshape(-1, 3)
        results = run.probabilities, run.curve, watched, seconds, run.part.synthetic, run.part.sampled
        return RunResult(fold.id, fold.validation, truth, *results, np.stack(run.by_epoch) if run.by_epoch else None)

    def _network(self, shape: Shape) -> CompiledNetwork:
        if shape.branches:
            return CompiledNetwork(shape, lambda: self._build(shape), [self._network(each) for each in shape.branches])
        if shape not in self._networks:
            self._networks[shape] = CompiledNetwork(shape, lambda: self._build(shape))
        self._networks.move_to_end(shape)
        built = [
            other for other, compiled_network in self._networks.items() if compiled_network.is_built and other != shape
        ]
        for oldest in built[: 1 - NETWORKS_KEPT]:
            del self._networks[oldest]
        return self._networks[shape]


def determinism_in(message: str) -> str:
    """Return the line of an error of TensorFlow that says what has no deterministic kernel."""
    lines = [line.strip() for line in message.splitlines()]
    lines = [line for line in lines if line and not line.startswith("File ")] or [""]  # of the traceback
    return next((line for line in lines if "determin" in line.lower()), lines[0])


def smaller(recipe: AnyRecipe) -> str:
    """Return what to try where a device has too little memory for a recipe."""
    batch = recipe.batch_size
    if recipe.head_only or batch == 1:
        return f"a device ran out of memory with images of {recipe.side} px: try a smaller image_size or backbone"
    return (
        f"a device ran out of memory with batches of {batch} images of {recipe.side} px: try batch_size={batch // 2} "
        "in the space"
    )


def _own_memory() -> int:
    """Return the bytes of this process that are no mapped files."""
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))
