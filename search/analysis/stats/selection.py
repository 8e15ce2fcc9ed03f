"""The winner's score, corrected for having been picked: BBC-CV (Tsamardinos, Greasidou & Borboudakis 2018).

The best of many trials is partly the luckiest. Bootstrap: pick the best trial on what is drawn,
score it on what is not, and average. No network is trained for it. A trial can be lucky in its
images and in its trainings. Drawing images, as the paper does, leaves the second luck on both
sides, so whole folds are drawn where they are known.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from search.analysis.stats.intervals import LEVEL, NO_SPREAD, SCORES, Interval, cut
from search.analysis.stats.scores import proportion

FEWEST = 5
FEWEST_FOLDS = 3  # to draw whole ones
TRIALS_AT_ONCE = 256
ENTRIES_AT_ONCE = 4_000_000  # of the largest temporary array, 16 MB


@dataclass(frozen=True)
class Configurations:
    """Out-of-fold predictions of c complete trials: per training size, in ascending order, one entry of each list.

    At a size with R predictions ``labels`` and ``groups`` have shape (R,) and ``predictions`` (c, R),
    all whole numbers; the last size is the whole training part. The same images are at every size.
    ``classes`` counts the classes; ``objective`` is accuracy, balanced_accuracy or macro_f1.
    ``folds`` (R,) are the fold (from 0) and ``repeats`` (R,) the repeat of each prediction; None for
    random splits, which part the images in no way, and for a single repeat.
    """

    labels: list[np.ndarray]
    groups: list[np.ndarray]
    predictions: list[np.ndarray]
    classes: int
    objective: str
    folds: list[np.ndarray] | None = None
    repeats: list[np.ndarray] | None = None

    @property
    def trials(self) -> int:
        """How many trials there are."""
        return len(self.predictions[0])


@dataclass(frozen=True)
class Corrected:
    """What picking the best did: raw and corrected objective (mean over sizes), and what both come to at full size.

    ``full`` is the objective at full size, ``full_accuracy`` the accuracy there. ``winner`` is the trial
    that is best on all images pooled. Limits are the 2.5 and 97.5 % quantiles over the draws; where these
    are one number, Wilson's. ``raised`` says that the correction came out above a raw score, which then stands.
    """

    raw: float
    score: Interval
    full: Interval
    full_accuracy: Interval
    raw_full_accuracy: float
    winner: int
    raised: bool = False

    # DECISIONS: A correction never raises a score
    def at_most(self, score: float, full: float, full_accuracy: float) -> "Corrected":
        """Return the correction, no mean of it above these raw ones: what is above them is luck of the drawing."""
        raised = self.score.mean > score + NO_SPREAD or self.full.mean > full + NO_SPREAD
        return replace(
            self,
            score=lowered(self.score, score),
            full=lowered(self.full, full),
            full_accuracy=lowered(self.full_accuracy, full_accuracy),
            raised=raised,
        )


def lowered(interval: Interval, raw: float) -> Interval:
    """Return a corrected score, its mean no higher than the raw one."""
    mean = min(interval.mean, raw)
    return Interval(mean, min(interval.low, mean), max(interval.high, mean))


def corrected(configurations: Configurations, seed: int, draws: int = 500, beaten: int = 0) -> Corrected:
    """Return the winner's score as it would be on images that did not pick it (BBC-CV).

    With three folds or more these are drawn, each time those of one repeat, and the images of the
    folds left out are weighted at random, for the limits. Else groups are drawn: what belongs together is
    drawn together. The objective is that of all predictions of a size pooled, and then the mean over
    sizes. ``beaten`` counts trials besides that were stopped too far behind to be picked by any draw.
    Raises ValueError below FEWEST trials, these among them, or two groups, where nothing can be corrected.
    """
    if configurations.trials + beaten < FEWEST:
        raise ValueError(f"{configurations.trials + beaten} trials are too few to correct, {FEWEST} are needed")
    names = np.unique(np.concatenate(configurations.groups))
    if len(names) < 2:
        raise ValueError("one group of images cannot be drawn from")
    rows = [np.searchsorted(names, groups) for groups in configurations.groups]
    everything = [np.ones((1, len(row))) for row in rows]
    winners = _best(configurations, everything)
    bags = Bags(len(names), partitions_of(configurations, rows, len(names)), np.random.default_rng(seed))
    by_size, full_accuracy = _out_of_bag(configurations, rows, bags, draws)
    alike = worth_of_groups(configurations)
    return Corrected(
        raw=float(_of_winners(configurations, everything, winners).mean(axis=0)[0]),
        score=quantiles(by_size.mean(axis=0), alike),
        full=quantiles(by_size[-1], alike),
        full_accuracy=quantiles(full_accuracy, len(names)),
        raw_full_accuracy=float(_accuracy(configurations, everything, winners)[0]),
        winner=int(winners[0]),
    )


def partitions_of(configurations: Configurations, rows: list[np.ndarray], groups: int) -> np.ndarray | None:
    """Return the fold of each group in each repeat, shape (repeats, groups), None where folds cannot be drawn."""
    if configurations.folds is None or len(np.unique(configurations.folds[-1])) < FEWEST_FOLDS:
        return None
    repeat = np.zeros_like(rows[-1]) if configurations.repeats is None else configurations.repeats[-1]
    partitions = np.zeros((int(repeat.max()) + 1, groups), dtype=int)
    partitions[repeat, rows[-1]] = configurations.folds[-1]
    return partitions


@dataclass(frozen=True)
class Bags:
    """What is drawn: whole folds where ``partitions`` (repeats, groups) says which are whose, else groups."""

    groups: int
    partitions: np.ndarray | None
    rng: np.random.Generator

    def draw(self, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights of groups in the bag and outside it, both of shape (draws, groups)."""
        bag = self.rng.multinomial(self.groups, np.full(self.groups, 1 / self.groups), draws)
        if self.partitions is None:
            return bag.astype(np.float32), (bag == 0).astype(np.float32)
        folds = int(self.partitions.max()) + 1
        partition = self.partitions[self.rng.integers(len(self.partitions), size=draws)]
        times = np.take_along_axis(self.rng.multinomial(folds, np.full(folds, 1 / folds), draws), partition, axis=1)
        # Each image left out counts once, and again as often as it is drawn: a few folds alone differ too little.
        return times.astype(np.float32), ((times == 0) * (1 + bag)).astype(np.float32)


