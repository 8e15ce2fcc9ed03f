"""A few unlike trials together: chosen and weighted greedily, and corrected for that choice.

The method is that of Caruana, Niculescu-Mizil, Crew & Ksikes 2004 (Ensemble Selection from Libraries of Models): with
replacement, the trial is added that most improves the mean of the probabilities. The log-loss says what improves it: it
is less noisy on few images than the share of right answers. Who is chosen, and with which weights, is chosen anew on
each draw of a bootstrap, and scored on what was not drawn, as the winner is (see ``selection``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.stats.intervals import DIFFERENCES, NO_SPREAD, Interval, cut
from search.analysis.stats.scores import SMALLEST_PROBABILITY
from search.analysis.stats.selection import (
    Bags,
    Configurations,
    lowered,
    objective_of,
    partitions_of,
    quantiles,
    totals,
    worth_of,
    worth_of_groups,
)

ROUNDS = 20  # of the greedy choice: weights are whole twentieths
MOST = 4  # trials in an ensemble: each is one more network to run
KINDS = 12  # of which the best trial may be chosen
DRAWS = 200
NOTICEABLE = 0.005  # half an image in a hundred: an ensemble is several networks to run


@dataclass(frozen=True)
class Combined:
    """An ensemble beside the best single trial, both at full size by the objective, in [0, 1].

    ``weights`` (c,) add to 1. ``raw`` and ``single`` are scores on the images that chose, ``score`` and ``gain`` what
    both come to on images that did not: the ensemble's, and how much better than the best trial it is.
    """

    weights: np.ndarray
    raw: float
    single: float
    score: Interval
    accuracy: Interval
    gain: Interval

    @property
    def is_ahead(self) -> bool:
        """Whether it is better than the best trial on the images that chose it, beyond rounding."""
        return self.raw > self.single + NO_SPREAD

    @property
    def is_better(self) -> bool:
        """Whether it is better than the best trial by more than the choice flatters it, and noticeably so."""
        return self.is_ahead and self.gain.mean >= NOTICEABLE


def combined(
    configurations: Configurations, probabilities: np.ndarray, kinds: Sequence[int], seed: int, draws: int = DRAWS
) -> Combined:
    """Return the ensemble of c trials, and its score corrected for having been chosen.

    ``configurations`` has one training size with R predictions; ``probabilities`` (c, R, classes) are those behind
    them. Trials of one of the ``kinds`` (c,) are alike: only the best of them may be chosen.
    """
    names = np.unique(configurations.groups[0])
    rows = np.searchsorted(names, configurations.groups[0])
    own = probabilities[:, np.arange(probabilities.shape[1]), configurations.labels[0]]
    bags = Bags(len(names), partitions_of(configurations, [rows], len(names)), np.random.default_rng(seed))
    everything = np.ones((1, len(rows)))
    (weights,) = _chosen(configurations, own, kinds, everything)
    bag, rest = bags.draw(draws)
    inside, outside = bag[:, rows], rest[:, rows]
    usable = inside.any(axis=1) & outside.any(axis=1)  # few can all be drawn
    inside, outside = inside[usable], outside[usable]
    mixed = _answers(probabilities, _chosen(configurations, own, kinds, inside))
    best = configurations.predictions[0][totals(configurations, [inside]).argmax(axis=1)]
    scores, singles = (objective_of(configurations, 0, answers, outside) for answers in (mixed, best))
    right = ((mixed == configurations.labels[0]) * outside).sum(axis=1) / outside.sum(axis=1)
    single = int(totals(configurations, [everything]).argmax())
    answers = _answers(probabilities, weights[None])
    raw_right = float((answers == configurations.labels[0]).mean())
    raw_score, raw_single = (
        float(objective_of(configurations, 0, each, everything)[0])
        for each in (answers, configurations.predictions[0][[single]])
    )
    return Combined(
        weights=weights,
        raw=raw_score,
        single=raw_single,
        score=lowered(quantiles(scores, worth_of_groups(configurations)), raw_score),
        accuracy=lowered(quantiles(right, len(names)), raw_right),
        gain=_of_differences(scores - singles),
    )


def _of_differences(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(values.mean()), cut(low, DIFFERENCES), cut(high, DIFFERENCES))


def _answers(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the classes (draws, R) that ensembles of these weights (draws, c) answer."""
    answers = [np.tensordot(each[each > 0], probabilities[each > 0], axes=1).argmax(axis=-1) for each in weights]
    return np.stack(answers)


def _chosen(configurations: Configurations, own: np.ndarray, kinds: Sequence[int], times: np.ndarray) -> np.ndarray:
    """Return the weights (draws, c) of the ensemble that is chosen on predictions which count so many times."""
    worth, order = worth_of(configurations, 0, times), np.argsort(-totals(configurations, [times]), kind="stable")
    weights = np.zeros((len(times), len(own)))
    numbers = np.asarray(kinds)
    for draw, ranked in enumerate(order):
        _, first = np.unique(numbers[ranked], return_index=True)  # the best of each kind
        library = ranked[np.sort(first)[:KINDS]]
        weights[draw, library] = greedy(own[library], worth[draw])
    return weights


def greedy(own: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Return the weights (c,) of trials, chosen with replacement so that the log-loss of their mean is lowest.

    ``own`` (c, R) are the probabilities of the labels, ``worth`` (R,) is what each prediction counts.
    """
    total, counts = np.zeros(own.shape[1]), np.zeros(len(own))
    best, lowest = counts, np.inf
    for number in range(1, ROUNDS + 1):
        losses = -np.log(np.maximum((total + own) / number, SMALLEST_PROBABILITY)) @ worth
        if np.count_nonzero(counts) == MOST:
            losses[counts == 0] = np.inf
        added = int(losses.argmin())
        total, counts = total + own[added], counts + np.eye(len(own))[added]
        if losses[added] < lowest:
            best, lowest = counts / number, float(losses[added])
    return best
