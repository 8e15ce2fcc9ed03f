"""Evidence: the stored out-of-fold predictions of complete trials, image by image, and how they are read."""

import hashlib
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.analysis.stats.selection import Configurations
from search.journal.history import Trial
from search.journal.outcomes import Run
from search.racing import PlannedFold
from search.record import IMAGES, Record, read_table

MOST_TRIALS = 300  # the best; one further behind is never the best of a bootstrap draw
READ = frozenset({"ids", "labels", "probabilities", "by_epoch"})  # of a run, for the evidence

Arrays = dict[str, np.ndarray]


def read_run(folder: Path, run: Run) -> Arrays | None:
    """Return the stored arrays of a run (ids, labels, probabilities, curves), None if the file is gone or changed."""
    return read_runs(folder, [run]).get(run.fold)


def read_runs(folder: Path, runs: Iterable[Run], names: Collection[str] = ()) -> dict[str, Arrays]:
    """Return the stored arrays of runs by fold, each file read once; without those whose file is gone or changed.

    ``names`` are the arrays that are wanted, all unless given. Probabilities are those after the epoch that counts.
    """
    by_file: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_file.setdefault((run.file, run.sha256), []).append(run)
    arrays = {}
    for (file, sha256), own in by_file.items():
        try:
            data = (folder / file).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() == sha256:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                for run in own:
                    prefix = f"{run.fold}/"
                    stored = [file.removeprefix(prefix) for file in archive.files if file.startswith(prefix)]
                    arrays[run.fold] = {name: archive[prefix + name] for name in stored if not names or name in names}
                    if run.epoch is not None and "by_epoch" in arrays[run.fold]:
                        arrays[run.fold]["probabilities"] = arrays[run.fold]["by_epoch"][run.epoch]
    return arrays


@dataclass(frozen=True)
class Size:
    """Predictions at one training size, of c trials: R rows, each an image that a fold scored.

    ``image`` (R,) numbers the images of the evidence, ``labels`` (R,) their classes; ``split`` (R, 2)
    is the repeat and the index of the fold that scored each; ``predictions``
    (c, R) are class numbers, ``own`` and ``confidence`` (c, R) the probabilities of the label and of
    the predicted class. ``others`` (m, R) are class numbers after those epochs that trials did not choose.
    """

    image: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    predictions: np.ndarray
    own: np.ndarray
    confidence: np.ndarray
    others: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What the best complete trials predicted, by training size in ascending order.

    ``trials`` are their ids, the winner first; ``ids``, ``labels`` and ``groups`` (n,) are of the
    images that any fold scored; ``probabilities`` (n, classes) is the mean over trials at full
    size. ``complete`` counts all complete trials, of which at most 300 are read; ``lost_files`` are
    those that are missing or changed, whose trials are left out.
    """

    trials: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray
    groups: np.ndarray
    sizes: tuple[Size, ...]
    probabilities: np.ndarray
    complete: int
    lost_files: tuple[str, ...]

    def configurations(self, classes: int, objective: str, *, folds: bool) -> Configurations:
        """Return the predictions as what corrects the winner; ``folds`` says whether they part the images."""
        return Configurations(
            labels=[size.labels for size in self.sizes],
            groups=[self.groups[size.image] for size in self.sizes],
            predictions=[np.concatenate([size.predictions, size.others]) for size in self.sizes],
            classes=classes,
            objective=objective,
            folds=[size.split[:, 1] for size in self.sizes] if folds else None,
            repeats=[size.split[:, 0] for size in self.sizes] if folds else None,
        )


def gather(record: Record, complete: Sequence[Trial]) -> Evidence | None:
    """Return the evidence of complete trials, best first; None where no trial's predictions can be read."""
    folds = record.rules.folds
    by_size = [[fold for fold in folds if fold.fraction == fraction] for fraction in record.rules.fractions]
    lost_files: set[str] = set()
    layout: _Layout | None = None
    for trial in complete[:MOST_TRIALS]:
        runs = [trial.runs[fold.id] for fold in folds]
        arrays = read_runs(record.folder, runs, READ)
        absent_files = {run.file for run in runs if run.fold not in arrays}
        lost_files |= absent_files
        if not absent_files:
            layout = layout or _Layout(by_size, arrays)
            layout.take(trial, arrays)  # one after the other: together they may not fit into memory
    if layout is None:
        return None
    return Evidence(
        trials=tuple(layout.trials),
        ids=layout.ids,
        labels=layout.labels,
        groups=groups_of(record, layout.ids),
        sizes=tuple(layout.size(at) for at in range(len(by_size))),
        probabilities=layout.mean_probabilities(),
        complete=len(complete),
        lost_files=tuple(sorted(lost_files)),
    )


