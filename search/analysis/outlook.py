"""Outlook: the few numbers that decide: what to expect of the winner, beside what guessing would have."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from search.analysis.judgement import Judgement
from search.analysis.ledger import at_size
from search.analysis.stats import Interval
from search.analysis.stats.metrics import METRICS
from search.journal.history import Trial
from search.journal.outcomes import Status

EVEN = 1.2  # times as many images in the largest class as in the smallest: below it classes are even
NOTICEABLE = 0.005  # half an image in a hundred: below it two shares read alike


@dataclass(frozen=True)
class Found:
    """How often images of a class are recognised: ``right`` of ``images``, both means over repeats."""

    name: str
    right: float
    images: float


@dataclass(frozen=True)
class Outlook:
    """What to expect of the winner with all training images; scores are those of the metrics, in [0, 1].

    ``expected`` is the objective, ``accuracy`` the share of right answers; both are ``corrected`` for having
    been picked, or else raw. ``guessing`` and ``guessing_accuracy`` are what one answer to every image can have
    by them, ``usual`` is the largest class. ``rarest`` is the smallest class as the winner recognises it, None
    where classes are even or its predictions are missing. ``rival`` has the best accuracy, where that is
    another trial, and noticeably better than the winner by accuracy alone.
    """

    expected: Interval
    accuracy: Interval
    corrected: bool
    guessing: float
    guessing_accuracy: float
    usual: str
    rarest: Found | None
    rival: Trial | None

    @property
    def beats_guessing(self) -> bool | None:
        """Whether it is better than guessing; None where that is not sure, or there is no interval."""
        if self.expected.mean < self.guessing + NOTICEABLE:
            return False
        return True if self.expected.known and self.expected.low > self.guessing else None


def outlook(judgement: Judgement) -> Outlook | None:
    """Return what to expect of the winner, None where there is none."""
    winner, counts = judgement.winner, judgement.record.about.classes
    if winner is None:
        return None
    corrected, numbers = judgement.corrected, np.array(list(counts.values()))
    return Outlook(
        expected=corrected.full if corrected else judgement.at_sizes(winner)[-1],
        accuracy=corrected.full_accuracy if corrected else _unknown(_at_full(judgement, winner, "accuracy")),
        corrected=corrected is not None,
        guessing=judgement.metric.guessing(numbers),
        guessing_accuracy=METRICS["accuracy"].guessing(numbers),
        usual=max(counts, key=lambda name: counts[name]),
        rarest=None if are_even(counts.values()) else _found(judgement, min(counts, key=lambda name: counts[name])),
        rival=_rival(judgement, winner),
    )


@dataclass(frozen=True)
class Promise:
    """What to expect of the model that a trial's recipe gives, by the folds: with all images of a training part.

    ``expected`` is the objective, ``accuracy`` the share of right answers. They are ``corrected`` for the best trial
    having been picked, or else raw.
    """

    expected: Interval
    accuracy: Interval
    corrected: bool


def promise(judgement: Judgement, trial: Trial) -> Promise | None:
    """Return what to expect of a complete trial, None of another one.

    The correction is the winner's. A trial behind it is promised as much less as its raw scores are lower, and never
    more than these: what was picked less is flattered less, so that this errs on the safe side.
    """
    if trial.status is not Status.COMPLETED or judgement.winner is None:
        return None
    corrected, winner = judgement.corrected, judgement.winner
    if corrected is None:
        raw = judgement.at_sizes(trial)[-1]
        return Promise(raw, _unknown(_at_full(judgement, trial, "accuracy")), corrected=False)
    expected, accuracy = (
        _moved(interval, _at_full(judgement, trial, metric), _at_full(judgement, winner, metric))
        for interval, metric in ((corrected.full, judgement.rules.objective), (corrected.full_accuracy, "accuracy"))
    )
    return Promise(expected, accuracy, corrected=True)


def _moved(interval: Interval, raw: float, winners_raw: float) -> Interval:
    """Return the corrected interval of the winner, moved down to a trial whose raw score is lower."""
    behind = max(0.0, winners_raw - raw)
    return Interval(interval.mean - behind, max(0.0, interval.low - behind), interval.high - behind)


def are_even(counts: Iterable[int]) -> bool:
    """Return whether classes of so many images are about equally frequent."""
    numbers = list(counts)
    return max(numbers) <= EVEN * min(numbers)


def _at_full(judgement: Judgement, trial: Trial, metric: str) -> float:
    return at_size(trial, judgement.rules, judgement.rules.fractions[-1], metric)


def _unknown(mean: float) -> Interval:
    return Interval(mean, -math.inf, math.inf)


def _found(judgement: Judgement, name: str) -> Found | None:
    size = judgement.winners_size
    if size is None:
        return None
    number = judgement.classes.index(name)
    own = size.labels == number
    repeats = len(np.unique(size.split[:, 0])) or 1
    return Found(name, float((size.predictions[0][own] == number).sum() / repeats), float(own.sum() / repeats))


def _rival(judgement: Judgement, winner: Trial) -> Trial | None:
    """Return the trial that leads by accuracy with all training images, where that is clearly not the winner."""
    if judgement.rules.objective == "accuracy":
        return None
    best = max(judgement.complete, key=lambda trial: round(_at_full(judgement, trial, "accuracy"), 9))
    ahead = _at_full(judgement, best, "accuracy") - _at_full(judgement, winner, "accuracy")
    return best if ahead >= NOTICEABLE else None
