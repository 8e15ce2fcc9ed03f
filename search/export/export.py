"""A model to take away: a recipe trained on all images, as plain Keras, in a folder that says what it is.

The code that trained the runs trains it, on a fold whose training part is everything. The folder gets
its name last: before that, the saved model is loaded and compared with the network that was trained.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from search.analysis.certainty import certainty
from search.analysis.ensemble import Ensemble
from search.analysis.judgement import Judgement
from search.analysis.stats.confidence import AT_REST
from search.data.folds import Fold
from search.data.readers.paths import check_outside
from search.executors.inline import Inline
from search.export.card import card
from search.export.changed import CHANGES, Changes, weights_of
from search.export.forms.form import Form
from search.export.forms.writing import Comparison, Written, write_forms
from search.export.members import Member, about_of, compared, facts_of, joined, sizes_of
from search.export.opened import MODEL, RECIPE
from search.export.plain import tempered_model
from search.export.trained import TRAINED_ON, write_trained_on
from search.journal.history import Trial
from search.monitor.screen import Screen
from search.record import Record
from search.repertoire.priors import assumption
from search.system.digests import file_sha256
from search.system.errors import UserError
from search.system.files import new_folder, write_text
from search.system.precision import FLOAT32
from search.system.texts import csv_text
from search.system.tf import keras, silenced
from search.training.loop import DivergedError
from search.training.materials import Materials
from search.training.trainer import TrainedNetwork, Trainer, set_up
from search.tuner import KFoldTuner

LABELS, CARD = "labels.txt", "README.md"
ALL = "all"
COMPARED = 64  # images, on which the saved model must agree with the network that was trained

_Forms = tuple[Sequence[Form], Callable[[Fold], list[Member]], Screen]  # those asked for, what trains again, and where


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


def export(tuner: KFoldTuner, chosen: str | Ensemble, to: Path, also: Sequence[Form] = ()) -> Path:
    """Write a model, trained on all images, into the folder ``to``, also in some forms, and return it.

    ``chosen`` is a trial, or an ensemble: the model then gives the weighted mean of the probabilities of its members.
    Where the study holds images out, the trials are scored on them first, unless that was done. Raises UserError where
    ``to`` is in use, training diverges or the folder cannot be written: then there is none. Where a form cannot be
    written, the folder is there without it, and the UserError says so.
    """
    check_target(to, tuner.setup.dataset.source)
    with tuner.screen:
        for trial_id in weights_of(chosen):
            _score_on_holdout(tuner, trial_id)
        train(tuner.record, chosen, tuner.setup.materials, to, tuner.screen, also=also)
    return to


def train(
    record: Record,
    chosen: str | Ensemble,
    materials: Materials,
    to: Path,
    screen: Screen,
    changes: Changes | None = None,
    also: Sequence[Form] = (),
) -> None:
    """Train what was chosen on all images of ``materials``, and write the model; raises as ``export`` does.

    ``changes`` say how these images differ from those of the search, None where they do not.
    """
    # The model runs anywhere, and is compared with the networks that were trained, so both compute in float32.
    exact, fold = replace(materials, precision=FLOAT32), everything(len(materials.labels))
    members = _members(record, chosen, exact, screen, "on all", fold)
    again = partial(_members, record, chosen, exact, screen, "once more, to see what a form loses, on")
    together = None if isinstance(chosen, str) else chosen
    written = _write(to, record, members, exact, together, changes, (also, again, screen))
    for sentence in dict.fromkeys(assumption(member.recipe) for member in members):
        if sentence:
            screen.say(f"Beware of the model: {sentence}")
    if written.problems:
        raise UserError(f"{' '.join(written.problems)} {to} has all the rest, and is whole without it.")


def _members(
    record: Record, chosen: str | Ensemble, materials: Materials, screen: Screen, words: str, fold: Fold
) -> list[Member]:
    """Train what was chosen on a fold; ``words`` say why."""
    members = []
    for trial_id, weight in weights_of(chosen).items():
        trial = record.history.trials[trial_id]
        screen.say(f"Training {trial_id} {words} {len(fold.train)} images")
        epochs = _Epochs(screen, f"Images shown to {trial_id}", trial.epochs, len(fold.train))
        members.append(Member(trial, weight, _train(materials, trial, fold, epochs)))
    return members


def _score_on_holdout(tuner: KFoldTuner, trial_id: str) -> None:
    """Score a trial on the hold-out, where there is one and that was not done."""
    record, materials, screen = tuner.record, tuner.setup.materials, tuner.screen
    if record.rules.holdout and not record.history.holdout_score(trial_id):
        screen.say(f"Training {trial_id} without the hold-out, to score it there once")
        what = f"Images shown to {trial_id} without the hold-out"
        epochs = _Epochs(screen, what, record.history.trials[trial_id].recipe.epochs, tuner.setup.plan.in_folds)
        tuner.score_on_holdout(trial_id, Inline(materials, epochs.give_up))


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


def _write(
    to: Path,
    record: Record,
    members: Sequence[Member],
    materials: Materials,
    together: Ensemble | None,
    changes: Changes | None,
    forms: _Forms,
) -> Written:
    sure = certainty(record, {member.trial.id: member.weight for member in members})
    temperature = sure.temperature.value if sure else AT_REST
    model = tempered_model(joined(members, materials), temperature)
    judgement, facts = Judgement.of(record), facts_of(members, materials, sure, together, changes)
    try:
        with new_folder(to.resolve()) as folder:
            with silenced():
                model.save(folder / MODEL)
            difference = compared(folder / MODEL, materials, members, temperature)
            about = about_of(judgement, facts, materials, members)
            about |= {"compared": {"images": len(members[0].fold.validation), "largest_difference": difference}}
            write_trained_on(folder / TRAINED_ON, materials, [member.network.run.part for member in members])
            written = _write_also(folder, model, members, materials, temperature, forms)
            about |= {"files": {name: file_sha256(folder / name) for name in (MODEL, TRAINED_ON)} | written.files}
            about |= {"also": written.about} if written.about else {}
            write_text(folder / RECIPE, json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
            write_text(folder / LABELS, "\n".join(about["classes"]) + "\n")
            write_text(folder / CARD, card(judgement, replace(facts, also=tuple(written.forms))))
            if changes:
                write_text(folder / CHANGES, csv_text(changes.table))
            inode = folder.stat().st_ino
    except OSError as error:
        raise UserError(
            f"The export cannot be written to {to}: {error.strerror or error}. Make room, or name another folder."
        ) from None
    if to.stat().st_ino != inode:
        raise UserError(f"{to} was filled by something else meanwhile: nothing was written. Name another folder.")
    return written


def _write_also(
    folder: Path,
    model: keras.Model,
    members: Sequence[Member],
    materials: Materials,
    temperature: float,
    forms: _Forms,
) -> Written:
    """Write a model in the forms that were asked for, and return what became of them."""
    also, again, screen = forms
    if not also:
        return Written()

    def rehearse(fold: Fold) -> keras.Model:
        return tempered_model(joined(again(fold), materials), temperature)

    compared_by = Comparison(model, materials, sizes_of(members), members[0].fold.validation, rehearse)
    return write_forms(folder, also, compared_by, screen.say)