class _Layout:
    """Where each prediction goes, as the first trial has them; the predictions of the trials so far."""

    def __init__(self, by_size: list[list[PlannedFold]], first: dict[str, Arrays]) -> None:
        self._by_size = [[fold.id for fold in folds] for folds in by_size]
        self._ids = {fold: arrays["ids"] for fold, arrays in first.items()}
        every = np.concatenate([arrays["ids"] for arrays in first.values()])
        names, at = np.unique(every, return_index=True)
        self.ids = tuple(names.tolist())
        self.labels = np.concatenate([arrays["labels"] for arrays in first.values()])[at]
        self._image = [
            np.searchsorted(names, np.concatenate([self._ids[fold] for fold in folds])) for folds in self._by_size
        ]
        self._split = [
            np.concatenate([np.tile(fold.split, (len(self._ids[fold.id]), 1)) for fold in folds]) for folds in by_size
        ]
        self.trials: list[str] = []
        self._summaries: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[] for _ in by_size]
        self._others: list[list[np.ndarray]] = [[] for _ in by_size]
        self._total = np.zeros((len(self.ids), first[self._by_size[-1][0]]["probabilities"].shape[1]))

    def take(self, trial: Trial, arrays: dict[str, Arrays]) -> None:
        """Add the predictions of a trial; one with predictions of other images is no evidence beside the first."""
        if any(not np.array_equal(ids, arrays[fold]["ids"]) for fold, ids in self._ids.items()):
            return
        self.trials.append(trial.id)
        for folds, image, summaries in zip(self._by_size, self._image, self._summaries, strict=True):
            probabilities = np.concatenate([arrays[fold]["probabilities"] for fold in folds])
            own = probabilities[np.arange(len(image)), self.labels[image]]
            summaries.append((probabilities.argmax(axis=1), own, probabilities.max(axis=1)))
        np.add.at(self._total, self._image[-1], probabilities)
        if trial.epoch is not None:
            self._take_others(trial.epoch, arrays)

    def _take_others(self, chosen: int, arrays: dict[str, Arrays]) -> None:
        """Add what a trial predicted after each epoch that it might have chosen in place of this one."""
        for folds, others in zip(self._by_size, self._others, strict=True):
            predictions = np.concatenate([arrays[fold]["by_epoch"].argmax(axis=-1) for fold in folds], axis=1)
            others.append(np.delete(predictions, chosen, axis=0))

    def size(self, at: int) -> Size:
        """Return the predictions at one training size."""
        image = self._image[at]
        predictions, own, confidence = (np.stack(one) for one in zip(*self._summaries[at], strict=True))
        none = np.zeros((0, len(image)), predictions.dtype)
        others = np.concatenate([none, *self._others[at]])
        return Size(image, self.labels[image], self._split[at], predictions, own, confidence, others)

    def mean_probabilities(self) -> np.ndarray:
        """Return the mean over trials, and over predictions of the same image, at full size: (n, classes)."""
        times = np.bincount(self._image[-1], minlength=len(self.ids))[:, None] * len(self.trials)
        return self._total / np.maximum(times, 1)


def groups_of(record: Record, ids: Sequence[str]) -> np.ndarray:
    """Return the number of each image's group; in older searches, which do not tell, each is its own."""
    table = read_table(record.folder, IMAGES)
    names = dict(zip(table["id"], table["group"], strict=True)) if table is not None and "group" in table else {}
    return np.unique([names.get(id_) or id_ for id_ in ids], return_inverse=True)[1]
