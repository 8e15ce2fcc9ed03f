"""Where an exported model fails, by what its recipe got wrong on the folds, and what it must not be used for."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from search.analysis.judgement import Judgement
from search.analysis.out_of_fold import out_of_fold
from search.journal.outcomes import Status
from search.record import Record
from search.report.exhibit import Row
from search.report.exhibits.classes import of_classes
from search.report.exhibits.confusion import mistakes, pairs_of
from search.report.words import amount, in_100, times

MOST = 5  # classes, and pairs of them
SELDOM = 0.5  # of a class's images: what is recognised less often is named as unfit


class Failures:
    """What the networks of a recipe, or of several that are averaged, got wrong among images that did not train them.

    ``classes`` are the rows of the report's table of classes, the worst first; ``pairs`` those that are confused, most
    images first. Both are empty where the predictions are missing, or a trial is not complete.
    """

    def __init__(self, record: Record, weights: Mapping[str, float]) -> None:
        """Read the predictions of these trials, whose probabilities are averaged with these weights."""
        self.classes: list[Row] = []
        self.pairs: list[Row] = []
        self.repeats = 1
        trials = [record.history.trials[name] for name in weights]
        complete = all(trial.status is Status.COMPLETED for trial in trials)
        found = out_of_fold(record, trials) if complete else None
        if found is None or len(found.trials) < len(trials):
            return
        names = list(record.about.classes)
        predicted = np.tensordot(np.array(list(weights.values())), found.probabilities, axes=1).argmax(axis=1)
        rows = [row for row in of_classes(found.labels, predicted, names, found.groups) if row["images"]]
        self.classes = sorted(rows, key=lambda row: row["recall"])
        self.pairs = mistakes(pairs_of(found.labels, predicted, names))
        self.repeats = len(np.unique(found.splits[:, 0]))

    def lines(self) -> Iterator[str]:
        """Yield the worst classes and the most frequent mistakes, in sentences."""
        if not self.classes:
            return
        if not self.pairs:
            yield "Its recipe made no mistake on the folds."
            return
        for row in self.classes[:MOST]:
            yield (
                f'"{row["class"]}": {row["correct"]} of {amount(row["images"], "image")} right'
                f"{_between(row)}; {in_100(row['precision'])} of 100 answers with this name were right."
            )
        if (others := len(self.classes) - MOST) > 0:
            which = "The other class is" if others == 1 else f"The other {others} classes are"
            yield f"{which} recognised more often, or as often."
        for row in self.pairs[:MOST]:
            of = f"{in_100(row['share'])} of 100 of its images"
            yield f'"{row["label"]}" is taken for "{row["predicted"]}" {times(row["images"])}, {of}.'

    def seldom(self) -> list[Row]:
        """Return the classes that are recognised in less than half of their images, the worst first."""
        return [row for row in self.classes if row["recall"] < SELDOM]


def _between(row: Row) -> str:
    low, high = row["low"], row["high"]
    return f" (95 % interval {low:.2f} to {high:.2f})" if np.isfinite(low) and np.isfinite(high) else ""


def unfit_for(judgement: Judgement, failures: Failures, promise: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what a model must not be used for, as it follows from what is known of it; ``promise`` is recipe.json's."""
    if promise is None:
        yield "Anything, before it was measured: no score of this very model is known."
    else:
        guessing = judgement.metric.guessing(np.array(list(judgement.record.about.classes.values())))
        if promise["expected"]["mean"] <= guessing:
            yield "Anything at all: it is not known to be better than one answer to every image."
        accuracy = promise["accuracy"]
        low = f", and {in_100(1 - accuracy['low'])} would be no surprise" if accuracy["low"] is not None else ""
        yield (
            f"Decisions in which a wrong answer does harm and nobody looks: of 100 pictures like those that trained "
            f"it, expect about {in_100(1 - accuracy['mean'])} wrong{low}."
        )
    for row in failures.seldom()[:MOST]:
        missed = row["images"] - row["correct"]
        yield f'Finding or counting "{row["class"]}": its recipe missed {missed} of {row["images"]} on the folds.'
    yield (
        "Pictures that may show something else, unless somebody sorts these out: it answers with one of its classes, "
        "whatever a picture shows."
    )
    yield (
        "Pictures of another origin (camera, place, time, or way of choosing), before it was measured on some of them, "
        "as the verb evaluate of the package that made it does."
    )
    yield "Judging people (their health, their safety or their rights): it was never tested for that."
