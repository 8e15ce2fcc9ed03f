"""How sure an exported model may be: its temperature, and the probability below which it had better not answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from search.analysis.out_of_fold import out_of_fold
from search.analysis.stats.confidence import Step, Temperature, nested, steps
from search.journal.outcomes import Status
from search.record import Record


@dataclass(frozen=True)
class Certainty:
    """What out-of-fold predictions tell of a model's probabilities: its temperature, and when not to answer.

    ``answers`` counts these predictions, ``groups`` the groups of their images: what there is of separate evidence, as
    repeats and copies add none. ``steps`` are of probabilities with the temperature of the other folds.
    """

    temperature: Temperature
    answers: int
    groups: int
    steps: tuple[Step, ...]


def certainty(record: Record, weights: Mapping[str, float]) -> Certainty | None:
    """Return how sure the model of these trials may be, whose probabilities are averaged with these weights.

    None where a trial is not complete, its predictions are missing, or there is one fold alone.
    """
    trials = [record.history.trials[name] for name in weights]
    if any(trial.status is not Status.COMPLETED for trial in trials):
        return None
    found = out_of_fold(record, trials)
    if found is None or len(found.trials) < len(trials) or len(np.unique(found.folds)) < 2:
        return None
    mixed = np.tensordot(np.array(list(weights.values())), found.probabilities, axes=1)
    temperature, mended = nested(mixed, found.labels, found.images, found.folds)
    return Certainty(temperature, len(mended), len(np.unique(found.groups)), tuple(steps(mended, found.labels)))
