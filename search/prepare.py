"""Everything before the first trial: inputs, weights and space, and whether a search began with the same."""

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.audit.checks import audit
from search.audit.inspection import inspect
from search.data.dataset import Dataset
from search.data.depth import OF_8_BITS
from search.data.finding import WARNING, in_a_line
from search.data.folds import Fold, Plan, reshuffled
from search.data.loading import Inputs, folds_in_words, read_inputs, read_synthetic
from search.data.readers.paths import check_outside
from search.data.reading import as_before
from search.data.synthetic import SyntheticPool, check_amounts
from search.executors.placement import placed
from search.executors.table import EXECUTORS, Executors, check_executor, check_settings
from search.integrity.differences import REPEATABLE, check_equal
from search.journal.history import History
from search.journal.outcomes import CONFIRM
from search.options import Options, check_command, check_name, name_of, overridden, run_command
from search.oracles import HyperParameters, at_values, register, sample_points, trials_of
from search.oracles.meaning import check_elsewhere, meaning_of, recipes_of
from search.oracles.networks import Build, recipe_at, remembering, with_networks
from search.record import (
    IMAGES,
    SYNTHETIC,
    About,
    Identity,
    about_of,
    check_movable,
    check_same,
    identity_of,
    read_about,
    read_table,
)
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.hub import Downloads, allowing
from search.repertoire.backbones.own import in_words
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.baselines import baselines
from search.repertoire.networks import AnyRecipe, NetworkRecipe
from search.repertoire.recipe import Recipe
from search.repertoire.weighting import check_classes
from search.repertoire.weights import (
    check_weights,
    is_cached,
    missing_in_a_line,
    missing_in_words,
    resolve,
    weights_folder,
    weights_sha256,
)
from search.space import Hand, SpaceFile, hand_for, read_space, sizes_in_words
from search.study import GRID, Study
from search.system.devices import Devices
from search.system.errors import UserError
from search.system.modules import Home
from search.system.places import check_writable
from search.system.precision import recorded
from search.system.progress import Progress, Say, silent
from search.system.tf import versions
from search.training.cost import Estimate, estimate_of, pace
from search.training.materials import Materials, materials_of
from search.training.trainer import TRAINING_VERSION

POINTS_COSTED = 64


@dataclass(frozen=True)
class Setup:
    """A search that is ready to begin or to go on: all that is fixed before its first trial.

    ``folder`` is that of the search. ``hyperparameters`` are what its space declares, and ``build`` makes the recipe of
    a point of it. ``weights`` maps each backbone that may be used to the SHA-256 of its weights, and ``own`` has those
    that are somebody's own. ``baselines`` are recipes by what they are called. ``findings`` are those of the audit.
    ``about`` is what study.json says, and ``materials`` what workers need.
    """

    file: SpaceFile
    options: Options
    folder: Path
    study: Study
    dataset: Dataset
    plan: Plan
    pool: SyntheticPool | None
    weights: dict[str, str]
    own: dict[str, Backbone]
    hyperparameters: HyperParameters
    build: Build
    baselines: dict[str, Recipe]
    devices: Devices
    findings: list[dict[str, Any]]
    about: About
    materials: Materials

    def recipe(self, values: dict[str, Any]) -> AnyRecipe:
        """Return the recipe at these values of the hyperparameters."""
        return self.build(at_values(self.hyperparameters, values))

    def sample(self, points: int = POINTS_COSTED) -> list[AnyRecipe]:
        """Return the recipes at random points of the space, always the same."""
        return [self.build(point) for point in sample_points(self.hyperparameters, points)]

    def trials_left(self, history: History) -> int:
        """Return how many trials are to be done: those of the budget, or of the space if these are fewer."""
        most, is_grid = self.study.max_trials, self.study.oracle == GRID
        there = trials_of(self.hyperparameters, self.recipe, most, is_grid=is_grid)
        return max(0, there - history.spent_and_ended)

    def estimate(self, sample: list[AnyRecipe], trials_left: int, history: History | None = None) -> Estimate:
        """Return what so many trials may cost, from a sample of the space, and the baselines that have not begun."""
        folds = {fold.id: fold for fold in self.plan.folds}
        trials = list(history.trials.values()) if history else []
        runs = [(each.recipe, folds[run.fold], run.seconds) for each in trials for run in each.runs.values()]
        begun = {trial.baseline for trial in trials}
        return estimate_of(
            sample,
            [recipe for name, recipe in self.baselines.items() if name not in begun],
            trials_left,
            self.plan.folds,
            self.dataset.labels,
            self.pool,
            self.options.racing,
            self.devices.slots,
            pace(runs, self.dataset.labels),
        )


