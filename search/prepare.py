"""Everything before the first trial: read the data, plan the folds, find the weights, check the space."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from search import folder as folders
from search.catalog import BACKBONES
from search.cost import Estimate, estimate, machine_speed
from search.data.dataset import Dataset, read_class_folders
from search.data.folds import Fold, Plan, make_plan, plan_digest
from search.data.images import Progress, decode, typical_side
from search.data.synthetic import SyntheticPool, read_pool
from search.digests import digest
from search.errors import UserError
from search.hand import Hand, holding, missing_in_words, resolve, weights_folder
from search.models.backbones import check_weights
from search.oracle import at_values, random_points, register
from search.recipe import Recipe
from search.study import SpaceFile, Study, build_recipe
from search.train import TRAINING_VERSION, Materials

IDENTITY_FIELDS = (
    *("objective", "folds", "repeats", "splits", "val", "holdout", "train_fractions", "groups"),
    *("trust_unsourced", "oracle", "seed"),
)
POINTS_COSTED = 64
POINTS_COMPARED = 256
LONGEST_NAME = 200  # bytes; most file systems stop at 255, and an old search gets a longer name

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the command line, or a notebook, may set beside the study."""

    data: str | None = None
    synthetic: str | None = None
    name: str | None = None
    results: str = "results"
    cache: str | None = None
    trials: int | None = None
    oracle: str | None = None
    seed: int | None = None
    executor: str = "processes"
    slots: int = 1
    offline: bool = False
    strict: bool = False
    racing: bool = True
    fresh: bool = False


@dataclass
class Prepared:
    """A search that is ready to begin or to go on."""

    file: SpaceFile
    study: Study
    options: Options
    folder: Path
    dataset: Dataset
    pool: SyntheticPool | None
    plan: Plan
    hand: Hand
    image_size: int
    threads: int
    hyperparameters: Any = field(default=None)

    def recipe(self, values: dict[str, Any]) -> Recipe:
        """Return the recipe at these values of the hyperparameters."""
        return self.build(at_values(self.hyperparameters, values))

    def build(self, hp: Any) -> Recipe:
        """Return the recipe of ``space(hp)``, given what is at hand."""
        with holding(self.hand):
            recipe = build_recipe(self.file.space, hp, self.image_size, self.file.path)
        if self.hand.weights is None:
            self.hand.ask(recipe.backbone)  # it may be written out, not taken from at_hand
        elif recipe.backbone not in self.hand.weights:
            raise UserError(
                f"{self.file.path} uses {recipe.backbone}, whose weights are not at hand (see above). Take it from "
                f'at_hand(["{recipe.backbone}", …]), which leaves out what cannot be had.'
            )
        return recipe

    @property
    def folds(self) -> list[Fold]:
        """The folds that every trial trains on."""
        return self.plan.folds

    @property
    def cache(self) -> Path:
        """Where decoded images and activations are kept."""
        return cache_folder(self.options.cache, self.dataset.root)

    @property
    def materials(self) -> Materials:
        """What a worker needs."""
        data = self.dataset
        return Materials(
            cache=self.cache.resolve(),
            seed=self.study.seed,
            classes=len(data.classes),
            paths=tuple(path.resolve() for path in data.paths),
            contents=tuple(data.contents),
            labels=data.labels,
            pool=self.pool,
            folds={fold.id: fold for fold in self.plan.every},
            weights=dict(self.hand.weights or {}),
            keras_home=weights_folder().parent.resolve(),
            threads=self.threads,
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
        }

    @property
    def about(self) -> dict[str, Any]:
        """What study.json says."""
        data = self.dataset
        return {
            "identity": self.identity,
            "weights": self.hand.weights,
            "data": str(data.root.resolve()),
            "synthetic": str(self.pool.root.resolve()) if self.pool else None,
            "space_file": str(self.file.path) if self.file.path.is_file() else None,
            "images": len(data),
            "in_folds": self.plan.in_folds,
            "holdout": len(self.plan.holdout.validation) if self.plan.holdout else 0,
            "beside_holdout": len(self.plan.left_out),
            "classes": data.counts,
            "unreadable": [list(pair) for pair in data.unreadable],
            "ignored": list(data.ignored),
            "synthetic_images": len(self.pool) if self.pool else 0,
            "synthetic_left_out": self.pool.left_out if self.pool else 0,
            "threads": self.threads,
            "folds": [{"id": f.id, "split": list(f.split), "fraction": f.fraction} for f in self.folds],
        }

    def estimate(self) -> Estimate:
        """Return what the whole search may cost, from a sample of its space."""
        points = random_points(self.hyperparameters, POINTS_COSTED, seed=0)
        images = len(self.dataset) + (len(self.pool) if self.pool else 0)
        sample = [self.build(point) for point in points]
        return estimate(sample, self.study.max_trials, self.folds, images, self.options.racing, machine_speed())


