"""What finishing stopped trials buys in searches whose truth is known.

``python tests/stats/finishing.py`` prints it for all cases.
"""

import sys
from dataclasses import dataclass

import numpy as np
from simulate import DRAWS, World, line, predictions, raced, recipes, rules, study

from search import racing
from search.analysis.stats.comparing import winner
from search.analysis.stats.selection import Configurations, corrected

FINISHING = [(trials, hopeless) for hopeless in (0.0, 0.35) for trials in (6, 8, 12, 16)]
REACHES = (racing.REACH_TO_CORRECT, np.inf)


@dataclass(frozen=True)
class FinishingFare:
    """How the correction fared with stopped trials finished: those that could have won, and all, up to ten complete.

    ``runs`` and ``runs_all`` are shares of all runs of the search. ``corrected`` and ``corrected_all`` are the mean
    surplus of the corrected score over the winner's truth, in points; ``limits`` and ``limits_all`` how often its
    limits hold that.
    """

    runs: float
    runs_all: float
    corrected: float
    corrected_all: float
    limits: float
    limits_all: float


def finishing_fare(trials, hopeless, studies, seed=1, world=None, draws=DRAWS):
    """Race so many searches in which a share of the trials is 10 to 35 points worse, and finish stopped ones."""
    world = world or World(100)
    rows = []
    for number in range(studies):
        rng = np.random.default_rng((seed, number))
        worse = rng.uniform(0.1, 0.35, trials) * (rng.random(trials) < hopeless)
        found = study(rng, world, np.clip(recipes(rng, trials) - worse[:, None], 0.52, 0.985))
        ran = raced(found.cells, rules(world), whole=rng.random(trials) < 0.3)
        parts = [_corrected(found, finished(found.cells, ran, rules(world), reach), draws, number) for reach in REACHES]
        rows.append([part[at] for at in range(3) for part in parts])
    return FinishingFare(*map(float, np.mean(rows, axis=0)))


def finished(cells, ran, rules, reach):
    """Return which runs there are once stopped trials within ``reach`` are finished, best first, up to ten complete."""
    ran = ran.copy()
    whole = np.flatnonzero(ran.all(axis=(1, 2)))
    tables, forecasts = cells[whole], {}
    for trial in np.flatnonzero(~ran.all(axis=(1, 2))):
        forecasts[trial] = racing.forecast_of(tables, np.where(ran[trial], cells[trial], np.nan), rules)
    room = max(0, racing.ENOUGH_TO_CORRECT - len(whole))
    for trial in sorted(forecasts, key=lambda trial: -forecasts[trial].score)[:room]:
        behind = tables.mean(axis=(1, 2)).max() - forecasts[trial].score
        ran[trial] |= behind <= reach * np.sqrt(forecasts[trial].variance + forecasts[trial].variance_of_draws)
    return ran


def _corrected(found, ran, draws, seed):
    """Return the share of runs, the corrected score minus the truth in points, and whether the limits hold it."""
    whole = np.flatnonzero(ran.all(axis=(1, 2)))
    best = whole[winner(found.cells[whole])]
    labels, groups, predicted, classes, objective = predictions(found)
    chosen = Configurations(labels, groups, [each[whole] for each in predicted], classes, objective, [found.fold] * 2)
    told = corrected(chosen, seed, draws, beaten=len(ran) - len(whole)).score
    return ran.mean(), 100 * (told.mean - found.true_scores[best]), told.low <= found.true_scores[best] <= told.high


def main():
    """Print how the correction fares: python tests/stats/finishing.py [how many searches of each kind]."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for trials, hopeless in FINISHING:
        told = finishing_fare(trials, hopeless, studies)
        sys.stdout.write(f"{trials} trials, {hopeless:.0%} of them hopeless: {line(told)}\n")


if __name__ == "__main__":
    main()
