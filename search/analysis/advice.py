"""Advice: which classes to look after, what more images promise, and whether the winner is good enough as it is."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from search.analysis.hard import doubtful_labels
from search.analysis.judgement import Judgement
from search.analysis.ledger import seen_before
from search.analysis.outlook import Outlook, outlook
from search.analysis.stats import Interval
from search.analysis.stats.confusions import Confusions, Mistakes
from search.analysis.stats.intervals import UNKNOWN
from search.analysis.stats.scores import at_most
from search.analysis.stats.survival import gain_of_doubling, images_for
from search.data.holdout import HOLDOUT
from search.record import FOLDS, IMAGES, read_table

# DECISIONS: Good enough is said from 95 in 100 on
GOOD = 0.95  # of the objective
EACH = 0.9  # of the images of every class
SURE = 0.1  # wrong on new images, at most, where nothing held out was wrong
FLAT = 0.01  # a doubling that gains less than a point at best is not worth collecting
POINT = 0.01


class Promise(StrEnum):
    """What more images like these promise: the one word for it."""

    HELP = "help"
    LITTLE = "little"
    UNSURE = "unsure"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class MoreImages:
    """What more images promise the winner, by what it gained between the two largest training sizes.

    ``doubling`` is the gain of the objective from twice the ``images`` that there are, with its 95 % limits.
    ``for_a_point`` is how many more images a point takes, ``least`` and ``most`` its limits; they are infinite where
    none are enough, and NaN where nothing is known.
    """

    promise: Promise
    images: int
    doubling: Interval
    for_a_point: float
    least: float
    most: float


@dataclass(frozen=True)
class Unmistaken:
    """A hold-out on which nothing was wrong: its images, and the share that may be wrong on new ones, at 95 %."""

    images: int
    wrong_at_most: float


@dataclass(frozen=True)
class Advice:
    """What to do about the winner.

    ``pairs`` of classes are taken for each other more than chance explains, ``weak`` ones are missed more often than
    the others and in no such pair. ``doubtful`` counts labels by pair that may be mistaken. ``good_enough`` says
    whether to leave it at that, because of ``unmistaken``, or else because of what is expected.
    """

    pairs: tuple[Mistakes, ...]
    weak: tuple[Mistakes, ...]
    doubtful: tuple[int, ...]
    more: MoreImages
    good_enough: bool
    unmistaken: Unmistaken | None


def advice(judgement: Judgement) -> Advice | None:
    """Return what to do about the winner, None where there is none, or where it does no better than guessing."""
    numbers = outlook(judgement)
    if numbers is None or numbers.beats_guessing is False:
        return None
    confusions = _confusions(judgement)
    pairs = tuple(confusions.pairs()) if confusions else ()
    paired = {number for pair in pairs for number in pair.classes}
    weak = tuple(one for one in confusions.weak() if paired.isdisjoint(one.classes)) if confusions else ()
    held_out = unmistaken(judgement)
    return Advice(
        pairs,
        weak,
        _doubtful(judgement, pairs),
        more_images(judgement, numbers),
        _is_good_enough(judgement, numbers, confusions, held_out),
        held_out,
    )


def _confusions(judgement: Judgement) -> Confusions | None:
    size, evidence = judgement.winners_size, judgement.evidence
    if size is None or evidence is None:
        return None
    groups = evidence.groups[size.image]
    return Confusions.of(size.labels, size.predictions[0], size.image, groups, len(judgement.classes))


def _doubtful(judgement: Judgement, pairs: tuple[Mistakes, ...]) -> tuple[int, ...]:
    names = [{judgement.classes[number] for number in pair.classes} for pair in pairs]
    labels = [{doubt.label, doubt.suggested} for doubt in doubtful_labels(judgement)] if pairs else []
    return tuple(labels.count(each) for each in names)


def more_images(judgement: Judgement, numbers: Outlook) -> MoreImages:
    """Return what more images promise, by what the winner gained between the two largest training sizes."""
    slope, images = judgement.slope, judgement.record.about.images
    if slope is None or not slope.known:
        return MoreImages(Promise.UNKNOWN, images, UNKNOWN, math.nan, math.nan, math.nan)
    error = max(judgement.metric.high - numbers.expected.mean, 0.0)
    doublings = math.log2(judgement.images[-1] / judgement.images[-2])
    mean, low, high = (gain_of_doubling(each, error, doublings) for each in (slope.mean, slope.low, slope.high))
    promise = Promise.HELP if low > 0 else Promise.UNSURE
    promise = Promise.LITTLE if high < FLAT else promise
    needed = [images_for(POINT, images, each, error, doublings) for each in (slope.mean, slope.high, slope.low)]
    return MoreImages(promise, images, Interval(mean, low, high), *needed)


def unmistaken(judgement: Judgement) -> Unmistaken | None:
    """Return what a hold-out says on which the winner had nothing wrong; None elsewhere.

    None also where a search was extended after a look at it, and where it lacks a class. Images of one group count
    once.
    """
    record, winner = judgement.record, judgement.winner
    score = record.history.holdout_score(winner.id) if winner else None
    if score is None or score.run.scores["accuracy"] < 1 or record.about.holdout_lacks or seen_before(record.history):
        return None
    return Unmistaken(record.about.holdout, at_most(0, _groups_held_out(judgement)))


def _groups_held_out(judgement: Judgement) -> int:
    """Return how many groups are held out; in older searches, which do not tell, each image is its own."""
    record = judgement.record
    folds, images = read_table(record.folder, FOLDS), read_table(record.folder, IMAGES)
    if folds is None or images is None or "group" not in images:
        return record.about.holdout
    ids = set(folds.loc[folds["part"] == HOLDOUT, "id"])
    groups = images.loc[images["id"].isin(ids), ["id", "group"]]
    names = {group or id_ for id_, group in zip(groups["id"], groups["group"], strict=True)}
    return len(names) or record.about.holdout


def _is_good_enough(
    judgement: Judgement, numbers: Outlook, confusions: Confusions | None, held_out: Unmistaken | None
) -> bool:
    """Return whether to leave it at that: what is expected, every class, and what was held out must say so."""
    if numbers.beats_guessing is not True or numbers.expected.mean < GOOD or not _is_each_found(confusions):
        return False
    if held_out is not None:
        return held_out.wrong_at_most <= SURE
    winner = judgement.winner
    score = judgement.record.history.holdout_score(winner.id) if winner else None
    is_confirmed = score is None or score.run.scores[judgement.rules.objective] >= GOOD
    return numbers.expected.low >= GOOD and is_confirmed


def _is_each_found(confusions: Confusions | None) -> bool:
    """Return whether nearly all images of every class are recognised; the mean hides a rare class."""
    if confusions is None:
        return False
    sizes = confusions.images.sum(axis=1)
    found = np.diag(confusions.images)[sizes > 0] / sizes[sizes > 0]
    return bool((found >= EACH).all())
