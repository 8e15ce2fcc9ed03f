"""What training is fed: the rows that train a fold, and the inputs of a network's trained part.

Rows number the real images first and the synthetic ones after them.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from search.data.folds import Fold
from search.data.images import decode
from search.data.synthetic import SyntheticPool, tally
from search.repertoire.augmentation import Augment
from search.repertoire.networks import AnyRecipe, views_scored
from search.repertoire.priors import log_prior
from search.repertoire.sampling import numbers_of, views_of
from search.repertoire.sampling import tally as sampling_tally
from search.repertoire.weighting import weights_of
from search.system.clock import Clock
from search.system.digests import seed_from
from search.system.errors import UserError
from search.system.heartbeat import beat
from search.training.activations import PLAIN, Activations, AnyNetwork, Computed, Images, Pixels
from search.training.materials import Materials

SHORTEST = 1e-12  # of a row of features: one of zeros stays so


@dataclass(frozen=True)
class StandIns:
    """Synthetic images that stand in for real ones: their ``rows`` and ``labels`` (s,), and the seed of the draws.

    ``share`` is the probability at which a real image has one in its place.
    """

    rows: np.ndarray
    labels: np.ndarray
    share: float
    seed: int

    def among(self, rows: np.ndarray, labels: np.ndarray, epoch: int) -> np.ndarray:
        """Return ``rows`` (n,), some of them replaced by images of the same class, as an epoch shows them."""
        rng = np.random.default_rng(seed_from(self.seed, "replacing", epoch))
        is_replaced, turns = rng.random(len(rows)) < self.share, rng.random(len(rows))
        shown = rows.copy()
        for label in np.unique(self.labels):
            own = self.rows[self.labels == label]
            places = np.flatnonzero(is_replaced & (labels == label))
            shown[places] = own[(turns[places] * len(own)).astype(np.int64)]
        return shown


@dataclass(frozen=True)
class Part:
    """The training part of a run: rows with labels and weights in the loss, and the tally of synthetic images.

    ``log_prior`` are the logarithms of the classes' parts of it, (classes,), and ``sampled`` the tally of sampling. A
    row stands here as often as its image is shown in an epoch; copies may have numbers of their own (see ``Views``).
    ``stand_ins`` replace some of the rows in each epoch, if any do.
    """

    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    synthetic: dict[str, dict[str, int]]
    log_prior: np.ndarray | None = None
    sampled: dict[str, dict[str, int]] = field(default_factory=dict)
    stand_ins: StandIns | None = None

    def shown(self, epoch: int) -> "Part":
        """Return the part as an epoch shows it."""
        if self.stand_ins is None:
            return self
        return dataclasses.replace(self, rows=self.stand_ins.among(self.rows, self.labels, epoch))

    def __len__(self) -> int:
        """Return the number of images, real and synthetic."""
        return len(self.rows)


@dataclass
class Rows:
    """Inputs by row number: real images first, synthetic ones after them."""

    real: np.ndarray | Computed
    synthetic: np.ndarray | Computed | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return tuple(self.real.shape[1:])

    @property
    def row_bytes(self) -> int:
        """The size of one row."""
        return int(np.prod(self.shape)) * self.real.dtype.itemsize

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the inputs of these rows, in their order."""
        if self.synthetic is None:
            return np.ascontiguousarray(self.real[rows])
        is_real = rows < len(self.real)
        inputs = np.empty((len(rows), *self.shape), self.real.dtype)
        inputs[is_real] = self.real[rows[is_real]]
        inputs[~is_real] = self.synthetic[rows[~is_real] - len(self.real)]
        return inputs


