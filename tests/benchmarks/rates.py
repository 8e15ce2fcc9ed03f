"""Accuracy on unseen images by learning rate, depth, start of the head and rate of the body: run by hand.

    python tests/benchmarks/rates.py sweep /work/shared/data --to rates.jsonl --backbone MobileNetV2_0.35 --size 96
    python tests/benchmarks/rates.py table rates.jsonl

Each draw takes so many images of each class for training; up to 300 others say how good the network is. Every
variant is trained on the same draws, so their differences are paired.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

SETS = {"hymenoptera": 40, "cats_dogs": 40, "trash6": 20, "sign_digits": 20, "brain_mri": 40}  # images of each class
UNSEEN = 300
RATES = {  # of the plain rate: each a factor of about 3 from the next
    0: [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    1: [3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    2: [3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    None: [3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
}
STARTS = {"zero": {}, "fitted": {"head_start": "fitted"}, "lower": {"body_rate": 0.1}}
STARTS |= {"both": STARTS["fitted"] | STARTS["lower"]}


def draws_of(labels, images, count):
    """Return folds that train on so many images of each class, and are scored on others."""
    from search.data.folds import Fold

    folds = []
    for number in range(count):
        rng = np.random.default_rng(number)
        rows = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
        train = np.sort(np.concatenate([some[:images] for some in rows]))
        rest = rng.permutation(np.concatenate([some[images:] for some in rows]))
        folds.append(Fold(0, number, 1.0, train, np.sort(rest[:UNSEEN]), f"f{number}"))
    return folds


def trainer_of(root, images, draws, size, backbone, cache):
    """Return a trainer for the draws of a set, and their names."""
    from kit.runs import materials

    from search.training.trainer import Trainer

    data = materials(root, cache, size=size, weights=[backbone] if backbone != "SmallCNN" else [])
    data.folds.clear()
    data.folds.update({fold.id: fold for fold in draws_of(data.labels, images, draws)})
    return Trainer(data), list(data.folds)


def variants(depths, starts, options):
    """Yield the name of each start with the fields of its recipes."""
    for depth in depths:
        for rate in options.rates or RATES[depth]:
            for start in starts if depth != 0 else ["zero"]:
                yield depth, rate, start, STARTS[start]


def sweep(options):
    """Train every variant on every draw of every set; write a line for each run."""
    from search.analysis.stats.scores import scores
    from search.racing import Job
    from search.repertoire.recipe import Recipe
    from search.training.loop import DivergedError
    from search.training.trainer import set_up

    set_up(1)
    for name in options.sets:
        with tempfile.TemporaryDirectory() as cache, options.to.open("a") as lines:
            root = options.data / name
            trainer, folds = trainer_of(root, SETS[name], options.draws, options.size, options.backbone, cache)
            for depth, rate, start, fields in variants(options.depths, options.starts, options):
                recipe = Recipe(
                    options.backbone, depth, learning_rate=rate, epochs=15, image_size=options.size, **fields
                )
                for fold in folds:
                    began = time.process_time()
                    try:
                        (run,) = trainer.run(Job("0000", 1, recipe, (fold,))).runs
                        score = scores(run.labels, run.probabilities)["balanced_accuracy"]
                    except DivergedError:
                        score = 1 / trainer.materials.classes
                    line = {"set": name, "backbone": options.backbone, "size": options.size, "fold": fold}
                    line |= {"depth": "all" if depth is None else depth, "rate": rate, "start": start, "score": score}
                    line |= {"chance": 1 / trainer.materials.classes, "cpu": time.process_time() - began}
                    lines.write(json.dumps(line) + "\n")
                    lines.flush()


def table(options):
    """Print the mean score in percent by depth, start and rate: of each set, and of all."""
    runs = pd.concat([pd.read_json(file, lines=True) for file in options.files])
    runs["depth"] = runs["depth"].astype(str)
    runs["score"] *= 100
    keys = ["backbone", "size", "depth", "start", "rate"]
    scores = runs.pivot_table(index=keys, columns="set", values="score")
    scores["all"] = scores.mean(axis=1, skipna=False)
    scores["at chance"] = runs.assign(low=runs.score <= 100 * runs.chance + 3).groupby(keys).low.mean() * 100
    sys.stdout.write(f"{scores.round(1).to_string()}\n")


def command_line(title, name, run, show):
    """Return the parser of a benchmark, and that of its verb ``name``: ``run`` obeys it, and ``show`` its table."""
    parser = argparse.ArgumentParser(description=title.splitlines()[0])
    verbs = parser.add_subparsers(required=True)
    verb, lines = verbs.add_parser(name), verbs.add_parser("table")
    verb.add_argument("data", type=Path)
    verb.set_defaults(run=run)
    lines.add_argument("files", nargs="+", type=Path)
    lines.set_defaults(run=show)
    return parser, verb


def main():
    """Run what the command line asks for."""
    parser, one = command_line(__doc__, "sweep", sweep, table)
    one.add_argument("--to", type=Path, required=True)
    one.add_argument("--backbone", default="MobileNetV2_0.35")
    one.add_argument("--size", type=int, default=96)
    one.add_argument("--draws", type=int, default=2)
    one.add_argument("--sets", nargs="+", default=list(SETS))
    one.add_argument("--depths", nargs="+", type=lambda text: None if text == "all" else int(text), default=list(RATES))
    one.add_argument("--starts", nargs="+", choices=STARTS, default=["zero"])
    one.add_argument("--rates", nargs="+", type=float)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
