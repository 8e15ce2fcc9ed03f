"""Fit the trained part of a network for a fixed number of epochs: heads together, unfrozen bodies one by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field

import numpy as np

from search.analysis.stats.scores import SMALLEST_PROBABILITY
from search.data.folds import Fold
from search.repertoire.recipe import Recipe
from search.system.digests import seed_from
from search.training.compiled import Engine
from search.training.heads.linear import Batches, Heads
from search.training.inputs import Feed, Part, Rows

WARM_UP = 0.1  # of the steps
CHUNK_BYTES = 64 * 2**20
POINTS_WATCHED = 5  # of a validation curve: each costs a prediction of the validation part
PREDICTION_BATCH = 64


class DivergedError(Exception):
    """The loss is no number. The same run would do the same again."""


@dataclass
class Run:
    """A run under way: its recipe and fold, what trains it, and what has come of it.

    ``seed`` is the run's own, of the study's, the recipe and the fold. ``curve`` (epochs, 2) holds
    the mean loss and the accuracy of each epoch, in training; ``watched`` (points, 3) an epoch with
    both on the validation part after it, for people to look at: nothing is chosen by it.
    ``probabilities`` is (n validation rows, classes); ``head`` the kernel (features, classes) and the bias
    (classes,) that came of it.
    """

    recipe: Recipe
    fold: Fold
    part: Part
    study_seed: InitVar[int]
    seed: int = field(init=False)
    curve: np.ndarray = field(init=False)
    watched: list[tuple[float, float, float]] = field(init=False, default_factory=list)
    probabilities: np.ndarray = field(init=False)
    head: tuple[np.ndarray, np.ndarray] = field(init=False)

    def __post_init__(self, study_seed: int) -> None:
        """Begin the draws of the seed."""
        self.seed = seed_from(study_seed, self.recipe.digest, self.fold.id)
        self.curve = np.zeros((self.recipe.epochs, 2), np.float32)
        self._rng = np.random.default_rng(self.seed)

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.part) // self.recipe.batch_size)

    def order(self) -> np.ndarray:
        """Return the order of the images in the next epoch."""
        return self._rng.permutation(len(self.part))

    def note(self, epoch: int, loss: float, hits: float) -> None:
        """Add what a part of an epoch came to: the sum of its losses, its number of hits."""
        self.curve[epoch] += np.array([loss, hits]) / len(self.part)

    def check(self, epoch: int) -> None:
        """Raise DivergedError if the loss of an epoch is no number."""
        if not np.isfinite(self.curve[epoch, 0]):
            raise DivergedError(
                f"the loss is no number in epoch {epoch + 1} of {self.recipe.epochs}: learning rate too high?"
            )

    def watch(self, epoch: int, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Add what the validation part, whose labels these are, says after an epoch."""
        if len(labels):
            true = np.clip(probabilities[np.arange(len(labels)), labels], SMALLEST_PROBABILITY, 1)
            hits = probabilities.argmax(axis=1) == labels
            self.watched.append((epoch + 1, float(-np.log(true).mean()), float(hits.mean())))

    def score(self, probabilities: np.ndarray) -> None:
        """Keep the predictions. Raises DivergedError where they are no numbers."""
        if not np.isfinite(probabilities).all():
            raise DivergedError("the predictions are no numbers: learning rate too high?")
        self.probabilities = probabilities


def fit_body(feed: Feed, engine: Engine, run: Run, proceed: Callable[[], None]) -> None:
    """Fit a network with an unfrozen part from fresh weights, and predict.

    ``proceed`` is called before each epoch and may raise.
    """
    recipe, part = run.recipe, run.part
    rates, plain = learning_rates(recipe, run.steps), feed.plain(engine)
    truth = feed.labels(run.fold.validation)

    def predicted() -> np.ndarray:
        return np.concatenate([engine.predict(plain.take(rows)).numpy() for rows in _pieces(run.fold.validation)])

    engine.network.reset(recipe, run.seed)
    for epoch in range(recipe.epochs):
        proceed()
        inputs = feed.view(engine, recipe, epoch)
        batches = np.array_split(run.order(), run.steps)
        for steps in _chunks(run.steps, len(batches[0]) * inputs.row_bytes):
            shown = np.concatenate(batches[steps])
            ends = np.cumsum([len(batch) for batch in batches[steps]], dtype=np.int32)
            shown_to = inputs.take(part.rows[shown]), part.labels[shown], part.weights[shown]
            loss, hits = engine.epoch(*shown_to, ends, rates[epoch, steps])
            run.note(epoch, float(loss), float(hits))
        run.check(epoch)
        if epoch in watched_epochs(recipe):
            run.watch(epoch, truth, predicted())
    run.score(predicted())
    run.watch(recipe.epochs - 1, truth, run.probabilities)
    run.head = engine.network.head.kernel.numpy(), engine.network.head.bias.numpy()


