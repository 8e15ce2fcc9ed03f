"""Memory of long searches and of large data: pytest -m slow tests/test_memory.py --junitxml memory.xml (figures)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.shapes import write_shapes

from search.executors.holdings import RECYCLE_BYTES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is counted by Linux"),
]

WATCHED = """
import json, sys, threading
import psutil
from search import KFoldTuner
from search.monitor.console import wide_console
from search.monitor.screen import Lines

def anonymous(process):
    fields = dict(line.split(":", 1) for line in open(f"/proc/{process.pid}/status"))
    return int(fields["RssAnon"].split()[0]) * 1024

driver, jobs, peaks = [], [], {}

class Watching(Lines):
    def show(self, history, rules, running):
        done = sum(trial.jobs for trial in history.trials.values())
        if done > len(driver):
            driver.extend([psutil.Process().memory_info().rss] * (done - len(driver)))
            workers = [child.memory_info().rss for child in psutil.Process().children(recursive=True)]
            jobs.append(max(workers))

def watch():
    while not over.wait(0.05):
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                peaks[process.pid] = max(peaks.get(process.pid, 0), anonymous(process))
            except (OSError, psutil.Error, KeyError):
                continue

if __name__ == "__main__":
    over = threading.Event()
    threading.Thread(target=watch, daemon=True).start()
    KFoldTuner("space.py", screen=Watching(wide_console()), **json.loads(sys.argv[1])).search()
    over.set()
    print(json.dumps({"driver": driver, "workers": jobs, "peaks": sorted(peaks.values())}))
"""

MANY_JOBS = """
from search import Recipe, Study

study = Study(
    data="shapes", folds=5, train_fractions=(1.0, 0.5),
    oracle="random", max_trials=32, seed=3, baselines=False,
)

def space(hp):
    size = hp.Choice("image_size", [32, 40, 48, 56, 64, 72, 80])  # more shapes than a worker keeps
    rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
    return Recipe("SmallCNN", None, learning_rate=rate, epochs=2, image_size=size)
"""

MUCH_DATA = """
from search import Augment, Recipe, Study

study = Study(
    data="rubbish", folds=2, train_fractions=(1.0,), groups=None,
    oracle="grid", max_trials=2, seed=3, baselines=False,
)

def space(hp):
    if hp.Choice("trial", [0, 1]) == 0:
        return Recipe("SmallCNN", None, augment=Augment("flip_crop"), epochs=8, image_size=320)
    return Recipe("MobileNetV2_0.35", 4, augment=Augment("flip_crop"), epochs=8, image_size=160)
"""


def watched(folder, space, **options):
    (folder / "space.py").write_text(space)
    (folder / "watched.py").write_text(WATCHED)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "watched.py", json.dumps({"offline": True, "cache": "cache", **options})]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def test_three_hundred_jobs_leave_the_driver_as_it_was_and_workers_below_what_recycles_them(
    tmp_path, record_testsuite_property
):
    write_shapes(tmp_path / "shapes", {"across": 20, "down": 20})
    seen = watched(tmp_path, MANY_JOBS, racing=False)
    assert len(seen["driver"]) >= 300
    record_testsuite_property("driver MB", [seen["driver"][at] // 10**6 for at in (19, 99, 199, 299)])
    record_testsuite_property("largest worker MB", max(seen["workers"]) // 10**6)
    # By the twentieth job all that is imported late has been.
    assert seen["driver"][299] <= 1.05 * seen["driver"][19]
    assert max(seen["workers"]) <= seen["workers"][0] + RECYCLE_BYTES


def test_a_search_completes_on_data_four_times_as_large_as_its_memory(
    photographs, imagenet, tmp_path, record_testsuite_property
):
    (tmp_path / "rubbish").symlink_to(photographs / "trash6")
    seen = watched(tmp_path, MUCH_DATA, racing=False)
    cached = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.npy"))
    record_testsuite_property("cached MB", cached // 10**6)
    record_testsuite_property("peaks of anonymous memory MB", [peak // 10**6 for peak in seen["peaks"]])
    assert cached >= 4 * seen["peaks"][-1]
