"""Are a few recipes together better than the best one, on images that neither saw?

    python tests/benchmarks/ensembles.py FOLDER FOLDER… [--seeds 3] [--work WORK]

Each folder of class folders is searched once for each seed, with two fifths of its images kept aside (the hold-out).
The winner and the members of the ensemble are then trained on all other images, and scored on those. A line for each
search says both scores there, what was promised of both, and whether the promise held: whether the score lies within
the interval, widened by the chance of so many images.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from search import KFoldTuner, Recipe, Study, Times, at_hand
from search.analysis.judgement import Judgement
from search.analysis.outlook import promise
from search.analysis.stats import Interval
from search.analysis.stats.scores import proportion
from search.export.together import ensemble_on_holdout
from search.record import read_record

BACKBONES = ["EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2", "MobileNetV2_0.35", "MobileNet_0.25"]
OBJECTIVE = "balanced_accuracy"


def space(hp):
    """Heads of five small backbones at one size."""
    return Recipe(
        hp.Choice("backbone", at_hand(BACKBONES)),
        image_size=96,
        dropout=hp.Choice("dropout", [0.0, 0.3]),
        class_weight=hp.Choice("class_weight", ["none", "balanced"]),
        learning_rate=Times(hp.Float("rate", 0.3, 3.0, sampling="log")),
        epochs=15,
    )


def held(promised: Interval, score: float, images: int) -> bool:
    """Return whether a score on so many images lies within what was promised, with the chance of these images."""
    chance = proportion(promised.mean * images, images)
    below = np.hypot(promised.mean - promised.low, promised.mean - chance.low)
    above = np.hypot(promised.high - promised.mean, chance.high - promised.mean)
    return bool(promised.mean - below <= score <= promised.mean + above)


def searched(folder: Path, seed: int, work: Path, trials: int) -> dict[str, object]:
    """Search one folder with one seed, and return the scores of its ensemble and its recipe on what was kept aside."""
    fixed = {"folds": 4, "train_fractions": (1.0,), "oracle": "random", "holdout": 0.4, "baselines": False, "lag": 2}
    study = Study(data=str(folder), max_trials=trials, seed=seed, **fixed)
    options = {"name": f"{folder.name}-{seed}", "results": str(work / "results"), "cache": str(work / "cache")}
    began = time.monotonic()
    tuner = KFoldTuner(space, study, racing=False, **options)
    tuner.search()
    judgement = Judgement.of(tuner.record)
    winner, found = judgement.winner, judgement.ensemble
    for name in {winner.id, *found.members}:
        tuner.score_on_holdout(name)
    judgement = Judgement.of(read_record(tuner.setup.folder))
    record, images = judgement.record, judgement.record.about.holdout
    single, mixed = record.history.holdout_score(winner.id).run.scores[OBJECTIVE], ensemble_on_holdout(record, found)
    of_winner, of_ensemble = promise(judgement, winner).expected, found.combined.score
    return {
        "search": record.name,
        "images": images,
        "members": found.members,
        "is_recommended": found.is_recommended,
        "winner": single,
        "ensemble": mixed[OBJECTIVE],
        "promised_winner": [of_winner.mean, of_winner.low, of_winner.high, held(of_winner, single, images)],
        "promised": [of_ensemble.mean, of_ensemble.low, of_ensemble.high, held(of_ensemble, mixed[OBJECTIVE], images)],
        "gain": [found.combined.gain.mean, found.combined.gain.low, found.combined.gain.high],
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    """Search every folder with every seed, print a line each, and the counts at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--work", type=Path, default=Path("results") / "ensembles")
    given = parser.parse_args()
    say = Console(soft_wrap=True, markup=False, highlight=False).print
    rows = []
    for folder in given.folders:
        for seed in range(1, given.seeds + 1):
            rows.append(searched(folder, seed, given.work, given.trials))
            say(json.dumps(rows[-1]))
    better = [row["ensemble"] >= row["winner"] for row in rows]
    kept = [row["promised"][3] for row in rows]
    told = [row for row in rows if row["is_recommended"]]
    say(f"The ensemble is not worse in {sum(better)} of {len(rows)}, and its promise holds in {sum(kept)}.")
    gains = [row["ensemble"] - row["winner"] for row in told]
    say(f"Recommended {len(told)} times: {100 * np.mean(gains) if gains else 0:+.1f} points on average.")


if __name__ == "__main__":
    main()
