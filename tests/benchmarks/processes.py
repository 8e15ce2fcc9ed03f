"""Both sides as a user would start them: processes, timed from start to exit."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KERAS = ROOT.parent / "shared" / "keras"
WEIGHTS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
SAVE = """
import sys

from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.table import BACKBONES

construct(BACKBONES[sys.argv[1]], pretrained=True).save(sys.argv[2])
"""
POLL = 0.005  # seconds
Event = dict[str, Any]


def weights_file() -> Path:
    """Return the backbone's ImageNet weights."""
    home = os.environ.get("KERAS_HOME") or (KERAS if KERAS.is_dir() else Path.home() / ".keras")
    return Path(home) / "models" / WEIGHTS


def environment() -> dict[str, str]:
    """Return the environment of every process: this project's code, the weights at hand, no chatter."""
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "KERAS_HOME": str(weights_file().parents[1]),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def call(*arguments: Any) -> float:
    """Run a Python process and return its seconds, start to exit. Exits with what it said if it fails."""
    command = [sys.executable, *map(str, arguments)]
    began = time.perf_counter()
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return seconds


def keras_file(backbone: str, folder: Path) -> Path:
    """Return a .keras file of a backbone that keras.applications lacks, with its ImageNet weights; written once."""
    file = folder / f"{backbone}.keras"
    if not file.is_file():
        call("-c", SAVE, backbone, file)
    return file


class Watch(threading.Thread):
    """Reads a journal while it is written, and notes when each event came (seconds after the start)."""

    def __init__(self, journal: Path) -> None:
        super().__init__(daemon=True)
        self.journal, self.began = journal, time.perf_counter()
        self.skipped = journal.stat().st_size if journal.exists() else 0
        self.events: list[tuple[float, Event]] = []
        self.ending = threading.Event()

    def run(self) -> None:
        """Follow the file until it is told to end."""
        at, last = self.skipped, False
        while not last:
            last = self.ending.wait(POLL)
            if self.journal.exists() and self.journal.stat().st_size > at:
                now = time.perf_counter() - self.began
                with self.journal.open("rb") as file:
                    file.seek(at)
                    text = file.read()
                whole = text.rfind(b"\n") + 1
                at += whole
                self.events += [(now, json.loads(line)) for line in text[:whole].splitlines()]

    def first(self, kind: str) -> tuple[float, Event]:
        """Return when the first event of a kind came, and the event."""
        return next((now, event) for now, event in self.events if event["event"] == kind)


@dataclass
class Search:
    """A search that ended: its wall seconds, when each event came, and where it lies."""

    seconds: float
    events: list[tuple[float, Event]] = field(repr=False)
    folder: Path

    @property
    def runs(self) -> dict[tuple[int, str], Event]:
        """The runs that were made, by trial and fold."""
        return {
            (int(event["trial"]), run["fold"]): run
            for _, event in self.events
            if event["event"] == "job"
            for run in event["runs"]
        }

    @property
    def accuracies(self) -> dict[tuple[int, str], float]:
        """The accuracy of each run."""
        return {run: told["scores"]["accuracy"] for run, told in self.runs.items()}

    @property
    def profile(self) -> dict[str, Any]:
        """What its report says of where the time went."""
        return json.loads((self.folder / "report" / "report.json").read_text())["profile"]


def search(space: Path, data: Path, cache: Path, results: Path, *more: Any) -> Search:
    """Run a search to its end in a process of its own, as anyone would; ``results`` must be new, or is resumed."""
    watch = Watch(results / "search" / "journal.jsonl")
    watch.start()
    places = ("--data", data, "--cache", cache, "--results", results, "--name", "search")
    seconds = call("-m", "search", "run", space, *places, *more)
    watch.ending.set()
    watch.join()
    return Search(seconds, watch.events, results / "search")


def write_folds(space: Path, data: Path, cache: Path, to: Path, *more: Any) -> list[str]:
    """Write the folds of a space as folders, for the naive loop; return their names."""
    call("-m", "search", "folds", space, "--data", data, "--cache", cache, "--to", to, *more)
    return sorted(path.name for path in to.glob("f*") if path.is_dir())


def naive(
    trials: Path,
    folds: Path,
    out: Path,
    size: int,
    runs: list[tuple[int, str]] | None = None,
    seed: int = 7,
    weights: Path | None = None,
) -> tuple[float, list[Event]]:
    """Run the naive loop, or the given runs of it; return (seconds beside its runs, the runs).

    ``weights`` are those of MobileNetV2 unless given.
    """
    out.unlink(missing_ok=True)
    wanted = ["--runs", *(f"{trial}:{fold}" for trial, fold in runs)] if runs else []
    places = ("--folds", folds, "--weights", weights or weights_file(), "--out", out, "--size", size, "--seed", seed)
    seconds = call(HERE / "naive.py", trials, *places, *wanted)
    told = [json.loads(line) for line in out.read_text().splitlines()]
    warm_up = sum(line.pop("warm_up", 0.0) for line in told)  # only where a few runs are timed
    ran = [line for line in told if line]
    return seconds - warm_up - sum(run["seconds"] for run in ran), ran
