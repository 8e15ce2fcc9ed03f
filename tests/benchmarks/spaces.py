"""Spaces on the same images: how many of their trials learn nothing, and how good the best of them is. Run by hand.

    git show 45fabc0:spaces/finetune.py > old.py     # the default space until 30 November 2026
    python tests/benchmarks/spaces.py train /work/shared/data old.py spaces/finetune.py --to spaces.jsonl
    python tests/benchmarks/spaces.py table spaces.jsonl

Random points of each space stand for the trials of a search without racing: each is trained once, on a few images of
each class of each set. Half as many others are its validation part, which picks the best of them; up to 150 more,
which pick nothing, say how good it is. All spaces get the same images, and see them as if they were so many px large.
"""

import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rates import command_line

SETS = {"hymenoptera": 20, "cats_dogs": 20, "trash6": 10, "sign_digits": 10, "brain_mri": 20}  # images of each class
UNSEEN = 150
NEAR = 0.03  # of chance


def recipes_of(path, weights, pixels, points, seed):
    """Return the recipes at random points of a space."""
    from search.oracles import random_points, register
    from search.space import Hand, build_recipe, holding, read_space, sizes_of

    space = read_space(path).space

    def build(hp):
        with holding(Hand(weights=weights, synthetic=False, sizes=sizes_of(pixels))):
            return build_recipe(space, hp, pixels, path)

    return [build(point) for point in random_points(register(build, complete=False), points, seed=seed)]


def parts_of(labels, images, seed):
    """Return rows, the fold of them whose validation part has all that is scored, and which of that picks: a mask."""
    from search.data.folds import Fold

    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    train = np.concatenate([some[:images] for some in rows])
    picks = np.concatenate([some[images : images + images // 2] for some in rows])
    unseen = rng.permutation(np.concatenate([some[images + images // 2 :] for some in rows]))[:UNSEEN]
    parts = [np.arange(len(train)), np.arange(len(train), len(train) + len(picks) + len(unseen))]
    return np.concatenate([train, picks, unseen]), Fold(0, 0, 1.0, *parts, "f0"), parts[1] < len(train) + len(picks)


def train(options):
    """Train the points of every space on every set; write a line for each."""
    from kit.runs import materials

    from search.analysis.stats.scores import scores
    from search.racing import Job
    from search.repertoire.backbones.table import BACKBONES
    from search.repertoire.weights import is_cached, weights_sha256
    from search.training.loop import DivergedError
    from search.training.trainer import Trainer, set_up

    set_up(1)
    weights = {name: weights_sha256(backbone) for name, backbone in BACKBONES.items() if is_cached(backbone)}
    for seed, name in ((seed, name) for seed in options.seeds for name in options.sets):
        with tempfile.TemporaryDirectory() as cache, options.to.open("a") as lines:
            data = materials(options.data / name, cache, size=options.pixels, weights=list(weights))
            rows, fold, picks = parts_of(data.labels, SETS[name], seed)
            paths, contents = (tuple(some[row] for row in rows) for some in (data.paths, data.contents))
            data = dataclasses.replace(
                data, paths=paths, contents=contents, labels=data.labels[rows], folds={"f0": fold}
            )
            trainer, chance = Trainer(data), 1 / data.classes
            for path in options.spaces:
                for recipe in recipes_of(path, weights, options.pixels, options.points, seed):
                    began, parts = time.process_time(), (chance, chance)
                    try:
                        (run,) = trainer.run(Job("0000", 1, recipe, ("f0",))).runs
                        every = (scores(run.labels[rows], run.probabilities[rows]) for rows in (picks, ~picks))
                        parts = [each["balanced_accuracy"] for each in every]
                    except DivergedError:
                        pass
                    line = {"set": name, "seed": seed, "space": path.name, "recipe": recipe.summary(["image_size"])}
                    line |= {"validation": parts[0], "unseen": parts[1], "chance": chance}
                    lines.write(json.dumps(line | {"cpu": time.process_time() - began}) + "\n")
                    lines.flush()


def table(options):
    """Print, by set and space, the share of trials near chance, their mean, what the best one has, and the CPU time."""
    runs = pd.concat([pd.read_json(file, lines=True) for file in options.files])
    rows = []
    for (name, space, seed), some in runs.groupby(["set", "space", "seed"]):
        best = some.loc[some.validation.idxmax()]
        near = (some.unseen <= some.chance + NEAR).mean()
        row = {"set": name, "space": space, "seed": seed, "trials": len(some), "near chance": near}
        row |= {"mean": some.unseen.mean(), "best": best.unseen, "cpu": some.cpu.sum(), "recipe": best.recipe}
        rows.append(row)
    sys.stdout.write(f"{pd.DataFrame(rows).round(3).to_string(index=False)}\n")


def main():
    """Run what the command line asks for."""
    parser, one = command_line(__doc__, "train", train, table)
    one.add_argument("spaces", nargs="+", type=Path)
    one.add_argument("--to", type=Path, required=True)
    one.add_argument("--sets", nargs="+", default=list(SETS)[:4])
    one.add_argument("--seeds", nargs="+", type=int, default=[1])
    one.add_argument("--points", type=int, default=12)
    one.add_argument("--pixels", type=int, default=96)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
