"""Accuracy by optimizer and learning rate, on the study's own folds: run by hand.

    python tests/benchmarks/optimizers.py sweep /work/shared/data --to optimizers.jsonl --depths 0 2
    python tests/benchmarks/optimizers.py table optimizers.jsonl

The usual rate of an optimizer is a factor of AdamW's. Each is tried at rates that are factors of about 3 apart.
"""

import json
import sys
import tempfile
from pathlib import Path

import pandas as pd
from rates import command_line

FACTORS = {  # of AdamW's rate, the middle one as papers and Keras would have it
    "adamw": [0.1, 0.3, 1, 3, 10],
    "adam": [0.1, 0.3, 1, 3, 10],
    "sgd": [1, 3, 10, 30, 100],
    "rmsprop": [0.03, 0.1, 0.3, 1, 3],
    "adadelta": [30, 100, 300, 1000, 3000],
    "lion": [0.01, 0.03, 0.1, 0.3, 1],
}


def sweep(options):
    """Train every optimizer at each of its rates on the folds of every set; write a line for each run."""
    from kit.runs import materials

    from search.analysis.stats.scores import scores
    from search.racing import Job
    from search.repertoire.rates import BASES
    from search.repertoire.recipe import Recipe
    from search.training.loop import DivergedError
    from search.training.trainer import Trainer, set_up

    set_up(1)
    for name in options.sets:
        with tempfile.TemporaryDirectory() as cache, options.to.open("a") as lines:
            data = materials(options.data / name, cache, size=options.size, weights=[options.backbone])
            trainer = Trainer(data)
            folds = [fold for fold in data.folds if fold.endswith("@0.25")][: options.folds]
            for depth in options.depths:
                for optimizer, factor in [(one, factor) for one in options.optimizers for factor in FACTORS[one]]:
                    rate = min(10.0, factor * BASES["blocks" if depth else "head"])
                    recipe = Recipe(
                        options.backbone, depth, learning_rate=rate, optimizer=optimizer, image_size=options.size
                    )
                    try:
                        runs = trainer.run(Job("0000", 1, recipe, tuple(folds))).runs
                        every = [scores(run.labels, run.probabilities)["balanced_accuracy"] for run in runs]
                    except DivergedError:
                        every = [1 / data.classes] * len(folds)
                    for fold, score in zip(folds, every, strict=True):
                        line = {"set": name, "depth": depth, "optimizer": optimizer, "factor": factor, "fold": fold}
                        lines.write(json.dumps({**line, "score": score}) + "\n")
                    lines.flush()


def table(options):
    """Print the mean score in percent by depth, optimizer and factor of AdamW's rate, and the best factor."""
    runs = pd.concat([pd.read_json(file, lines=True) for file in options.files])
    runs["score"] *= 100
    scores = runs.pivot_table(index=["depth", "optimizer", "factor"], columns="set", values="score")
    scores["all"] = scores.mean(axis=1, skipna=False)
    sys.stdout.write(f"{scores.round(1).to_string()}\n")


def main():
    """Run what the command line asks for."""
    parser, one = command_line(__doc__, "sweep", sweep, table)
    one.add_argument("--to", type=Path, required=True)
    one.add_argument("--backbone", default="MobileNetV2_0.35")
    one.add_argument("--size", type=int, default=96)
    one.add_argument("--folds", type=int, default=5)
    one.add_argument("--sets", nargs="+", default=["hymenoptera", "trash6"])
    one.add_argument("--depths", nargs="+", type=int, default=[0, 2])
    one.add_argument("--optimizers", nargs="+", choices=FACTORS, default=list(FACTORS))
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
