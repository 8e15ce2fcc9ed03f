"""Networks that a space builds: their recipes, and what builds them again, in any process."""

import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from search.oracles.hyperparameters import HyperModel, HyperParameters, Values
from search.oracles.values import plain
from search.record import MODULES, SPACE
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.baselines import FOR_NETWORKS
from search.repertoire.networks import AnyRecipe, NetworkRecipe
from search.repertoire.weights import is_cached
from search.space import Built, Hand, SpaceFile, build_recipe, holding, read_space
from search.system.digests import canonical
from search.system.errors import UserError
from search.system.precision import FLOAT32
from search.training.materials import Materials
from search.training.networks import OwnNetwork, own_network

OTHERWISE = (
    "space(hp) builds another network for these values than it did when the trial began. Undo what changed since then: "
    "its code, a file that it reads, or a library. If nothing did, take every choice from hp, and draw nothing by "
    "chance, by the time or by the process."
)
MIXED = (
    "The space gives a Recipe at some points, and a network at others, which have no choice in common. Make a space of "
    "each; the verb compare then compares the best of both."
)
PRECISE = (
    "--precision {precision} is for recipes, and this space builds its own networks. Leave it out, and give their "
    'layers a precision where they are made: keras.layers.Conv2D(…, dtype="{precision}"), the last one dtype="float32".'
)
NOT_IMPORTABLE = (
    "The function that builds the networks cannot be imported by worker processes{why}. Put it into a space file, or "
    "into a module; or train in this process: executor='inline'."
)

Build = Callable[[HyperParameters], AnyRecipe]
Source = tuple[Path, Path] | bytes  # a recorded space file and the folder of its modules, or a function by its name


def values_of(hp: HyperParameters) -> Values:
    """Return the values of the hyperparameters that count, in the order of the space."""
    return {each.name: plain(hp.values[each.name]) for each in hp.space if hp.is_active(each)}


def recipe_at(file: SpaceFile, hp: HyperParameters, hand: Hand, classes: int, image_size: int) -> AnyRecipe:
    """Return what a space gives at ``hp``, with what is at ``hand``: a recipe, also where it builds a network.

    Raises UserError for a space that fails, and for a network that is unfit.
    """
    with holding(hand), file.beside.at_work():
        recipe = build_recipe(file.space, hp, image_size, file.path)
    return _recipe_of(recipe, hp, hand, classes, image_size, file.path) if isinstance(recipe, Built) else recipe


def _recipe_of(
    built: Built, hp: HyperParameters, hand: Hand, classes: int, image_size: int, source: Path
) -> NetworkRecipe:
    """Return the recipe of a network that a space has built at ``hp``, and ask for a backbone to compare it with.

    Raises UserError for a network that is unfit.
    """
    if hand.weights is None:
        hand.ask(next(BACKBONES[name] for name in FOR_NETWORKS if is_cached(BACKBONES[name])))
    try:
        network = own_network(built.model, classes, image_size)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    return NetworkRecipe(network.architecture, tuple(values_of(hp).items()), built.fit, network.image_size)


def space_of(model: Any) -> Callable[[HyperParameters], Any]:
    """Return the space that a Keras Tuner ``HyperModel`` is. Raises UserError for one with a ``fit`` of its own."""
    if type(model).fit is not HyperModel.fit:
        raise UserError(
            f"{type(model).__name__}.fit would never be called, as Keras' own fit trains each fold. Let build(hp) "
            "return how, as in: return model, Fit(epochs=10, batch_size=32)."
        )
    space: Callable[[HyperParameters], Any] = model.build
    return space


def remembering(build: Build) -> Build:
    """Return ``build``, which then builds a network once at most for the same values of known hyperparameters.

    Raises UserError where the space gives networks at some points only.
    """
    known: dict[str, AnyRecipe] = {}
    kinds: set[type] = set()

    def remember(hp: HyperParameters) -> AnyRecipe:
        values = canonical(hp.values) if hp.space else ""
        if values in known:
            return known[values]
        recipe = build(hp)
        kinds.add(type(recipe))
        if len(kinds) > 1:
            raise UserError(MIXED)
        if values and isinstance(recipe, NetworkRecipe):
            known[values] = recipe
        return recipe

    return remember


def with_networks(
    materials: Materials, file: SpaceFile, folder: Path, is_shared: bool, hand: Hand, hyperparameters: HyperParameters
) -> Materials:
    """Return the materials of a search in ``folder`` with what builds the networks of its space, if it builds any.

    They are built with what is at ``hand``, from hyperparameters as strict as these, as the driver builds them.
    Raises UserError where it ``is_shared`` with worker processes, which cannot import the function of the space, and
    for a precision that its networks would not have.
    """
    if not hyperparameters.builds:
        return materials
    if materials.precision != FLOAT32:
        raise UserError(PRECISE.format(precision=materials.precision))
    if is_shared and not file.on_disk:
        by_name(file.space)
    networks = SpaceNetworks(file, folder / SPACE, folder / MODULES, materials.classes, hand, hyperparameters.strict)
    return replace(materials, networks=networks)


class SpaceNetworks:
    """What builds the networks of a space that compiles them, by its recorded file, or by the name of its function."""

    def __init__(self, file: SpaceFile, folder: Path, modules: Path, classes: int, hand: Hand, strict: bool) -> None:
        """Take the space as it is in this process; another one reads ``folder``, where the search records it."""
        self._space: Callable[..., Any] | None = file.space
        self._source: Source | None = (folder.absolute(), modules.absolute()) if file.on_disk else None
        self._path, self._classes, self._strict = file.path, classes, strict
        self._hand = Hand(
            weights=hand.weights or {}, synthetic=hand.synthetic, sizes=hand.sizes, backbones=hand.backbones
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: no function but by its name."""
        return {**vars(self), "_space": None, "_source": self._source or by_name(self._space)}

    def build(self, recipe: NetworkRecipe) -> OwnNetwork:
        """Return the network of a recipe, built anew. Raises UserError where it is another than the recipe says."""
        hp = HyperParameters(strict=self._strict, complete=False)
        hp.values = dict(recipe.values)
        space = self._space or _read(self._source)
        with holding(self._hand):
            built = build_recipe(space, hp, recipe.image_size, self._path)
        if not isinstance(built, Built):
            raise UserError(f"{self._path}: {OTHERWISE}")
        network = own_network(built.model, self._classes, recipe.image_size)
        if network.architecture != recipe.network:
            raise UserError(f"{self._path}: {OTHERWISE}")
        return network


def by_name(function: Callable[..., Any] | None) -> bytes:
    """Return a function as other processes can import it. Raises UserError where they cannot."""
    main = sys.modules["__main__"]
    owner = getattr(function, "__self__", None)  # that of a method
    of_main = "__main__" in {getattr(function, "__module__", ""), type(owner).__module__}
    if of_main and not hasattr(main, "__file__"):
        raise UserError(NOT_IMPORTABLE.format(why=", as it stands in a notebook"))
    try:
        return pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(NOT_IMPORTABLE.format(why=f": {error}")) from None


@cache
def _read(source: Source) -> Callable[..., Any]:
    if isinstance(source, bytes):
        try:
            function: Callable[..., Any] = pickle.loads(source)  # noqa: S301 our own driver wrote it
        except (AttributeError, ImportError) as error:
            raise UserError(NOT_IMPORTABLE.format(why=f": {error}")) from None
        return function
    space, modules = source
    return read_space(space, modules if modules.is_dir() else None).space
