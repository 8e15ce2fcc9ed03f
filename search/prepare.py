"""Everything before the first trial: inputs, weights and space, and whether a search began with the same."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from search import record as folders
from search.audit.checks import audit, inspect
from search.data.dataset import Dataset
from search.data.finding import WARNING, in_a_line
from search.data.folds import PLANNING_VERSION, Fold, Plan, plan_digest, plan_table, reshuffled
from search.data.images import DECODING_VERSION
from search.data.loading import Inputs, folds_in_words, read_inputs, read_synthetic
from search.data.readers.paths import check_outside
from search.data.synthetic import SyntheticPool, check_amounts, tally
from search.journal import CONFIRM
from search.options import Options, as_arguments, check_name, name_of, overridden
from search.oracles import at_values, random_points, register
from search.repertoire.augmentation import Augment
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.baselines import baselines
from search.repertoire.recipe import Recipe
from search.repertoire.weights import check_weights, missing_in_words, resolve, weights_folder
from search.space import Hand, SpaceFile, build_recipe, holding
from search.study import Study
from search.system.digests import digest
from search.system.errors import UserError
from search.system.machine import cores, workers
from search.system.progress import Say, Tell, untold
from search.system.tf import ONEDNN, has_gpu
from search.training.cost import SECONDS_TO_START, Estimate, core_speed, estimate, seconds_of_views
from search.training.materials import Materials
from search.training.trainer import TRAINING_VERSION

IDENTITY_FIELDS = (
    *("objective", "folds", "repeats", "splits", "val", "holdout", "train_fractions", "groups"),
    *("trust_unsourced", "oracle", "seed"),
)
POINTS_COSTED = 64
POINTS_COMPARED = 256


@dataclass
class Prepared:
    """A search that is ready to begin or to go on."""

    file: SpaceFile
    inputs: Inputs
    options: Options
    folder: Path
    pool: SyntheticPool | None
    hand: Hand
    slots: int
    threads: int
    findings: list[dict[str, Any]]
    hyperparameters: Any = field(default=None)

    def recipe(self, values: dict[str, Any]) -> Recipe:
        """Return the recipe at these values of the hyperparameters."""
        return self.build(at_values(self.hyperparameters, values))

    def build(self, hp: Any) -> Recipe:
        """Return the recipe of ``space(hp)``, given what is at hand."""
        with holding(self.hand):
            recipe = build_recipe(self.file.space, hp, self.image_size, self.file.path)
        check_amounts(recipe.synthetic, self.dataset.classes, self.pool, self.file.path)
        if self.hand.weights is None:
            self.hand.ask(recipe.backbone)  # it may be written out, not taken from at_hand
        elif recipe.backbone not in self.hand.weights:
            raise UserError(
                f"{self.file.path} uses {recipe.backbone}, whose weights are not at hand (see above). Take it from "
                f'at_hand(["{recipe.backbone}", …]), which leaves out what cannot be had.'
            )
        return recipe

    @property
    def study(self) -> Study:
        """What stays the same over all trials."""
        return self.inputs.study

    @property
    def dataset(self) -> Dataset:
        """The labelled images."""
        return self.inputs.dataset

    @property
    def plan(self) -> Plan:
        """What trains and what scores."""
        return self.inputs.plan

    @property
    def baselines(self) -> dict[str, Recipe]:
        """The baselines by what they are called; none where they are not wanted."""
        if not self.study.baselines:
            return {}
        return baselines([BACKBONES[name] for name in self.hand.weights or {}], self.image_size)

    @property
    def _reshuffled(self) -> list[Fold]:
        """The folds on which the best recipes train again; none where that is not wanted."""
        return reshuffled(self.dataset, self.study, CONFIRM) if self.options.confirm else []

    @property
    def image_size(self) -> int:
        """The side of the images in px, where a recipe names none."""
        return self.inputs.image_size

    @property
    def folds(self) -> list[Fold]:
        """The folds that every trial trains on."""
        return self.plan.folds

    @property
    def materials(self) -> Materials:
        """What a worker needs."""
        data = self.dataset
        return Materials(
            cache=self.inputs.cache.resolve(),
            seed=self.study.seed,
            classes=len(data.classes),
            paths=tuple(path.resolve() for path in data.paths),
            contents=tuple(data.contents),
            labels=data.labels,
            pool=self.pool,
            folds={fold.id: fold for fold in (*self.plan.every, *self._reshuffled)},
            weights=dict(self.hand.weights or {}),
            keras_home=weights_folder().parent.resolve(),
            threads=self.threads,
            cache_bytes=self.options.cache_bytes,
        )

    @property
    def meaning(self) -> str:
        """A digest of the space itself: its hyperparameters, and its recipes at many points.

        Not of its text: comments are no change, and a value that it imports is one.
        """
        points = random_points(self.hyperparameters, POINTS_COMPARED, seed=0)
        recipes = [self.build(point).to_dict() for point in points]
        return digest([self.hyperparameters.get_config()["space"], recipes])

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a search to go on."""
        study = {name: getattr(self.study, name) for name in IDENTITY_FIELDS}
        study["train_fractions"] = list(self.study.train_fractions)
        return {
            "study": {**study, "image_size": self.image_size},
            "space": self.meaning,
            "data": self.dataset.digest,
            "synthetic": self.pool.digest if self.pool else None,
            "plan": plan_digest(self.plan.every),
            "training": TRAINING_VERSION,
            "decoding": DECODING_VERSION,
            "planning": PLANNING_VERSION,
        }

    @property
    def about(self) -> dict[str, Any]:
        """What study.json says."""
        data = self.dataset
        return {
            "identity": self.identity,
            "weights": self.hand.weights,
            "data": str(data.source.absolute()),  # not resolved: what lies beside a link counts
            "root": str(data.root.absolute()),
            "synthetic": str(self.pool.root.resolve()) if self.pool else None,
            "space_file": str(self.file.path) if self.file.on_disk else None,
            "images": len(data),
            "in_folds": self.plan.in_folds,
            "holdout": len(self.plan.holdout.validation) if self.plan.holdout else 0,
            "beside_holdout": len(self.plan.left_out),
            "classes": data.counts,
            "unreadable": [list(pair) for pair in data.unreadable],
            "ignored": list(data.ignored),
            "findings": self.findings,
            "synthetic_images": len(self.pool) if self.pool else 0,
            "synthetic_left_out": self.pool.left_out if self.pool else 0,
            "synthetic_unsourced": sum(self.pool.unsourced) if self.pool else 0,
            "threads": self.threads,
            "folds": [{"id": f.id, "split": list(f.split), "fraction": f.fraction} for f in self.folds],
        }

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The images, the synthetic ones, and the folds, as tables."""
        data = self.dataset
        images = data.table.assign(label=[data.classes[label] for label in data.labels])
        synthetic = {folders.SYNTHETIC: self.pool.table(data.ids)} if self.pool else {}
        return {folders.IMAGES: images, **synthetic, folders.FOLDS: plan_table(self.plan.every, data.ids)}

    def estimate(self) -> Estimate:
        """Return what the whole search may cost, from a sample of its space, baselines included."""
        images = len(self.dataset), len(self.pool) if self.pool else 0
        trials, racing = self.study.max_trials, self.options.racing
        cost = estimate(self._sample, trials, self.folds, images, racing, self._speed, self._drawn())
        first = list(self.baselines.values())
        beside = (
            estimate(first, len(first), self.folds, images, False, self._speed).high - SECONDS_TO_START if first else 0
        )
        return Estimate(cost.low + beside, cost.high + beside)

    def views(self) -> dict[Augment, float]:
        """Return the seconds that the views of each (policy, strength) pair in a sample of the space take, once."""
        return seconds_of_views(self._sample, len(self.dataset), self._speed)

    @property
    def _speed(self) -> float:
        """Multiply-adds a second of all workers."""
        return core_speed() * min(self.slots, cores())

    @cached_property
    def _sample(self) -> list[Recipe]:
        """Recipes at random points of the space."""
        return [self.build(point) for point in random_points(self.hyperparameters, POINTS_COSTED, seed=0)]

    def _drawn(self) -> Callable[[Recipe, Fold], int]:
        """Return what tells how many synthetic images of a recipe train in a fold."""
        pool, labels = self.pool, self.dataset.labels
        admissible = {fold.id: pool.counts(fold) for fold in self.folds} if pool else {}

        def drawn(recipe: Recipe, fold: Fold) -> int:
            if pool is None or not recipe.synthetic:
                return 0
            asked = pool.asked(recipe.synthetic, fold, labels)
            return sum(tally(asked, admissible[fold.id])["drawn"].values())

        return drawn


def prepare(file: SpaceFile, options: Options, say: Say, tell: Tell = untold) -> Prepared:
    """Return the search that a space file and options describe, saying on the way what was found.

    Raises UserError for anything that a person must mend, before anything is written.
    """
    study = overridden(file.study, options)
    folder = search_folder(file, study, options)
    recorded = None if options.fresh else folders.read_about(folder)
    inputs = read_inputs(study, options, say, tell, folders.read_table(folder, folders.IMAGES) if recorded else None)
    told = recorded.get("findings") if recorded else None
    findings = [asdict(found) for found in audit(inspect(inputs)).findings] if told is None else told
    for finding in findings:
        say(f"{finding['level'].capitalize()}, {in_a_line(finding)}")
    if any(finding["level"] == WARNING and finding["files"] for finding in findings):
        say(f"Look at these: python -m search check {file.path} --html check.html{as_arguments(options)}")
    return complete(file, inputs, folder, options, findings, recorded, say, tell)


def search_folder(file: SpaceFile, study: Study, options: Options) -> Path:
    """Return the folder of the search. Raises UserError where it cannot be made or written to."""
    data = study.data_folder()
    name = f"{file.path.stem}-{name_of(data)}" if options.name is None else options.name
    folder = Path(options.results) / check_name(name)
    check_outside(Path(options.results), data, "Give another folder with --results")
    if data.exists() and data.resolve().is_relative_to(folder.resolve()):  # --fresh would move the images aside
        raise UserError(f"The images {data} lie within {folder}, the folder of the search. Give another --name.")
    folders.check_writable(folder)
    return folder


def complete(
    file: SpaceFile,
    inputs: Inputs,
    folder: Path,
    options: Options,
    findings: list[dict[str, Any]],
    recorded: folders.About | None,
    say: Say,
    tell: Tell = untold,
) -> Prepared:
    """Return the search over these inputs: folds, synthetic images, weights, hyperparameters."""
    study = inputs.study
    for note in (folds_in_words(study, inputs.plan, inputs.dataset), *inputs.plan.notes):
        say(note)
    known = folders.read_table(folder, folders.SYNTHETIC) if recorded else None
    pool = read_synthetic(inputs, options, say, tell, known)
    slots, threads = _slots_and_threads(options, len(inputs.plan.folds), recorded)
    hand = Hand(synthetic=pool is not None)
    prepared = Prepared(file, inputs, options, folder, pool, hand, slots, threads, findings)
    register(prepared.build)
    hand.weights = _pinned(recorded["weights"], say) if recorded else _resolve(hand.requests, options, say)
    prepared.hyperparameters = register(prepared.build)
    if recorded:
        folders.check_same(folder, recorded, prepared.identity, file.text)
    return prepared


def _slots_and_threads(options: Options, folds: int, recorded: folders.About | None) -> tuple[int, int]:
    """Return how many workers there are and the threads of each, which a search that has begun keeps."""
    most = 1 if options.executor == "inline" else workers(has_gpu(), folds)
    if recorded:
        threads = recorded["threads"]
        return options.slots or max(1, min(most, cores() // threads)), threads
    slots = options.slots or most
    return slots, max(1, cores() // slots)


def versions() -> dict[str, str]:
    """Return the versions on which results depend."""
    packages = ("tensorflow", "keras", "keras-tuner", "optuna", "numpy", "scikit-learn", "pillow")
    return {"python": sys.version.split()[0], "onednn": ONEDNN, **{package: version(package) for package in packages}}


def _resolve(asked: list[str], options: Options, say: Say) -> dict[str, str]:
    weights, missing = resolve([BACKBONES[name] for name in asked], offline=options.offline, announce=say)
    if missing and options.strict:
        raise UserError(f"{missing_in_words(missing)}\n--strict makes that an error.")
    say(f"Backbones: {', '.join(weights) or 'none'}")
    if missing:
        say(missing_in_words(missing))
    return weights


def _pinned(weights: dict[str, str], say: Say) -> dict[str, str]:
    """Return the recorded weights if they are still here; what has come since stays out."""
    say(f"Backbones: {', '.join(weights)}, as when the search began")
    for name, sha256 in weights.items():
        if BACKBONES[name].pretrained:
            check_weights(BACKBONES[name], sha256)
    return weights
