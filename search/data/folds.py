"""The plan of folds and hold-out: stratified, grouped and repeated; shrunken folds lie inside the regular ones.

A plan is made once from (labels, groups, seed), stored as ``folds.csv`` and never drawn again.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd

from search.data.dataset import Dataset
from search.data.draws import Split, deal_folds, draw_groups, prefix, random_order
from search.data.holdout import ATTEMPTS, HOLDOUT, Ordered, hold_out, ordered
from search.repertoire.synthetic import floored
from search.study import Study
from search.system.digests import digest, seed_from
from search.system.errors import UserError

PLANNING_VERSION = 2  # 1 rounded parts of classes to the nearest number


@dataclass(frozen=True)
class Fold:
    """One split: which rows train, which validate.

    ``fraction`` is the part of the regular training part that is kept: 1 for a *regular* fold,
    less for a *shrunken* one, whose validation part is the regular one untouched.
    """

    repeat: int
    index: int
    fraction: float
    train: np.ndarray
    validation: np.ndarray
    id: str

    @property
    def split(self) -> tuple[int, int]:
        """(repeat, index): equal for a regular fold and its shrunken ones."""
        return (self.repeat, self.index)


@dataclass(frozen=True)
class Plan:
    """What trains and what scores in a search; rows are those of the data set.

    ``folds`` come smallest training size first. ``holdout`` (id "holdout") trains on all rows that
    the folds may use and validates on the rows that no fold holds; None where nothing is held
    out. ``left_out`` are the rows of neither: they share a group with a given hold-out. ``notes``
    say what a person might not expect.
    """

    folds: list[Fold]
    holdout: Fold | None
    left_out: np.ndarray
    notes: tuple[str, ...]

    @property
    def every(self) -> list[Fold]:
        """All folds, the hold-out last."""
        return [*self.folds, *([self.holdout] if self.holdout else [])]

    @property
    def in_folds(self) -> int:
        """How many images the folds use."""
        first = next(fold for fold in self.folds if fold.fraction == 1)
        return len(first.train) + len(first.validation)


def fold_id(repeat: int, index: int, fraction: float, repeats: int) -> str:
    """Return the name of a fold: ``f2``, ``r1f2`` where there are repeats, ``f2@0.25`` if shrunken."""
    prefix_ = f"r{repeat}" if repeats > 1 else ""
    return f"{prefix_}f{index}" + ("" if fraction == 1 else f"@{fraction:g}")


def make_plan(dataset: Dataset, study: Study) -> Plan:
    """Return the plan of a study. It depends on ids, labels, who shares a group, and the seed; on nothing else.

    Parts of classes are rounded down: of n images of a class, ``floor((1 - val) n)`` train under
    random splits, and a shrunken fold keeps ``floor(fraction n)`` of the n that train, at least
    one. With groups the counts come as near to that as whole groups can.

    Raises UserError for a plan that cannot be had, naming the class, its count and the way out.
    """
    data, holdout_rows, used = _parts(dataset, study)
    rest = data.only(used)
    _check_counts(rest, study, len(dataset) - len(holdout_rows) - len(used))
    folds, notes = _folds(rest, study)
    if study.holdout is None:
        return Plan(folds, None, holdout_rows, notes)
    holdout = Fold(0, 0, 1.0, data.back(used), data.back(holdout_rows), HOLDOUT)
    left_out = np.setdiff1d(np.arange(len(dataset)), np.concatenate([holdout.train, holdout.validation]))
    return Plan(folds, holdout, left_out, (*_on_holdout(dataset, holdout, left_out), *notes))


def reshuffled(dataset: Dataset, study: Study, prefix_: str) -> list[Fold]:
    """Return other folds of the images that are not held out, drawn anew; their names begin with ``prefix_``.

    They are a function of the study's seed: they are the same whenever they are drawn.
    """
    data, _, used = _parts(dataset, study)
    folds, _ = _folds(data.only(used), study.replace(seed=seed_from(study.seed, "reshuffled")))
    return [dataclasses.replace(fold, id=prefix_ + fold.id) for fold in folds]


def _parts(dataset: Dataset, study: Study) -> tuple[Ordered, np.ndarray, np.ndarray]:
    """Return the images in the order of their ids, which of them are held out, and which the folds may use."""
    data = ordered(dataset)
    splits = dataset.table["split"].to_numpy()[data.rows] if isinstance(study.holdout, str) else None
    return data, *hold_out(data, study, splits)


def _folds(data: Ordered, study: Study) -> tuple[list[Fold], tuple[str, ...]]:
    folds: list[Fold] = []
    notes: list[str] = []
    for repeat in range(study.repeats):
        for index, (train, validation) in enumerate(_splits(data, study, repeat)):
            order = random_order(data.groups[train], seed_from(study.seed, "shrink", repeat, index))
            for fraction in study.train_fractions:
                name = fold_id(repeat, index, fraction, study.repeats)
                rows = train if fraction == 1 else train[_shrunken(data.labels[train], order, fraction)]
                folds.append(Fold(repeat, index, fraction, data.back(rows), data.back(validation), name))
                if (repeat, index) == (0, 0):
                    notes += _raised(data, train, fraction, name)
    return sorted(folds, key=lambda fold: (fold.fraction, fold.repeat, fold.index)), tuple(notes)


def _splits(data: Ordered, study: Study, repeat: int) -> list[Split]:
    """Return the (train, validation) of each fold of one repeat."""
    if study.splits == "kfold":
        splits, lacking = _first_whole(data, study, repeat, None)
    else:
        each = [_first_whole(data, study, repeat, index) for index in range(study.folds)]
        splits, lacking = [split for some, _ in each for split in some], next((text for _, text in each if text), "")
    if lacking:
        raise UserError(f"{lacking} Ways out: {_what_would_work(data, study, repeat)}.")
    return splits


def _first_whole(data: Ordered, study: Study, repeat: int, index: int | None) -> tuple[list[Split], str]:
    """Return the first draw that has every class in both parts of each fold, and what the last one lacked, or ""."""
    missing = [""]
    # DECISIONS: Folds that lack a class are drawn again
    for attempt in range(ATTEMPTS):
        more = [attempt] if attempt else []
        if index is None:
            seed = seed_from(study.seed, "folds", repeat, *more)
            splits = list(deal_folds(data.labels, data.groups, study.folds, seed, attempt))
        else:
            splits = [_random_split(data, study, seed_from(study.seed, "shuffle", repeat, index, *more))]
        names = [fold_id(repeat, at, 1, study.repeats) for at in range(index or 0, (index or 0) + len(splits))]
        missing = [text for split, name in zip(splits, names, strict=True) if (text := _lacking(data, split, name))]
        if not missing:
            return splits, ""
    return splits, missing[0]


def _random_split(data: Ordered, study: Study, seed: int) -> Split:
    sizes = np.bincount(data.labels, minlength=len(data.classes))
    train = 1 - Fraction(str(study.val))
    numbers = np.array([size - int(train * int(size)) for size in sizes])
    is_drawn = draw_groups(data.labels, data.groups, numbers, seed)
    return np.flatnonzero(~is_drawn), np.flatnonzero(is_drawn)


def _lacking(data: Ordered, split: Split, name: str) -> str:
    """Return in words what a fold lacks, "" if both parts hold every class."""
    assert not set(data.groups[split[0]]) & set(data.groups[split[1]]), "a group straddles a fold"
    for part, rows in zip(("training", "validation"), split, strict=True):
        counts = np.bincount(data.labels[rows], minlength=len(data.classes))
        if not counts.all():
            label = int(counts.argmin())
            own = data.labels == label
            groups = len(np.unique(data.groups[own]))
            return (
                f"Fold {name} would have no {part} images of class {data.classes[label]!r}, whose {own.sum()} images "
                f"form {groups} groups that stay whole."
            )
    return ""


def _what_would_work(data: Ordered, study: Study, repeat: int) -> str:
    if study.splits == "kfold":
        for folds in range(study.folds - 1, 1, -1):
            _, lacking = _first_whole(data, study.replace(folds=folds), repeat, None)
            if not lacking:
                return f"--folds {folds} (folds={folds} in the study) works; or split the groups"
    return "split the groups, or leave the class out"


def _shrunken(labels: np.ndarray, order: np.ndarray, fraction: float) -> np.ndarray:
    """Return which of the training rows train at ``fraction``: whole groups, class by class."""
    rows = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rows.append(members[prefix(order[members], max(1, floored(fraction, len(members))))])
    return np.sort(np.concatenate(rows))


def _raised(data: Ordered, train: np.ndarray, fraction: float, name: str) -> list[str]:
    """Return a note where a fraction of a class is less than one image, of which one is kept all the same."""
    counts = np.bincount(data.labels[train], minlength=len(data.classes))
    few = [(data.classes[label], int(n)) for label, n in enumerate(counts) if not floored(fraction, int(n))]
    return [
        f"Training size {fraction:g}: less than one image of class {class_name!r}, which has {n} in fold {name}; "
        "one is kept"
        for class_name, n in few[:1]
    ]


def lacking_classes(dataset: Dataset, holdout: Fold | None) -> list[str]:
    """Return the classes of which a hold-out has no images, and so cannot judge; none where nothing is held out."""
    held = set(dataset.labels[holdout.validation].tolist()) if holdout else range(len(dataset.classes))
    return [name for label, name in enumerate(dataset.classes) if label not in held]


def _on_holdout(dataset: Dataset, holdout: Fold, left_out: np.ndarray) -> list[str]:
    counts = np.bincount(dataset.labels[holdout.validation], minlength=len(dataset.classes))
    listed = ", ".join(f"{name} {count}" for name, count in list(zip(dataset.classes, counts, strict=True))[:12])
    more = ", …" if len(counts) > 12 else ""
    images = f"{len(holdout.validation)} images ({listed}{more})"
    notes = [f"Hold-out: {images} that no trial sees; scored once, at the end, for the winner"]
    if lacking := lacking_classes(dataset, holdout):
        some = ", ".join(lacking[:12]) + (f" and {len(lacking) - 12} more" if len(lacking) > 12 else "")
        them = "them" if len(lacking) > 1 else "it"
        notes.append(
            f"The hold-out has no images of {some}: its score says nothing of {them}, only how often other images are "
            f"taken for {them}"
        )
    if len(left_out):
        notes.append(
            f"Left out of the folds: {len(left_out)} that share a group with an image of the hold-out, such as "
            f"{dataset.ids[left_out[0]]}"
        )
    return notes


def _check_counts(data: Ordered, study: Study, left_out: int) -> None:
    fewest = study.folds if study.splits == "kfold" else 2
    for label, name in enumerate(data.classes):
        own = data.labels == label
        count, images = len(np.unique(data.groups[own])), int(own.sum())
        if count < fewest:
            plural = "" if count == 1 else "s"
            things = f"image{plural}" if count == images else f"group{plural} of images"
            addition = "" if study.holdout is None else " beside the hold-out"
            if left_out:
                addition += f" ({left_out} were left out because they share a group with it)"
            needed = f"the {fewest} folds" if study.splits == "kfold" else "the 2 that a split needs"
            ways = ["hold out less"] if study.holdout is not None else []
            fewer = f"use --folds {count} (folds={count} in the study)"
            ways.append(fewer if study.splits == "kfold" and count > 1 else "leave the class out")
            raise UserError(
                f"Class {name!r} has {count} readable {things}{addition}, fewer than {needed}. "
                f"Add some to {data.source}, or {', or '.join(ways)}."
            )


def plan_table(folds: Sequence[Fold], ids: Sequence[str]) -> pd.DataFrame:
    """Return the plan as a table: one row for each (fold, image).

    ``part`` is train or validation; holdout for the images that no trial sees.
    """
    parts = [
        pd.DataFrame({"fold": fold.id, "id": [ids[row] for row in rows], "part": part})
        for fold in folds
        for part, rows in (
            ("train", fold.train),
            (HOLDOUT if fold.id == HOLDOUT else "validation", fold.validation),
        )
    ]
    return pd.concat(parts, ignore_index=True)


def plan_digest(folds: Sequence[Fold]) -> str:
    """Return the digest of a plan: equal where every fold trains and validates on the same rows."""
    return digest([[fold.id, fold.train.tolist(), fold.validation.tolist()] for fold in folds])
