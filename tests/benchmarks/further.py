"""Two smaller questions: what one more augmentation costs, and how soon a long search goes on."""

import dataclasses
import time
from pathlib import Path
from statistics import median
from typing import Any

import processes
from works import Plan, one_more_pair, write_space

LONG = '''"""A long search of heads, for the benchmark."""

from search import Augment, Recipe, Study

study = Study(data={data!r}, train_fractions=(1.0, 0.25), oracle="tpe", image_size={size}, seed={seed}, baselines=False)


def space(hp):
    return Recipe(
        "MobileNetV2_0.35",
        dropout=hp.Float("dropout", 0.0, 0.5),
        augment=Augment(hp.Choice("augment", ["none", "flip_crop"])),
        learning_rate=hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
        weight_decay=hp.Choice("weight_decay", [0.0, 1e-4, 1e-2]),
    )
'''


def one_more(plan: Plan, data: Path, cache: Path, folder: Path, repeats: int) -> dict[str, Any]:
    """Return the seconds that each further (policy, strength) pair costs.

    Two searches of one trial, by turns: one with a pair whose views ``cache`` holds, one with a
    pair that it does not hold. Views depend on the study's seed, so a later repeat takes another
    one, and makes the views of the first pair beforehand.
    """
    known, new = one_more_pair(plan)
    seconds: dict[str, list[float]] = {"known": [], "new": []}
    for number in range(repeats):
        seeded = dataclasses.replace(plan, seed=plan.seed + number)
        searches = [("known", known), ("new", new)]
        for what, recipes in searches if number == 0 else [("before", known), *searches]:
            space = write_space(folder / f"{what}-{number}.py", seeded, data, recipes)
            done = processes.search(space, data, cache, folder / f"{what}-{number}")
            if what in seconds:
                seconds[what].append(done.seconds)
    pairs = list(zip(seconds["known"], seconds["new"], strict=True))
    return {"seconds": median(new_ - known_ for known_, new_ in pairs), "all seconds": seconds}


def resume(plan: Plan, data: Path, cache: Path, folder: Path, trials: int, repeats: int) -> dict[str, Any]:
    """Return the seconds from starting to resume a long search to its next run, with and without imports.

    The run has begun when its job ended, less the seconds that the job took. TPE proposes it, from all trials.
    """
    space = folder / "space.py"
    space.parent.mkdir(parents=True)
    space.write_text(LONG.format(data=str(data), size=plan.size, seed=plan.seed), encoding="utf-8")
    results = folder / "results"
    begun = processes.search(space, data, cache, results, "--no-racing", "--trials", trials)
    first, imports = [], []
    for number in range(repeats):
        journal = processes.Watch(results / "search" / "journal.jsonl")
        journal.start()
        processes.call(
            *("-m", "search", "run", space, "--data", data, "--cache", cache, "--results", results),
            *("--name", "search", "--no-racing", "--trials", trials + number + 1),
        )
        journal.ending.set()
        journal.join()
        ended, job = journal.first("job")
        first.append(ended - sum(job["stages"].values()))
        imports.append(processes.call("-c", "import search.tuner"))
    return {
        "runs": len(begun.runs),
        "seconds to the first new run": median(first),
        "seconds of imports": median(imports),
        "seconds of our own": median(first) - median(imports),
        "when": time.strftime("%Y-%m-%d"),
    }