def prepare(file: SpaceFile, options: Options, say: Say, progress: Progress | None = None) -> Prepared:
    """Return the search that a space file and options describe, saying on the way what was found.

    Raises UserError for anything that a person must mend, before anything is written.
    """
    study = overridden(file.study, options)
    root = study.data_folder()
    name = f"{file.path.stem}-{root.resolve().name}" if options.name is None else options.name
    folder = Path(options.results) / check_name(name)
    folders.check_writable(folder)
    recorded = None if options.fresh else folders.read_about(folder)
    dataset, size = _read_data(root, study, options, say, progress)
    plan = planned(dataset, study, say)
    pool = _read_pool(root, study, dataset, size, options, say)
    threads = recorded["threads"] if recorded else max(1, (os.cpu_count() or 1) // options.slots)
    hand = Hand(synthetic=pool is not None)
    prepared = Prepared(file, study, options, folder, dataset, pool, plan, hand, size, threads)
    register(prepared.build)
    hand.weights = _pinned(recorded["weights"], say) if recorded else _resolve(hand.asked, options, say)
    prepared.hyperparameters = register(prepared.build)
    if recorded:
        folders.check_same(folder, recorded, prepared.identity, file.text)
    return prepared


def read_and_plan(study: Study, options: Options, say: Say, progress: Progress | None = None) -> tuple[Dataset, Plan]:
    """Return the images of a study and its plan, for whoever trains nothing."""
    dataset, _ = _read_data(study.data_folder(), study, options, say, progress)
    return dataset, planned(dataset, study, say)


def planned(dataset: Dataset, study: Study, say: Say) -> Plan:
    """Return the plan, saying what it is."""
    plan = make_plan(dataset, study)
    for note in (_folds_in_words(study, plan, dataset), *plan.notes):
        say(note)
    return plan


def overridden(study: Study, options: Options) -> Study:
    """Return the study with what the options set; other data does not keep the study's synthetic images."""
    changes: dict[str, Any] = {}
    if options.data is not None:
        changes |= {"data": options.data, "synthetic": None}
    fields = {"synthetic": "synthetic", "trials": "max_trials", "oracle": "oracle", "seed": "seed"}
    changes |= {to: getattr(options, at) for at, to in fields.items() if getattr(options, at) is not None}
    return study.replace(**changes)


def check_name(name: str) -> str:
    """Return the name of a search if it can be that of a folder."""
    if not name or name != Path(name).name or name.startswith(".") or "\0" in name or len(name.encode()) > LONGEST_NAME:
        raise UserError(f"--name {name!r} cannot be the name of a folder: use letters, digits, dashes and dots.")
    return name


def cache_folder(given: str | None, data: Path) -> Path:
    """Return where to cache: as given, else ``data/.cache`` here, else the user's cache; never among the images."""
    if given is not None:
        return Path(given)
    here = Path("data")
    if here.is_dir() and os.access(here, os.W_OK) and here.resolve() != data.resolve():
        return here / ".cache"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "finetune-search"


def versions() -> dict[str, str]:
    """Return the versions on which results depend."""
    packages = ("tensorflow", "keras", "keras-tuner", "optuna", "numpy", "scikit-learn", "pillow")
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")
    return {"python": sys.version.split()[0], "onednn": onednn, **{package: version(package) for package in packages}}


def _read_data(root: Path, study: Study, options: Options, say: Say, progress: Progress | None) -> tuple[Dataset, int]:
    found = read_class_folders(root, study.group_pattern)
    size = study.image_size or typical_side(found.paths)
    cache = cache_folder(options.cache, root)
    for place, option in ((cache, "--cache"), (Path(options.results), "--results")):
        if place.resolve().is_relative_to(root.resolve()):
            raise UserError(f"{place} lies within the images of {root}. Give another folder with {option}.")
    _check_cache(cache, len(found) * size * size * 3)
    decoded = decode(found.paths, found.contents, size, cache, progress)
    dataset = found.readable(decoded)
    counts = ", ".join(f"{name} {count}" for name, count in list(dataset.counts.items())[:12])
    more = f", … ({len(dataset.classes)} classes)" if len(dataset.classes) > 12 else ""
    say(f"Data: {root}, {len(dataset)} images at {size} px: {counts}{more}")
    if dataset.copies:
        say(f"Copies: {dataset.copies} images are byte-identical to another; copies always share a fold")
    if dataset.ignored:
        say(f"Passed over: {len(dataset.ignored)} files that are no images ({', '.join(dataset.ignored[:3])} …)")
    if dataset.unreadable:
        lost = "\n".join(f"  {id_}: {reason}" for id_, reason in dataset.unreadable[:20])
        text = f"{len(dataset.unreadable)} images cannot be read:\n{lost}"
        if options.strict:
            raise UserError(f"{text}\nMend or remove them; without --strict they are left out.")
        say(f"Left out: {text}")
    return dataset, size


def _check_cache(cache: Path, needed: int) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache).free
    except OSError as error:
        raise UserError(
            f"The cache folder {cache} cannot be made: {error.strerror}. Give another with --cache."
        ) from None
    if not os.access(cache, os.W_OK):
        raise UserError(f"The cache folder {cache} cannot be written to. Give another with --cache.")
    if free < needed:
        raise UserError(
            f"The decoded images need {needed / 1e6:,.1f} MB, but {cache} has {free / 1e6:,.1f} MB left. "
            "Free some space, or give another folder with --cache."
        )