def _out_of_bag(
    configurations: Configurations, rows: list[np.ndarray], bags: Bags, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the objective (sizes, draws) and the full-size accuracy, on what was left out, of the winners inside."""
    at_once = max(1, ENTRIES_AT_ONCE // max(len(row) for row in rows))
    by_size, full_accuracy = [], []
    for first in range(0, draws, at_once):
        bag, rest = bags.draw(min(at_once, draws - first))
        inside, outside = [bag[:, row] for row in rows], [rest[:, row] for row in rows]
        usable = np.logical_and.reduce([part.any(axis=1) for part in (*inside, *outside)])  # few can all be drawn
        inside, outside = [part[usable] for part in inside], [part[usable] for part in outside]
        winners = _best(configurations, inside)
        by_size.append(_of_winners(configurations, outside, winners))
        full_accuracy.append(_accuracy(configurations, outside, winners))
    return np.concatenate(by_size, axis=1), np.concatenate(full_accuracy)


def quantiles(values: np.ndarray, groups: float) -> Interval:
    """Return the mean and the limits of drawn values; where the draws do not differ, Wilson's for so many groups."""
    mean = float(values.mean())
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if high - low < NO_SPREAD:  # all right, or all wrong, whatever is drawn: that is not certainty
        chance = proportion(mean * groups, groups)
        low, high = chance.low, chance.high
    return Interval(mean, cut(low, SCORES), cut(high, SCORES))


def worth_of_groups(configurations: Configurations) -> float:
    """Return how many groups of even classes would tell as much of the objective: rare classes count as much as others.

    The variance of a mean over K classes of n_k groups is that of K² / Σ 1/n_k groups.
    """
    pairs = np.unique(np.stack([configurations.labels[-1], configurations.groups[-1]]), axis=1)
    if configurations.objective == "accuracy":
        return float(len(np.unique(pairs[1])))
    counts = np.unique(pairs[0], return_counts=True)[1]
    return float(len(counts) ** 2 / (1 / counts).sum())


def _best(configurations: Configurations, times: list[np.ndarray]) -> np.ndarray:
    """Return the trial with the best objective, mean over sizes, for each row of weights; of equal ones the first."""
    return np.asarray(totals(configurations, times).argmax(axis=1))


def totals(configurations: Configurations, times: list[np.ndarray]) -> np.ndarray:
    """Return the sum over sizes of each trial's objective for each row of weights, shape (draws, trials)."""
    measure = _macro_f1 if configurations.objective == "macro_f1" else _share_right
    total = np.zeros((len(times[0]), configurations.trials))
    for size in range(len(times)):
        for trials in _blocks(configurations, len(times[0])):
            total[:, trials] += measure(configurations, size, trials, times[size])
    return total.round(6)  # float32: the last digits are no merit


def _blocks(configurations: Configurations, draws: int) -> Iterator[slice]:
    at_once = TRIALS_AT_ONCE
    if configurations.objective == "macro_f1":
        at_once = max(1, ENTRIES_AT_ONCE // (configurations.classes * draws))
    for first in range(0, configurations.trials, at_once):
        yield slice(first, first + at_once)


def _share_right(configurations: Configurations, size: int, trials: slice, times: np.ndarray) -> np.ndarray:
    """Return the (balanced) accuracy, shape (draws, trials), of predictions that count so many times."""
    right = configurations.predictions[size][trials] == configurations.labels[size]
    return np.asarray(worth_of(configurations, size, times) @ right.T.astype(np.float32))


def worth_of(configurations: Configurations, size: int, times: np.ndarray) -> np.ndarray:
    """Return what each prediction adds to the (balanced) accuracy if it is right, shape (draws, R)."""
    if configurations.objective == "accuracy":
        return np.asarray(times / times.sum(axis=1, keepdims=True))
    labels = configurations.labels[size]
    of_class = times @ np.eye(configurations.classes, dtype=np.float32)[labels]
    present = (of_class > 0).sum(axis=1, keepdims=True)
    return np.asarray(times / (np.maximum(of_class, 1) * present)[:, labels])


def _macro_f1(configurations: Configurations, size: int, trials: slice, times: np.ndarray) -> np.ndarray:
    """Return macro-F1 over the classes present, shape (draws, trials): 2 hits / (predictions + labels) a class."""
    predictions, labels, classes = (
        configurations.predictions[size][trials],
        configurations.labels[size],
        configurations.classes,
    )
    weights = np.ascontiguousarray(times.T)
    label_counts = np.eye(classes, dtype=np.float32)[labels].T @ weights  # (classes, draws)
    shape = (len(predictions), classes, len(times))
    answers = (_indicator(predictions, np.ones(predictions.shape, bool), classes) @ weights).reshape(shape)
    hits = (_indicator(predictions, predictions == labels, classes) @ weights).reshape(shape)
    answers += np.where(label_counts > 0, label_counts, np.inf)  # in place: these are the largest arrays
    hits /= answers
    return np.asarray(2 * hits.sum(axis=1) / (label_counts > 0).sum(axis=0)).T


def _indicator(predictions: np.ndarray, which: np.ndarray, classes: int) -> sparse.csr_array:
    """Return a 1 for each prediction in ``which``, at (trial × classes + its class, its row)."""
    trial, row = np.nonzero(which)
    at = (trial * classes + predictions[trial, row], row)
    return sparse.csr_array(
        (np.ones(len(row), np.float32), at), shape=(len(predictions) * classes, predictions.shape[1])
    )


def _of_winners(configurations: Configurations, times: list[np.ndarray], winners: np.ndarray) -> np.ndarray:
    """Return the objective of the winner of each draw at each size: shape (sizes, draws)."""
    return np.stack(
        [
            objective_of(configurations, size, configurations.predictions[size][winners], weights)
            for size, weights in enumerate(times)
        ]
    )


def objective_of(configurations: Configurations, size: int, predictions: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the objective (draws,) at a size of each draw's own predictions, which count so many times: (draws, R)."""
    labels = configurations.labels[size]
    if configurations.objective == "macro_f1":
        return _own_macro_f1(predictions, labels, times, configurations.classes)
    return np.asarray(((predictions == labels) * worth_of(configurations, size, times)).sum(axis=1))


def _own_macro_f1(predictions: np.ndarray, labels: np.ndarray, times: np.ndarray, classes: int) -> np.ndarray:
    """Return macro-F1 of each draw's own predictions, all of shape (draws, R)."""
    draws = len(times)
    draw = np.arange(draws)[:, None] * classes

    def count(numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.bincount(numbers.ravel(), weights.ravel(), draws * classes).reshape(draws, classes)

    label_counts, answers = count(draw + labels, times), count(draw + predictions, times)
    hits = count(draw + predictions, times * (predictions == labels))
    f1 = 2 * hits / np.maximum(answers + label_counts, 1) * (label_counts > 0)
    return np.asarray(f1.sum(axis=1) / (label_counts > 0).sum(axis=1))


def _accuracy(configurations: Configurations, times: list[np.ndarray], winners: np.ndarray) -> np.ndarray:
    """Return the accuracy at full size of the winner of each draw."""
    right = configurations.predictions[-1][winners] == configurations.labels[-1]
    return np.asarray((right * times[-1]).sum(axis=1) / times[-1].sum(axis=1))
