"""The naive loop beside this project, on the same trials and folds, by turns.

    python tests/benchmarks/compare.py                       # all of it: hours
    python tests/benchmarks/compare.py --quick               # small works: under five minutes on two free cores
    python tests/benchmarks/compare.py --work head-only --data my-images --repeats 5 --out head.json
    python tests/benchmarks/compare.py --work lite0-heads --work lite0-one-block --repeats 1    # only when asked for

Ours is timed as anyone would start it: `python -m search run`, from start to exit, with an empty
cache (cold) and then with a full one under another name (warm), with racing and without. The naive
loop would take hours, so a sample of its runs is timed between ours, in processes of their own, and
scaled up by counts (--full runs all of it).
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import further
import pandas as pd
import processes
import sampling
from floor import Kind, passes, rates_for, seconds_of
from result_table import show
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from works import BACKBONE, FULL, QUICK, Plan, write_space

from search.monitor.console import wide_console
from search.system.machine import cores

DATA = processes.ROOT.parent / "shared" / "data" / "hymenoptera"
COLD, WARM, COLD_RACING = "cold", "warm", "cold, racing"
VARIANTS = {  # heads train all folds at once and are not raced
    "head-only": (COLD, WARM),
    "mixed": (COLD, COLD_RACING),
    "everything-unfrozen": (COLD, COLD_RACING),
    "lite0-heads": (COLD, WARM),
    "lite0-one-block": (COLD,),
}
ON_REQUEST = ("lite0-heads", "lite0-one-block")
QUICK_IMAGES = 100
NAIVE_READS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")  # image_dataset_from_directory passes over others in silence


@dataclass
class Repeat:
    """One round of a work: ours by variant, the naive seconds beside its runs, and these."""

    ours: dict[str, processes.Search] = field(default_factory=dict)
    start_ups: list[float] = field(default_factory=list)
    naive: list[processes.Event] = field(default_factory=list)

    @property
    def timed(self) -> list[tuple[sampling.Run, float]]:
        """The seconds of each naive run."""
        return [((run["trial"], run["fold"]), run["seconds"]) for run in self.naive]

    @property
    def accuracies(self) -> list[tuple[sampling.Run, float]]:
        """The accuracy of each naive run."""
        return [((run["trial"], run["fold"]), run["accuracy"]) for run in self.naive]


class Work:
    """A work on some data, in a folder of its own."""

    def __init__(self, plan: Plan, data: Path, folder: Path) -> None:
        """Write the space, the recipes and the folds."""
        self.plan, self.data, self.folder = plan, data, folder
        self.recipes = plan.recipes()
        self.space = write_space(folder / "space.py", plan, data)
        self.weights = None if plan.backbone == BACKBONE else processes.keras_file(plan.backbone, folder.parent)
        self.trials = folder / "trials.json"
        self.trials.write_text(json.dumps([recipe.to_dict() for recipe in self.recipes]))
        self.folds = processes.write_folds(self.space, data, folder / "cache-folds", folder / "folds")
        files = pd.read_csv(folder / "folds" / "plan.csv", dtype=str)
        if other := sorted({Path(file).suffix.lower() for file in files["file"]} - set(NAIVE_READS)):
            sys.exit(f"{data} has files that the naive loop cannot read: {', '.join(other)}.")
        self.images, self.classes = files["id"].nunique(), files["class"].nunique()
        self.repeats: list[Repeat] = []

    @property
    def runs(self) -> list[sampling.Run]:
        """Every trial on every fold."""
        return sampling.all_runs(self.recipes, self.folds)

    def ours(self, variant: str, number: int) -> processes.Search:
        """Search once. A warm search finds the cache of the cold one of its round."""
        cache = self.folder / f"cache-{number}{'-racing' if variant == COLD_RACING else ''}"
        results = self.folder / f"results-{number}-{variant.replace(', ', '-')}"
        more = () if variant.endswith("racing") else ("--no-racing",)
        return processes.search(self.space, self.data, cache, results, *more)

    def naive(self, runs: list[sampling.Run] | None) -> tuple[float, list[processes.Event]]:
        """Run some of the naive loop, or all of it."""
        folds, out = self.folder / "folds", self.folder / "naive.jsonl"
        return processes.naive(self.trials, folds, out, self.plan.size, runs, weights=self.weights)


def time_work(work: Work, variants: Sequence[str], repeats: int, full: bool, progress: Progress) -> None:
    """Take turns: a search of ours, a piece of the naive loop, the next variant of ours …"""
    samples = sampling.draw_sample(work.recipes, work.folds, repeats, work.plan.seed)
    task = progress.add_task(work.plan.name, total=repeats * len(variants))
    for number, sample in enumerate(samples):
        parts: list[Any] = [None] if full else sampling.pieces(sample, len(variants))
        repeat = Repeat()
        work.repeats.append(repeat)
        for turn, variant in enumerate(variants):
            progress.update(task, description=f"{work.plan.name}: ours, {variant}")
            repeat.ours[variant] = work.ours(variant, number)
            if turn < len(parts):
                progress.update(task, description=f"{work.plan.name}: the naive loop")
                start_up, told = work.naive(parts[turn])
                repeat.start_ups.append(start_up)
                repeat.naive += told
            progress.advance(task)
        for cache in work.folder.glob(f"cache-{number}*"):
            if cache.name != "cache-0":  # which later questions start from
                shutil.rmtree(cache)


def result_of(work: Work, variants: Sequence[str], rates: dict[Kind, float]) -> dict[str, Any]:
    """Return the medians of a work, and all that they come from, as JSON types."""
    naive = [
        sampling.scaled_up(work.recipes, work.runs, repeat.timed, median(repeat.start_ups)) for repeat in work.repeats
    ]
    differences = [sampling.mean_difference(repeat.ours[COLD].accuracies, repeat.accuracies) for repeat in work.repeats]
    rows = {}
    for variant in variants:
        seconds = [repeat.ours[variant].seconds for repeat in work.repeats]
        last = work.repeats[-1].ours[variant]
        lowest = seconds_of(passes(work.recipes, last.runs, work.images, work.plan.folds), rates)
        rows[variant] = {
            "seconds": median(seconds),
            "all seconds": seconds,
            "runs": len(last.runs),
            "faster": median(naive) / median(seconds),
            "floor": lowest,
            "times the floor": median(seconds) / lowest,
            "overhead a run": _overhead(last),
            "profile": last.profile,
        }
    return {
        "work": asdict(work.plan),
        "images": work.images,
        "runs": len(work.runs),
        "naive runs timed": sum(len(repeat.naive) for repeat in work.repeats),
        "naive seconds": median(naive),
        "all naive seconds": naive,
        "naive seconds a run": _seconds_by_kind(work),
        "accuracy, ours minus naive": sum(differences) / len(differences),
        "ours": rows,
        "naive": [run for repeat in work.repeats for run in repeat.naive],
    }


def _seconds_by_kind(work: Work) -> dict[str, float]:
    timed = [pair for repeat in work.repeats for pair in repeat.timed]
    seconds = dict(timed)
    kinds = sampling.by_kind(work.recipes, seconds)
    return {f"{kind[0]} blocks, {kind[1]}": median(seconds[run] for run in runs) for kind, runs in kinds.items()}


def _overhead(search: processes.Search) -> float:
    """Return the seconds that the driver spends on a run, beside getting ready and waiting for workers."""
    stages = search.profile["driver"]
    return sum(seconds for stage, seconds in stages.items() if stage not in ("prepare", "wait")) / len(search.runs)


def first_images(data: Path, to: Path, number: int) -> Path:
    """Link about ``number`` images, the first of each class folder; return the folder."""
    classes = sorted(folder for folder in data.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    for folder in classes:
        (to / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[: number // len(classes)]:
            (to / folder.name / file.name).symlink_to(file.resolve())
    return to


def plans_of(given: argparse.Namespace) -> list[Plan]:
    """Return the works that were asked for."""
    names = given.work or [name for name in VARIANTS if name not in ON_REQUEST]
    return [plan for plan in (QUICK if given.quick else FULL) if plan.name in names]


def run(given: argparse.Namespace, folder: Path, progress: Progress) -> dict[str, Any]:
    """Time what was asked for; return the results."""
    data = first_images(given.data, folder / "images", QUICK_IMAGES) if given.quick else given.data.resolve()
    results: dict[str, Any] = {"data": str(given.data), "quick": given.quick, "cores": cores(), "works": {}}
    results["load"] = os.getloadavg()
    every: dict[str, dict[Kind, float]] = {}
    for plan in plans_of(given):
        work = Work(plan, data, folder / plan.name)
        time_work(work, VARIANTS[plan.name], given.repeats, given.full, progress)
        kinds = set(passes(work.recipes, work.runs, work.images, plan.folds))
        task = progress.add_task(f"{plan.name}: the floor", total=1)
        rates = every.setdefault(plan.backbone, {})
        rates |= rates_for(kinds - set(rates), plan.backbone, plan.size, work.classes, 0.5 if given.quick else 5.0)
        progress.advance(task)
        results["works"][plan.name] = result_of(work, VARIANTS[plan.name], rates)
        results["images a second"] = {
            f"{name}: {what}, {blocks} blocks": rate for name in every for (what, blocks), rate in every[name].items()
        }
        write(given.out, results)
        if plan.name == "head-only" and not given.quick:
            results |= ask_further(work, folder, given, progress)
            write(given.out, results)
    return results


def ask_further(work: Work, folder: Path, given: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Return what one more pair costs, and how soon a long search goes on, from the cache of a head-only work."""
    task, trials = progress.add_task("One more pair; resuming", total=2), 200
    cache = work.folder / "cache-0"
    pair = further.one_more(work.plan, work.data, cache, folder / "pair", given.repeats)
    progress.advance(task)
    again = further.resume(work.plan, work.data, cache, folder / "resume", trials, given.repeats)
    progress.advance(task)
    return {"pair": pair, "resume": again}