def prepare(
    file: SpaceFile, options: Options, say: Say, progress: Progress = silent, executors: Executors = EXECUTORS
) -> Setup:
    """Return the search that a space file and options describe, saying on the way what it consists of.

    Raises UserError for anything that a person must mend, before anything is written.
    """
    check_executor(options.executor, options.seconds_without_progress, executors)
    check_settings(executors, options.executor, options.executor_settings)
    study = overridden(file.study, options)
    folder = search_folder(file, study, options)
    known = None if options.fresh else read_about(folder)
    images = read_table(folder, IMAGES) if known else None
    if known and known.reading is None and study.label_level is None and study.labels_from is None:
        study = study.replace(**as_before(images, study.data_folder()))
    if known and study.groups == known.study["groups"]:
        recorded = study.with_recorded(known.study["groups"])
        if study.joins_copies and not recorded.joins_copies:
            say(f"Groups: by {study.groups} alone, as when the search began; a new one joins near-duplicates too")
        study = recorded
    inputs = read_inputs(study, options, say, progress, images, known.ranges if known else OF_8_BITS)
    findings = known.findings if known else None
    if findings is None:
        findings = [asdict(finding) for finding in audit(inspect(inputs)).findings]
    for finding in findings:
        say(f"{finding['level'].capitalize()}, {in_a_line(finding)}")
    if file.on_disk and any(finding["level"] == WARNING and finding["files"] for finding in findings):
        say(f"Look at these: {check_command(file.path, file.written or file.study, study, options)}")
    return complete(file, inputs, folder, options, findings, known, say, progress, executors)


def search_folder(file: SpaceFile, study: Study, options: Options) -> Path:
    """Return the folder of the search. Raises UserError where it cannot be made or written to."""
    data = study.data_folder()
    name = f"{file.path.stem}-{name_of(data)}" if options.name is None else options.name
    folder = Path(options.results) / check_name(name)
    check_outside(Path(options.results), data, "Give another folder with --results")
    if data.exists() and data.resolve().is_relative_to(folder.resolve()):  # --fresh would move the images aside
        raise UserError(f"The images {data} lie within {folder}, the folder of the search. Give another --name.")
    check_writable(folder)
    if options.fresh:
        check_movable(folder)
    return folder


def complete(
    file: SpaceFile,
    inputs: Inputs,
    folder: Path,
    options: Options,
    findings: list[dict[str, Any]],
    known: About | None,
    say: Say,
    progress: Progress = silent,
    executors: Executors = EXECUTORS,
) -> Setup:
    """Return the search over these inputs; ``known`` is what was fixed of one that has begun, None for a new one."""
    study, dataset, plan = inputs.study, inputs.dataset, inputs.plan
    pool = _pool(inputs, folder, options, known, say, progress)
    row = executors[options.executor]
    shares = placed(options, row, len(plan.folds) * study.lag, known.threads if known else None, say)
    build, hand, hyperparameters = _space(file, inputs, pool, options, known, say)
    weights = hand.weights or {}
    identity = _identity(file, inputs, pool, hand, hyperparameters, build, options.precision, folder, known, say)
    materials = _materials(inputs, pool, weights, shares, options, file.beside.home())
    materials = with_networks(materials, file, folder, row.has_slots, hand, hyperparameters)
    simple = _baselines(hand, inputs.image_size, hyperparameters, build, known)
    return Setup(
        file=file,
        options=options,
        folder=folder,
        study=study,
        dataset=dataset,
        plan=plan,
        pool=pool,
        weights=weights,
        own=hand.own,
        hyperparameters=hyperparameters,
        build=build,
        baselines=simple if study.baselines else {},
        devices=shares,
        findings=findings,
        about=about_of(identity, file, dataset, pool, plan, weights, simple, findings, shares.threads),
        materials=materials,
    )


