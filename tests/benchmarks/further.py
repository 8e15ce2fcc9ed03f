"""Two smaller questions: what one more augmentation costs, and how soon a long search goes on."""

import dataclasses
import time
from pathlib import Path
from statistics import median
from typing import Any

import processes
from works import Plan, one_more_pair, write_space


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
    """Return the seconds from starting to resume a long search to its next run, with and without imports."""
    long = dataclasses.replace(plan, depths={0: trials + repeats}, fractions=(1.0, 0.25))
    space = write_space(folder / "space.py", long, data)
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
        first.append(journal.first("attempt"))
        imports.append(processes.call("-c", "import search.tuner"))
    return {
        "runs": len(begun.runs),
        "seconds to the first new run": median(first),
        "seconds of imports": median(imports),
        "seconds of our own": median(first) - median(imports),
        "when": time.strftime("%Y-%m-%d"),
    }