def write(file: Path, results: dict[str, Any]) -> None:
    """Write what there is so far: hours may follow."""
    file.write_text(json.dumps(results, indent=2, default=str) + "\n", encoding="utf-8")


def main() -> None:
    """Time, write the JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"Small works on {QUICK_IMAGES} images, one repeat.")
    parser.add_argument("--data", type=Path, default=DATA, help="Class folders of JPEG, PNG, BMP or GIF images.")
    parser.add_argument(
        "--work", action="append", choices=list(VARIANTS), help=f"Default all but {' and '.join(ON_REQUEST)}."
    )
    parser.add_argument("--repeats", type=int, help="Default 3, or 1 with --quick.")
    parser.add_argument("--full", action="store_true", help="Run the whole naive loop, for hours.")
    parser.add_argument("--out", type=Path, default=Path("benchmark.json"), help="Where the results are written.")
    given = parser.parse_args()
    given.repeats = given.repeats or (1 if given.quick else 3)
    if not given.data.is_dir() or not processes.weights_file().is_file():
        sys.exit(f"There must be images in {given.data} and weights at {processes.weights_file()} (set KERAS_HOME).")
    console = wide_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, Progress(*columns, console=console) as progress:
        results = run(given, Path(folder), progress)
    show(results, console)
    console.print(f"Written: {given.out}")


if __name__ == "__main__":
    main()
