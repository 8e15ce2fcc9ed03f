"""A model to take away: a recipe trained on all images, as plain Keras, in a folder that says what it is.

The code that trained the runs trains it, on a fold whose training part is everything. The folder gets
its name last: before that, the saved model is loaded and compared with the network that was trained.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from search.analysis.judgement import Judgement
from search.data.folds import Fold
from search.data.images import decode
from search.data.readers.paths import check_outside
from search.executors.inline import Inline
from search.export.card import ExportFacts, card, promised, scores
from search.export.opened import FORMAT, MODEL, RECIPE
from search.export.plain import averaged, joint_model, plain_model
from search.export.trained import TRAINED_ON, write_trained_on
from search.journal.history import Trial
from search.monitor.screen import Screen
from search.record import Record
from search.repertoire.networks import AnyRecipe, NetworkRecipe
from search.repertoire.prediction import PREDICTIONS
from search.repertoire.priors import assumption
from search.repertoire.shape import shape_of
from search.system.digests import file_sha256
from search.system.errors import UserError, first_line
from search.system.files import new_folder, write_text
from search.system.precision import FLOAT32
from search.system.tf import keras, silenced, versions
from search.training.loop import DivergedError
from search.training.materials import Materials
from search.training.trainer import TrainedNetwork, Trainer, set_up
from search.tuner import KFoldTuner

LABELS, CARD = "labels.txt", "README.md"
ALL = "all"
COMPARED = 64  # images, on which the saved model must agree with the network that was trained
TOLERANCE = 1e-4


def check_target(to: Path, data: Path) -> None:
    """Raise UserError unless ``to`` is an empty folder, or nothing yet, not among the images, and can be written."""
    check_outside(to, data, "Name a folder elsewhere with --to")
    nearest = next(place for place in (to, *to.absolute().parents) if place.exists())
    if not os.access(nearest, os.W_OK):
        raise UserError(f"{to} cannot be written: you may not write to {nearest}. Name another folder with --to.")
    if not nearest.is_dir() and nearest != to:
        raise UserError(f"{to} cannot be made: {nearest} is a file. Name another folder with --to.")
    if to.exists() and not to.is_dir():
        raise UserError(f"{to} is a file. Name a new folder with --to.")
    if to.is_dir() and any(to.iterdir()):
        raise UserError(f"{to} is not empty. Name a new folder with --to, or empty it: nothing is overwritten.")


def export(tuner: KFoldTuner, trial_id: str, to: Path) -> Path:
    """Write a trial's model, trained on all images, into the folder ``to``, and return it.

    Where the study holds images out, the trial is scored on them first, unless that was done. Raises
    UserError where ``to`` is in use, training diverges or the folder cannot be written: then there is none.
    """
    check_target(to, tuner.setup.dataset.source)
    materials, screen = tuner.setup.materials, tuner.screen
    trial = tuner.record.history.trials[trial_id]
    with screen:
        if tuner.record.rules.holdout and not tuner.record.history.holdout_score(trial_id):
            screen.say(f"Training {trial_id} without the hold-out, to score it there once")
            what = f"Images shown to {trial_id} without the hold-out"
            epochs = _Epochs(screen, what, trial.recipe.epochs, tuner.setup.plan.in_folds)
            tuner.score_on_holdout(trial_id, Inline(materials, epochs.give_up))
        # Its model runs anywhere, and is compared with the network that was trained, so both compute in float32.
        materials, fold = replace(materials, precision=FLOAT32), everything(len(materials.labels))
        screen.say(f"Training {trial_id} on all {len(fold.train)} images")
        epochs = _Epochs(screen, f"Images shown to {trial_id}", trial.epochs, len(fold.train))
        network = _train(materials, trial, fold, epochs)
        _write(to, tuner.record, trial, materials, network)
        if sentence := assumption(trial.recipe):
            screen.say(f"Beware of the model: {sentence}")
    return to


def everything(images: int) -> Fold:
    """Return the fold that trains on all rows; some of them, spread evenly, stand for its validation part."""
    rows = np.arange(images)
    return Fold(0, 0, 1.0, rows, rows[:: -(-images // COMPARED)], ALL)


class _Epochs:
    """What a training calls before each epoch: it shows how many images were trained on, of all that will be."""

    def __init__(self, screen: Screen, what: str, epochs: int, images: int) -> None:
        self.screen, self.what, self.epochs, self.images = screen, what, epochs, images
        self.epoch = 0

    def __call__(self) -> None:
        self.screen.progress(self.what, self.epoch % self.epochs * self.images, self.epochs * self.images)
        self.epoch += 1

    def give_up(self) -> bool:
        """Show it, and let the training go on."""
        self()
        return False


def _train(materials: Materials, trial: Trial, fold: Fold, proceed: Callable[[], None]) -> TrainedNetwork:
    set_up(materials.threads)
    try:
        return Trainer(materials).train(trial.recipe, fold, proceed, trial.epochs)
    except DivergedError as error:
        raise UserError(
            f"Trial {trial.id} diverges when it is trained on all images: {error} Export another trial with --trial."
        ) from None


def _write(to: Path, record: Record, trial: Trial, materials: Materials, network: TrainedNetwork) -> None:
    model = _plain(trial.recipe, materials, network)
    part, judgement = network.run.part, Judgement.of(record)
    synthetic, sampled = sum(part.synthetic.get("drawn", {}).values()), part.sampled.get("trained", {})
    facts = ExportFacts(trial, len(materials.labels), synthetic, versions(), sampled)
    try:
        with new_folder(to.resolve()) as folder:
            with silenced():
                model.save(folder / MODEL)
            difference = _difference(folder / MODEL, materials, network, trial.recipe)
            about = _about(judgement, facts, materials, network)
            about |= {"compared": {"images": len(network.run.fold.validation), "largest_difference": difference}}
            write_trained_on(folder / TRAINED_ON, materials, part)
            about |= {"files": {name: file_sha256(folder / name) for name in (MODEL, TRAINED_ON)}}
            write_text(folder / RECIPE, json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
            write_text(folder / LABELS, "\n".join(about["classes"]) + "\n")
            write_text(folder / CARD, card(judgement, facts))
            inode = folder.stat().st_ino
    except OSError as error:
        raise UserError(
            f"The export cannot be written to {to}: {error.strerror or error}. Make room, or name another folder."
        ) from None
    if to.stat().st_ino != inode:
        raise UserError(f"{to} was filled by something else meanwhile: nothing was written. Name another folder.")


def _plain(recipe: AnyRecipe, materials: Materials, network: TrainedNetwork) -> keras.Model:
    """Return a trained network as a model from pixels to probabilities."""
    if isinstance(recipe, NetworkRecipe):
        assert network.own is not None, "it was trained"
        return network.own.plain()
    assert network.run.head is not None, "it was fitted"
    backbone, shape = recipe.architecture, shape_of(recipe)
    if shape.branches:
        model = joint_model(shape, network.run.head, materials.weights, materials.home)
    else:
        sha256 = materials.weights.get(backbone.name, "")
        model = plain_model(shape, network.body, network.run.head, backbone.pretrained, sha256, materials.home)
    return averaged(model, PREDICTIONS[recipe.tta].views)


def _difference(file: Path, materials: Materials, network: TrainedNetwork, recipe: AnyRecipe) -> float:
    """Return by how much the saved model differs from the network that was trained, in probability, at most."""
    rows = network.run.fold.validation
    pixels = [
        decode(materials.paths, materials.contents, size, materials.cache, ranges=materials.ranges).pixels[rows]
        for size in recipe.sizes
    ]
    built = "The network that the space builds"
    what = built if isinstance(recipe, NetworkRecipe) else f"The network of {recipe.architecture.name}"
    probabilities = loaded(file, what).predict_on_batch(pixels if len(pixels) > 1 else pixels[0])
    difference = float(np.abs(probabilities - network.run.probabilities).max())
    if difference > TOLERANCE:
        raise UserError(
            f"The saved model gives other probabilities than the network that was trained, by up to {difference:.2g}. "
            "That is an error of this program or of its libraries, and nothing was written: please report it."
        )
    return difference


def loaded(file: Path, what: str) -> keras.Model:
    """Return a saved model. Raises UserError where it has layers of a person's own that cannot be loaded again.

    ``what`` says which network it is.
    """
    try:
        return keras.models.load_model(file)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            f"{what} cannot be loaded again once it is saved: {first_line(error)}\n"
            "Give layers of your own a get_config, and register them with "
            "@keras.saving.register_keras_serializable(); put a layer of Keras, or one of your own, in place of a "
            "Lambda. Nothing was written."
        ) from None


def _about(judgement: Judgement, facts: ExportFacts, materials: Materials, network: TrainedNetwork) -> dict[str, Any]:
    """Return recipe.json, but for what is known once the model is saved."""
    record, trial = judgement.record, facts.trial
    sessions = record.history.sessions
    sizes = trial.recipe.sizes
    weights = [] if isinstance(trial.recipe, NetworkRecipe) else [each.name for each in trial.recipe.backbones]
    return {
        "format": FORMAT,
        "search": record.name,
        "trial": trial.id,
        "recipe": trial.recipe.to_dict(),
        "digest": trial.recipe.digest,
        "image_size": trial.recipe.side,
        **({"image_sizes": list(sizes)} if len(sizes) > 1 else {}),
        "classes": record.about.classes,
        "images": facts.images,
        "synthetic": network.run.part.synthetic,
        **({"sampled": network.run.part.sampled} if network.run.part.sampled else {}),
        "scores": scores(judgement, trial),
        "promise": promised(judgement, trial),
        "identity": record.about.identity,
        **({} if materials.ranges.by_file else {"ranges": dict(materials.ranges.tops)}),
        "weights": {name: materials.weights.get(name, "") for name in weights},
        "seed": {"study": materials.seed, "run": network.run.seed},
        "threads": materials.threads,
        "versions": {"finetune-search": version("finetune-search"), **facts.versions},
        "versions_of_search": sessions[0].versions if sessions else {},
    }