def _pool(
    inputs: Inputs, folder: Path, options: Options, known: About | None, say: Say, progress: Progress
) -> SyntheticPool | None:
    """Say how the images are divided into folds, and return the synthetic images that may join them."""
    for note in (folds_in_words(inputs.study, inputs.plan, inputs.dataset), *inputs.plan.notes):
        say(note)
    return read_synthetic(inputs, options, say, progress, read_table(folder, SYNTHETIC) if known else None)


def _space(
    file: SpaceFile, inputs: Inputs, pool: SyntheticPool | None, options: Options, known: About | None, say: Say
) -> tuple[Build, Hand, HyperParameters]:
    """Return what makes recipes, what is at hand for them, and the hyperparameters of the space."""
    hand = hand_for(inputs.study, inputs.image_size)  # gives all: what no value opens is no matter of what is at hand
    build = remembering(_build(file, inputs, pool, hand))
    mistake = None
    try:
        with allowing(Downloads(options.offline, say)):
            register(build)  # it asks for backbones
    except UserError as error:
        if known is None:
            raise
        mistake = error
        register(build, strict=False)
    if hand.backbones and not hand.requests and not mistake:
        raise UserError(f"{file.path} does not ask at_hand for its backbones, so --backbones cannot choose them.")
    weights = _pinned(known.weights, hand, say) if known else _resolve(hand, options, say)
    new = [name for name in hand.requests if name not in {*weights, *hand.own} and is_cached(BACKBONES[name])]
    if new:
        again = run_command(file.path, file.written or file.study, inputs.study, options)
        say(f"At hand now, but not when this search began, so not in it: {', '.join(new)}. To search them too: {again}")
    if hand.sized:
        say(sizes_in_words(hand.sizes))
    hand.settle(weights, pool.known_methods if pool else None)
    if known:  # an older search may have begun with what is refused now
        older = register(build, strict=False)
        if meaning_of(older, build) == known.identity["space"]:
            if mistake:
                say(f"Warning: {mistake} The search began so, and goes on so.")
            return build, hand, older
    if mistake:
        raise mistake
    return build, hand, register(build, complete=False)


def _identity(
    file: SpaceFile,
    inputs: Inputs,
    pool: SyntheticPool | None,
    hand: Hand,
    hyperparameters: HyperParameters,
    build: Build,
    precision: str,
    folder: Path,
    known: About | None,
    say: Say,
) -> Identity:
    """Return what must be the same for the search to go on.

    Raises UserError for a space that differs each time, and where the search in ``folder`` began with something else.
    """
    meaning = meaning_of(hyperparameters, build)
    if known is None or known.identity.get("space") != meaning:
        _check_repeatable(file, inputs, pool, hand.weights or {}, hyperparameters)
    if known is None:
        check_elsewhere(file, len(inputs.dataset.classes), inputs.image_size, hand, meaning, say)
    identity = identity_of(
        inputs.study, inputs.image_size, meaning, inputs.dataset, pool, inputs.plan, TRAINING_VERSION
    )
    networks = {name: weights_sha256(backbone) for name, backbone in hand.own.items()}
    identity |= {**({"networks": networks} if networks else {}), **recorded(precision)}
    if known:
        now = file.text, inputs.dataset, pool, file.modules, inputs.plan
        check_same(folder, known, identity, *now, builds=hyperparameters.builds, versions=versions())
    return identity


def _baselines(
    hand: Hand, image_size: int, hyperparameters: HyperParameters, build: Build, known: About | None
) -> dict[str, Recipe]:
    """Return the baselines by name: those that a search began with, or of an older version had."""
    backbones = [backbone for name in hand.weights or () if (backbone := hand.backbone(name))]
    if known:
        return known.baselines or baselines(backbones, image_size)
    points = sample_points(hyperparameters, POINTS_COSTED)
    return baselines(backbones, image_size, [build(hyperparameters.copy()), *(build(point) for point in points)])


