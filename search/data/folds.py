"""Plan the folds: stratified, grouped, repeated; regular, and shrunken ones nested inside them.

A plan is made once from (labels, groups, seed), stored as ``folds.csv`` and never drawn again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from search.data.dataset import Dataset
from search.digests import digest, seed_from
from search.errors import UserError
from search.study import Study


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


def fold_id(repeat: int, index: int, fraction: float, repeats: int) -> str:
    """Return the name of a fold: ``f2``, ``r1f2`` where there are repeats, ``f2@0.25`` if shrunken."""
    prefix = f"r{repeat}" if repeats > 1 else ""
    return f"{prefix}f{index}" + ("" if fraction == 1 else f"@{fraction:g}")


def plan_folds(dataset: Dataset, study: Study) -> list[Fold]:
    """Return the folds of a study, smallest training size first.

    Raises UserError for a plan that cannot be had, naming the class, its count and the way out.
    """
    groups = dataset.table["group"].to_numpy()
    _check_counts(dataset, study.folds)
    plan = []
    for repeat in range(study.repeats):
        for index, (train, validation) in enumerate(_splits(dataset.labels, groups, study, repeat)):
            _check_split(dataset, study, train, validation, fold_id(repeat, index, 1, study.repeats))
            order = _shrinking_order(groups[train], seed_from(study.seed, "shrink", repeat, index))
            for fraction in study.train_fractions:
                name = fold_id(repeat, index, fraction, study.repeats)
                kept = _shrink(dataset, train, order, fraction, name)
                plan.append(Fold(repeat, index, fraction, kept, validation, name))
    return sorted(plan, key=lambda fold: (fold.fraction, fold.repeat, fold.index))


def _splits(labels: np.ndarray, groups: np.ndarray, study: Study, repeat: int) -> list[tuple[np.ndarray, np.ndarray]]:
    # A seed for scikit-learn, whose draws are the same on any machine.
    seed = seed_from(study.seed, "folds", repeat)
    if len(np.unique(groups)) == len(groups):
        splitter = StratifiedKFold(study.folds, shuffle=True, random_state=seed)
        return list(splitter.split(np.zeros(len(labels)), labels))
    grouped = StratifiedGroupKFold(study.folds, shuffle=True, random_state=seed)
    return list(grouped.split(np.zeros(len(labels)), labels, groups))


def _shrinking_order(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the rank of each row's group in one random order: smaller parts are prefixes of larger ones."""
    names, inverse = np.unique(groups, return_inverse=True)
    order: np.ndarray = np.random.default_rng(seed).permutation(len(names))[inverse]
    return order


def _shrink(dataset: Dataset, train: np.ndarray, order: np.ndarray, fraction: float, name: str) -> np.ndarray:
    """Return the rows of ``train`` kept at ``fraction``: whole groups, class by class."""
    if fraction == 1:
        return train
    kept = []
    labels = dataset.labels[train]
    for label, class_name in enumerate(dataset.classes):
        members = np.flatnonzero(labels == label)
        wanted = math.floor(fraction * len(members) + 0.5)
        if wanted < 1:
            raise UserError(
                f"train_fractions: {fraction:g} of the {len(members)} training images of class {class_name!r} in fold "
                f"{name} leaves none. Use a fraction of at least {math.ceil(50 / len(members)) / 100:g}, or add images "
                "of the class."
            )
        ranked = members[np.argsort(order[members], kind="stable")]
        last = order[ranked[wanted - 1]]
        kept.append(ranked[order[ranked] <= last])
    return train[np.sort(np.concatenate(kept))]


def _check_counts(dataset: Dataset, folds: int) -> None:
    units = dataset.table.groupby("label")["group"].nunique()
    for label, name in enumerate(dataset.classes):
        count = int(units.get(label, 0))
        if count < folds:
            things = "images" if count == dataset.counts[name] else "groups of images"
            way_out = f"use folds={count}" if count > 1 else "leave the class out"
            raise UserError(
                f"Class {name!r} has {count} readable {things}, fewer than the {folds} folds. "
                f"Add some to {dataset.root / name}, or {way_out}."
            )


def _check_split(dataset: Dataset, study: Study, train: np.ndarray, validation: np.ndarray, name: str) -> None:
    """Refuse a split that grouping made unusable; rule 2 is checked on every plan that is made."""
    groups = dataset.table["group"].to_numpy()
    assert not set(groups[train]) & set(groups[validation]), "a group straddles a fold"
    for part, rows in (("training", train), ("validation", validation)):
        lacking = sorted(set(range(len(dataset.classes))) - set(dataset.labels[rows].tolist()))
        if lacking and (part == "training" or not len(rows)):
            class_name = dataset.classes[lacking[0]]
            count = len(set(groups[dataset.labels == lacking[0]]))
            fewer = "use fewer folds, " if study.folds > 2 else ""
            raise UserError(
                f"Fold {name} would have no {part} images of class {class_name!r}, whose {dataset.counts[class_name]} "
                f"images form {count} groups that stay whole. Ways out: {fewer}try another seed, or split the groups."
            )


def plan_table(folds: Sequence[Fold], ids: Sequence[str]) -> pd.DataFrame:
    """Return the plan as a table: one row for each (fold, image), ``part`` is train or validation."""
    parts = [
        pd.DataFrame({"fold": fold.id, "id": [ids[row] for row in rows], "part": part})
        for fold in folds
        for part, rows in (("train", fold.train), ("validation", fold.validation))
    ]
    return pd.concat(parts, ignore_index=True)


def plan_digest(folds: Sequence[Fold]) -> str:
    """Return the digest of a plan: equal where every fold trains and validates on the same rows."""
    return digest([[fold.id, fold.train.tolist(), fold.validation.tolist()] for fold in folds])