@dataclass
class JointRows:
    """The features of several networks side by side, those of each at the same length."""

    branches: Sequence[Rows]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return (sum(branch.shape[0] for branch in self.branches),)

    @property
    def row_bytes(self) -> int:
        """The size of one row."""
        return sum(branch.row_bytes for branch in self.branches)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the inputs of these rows, in their order."""
        return np.concatenate([alike(branch.take(rows), len(self.branches)) for branch in self.branches], axis=1)


# DECISIONS: Features side by side have the length of one backbone's
def alike(features: np.ndarray, branches: int) -> np.ndarray:
    """Return features (n, D) of one of so many networks, each row at the length sqrt(D / branches).

    All of them together are then as long as the features of one network that are about 1 in size.
    """
    lengths = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), SHORTEST)
    return np.asarray(features * (length_of(features.shape[1], branches) / lengths), np.float32)


def length_of(features: int, branches: int) -> np.float64:
    """Return how long a row of so many features is, of one of so many networks."""
    return np.sqrt(features / branches)


@dataclass
class Views:
    """The images in an epoch, in which further copies of an image are other views of it.

    ``view(number)`` are the inputs of one of so many ``views``, by the numbers of ``images`` rows. Row ``r`` of the
    copies with the number ``n`` (see ``numbers_of``) is ``r + n · images``.
    """

    view: Callable[[int], Rows | JointRows]
    images: int
    views: int
    epoch: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self._of(0).shape

    @property
    def row_bytes(self) -> int:
        """The size of one row."""
        return self._of(0).row_bytes

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the inputs of these rows, in their order."""
        numbers, images = np.divmod(rows, self.images)
        views = views_of(numbers, self.epoch, self.views)
        each = {view: views == view for view in np.unique(views).tolist()}
        parts = {view: self._of(view).take(images[there]) for view, there in each.items()}
        inputs = np.empty((len(rows), *self.shape), next(iter(parts.values())).dtype)
        for view, part in parts.items():
            inputs[each[view]] = part
        return inputs

    @cached_property
    def _of(self) -> Callable[[int], Rows | JointRows]:
        return functools.cache(self.view)


AnyRows = Rows | JointRows | Views