def fit_heads(feed: Feed, engine: Engine, runs: Sequence[Run], proceed: Callable[[], None]) -> None:
    """Fit the heads of runs of one recipe, those with equal numbers of steps as one batched model, and predict.

    ``proceed`` is called before each epoch and may raise.
    """
    for steps in sorted({run.steps for run in runs}):
        _fit_together(feed, engine, [run for run in runs if run.steps == steps], proceed)


def _fit_together(feed: Feed, engine: Engine, runs: Sequence[Run], proceed: Callable[[], None]) -> None:
    recipe, plain, seeds = runs[0].recipe, feed.plain(engine), [run.seed for run in runs]
    heads = Heads(seeds, plain.shape[0], engine.shape.classes, recipe.dropout, recipe.weight_decay)
    rates = learning_rates(recipe, runs[0].steps)
    truth = [feed.labels(run.fold.validation) for run in runs]

    def predicted(head: int) -> np.ndarray:
        pieces = _pieces(runs[head].fold.validation)
        return np.concatenate([heads.predict(head, plain.take(rows)) for rows in pieces])

    for epoch in range(recipe.epochs):
        proceed()
        inputs = feed.view(engine, recipe, epoch)
        for steps, batches in _batches_of_heads(runs, inputs):
            sums = heads.train(batches, rates[epoch, steps])
            for run, (loss, hits) in zip(runs, sums, strict=True):
                run.note(epoch, loss, hits)
        for head, run in enumerate(runs):
            run.check(epoch)
            if epoch in watched_epochs(recipe):
                run.watch(epoch, truth[head], predicted(head))
    for head, run in enumerate(runs):
        run.score(predicted(head))
        run.watch(recipe.epochs - 1, truth[head], run.probabilities)
        run.head = heads.weights(head)


def _batches_of_heads(runs: Sequence[Run], inputs: Rows) -> Iterator[tuple[slice, Batches]]:
    """Yield the steps of an epoch, as many at a time as fit into memory, and what they show, short batches padded."""
    split = [np.array_split(run.order(), run.steps) for run in runs]
    shape = runs[0].steps, len(runs), max(len(batches[0]) for batches in split)
    rows, labels = np.zeros(shape, np.int64), np.zeros(shape, np.int32)
    weights, shares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for head, (run, batches) in enumerate(zip(runs, split, strict=True)):
        for step, batch in enumerate(batches):
            at = step, head, slice(len(batch))
            rows[at], labels[at], weights[at] = run.part.rows[batch], run.part.labels[batch], run.part.weights[batch]
            shares[at] = 1 / len(batch)
    for steps in _chunks(runs[0].steps, shape[1] * shape[2] * inputs.row_bytes):
        features = inputs.take(rows[steps].ravel()).reshape(*rows[steps].shape, -1)
        yield steps, Batches(features, labels[steps], weights[steps], shares[steps])


def _pieces(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows, as many at a time as are predicted together."""
    for at in range(0, len(rows), PREDICTION_BATCH):
        yield rows[at : at + PREDICTION_BATCH]


def _chunks(steps: int, step_bytes: int) -> Iterator[slice]:
    """Yield the steps of an epoch, as many at a time as fit into memory."""
    size = max(1, CHUNK_BYTES // max(1, step_bytes))
    for at in range(0, steps, size):
        yield slice(at, at + size)


def watched_epochs(recipe: Recipe) -> set[int]:
    """Return the epochs, but the last, after which the validation part is looked at."""
    return set(np.linspace(0, recipe.epochs - 1, POINTS_WATCHED).round().astype(int).tolist()) - {recipe.epochs - 1}


def learning_rates(recipe: Recipe, steps: int) -> np.ndarray:
    """Return the rate of each step, (epochs, steps): linear warm-up, then a cosine to zero."""
    total = recipe.epochs * steps
    warm = max(1, round(WARM_UP * total))
    at = np.arange(total)
    up = (at + 1) / warm
    down = 0.5 * (1 + np.cos(np.pi * (at - warm) / max(1, total - warm)))
    return (recipe.learning_rate * np.where(at < warm, up, down)).astype(np.float32).reshape(recipe.epochs, steps)
