"""Are our scores no worse than the naive loop's? Paired differences over seeds.

    python tests/benchmarks/scores.py                     # three recipes, five seeds, five folds: an hour or two
    python tests/benchmarks/scores.py --seeds 2 --epochs 2 --folds 2 --data ../shared/data/tiny_flowers3

A seed changes the folds and every draw in training, on both sides. The mean accuracy over folds
and recipes is compared seed by seed; the interval is Student's t over seeds. It should lie above
−1 point. Seeds share the images, so it speaks of these images alone.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import processes
from compare import DATA
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats
from works import BACKBONE, Plan, write_space

from search import Augment, Recipe
from search.monitor.console import wide_console

MARGIN = -1.0  # points
RECIPES = (
    Recipe(BACKBONE, augment=Augment("flip_crop"), learning_rate=3e-3),
    Recipe(BACKBONE, learning_rate=3e-3),
    Recipe(BACKBONE, unfrozen_blocks=1, augment=Augment("flip_crop"), learning_rate=1e-3),
)


def interval(differences: np.ndarray, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of paired differences and its interval, by Student's t."""
    mean, half = float(np.mean(differences)), float("nan")
    if len(differences) > 1:
        quantile = stats.t.ppf((1 + confidence) / 2, len(differences) - 1)
        half = float(quantile * np.std(differences, ddof=1) / np.sqrt(len(differences)))
    return mean, mean - half, mean + half


def accuracies(plan: Plan, recipes: list[Recipe], data: Path, folder: Path, cache: Path) -> np.ndarray:
    """Return the accuracy of each recipe on both sides, (recipes, 2), as means over the folds of one seed."""
    space = write_space(folder / "space.py", plan, data, recipes)
    trials = folder / "trials.json"
    trials.write_text(json.dumps([recipe.to_dict() for recipe in recipes]))
    processes.write_folds(space, data, cache, folder / "folds")
    ours = processes.search(space, data, cache, folder / "results", "--no-racing").accuracies
    _, told = processes.naive(trials, folder / "folds", folder / "naive.jsonl", plan.size, seed=plan.seed)
    naive = {(run["trial"], run["fold"]): run["accuracy"] for run in told}
    assert naive.keys() == ours.keys(), "the two sides ran other folds"
    return np.array(
        [
            [np.mean([side[run] for run in side if run[0] == trial]) for side in (ours, naive)]
            for trial in range(len(recipes))
        ]
    )


def show(scores: np.ndarray, recipes: list[Recipe], console: Console) -> None:
    """Print the differences of ``scores`` (seeds, recipes, 2) by recipe and over all of them."""
    table = Table(title=f"Accuracy of this project minus the naive loop's, {len(scores)} seeds, 95 % t intervals")
    for heading in ("recipe", "ours", "naive", "difference", "interval", f"above {MARGIN:g}"):
        table.add_column(heading, justify="left" if heading == "recipe" else "right")
    rows = [(recipe.summary(), scores[:, at]) for at, recipe in enumerate(recipes)]
    for name, pairs in [*rows, ("all recipes", scores.mean(axis=1))]:
        mean, low, high = (100 * value for value in interval(pairs[:, 0] - pairs[:, 1]))
        ours, naive = pairs.mean(axis=0)
        verdict = "yes" if low > MARGIN else "not shown"
        table.add_row(name, f"{ours:.3f}", f"{naive:.3f}", f"{mean:+.2f}", f"{low:+.2f} to {high:+.2f}", verdict)
    console.print(table)


def main() -> None:
    """Run both sides for each seed, write the JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--recipes", type=Path, help="A JSON list of recipes, as Recipe.to_dict() writes them.")
    parser.add_argument("--out", type=Path, default=Path("scores.json"))
    given = parser.parse_args()
    if not given.data.is_dir() or not processes.weights_file().is_file():
        sys.exit(f"There must be images in {given.data} and weights at {processes.weights_file()} (set KERAS_HOME).")
    listed: list[dict[str, Any]] = json.loads(given.recipes.read_text()) if given.recipes else []
    recipes = [Recipe.from_dict(fields) for fields in listed] or [
        dataclasses.replace(recipe, epochs=given.epochs) for recipe in RECIPES
    ]
    console, scores = wide_console(), []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for seed in track(range(1, given.seeds + 1), "Seeds", console=console):
            plan = Plan("scores", {}, size=given.size, folds=given.folds, seed=seed)
            here = Path(folder) / str(seed)
            scores.append(accuracies(plan, recipes, given.data.resolve(), here, Path(folder) / "cache"))
    array = np.array(scores)
    told = {
        "recipes": [recipe.to_dict() for recipe in recipes],
        "accuracies (seed, recipe, ours/naive)": array.tolist(),
    }
    given.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    show(array, recipes, console)


if __name__ == "__main__":
    main()