class Feed:
    """Where the runs of a search get their rows and inputs from."""

    def __init__(self, materials: Materials, clock: Clock) -> None:
        """Hold on to what all runs share; nothing is read before it is asked for."""
        self.materials, self._clock = materials, clock
        self._decoded: dict[tuple[tuple[str, ...], int], Images] = {}

    def part(self, recipe: AnyRecipe, fold: Fold) -> Part:
        """Return what trains a run."""
        rows, sampled = self._real_rows(recipe, fold)
        made, synthetic = self._synthetic_rows(recipe, fold)
        stand_ins = self._stand_ins(recipe, fold, made)
        if stand_ins is None:
            rows = np.concatenate([rows, made])
        labels = self._labels[rows % self._images_in_all]
        weights = weights_of(recipe.class_weight, labels, self.materials.class_names)
        return Part(rows, labels, weights, synthetic, log_prior(labels, self.materials.classes), sampled, stand_ins)

    def view(self, network: AnyNetwork, recipe: AnyRecipe, epoch: int) -> AnyRows:
        """Return what an epoch shows: the recipe's view of it, of real images and of the synthetic ones it uses."""

        def inputs(view: int) -> Rows | JointRows:
            return self._inputs(network, recipe.augment, recipe.views, view, bool(recipe.synthetic))

        if recipe.sampling.other_views:
            return Views(inputs, self._images_in_all, recipe.views, epoch)
        return inputs(epoch % recipe.views)

    def scored(self, network: AnyNetwork, recipe: AnyRecipe) -> "list[Rows | JointRows]":
        """Return what is scored: real images as they are, and those other views that the recipe predicts with."""
        return [self._inputs(network, PLAIN, 1, view, with_pool=False) for view in views_scored(recipe)]

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Return the class numbers of these rows."""
        return self._labels[rows]

    @cached_property
    def groups(self) -> np.ndarray:
        """A number for the group of each row, real and synthetic: that of an image of which a synthetic one comes."""
        numbers, groups, pool = np.arange(self._images_in_all), self.materials.groups, self.materials.pool
        real = len(self.materials.labels)
        numbers[:real] = np.arange(real) if groups is None else groups
        for row, linked in enumerate(pool.linked_rows if pool else (), start=real):
            if linked:
                numbers[row] = numbers[linked[0]]
        return numbers

    # DECISIONS: Real images are sampled before synthetic ones join
    def _real_rows(self, recipe: AnyRecipe, fold: Fold) -> tuple[np.ndarray, dict[str, dict[str, int]]]:
        """Return the real rows that train, and the tally of their sampling."""
        sampling, materials = recipe.sampling, self.materials
        if not sampling:
            return fold.train, {}
        labels = materials.labels[fold.train]
        rows, copies = sampling.draw(fold.train, labels, materials.seed, fold.id)
        if sampling.other_views:
            rows = rows + numbers_of(copies) * self._images_in_all
        return rows, sampling_tally(sampling, labels, materials.class_names)

    def _synthetic_rows(self, recipe: AnyRecipe, fold: Fold) -> tuple[np.ndarray, dict[str, dict[str, int]]]:
        """Return the rows of the synthetic images that train, and their tally."""
        pool = self.materials.pool
        if pool is None or not recipe.synthetic:
            return np.empty(0, np.int64), {}
        method = recipe.synthetic_method
        counts = pool.asked(recipe.synthetic, fold, self.materials.labels)
        numbers = pool.draw(fold, counts, self.materials.seed, method)
        return len(self.materials.labels) + numbers, tally(counts, pool.counts(fold, method))

    def _stand_ins(self, recipe: AnyRecipe, fold: Fold, made: np.ndarray) -> StandIns | None:
        """Return the synthetic images as they stand in for real ones; None where they are added."""
        if not recipe.synthetic_replacing:
            return None
        seed = seed_from(self.materials.seed, fold.id)
        return StandIns(made, self._labels[made], recipe.synthetic_replacing, seed)

    @property
    def _images_in_all(self) -> int:
        """How many images there are, real and synthetic."""
        return len(self._labels)

    @cached_property
    def _labels(self) -> np.ndarray:
        """Labels of all rows, real and synthetic."""
        pool = self.materials.pool
        parts = [self.materials.labels] + ([pool.labels] if pool else [])
        return np.concatenate(parts).astype(np.int32)

    def store(self, network: AnyNetwork, recipe: AnyRecipe) -> None:
        """Have all that a recipe shows and is scored on stored, as far as it is worth it.

        Workers that want the same views share the work of making them.
        """
        self._decoded.clear()  # looked up anew, they are checked, and known to be in use
        for branch in network.branches or (network,):
            self._store(branch, recipe)

    def _store(self, network: AnyNetwork, recipe: AnyRecipe) -> None:
        views = range(recipe.views if recipe.sampling.other_views else min(recipe.views, recipe.epochs))
        activations = self._activations(network, recipe.views)
        with self._clock.stage("views"):
            for images in self._image_sets(network, bool(recipe.synthetic)):
                activations.ensure(network, images, recipe.augment, views)
            real, *_ = self._image_sets(network, with_pool=False)
            activations.ensure(network, real, PLAIN, views_scored(recipe))

    def _inputs(
        self, network: AnyNetwork, augment: Augment, views: int, view: int, with_pool: bool
    ) -> Rows | JointRows:
        rows = [self._rows(branch, augment, views, view, with_pool) for branch in network.branches or (network,)]
        return JointRows(rows) if network.branches else rows[0]

    def _rows(self, network: AnyNetwork, augment: Augment, views: int, view: int, with_pool: bool) -> Rows:
        activations = self._activations(network, views)
        with self._clock.stage("views"):
            image_sets = self._image_sets(network, with_pool)
            return Rows(*(activations.of(network, images, augment, view) for images in image_sets))

    def _activations(self, network: AnyNetwork, views: int) -> Activations:
        materials = self.materials
        weights = "" if isinstance(network, Pixels) else materials.weights.get(network.shape.architecture.name, "")
        stored_views = views * (2 if materials.pool else 1)  # real and synthetic images lie apart
        return Activations(
            materials.cache,
            weights,
            materials.seed,
            materials.cache_bytes,
            stored_views,
            materials.home,
            materials.precision,
        )

    def _image_sets(self, network: AnyNetwork, with_pool: bool) -> list[Images]:
        """Return the real images, and the synthetic ones after them where they are wanted."""
        materials, size = self.materials, network.shape.image_size
        image_sets = [self._images(materials, size)]
        if with_pool and materials.pool:
            image_sets.append(self._images(materials.pool, size))
        return image_sets

    def _images(self, of: Materials | SyntheticPool, size: int) -> Images:
        paths, contents = of.paths, of.contents
        images = self._decoded.get((contents, size))  # asked for in every epoch, and named by a digest of all contents
        if images is not None:
            return images
        with self._clock.stage("images"):
            decoded = decode(paths, contents, size, self.materials.cache, lambda _row, _of: beat(), of.ranges)
        if decoded.unreadable:
            names = ", ".join(str(paths[row]) for row in list(decoded.unreadable)[:3])
            raise UserError(f"Images that could be read when the search began cannot be read any more: {names}.")
        return self._decoded.setdefault((contents, size), Images(decoded.pixels, contents, decoded.key))
