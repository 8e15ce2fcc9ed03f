"""Reports of large searches stay small enough to be mailed, and sensible."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from kit.journals import unsynced
from kit.lines import event
from kit.searches import Search, strict_json
from kit.thousands import write_thousands

from search.analysis import stats
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.report.write import write_report
from search.system.files import npz_bytes

MAILED = 5e6  # bytes
LONG = tuple(f"{number} класс {'長い名前' * 12}" for number in range(100))


def proposed(number):
    return Recipe(
        ("MobileNetV2", "MobileNet_0.25")[number % 2],
        number % 3,
        image_size=96,
        dropout=(0.0, 0.2, 0.4)[number % 5 % 3],
        augment=Augment(("none", "flip_crop")[number % 7 % 2]),
        learning_rate=1e-4 * (1 + number),
    )


def train_at_once(made, trial, skill, rng):
    """Run all folds in one job, as heads do."""
    arrays, runs = {}, []
    for fold in made.folds:
        kept = made.predict(fold, skill, rng)
        arrays |= {f"{fold.id}/{name}": array for name, array in kept.items()}
        scores = stats.scores(kept["labels"], kept["probabilities"])
        runs.append({"fold": fold.id, "scores": scores, "seconds": 1.5, "synthetic": {}})
    data, file = npz_bytes(arrays), f"runs/{trial.id}-1.npz"
    (made.folder / file).write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    made.journal.append(event("job", trial=trial.id, job=1, file=file, sha256=sha256, runs=runs))


PEAK = """
import sys
from pathlib import Path
from search.cli.report import print_report

assert not print_report(Path(sys.argv[1]))
print(*[line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trials", "study"),
    [(2000, {"each": 200, "folds": 5}), (60, {"classes": LONG, "each": 12, "folds": 5})],
    ids=["2000 trials", "100 classes"],
)
def test_large_searches_have_a_page_that_can_be_mailed(tmp_path, trials, study):
    made, rng = Search(tmp_path, **study), np.random.default_rng(0)
    with unsynced():
        for number in range(trials):
            trial, skill = made.begin(proposed(number)), 0.5 + 0.4 * rng.random()
            if number % 3 and number > 20:
                made.train(trial, skill, made.folds[:2])
                made.conclude(trial, "stopped", 0.8 * skill, "behind")
            else:
                train_at_once(made, trial, skill, rng)
                made.judge(trial)
    written = write_report(made.record)
    assert written.paths["index.html"].stat().st_size < MAILED
    assert written.paths["report.md"].stat().st_size < MAILED
    told = strict_json(written.paths["report.json"].read_text(encoding="utf-8"))
    assert len(told["tables"]["trials"]) == trials
    assert told["winner"]["corrected_score"]["mean"] < told["winner"]["score"]["mean"]
    assert told["answer"][0].startswith("Of ")


@pytest.mark.slow
def test_5000_trials_are_told_within_400_mb(tmp_path):
    made = write_thousands(tmp_path, 5000)
    ended = subprocess.run([sys.executable, "-c", PEAK, str(made)], capture_output=True, text=True, check=True)
    assert int(ended.stdout.split()[-1]) < 400 * 1024  # kB
    told = strict_json((made / "report" / "report.json").read_text(encoding="utf-8"))
    assert len(told["tables"]["trials"]) == 5000
    assert told["winner"]["corrected_score"]["mean"] < told["winner"]["score"]["mean"]
    assert (made / "report" / "index.html").stat().st_size < MAILED
