"""Draws of whole groups of images at random: a number of each class, or an equal share for each fold.

Rows are numbered 0 to n - 1 and groups 0 to g - 1; ``labels`` and ``groups`` have the shape (n,).
"""

from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

PASSES = 4  # the first draws; the others move what brings the counts nearer, where groups hold several classes
Split = tuple[np.ndarray, np.ndarray]


def table_of(labels: np.ndarray, groups: np.ndarray, classes: int) -> np.ndarray:
    """Return how many images of each class each group holds, (groups, classes)."""
    counts = np.zeros((int(groups.max(initial=-1)) + 1, classes), np.int64)
    np.add.at(counts, (groups, labels), 1)
    return counts


def draw_groups(labels: np.ndarray, groups: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Return which rows are drawn, (n,) of bool: whole groups, as near to ``wanted`` of each class as they come.

    ``wanted`` has the shape (classes,). It is met exactly where no group holds more than one image, and within one
    group where no group holds two classes. A class in two groups or more is never drawn whole, and one group of
    it is drawn at least where that can be.
    """
    counts = table_of(labels, groups, len(wanted))
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    short, inside, outside = wanted.astype(float), np.zeros(len(wanted), int), (counts > 0).sum(axis=0)
    is_drawn = np.zeros(len(counts), bool)

    def short_after(group: int) -> np.ndarray:
        return short + counts[group] if is_drawn[group] else short - counts[group]

    def movable(group: int) -> bool:
        side = inside if is_drawn[group] else outside
        return bool((side[counts[group] > 0] > 1).all())

    def move(group: int) -> None:
        nonlocal short, inside, outside
        short, step = short_after(group), (counts[group] > 0) * (-1 if is_drawn[group] else 1)
        inside, outside, is_drawn[group] = inside + step, outside - step, not is_drawn[group]

    for group in np.tile(order, PASSES):
        if not short.any():
            break
        if (short_after(group) ** 2).sum() < (short**2).sum() and movable(group):
            move(group)
    for label in np.flatnonzero((wanted > 0) & (inside == 0)):  # each group of it is more than twice what is wanted
        able = [group for group in order if counts[group, label] and movable(group)]
        if able and not inside[label]:
            move(min(able, key=lambda group: float((short_after(group) ** 2).sum())))
    return is_drawn[groups]


def deal_folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int, attempt: int = 0) -> Iterator[Split]:
    """Yield (train, validation) of each fold: every row validates once, and classes are spread evenly.

    The first attempt is scikit-learn's, whose draws are the same on any machine. With groups it
    sorts them by size, so another seed often gives the same again: later attempts deal the groups
    in random order, each to the fold that lacks its classes most.
    """
    rows = np.arange(len(labels))
    if len(np.unique(groups)) == len(groups):
        yield from StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, labels)
    elif not attempt:
        yield from StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(rows, labels, groups)
    else:
        fold_of = _to_the_neediest(table_of(labels, groups, int(labels.max()) + 1), folds, seed)[groups]
        yield from ((rows[fold_of != fold], rows[fold_of == fold]) for fold in range(folds))


def _to_the_neediest(counts: np.ndarray, folds: int, seed: int) -> np.ndarray:
    totals = np.maximum(counts.sum(axis=0), 1)
    lacks = np.tile(totals / folds, (folds, 1))
    fold_of = np.zeros(len(counts), np.int64)
    for group in np.random.default_rng(seed).permutation(len(counts)):
        fold = int((lacks * counts[group] / totals).sum(axis=1).argmax())
        fold_of[group] = fold
        lacks[fold] -= counts[group]
    return fold_of


def random_order(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the rank of each row's group in one random order: smaller parts are prefixes of larger ones."""
    names, inverse = np.unique(groups, return_inverse=True)
    order: np.ndarray = np.random.default_rng(seed).permutation(len(names))[inverse]
    return order


def prefix(order: np.ndarray, wanted: int) -> np.ndarray:
    """Return the rows of the first groups in ``order``, so many that their images are nearest to ``wanted``.

    There is at least one group. The rows for a smaller number are among those for a larger one.
    """
    ranked = np.argsort(order, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(order[ranked])) + 1, len(ranked))
    return ranked[: ends[np.abs(ends - wanted).argmin()]]