def _read_pool(
    root: Path, study: Study, dataset: Dataset, size: int, options: Options, say: Say
) -> SyntheticPool | None:
    real = root.resolve()
    beside = root.parent / f"{root.name}-synthetic" if root.name else real.parent / f"{real.name}-synthetic"
    folder = Path(study.synthetic) if study.synthetic is not None else beside
    if not folder.is_dir():
        if study.synthetic is not None:
            raise UserError(f"There is no folder of synthetic images {folder}. Make it, or leave synthetic out.")
        say("Synthetic images: none")
        return None
    pool = read_pool(folder, dataset)
    if len(pool):
        pool = pool.readable(decode(pool.paths, pool.contents, size, cache_folder(options.cache, root)))
    lost = f" ({pool.left_out} left out: unreadable, or made from an unreadable image)" if pool.left_out else ""
    say(f"Synthetic images: {folder}, {len(pool)}{lost}; each trains only where its sources train")
    if pool.left_out and options.strict:
        raise UserError(
            f"{pool.left_out} synthetic images of {folder} cannot be used. Without --strict they are left out."
        )
    return pool if len(pool) else None


def _folds_in_words(study: Study, plan: Plan, dataset: Dataset) -> str:
    repeats = f"{study.repeats} × " if study.repeats > 1 else ""
    sizes = ", ".join(
        f"{np.mean([len(fold.train) for fold in plan.folds if fold.fraction == fraction]):.0f}"
        for fraction in study.train_fractions
    )
    plural = "s" if study.folds > 1 else ""
    random = f" random split{plural} with {study.val:.0%} for validation" if study.splits == "shuffle" else ""
    groups = dataset.table["group"].nunique()
    grouped = f", {groups} groups kept whole" if groups < len(dataset) else ""
    many = f"{len(plan.folds)} runs a trial" if len(plan.folds) > 1 else "1 run a trial"
    return f"Folds: {repeats}{study.folds}{random}, stratified{grouped}; training sizes {sizes}; {many}"


def _resolve(asked: list[str], options: Options, say: Say) -> dict[str, str]:
    weights, missing = resolve(asked, offline=options.offline, announce=say)
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
