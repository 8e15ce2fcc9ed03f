"""Whether a few unlike recipes together are better than the best one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.out_of_fold import OutOfFold, out_of_fold
from search.analysis.stats.combining import Combined, combined
from search.analysis.stats.selection import FEWEST, Configurations
from search.journal.history import Trial
from search.record import Record
from search.repertoire.architecture import depth
from search.repertoire.networks import AnyRecipe, NetworkRecipe
from search.system.digests import seed_from

MOST_TRIALS = 40  # the best; all their probabilities have to be in memory at once


@dataclass(frozen=True)
class Ensemble:
    """A few unlike complete trials with their weights, which add to 1, the heaviest first; and what they come to.

    ``trials`` is how many trials they were chosen from.
    """

    members: Mapping[str, float]
    combined: Combined
    trials: int

    @property
    def is_recommended(self) -> bool:
        """Whether it is better than the best recipe by more than having been chosen flatters it."""
        return len(self.members) > 1 and self.combined.is_better


def kind_of(recipe: AnyRecipe) -> tuple[object, ...]:
    """Return what recipes have in common that are alike: backbones, what is unfrozen of them, sizes of images."""
    if isinstance(recipe, NetworkRecipe):
        return (recipe.digest,)
    return tuple(each.name for each in recipe.backbones), depth(recipe), tuple(recipe.sizes)


def ensemble(record: Record, complete: Sequence[Trial]) -> Ensemble | None:
    """Return the ensemble of complete trials, best first; None where too few can be read to correct its score."""
    found = out_of_fold(record, complete[:MOST_TRIALS])
    if found is None or len(found.trials) < FEWEST:
        return None
    kinds = [kind_of(record.history.trials[name].recipe) for name in found.trials]
    numbers = [kinds.index(kind) for kind in kinds]
    told = combined(_configurations(record, found), found.probabilities, numbers, seed_from("ensemble"))
    order = np.argsort(-told.weights, kind="stable")
    members = {found.trials[at]: float(told.weights[at]) for at in order if told.weights[at] > 0}
    return Ensemble(members, told, len(found.trials))


def _configurations(record: Record, found: OutOfFold) -> Configurations:
    part = record.rules.val is None  # random splits may overlap
    return Configurations(
        labels=[found.labels],
        groups=[found.groups],
        predictions=[found.probabilities.argmax(axis=-1)],
        classes=len(record.about.classes),
        objective=record.rules.objective,
        folds=[found.splits[:, 1]] if part else None,
        repeats=[found.splits[:, 0]] if part else None,
    )