def _build(file: SpaceFile, inputs: Inputs, pool: SyntheticPool | None, hand: Hand) -> Build:
    """Return what makes the recipe of ``space(hp)``, given what is at hand."""

    def build(hp: HyperParameters) -> AnyRecipe:
        recipe = recipe_at(file, hp, hand, len(inputs.dataset.classes), inputs.image_size)
        check_classes(recipe.class_weight, inputs.dataset.classes, file.path)
        if isinstance(recipe, NetworkRecipe):
            return recipe
        if hand.weights is None:
            hand.ask(*recipe.backbones)  # it may be written out, not taken from at_hand
            return recipe
        check_amounts(recipe.synthetic, inputs.dataset.classes, pool, file.path, recipe.synthetic_method)
        for name in (each.name for each in recipe.backbones if not each.is_own):
            if name not in hand.weights:
                raise UserError(
                    f"{file.path} uses {name}, whose weights are not at hand (see above). Take it from "
                    f'at_hand(["{name}", …]), which leaves out what cannot be had.'
                )
        return recipe

    return build


def _check_repeatable(
    file: SpaceFile,
    inputs: Inputs,
    pool: SyntheticPool | None,
    weights: dict[str, str],
    hyperparameters: HyperParameters,
) -> None:
    """Raise UserError for a space that gives other recipes each time: such a search could never go on.

    The file is run again for it, as a resume will.
    """
    hand = hand_for(inputs.study, inputs.image_size)
    hand.settle(weights, pool.known_methods if pool else None)
    build = _build(file, inputs, pool, hand)
    first = recipes_of(hyperparameters, build)
    check_equal(first, recipes_of(hyperparameters, build), f"{file.path}: space(hp)", "asked")
    if file.on_disk:
        with contextlib.redirect_stdout(None):
            build = remembering(_build(read_space(file.path, file.home, file.beside.files), inputs, pool, hand))
        declared = register(build, complete=False).get_config()["space"]  # as the search registered it
        if declared != hyperparameters.get_config()["space"]:
            raise UserError(f"{file.path} declares other hyperparameters each time it is read. {REPEATABLE}")
        check_equal(first, recipes_of(hyperparameters, build), str(file.path), "read")


def _materials(
    inputs: Inputs, pool: SyntheticPool | None, weights: dict[str, str], shares: Devices, options: Options, home: Home
) -> Materials:
    again: list[Fold] = reshuffled(inputs.dataset, inputs.study, CONFIRM) if options.confirm else []
    folds = (*inputs.plan.every, *again)
    place = weights_folder().parent
    seed, cache = inputs.study.seed, inputs.cache
    threads, gpus, precision = shares.threads, tuple(shares.gpus), options.precision
    limits = options.cache_bytes, home, options.seconds_without_progress
    return materials_of(inputs.dataset, pool, folds, weights, place, seed, threads, gpus, precision, cache, *limits)


def _resolve(hand: Hand, options: Options, say: Say) -> dict[str, str]:
    backbones = [backbone for name in hand.requests if (backbone := hand.backbone(name))]
    weights, missing = resolve(backbones, offline=options.offline, announce=say)
    if missing and options.strict:
        raise UserError(f"{missing_in_words(missing)}\n--strict makes that an error.")
    say(f"Backbones: {', '.join(weights) or 'none'}")
    for own in hand.own.values():
        say(in_words(own))
    if missing:
        say(missing_in_a_line(missing))
    return weights


def _pinned(weights: dict[str, str], hand: Hand, say: Say) -> dict[str, str]:
    """Return the recorded weights if they are still here; what has come since stays out.

    An own network is another matter: it is part of the identity of a search, and so compared with the rest of it.
    """
    say(f"Backbones: {', '.join(weights)}, as when the search began")
    for name, sha256 in weights.items():
        backbone = hand.backbone(name)
        if backbone and backbone.pretrained and not backbone.is_own:
            check_weights(backbone, sha256)
    return weights
