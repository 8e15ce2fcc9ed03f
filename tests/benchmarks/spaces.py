"""Two spaces on the same images: how many of their trials learn nothing, and how good what they recommend is. By hand.

    git show 45fabc0:spaces/finetune.py > old.py     # the default space until 30 November 2026
    python tests/benchmarks/spaces.py /work/shared/data old.py spaces/finetune.py --to spaces.jsonl

Of each set a few images of each class, shrunk to some px, are searched; more of them are a hold-out that no trial has
seen, on which the recommended recipe is scored once. Both spaces get the same images, folds, seed and number of trials.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SETS = {"hymenoptera": (40, 150), "cats_dogs": (40, 150), "trash6": (15, 50), "sign_digits": (12, 60)}
SETS |= {"brain_mri": (40, 58)}  # images of each class that are searched, and that are held out
NEAR = 0.03  # of chance


def shrink(root, images, pixels, seed, to):
    """Write so many images of each class, at most so large, into class folders."""
    rng = np.random.default_rng(seed)
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        (to / folder.name).mkdir(parents=True)
        paths = sorted(folder.iterdir())
        for number in sorted(rng.permutation(len(paths))[:images]):
            with Image.open(paths[number]) as image:
                small = image.convert("RGB")
                small.thumbnail((pixels, pixels))
                small.save(to / folder.name / f"{paths[number].stem}.png")


def search(space, data, unseen, seed, options, place):
    """Search and export; return the events of the journal, and the seconds of CPU that the search took."""
    text = space.read_text().replace("train_fractions=(1.0, 0.25)", f"train_fractions={options.fractions}")
    (place / "space.py").write_text(text)
    folders = "--results", place / "results", "--cache", place / "cache"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    verb = "run", place / "space.py", "--data", data, "--name", "one", "--holdout", unseen, "--seed", seed
    run(*verb, "--trials", options.trials, "--folds", options.folds, "--no-baselines", "--offline", *folders)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run("export", "one", "--trial", "best", "--to", place / "model", *folders)
    lines = (place / "results/one/journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(*words):
    """Run a verb of the program."""
    subprocess.run([sys.executable, "-m", "search", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def result(events, classes):
    """Return the trials, the share that ended near chance or diverged, and the score on the hold-out."""
    scores = {event["trial"]: [] for event in events if event["event"] == "trial"}
    for event in events:
        if event["event"] == "job" and event["trial"] in scores:
            scores[event["trial"]] += [run["scores"]["balanced_accuracy"] for run in event["runs"]]
    means = [np.mean(some) if some else 0.0 for some in scores.values()]
    (held,) = [event for event in events if event["event"] == "holdout"]
    recipe = next(event["recipe"] for event in events if event.get("trial") == held["trial"] and "recipe" in event)
    low = sum(mean <= 1 / classes + NEAR for mean in means) / len(means)
    truth = held["run"]["scores"]["balanced_accuracy"]
    return {"trials": len(means), "near chance": low, "unseen": truth, "best": held["trial"], "recipe": recipe}


def main():
    """Run what the command line asks for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("spaces", nargs="+", type=Path)
    parser.add_argument("--to", type=Path, required=True, help="a file to which a line is added for each search")
    parser.add_argument("--sets", nargs="+", default=list(SETS)[:4])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--fractions", default="(1.0,)")
    parser.add_argument("--pixels", type=int, default=96)
    options = parser.parse_args()
    for seed in options.seeds:
        for name in options.sets:
            searched, unseen = SETS[name]
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / name
                shrink(options.data / name, searched + unseen, options.pixels, seed, data)
                for number, space in enumerate(options.spaces):
                    place = Path(folder) / str(number)
                    place.mkdir()
                    events, cpu = search(space, data, unseen, seed, options, place)
                    line = {"set": name, "seed": seed, "space": space.name, "pixels": options.pixels, "cpu": cpu}
                    line |= result(events, len(list(data.iterdir())))
                    with options.to.open("a") as lines:
                        lines.write(json.dumps(line) + "\n")
    table = pd.read_json(options.to, lines=True)
    columns = ["near chance", "unseen", "cpu"]
    sums = table.pivot_table(index="set", columns="space", values=columns, margins=True)
    sys.stdout.write(f"{sums.round(3).to_string()}\n")


if __name__ == "__main__":
    main()
