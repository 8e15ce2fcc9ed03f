"""Fit the trained part of networks: heads on stored features together, unfrozen bodies one by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from search.analysis.stats.scores import SMALLEST_PROBABILITY
from search.data.folds import Fold
from search.repertoire.heads import FittedHead, kind_of, settings_of
from search.repertoire.losses import Loss, gamma_of, row_of
from search.repertoire.mixing import mix_of
from search.repertoire.networks import AnyRecipe
from search.repertoire.optimizers import OPTIMIZERS, Optimizer
from search.repertoire.recipe import Recipe
from search.repertoire.schedules import BEST_MEAN, rates_of
from search.system.digests import seed_from
from search.system.heartbeat import beat
from search.training.batches import (
    PaddedBatches,
    batches_of_heads,
    batches_of_run,
    mixed_of_heads,
    mixed_of_run,
    one_hot,
)
from search.training.compiled import CompiledNetwork
from search.training.heads.adjusted import Adjusted
from search.training.inputs import AnyRows, Feed, JointRows, Part, Rows, Views
from search.training.network import first_weights, head_layers

POINTS_WATCHED = 5  # of a validation curve: each costs a prediction of the validation part
PREDICTION_BATCH = 64


class DivergedError(Exception):
    """The loss is no number. The same run would do the same again."""


@dataclass
class TrainingRun:
    """A run under way: its recipe and fold, what trains it, and what has come of it.

    ``seed`` is the run's own, of the study's, the recipe and the fold. ``curve`` (epochs, 2) holds
    the mean loss and the accuracy of each epoch, in training; ``watched`` (points, 3) an epoch with
    both on the validation part after it, for people to look at: nothing is chosen by it.
    ``probabilities`` is (n validation rows, classes), what the fitted ``head`` gives; it is None where the space builds
    the network. ``by_epoch`` are the probabilities after each epoch, where one of them is chosen later. After
    ``epochs`` of them, all unless given, training ends.
    """

    recipe: AnyRecipe
    fold: Fold
    part: Part
    study_seed: InitVar[int]
    epochs: int = 0
    seed: int = field(init=False)
    curve: np.ndarray = field(init=False, default_factory=lambda: np.zeros((0, 2), np.float32))
    watched: list[tuple[float, float, float]] = field(init=False, default_factory=list)
    probabilities: np.ndarray = field(init=False)
    by_epoch: list[np.ndarray] = field(init=False, default_factory=list)
    head: FittedHead | None = field(init=False)

    def __post_init__(self, study_seed: int) -> None:
        """Begin the draws of the seed."""
        self.seed = seed_from(study_seed, self.recipe.digest, self.fold.id)
        self._rng = np.random.default_rng(self.seed)
        self.epochs = self.epochs or self.recipe.epochs

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.part) // self.recipe.batch_size)

    def rates(self, epoch: int) -> np.ndarray:
        """Return the learning rates of an epoch's steps, (steps,); some schedules go by the losses before it."""
        recipe = self.recipe
        assert isinstance(recipe, Recipe), "the optimizer of a network that a space builds has its rates"
        return rates_of(recipe, self.steps, self.curve[:epoch, 0])

    @property
    def adjustment(self) -> np.ndarray | None:
        """What the logit of each class is lowered by in predictions (classes,); None where nothing is."""
        tau, log_prior = self.recipe.logit_adjustment, self.part.log_prior
        return tau * log_prior if tau and log_prior is not None else None

    def adjusted(self, head: FittedHead) -> FittedHead:
        """Return a head as it predicts in this run."""
        adjustment = self.adjustment
        return head if adjustment is None else Adjusted(head, adjustment)

    def order(self) -> np.ndarray:
        """Return the order of the images in the next epoch."""
        return self._rng.permutation(len(self.part))

    def note(self, epoch: int, loss: float, hits: float) -> None:
        """Add some steps of an epoch to the curve: the sum of their losses, their number of hits."""
        if epoch == len(self.curve):
            self.curve = np.concatenate([self.curve, np.zeros((1, 2), np.float32)])
        self.curve[epoch] += np.array([loss, hits]) / len(self.part)

    def check(self, epoch: int) -> None:
        """Raise DivergedError if the loss of an epoch is no number."""
        if not np.isfinite(self.curve[epoch, 0]):
            raise DivergedError(
                f"the loss is no number in epoch {epoch + 1} of {self.recipe.epochs}: learning rate too high?"
            )

    def is_watched(self, epoch: int) -> bool:
        """Return whether the validation part is looked at after an epoch that is not the last."""
        return epoch < self.epochs - 1 and (epoch in watched_epochs(self.recipe) or chooses_epoch(self.recipe))

    def watch(self, epoch: int, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Add what the validation part, whose labels these are, says after an epoch.

        Raises DivergedError where predictions that may count later are no numbers.
        """
        if chooses_epoch(self.recipe):
            self._check_numbers(probabilities)
            self.by_epoch.append(probabilities)
        if len(labels):
            true = np.clip(probabilities[np.arange(len(labels)), labels], SMALLEST_PROBABILITY, 1)
            hits = probabilities.argmax(axis=1) == labels
            self.watched.append((epoch + 1, float(-np.log(true).mean()), float(hits.mean())))

    def end(self, head: FittedHead | None, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Keep the head and the predictions of the validation part. Raises DivergedError where they are no numbers."""
        self._check_numbers(probabilities)
        self.head, self.probabilities = head and self.adjusted(head), probabilities
        self.watch(self.epochs - 1, labels, probabilities)

    @staticmethod
    def _check_numbers(probabilities: np.ndarray) -> None:
        if not np.isfinite(probabilities).all():
            raise DivergedError("the predictions are no numbers: learning rate too high?")


def fit_body(
    feed: Feed,
    compiled_network: CompiledNetwork,
    run: TrainingRun,
    proceed: Callable[[], None],
    start: FittedHead | None = None,
) -> None:
    """Fit a network with an unfrozen part from fresh weights, its head from ``start`` if given, and predict.

    ``proceed`` is called before each epoch and may raise.
    """
    recipe, network = run.recipe, compiled_network.network
    assert isinstance(recipe, Recipe), "fit_network fits the others"
    views, labels = feed.scored(compiled_network, recipe), feed.labels(run.fold.validation)
    mix = mix_of(recipe)

    def predict() -> np.ndarray:
        return predicted(views, run.fold.validation, lambda inputs: compiled_network.predict(inputs).numpy())

    network.reset(recipe, run.seed, start, run.adjustment)
    for epoch in range(run.epochs):
        proceed()
        inputs, rates = feed.view(compiled_network, recipe, epoch), run.rates(epoch)
        epoch_of_run = run.part.shown(epoch), run.order(), run.steps, inputs, network.classes, recipe.label_smoothing
        for steps, batches in batches_of_run(*epoch_of_run):
            shown = mixed_of_run(mix, batches, run.seed, epoch, steps.start)
            loss, hits = compiled_network.epoch(**vars(shown), rates=rates[steps])
            run.note(epoch, float(loss), float(hits))
        run.check(epoch)
        if run.is_watched(epoch):
            run.watch(epoch, labels, predict())
    network.end(recipe, start)
    from_weights = kind_of(recipe.head).from_weights
    assert from_weights is not None, "its layers were trained"
    head = from_weights(network.head_weights, settings_of(recipe.head), row_of(recipe.loss).output)
    run.end(head, labels, predict())


def fit_heads(
    feed: Feed, compiled_network: CompiledNetwork, runs: Sequence[TrainingRun], proceed: Callable[[], None]
) -> None:
    """Fit the heads of runs of one recipe, those with equal numbers of steps together, and predict.

    ``proceed`` is called before each epoch and may raise.
    """
    for steps in sorted({run.steps for run in runs}):
        alike = HeadRuns(feed, compiled_network, [run for run in runs if run.steps == steps], proceed)
        for number, (run, head) in enumerate(zip(alike.runs, kind_of(alike.recipe.head).fit(alike), strict=True)):
            run.end(head, alike.labels[number], alike.predict(number, head))


class Examples(NamedTuple):
    """All that trains a run: features (n, D), targets (n, classes), weights (n,), numbers of images and groups (n,)."""

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    images: np.ndarray
    groups: np.ndarray


# DECISIONS: A head is fitted on runs
@dataclass(frozen=True)
class HeadRuns:
    """Runs of one recipe, with equal numbers of steps, on a frozen backbone: what their heads are fitted on.

    A head that is trained by steps asks for ``epochs()``, and in each for ``batches(epoch)``; it then calls
    ``note`` and ``watch``, so that people see how it goes. One that is fitted all at once asks for the
    ``examples`` of each run.
    """

    feed: Feed
    network: CompiledNetwork
    runs: Sequence[TrainingRun]
    proceed: Callable[[], None]
    _views: dict[int, AnyRows] = field(default_factory=dict, init=False, repr=False)

    @property
    def recipe(self) -> Recipe:
        """The recipe of all runs."""
        recipe = self.runs[0].recipe
        assert isinstance(recipe, Recipe), "the network of a space is no head"
        return recipe

    @property
    def settings(self) -> Any:
        """The settings of the head of the recipe; None for a head that has none."""
        return settings_of(self.recipe.head)

    @property
    def seeds(self) -> list[int]:
        """The seed of each run."""
        return [run.seed for run in self.runs]

    @property
    def features(self) -> int:
        """How many features an image has."""
        return self._scored[0].shape[0]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.feed.materials.classes

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer of the recipe."""
        return OPTIMIZERS[self.recipe.optimizer]

    @property
    def loss(self) -> Loss:
        """The loss of the recipe."""
        return row_of(self.recipe.loss)

    @property
    def gamma(self) -> float:
        """The parameter of the loss; 0 for one that has none."""
        return gamma_of(self.recipe.loss)

    def first_weights(self) -> list[list[np.ndarray]]:
        """Return what the layers of each run's head begin at, as those of an unfrozen body do."""
        layers = head_layers(self.recipe.head, self.features, self.classes)
        return [first_weights(layers, seed) for seed in self.seeds]

    @cached_property
    def labels(self) -> list[np.ndarray]:
        """The class numbers of each run's validation part."""
        return [self.feed.labels(run.fold.validation) for run in self.runs]

    def epochs(self) -> Iterator[int]:
        """Yield the epochs of the recipe. Raises what ``proceed`` raises."""
        for epoch in range(self.runs[0].epochs):
            self.proceed()
            yield epoch

    def batches(self, epoch: int) -> Iterator[tuple[PaddedBatches, np.ndarray]]:
        """Yield what an epoch shows, some steps at a time: the batches of all runs and their rates (steps, R)."""
        inputs, orders = self._view(epoch), [run.order() for run in self.runs]
        parts, steps, mix = [run.part.shown(epoch) for run in self.runs], self.runs[0].steps, mix_of(self.recipe)
        rates = np.stack([run.rates(epoch) for run in self.runs], axis=1)
        smoothing = self.recipe.label_smoothing
        for chunk, batches in batches_of_heads(parts, orders, steps, inputs, self.classes, smoothing):
            yield mixed_of_heads(mix, batches, self.seeds, epoch, chunk.start), rates[chunk]

    def _view(self, epoch: int) -> AnyRows:
        """Return what an epoch shows. Views that later epochs show again stay open."""
        if self.recipe.sampling.other_views:
            return self.feed.view(self.network, self.recipe, epoch)
        view = epoch % self.recipe.views
        if view not in self._views:
            self._views[view] = self.feed.view(self.network, self.recipe, view)
        return self._views[view]

    def note(self, epoch: int, sums: np.ndarray) -> None:
        """Add what some steps of an epoch came to: the sum of the losses and the number of hits of each run, (R, 2)."""
        for run, (loss, hits) in zip(self.runs, sums, strict=True):
            run.note(epoch, loss, hits)

    def watch(self, epoch: int, head: Callable[[int], FittedHead]) -> None:
        """Look at the runs after an epoch; ``head(number)`` is a run's head as it is then. Raises DivergedError."""
        for number, run in enumerate(self.runs):
            run.check(epoch)
            if run.is_watched(epoch):
                run.watch(epoch, self.labels[number], self.predict(number, head(number)))

    # DECISIONS: A head that is fitted all at once sees every view
    def examples(self, number: int) -> Examples:
        """Return all that trains a run, every view of every image: together, the views of one weigh what it weighs."""
        part, views = self.runs[number].part, self.recipe.views
        inputs = [self.feed.view(self.network, self.recipe, view) for view in range(views)]
        shown = [part.shown(view).rows for view in range(views)]
        features = np.concatenate([each.take(rows) for each, rows in zip(inputs, shown, strict=True)])
        images = np.concatenate(shown)
        images = images % inputs[0].images if isinstance(inputs[0], Views) else images
        targets = np.tile(one_hot(part.labels, self.classes), (views, 1))
        weights = np.tile(part.weights / np.float32(views), views)
        return Examples(features, targets, weights, images, self.feed.groups[images])

    def predict(self, number: int, head: FittedHead) -> np.ndarray:
        """Return the probabilities (n, classes) that a head gives to a run's validation part."""
        run = self.runs[number]
        return predicted(self._scored, run.fold.validation, run.adjusted(head).predict)

    @cached_property
    def _scored(self) -> list[Rows | JointRows]:
        return self.feed.scored(self.network, self.recipe)


def predicted(
    views: Sequence[Rows | JointRows], rows: np.ndarray, predict: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the probabilities (n, classes) of rows: the mean of what ``predict`` gives for each of the views."""
    outputs = [np.concatenate([predict(view.take(piece)) for piece in pieces(rows)]) for view in views]
    return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)


def pieces(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows, as many at a time as are predicted together."""
    for at in range(0, len(rows), PREDICTION_BATCH):
        yield rows[at : at + PREDICTION_BATCH]
        beat()


def chooses_epoch(recipe: AnyRecipe) -> bool:
    """Return whether a recipe counts the epoch that is best on average, so that all of them are predicted after."""
    return isinstance(recipe, Recipe) and recipe.epoch == BEST_MEAN


def watched_epochs(recipe: AnyRecipe) -> set[int]:
    """Return the epochs, but the last, after which the validation part is looked at."""
    return set(np.linspace(0, recipe.epochs - 1, POINTS_WATCHED).round().astype(int).tolist()) - {recipe.epochs - 1}
