"""Shortcuts: whether the kind of a file, without its picture, gives its class away. Networks find them too."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from search.data.dataset import Dataset

FOLDS = 5
CLASSES_NAMED = 6
SIZES = frozenset({"width", "height", "aspect"})


@dataclass(frozen=True)
class Shortcut:
    """Balanced accuracy of a small tree on format, mode, width and height; and the most telling of them by class."""

    score: float
    by_class: str


def shortcut_of_files(dataset: Dataset, groups: Sequence[str]) -> Shortcut | None:
    """Return how well files tell classes, cross-validated over whole groups; None for a class of fewer than five."""
    if pd.Series(groups).groupby(dataset.labels).nunique().min() < FOLDS:
        return None
    facts = pd.DataFrame([asdict(fact) for fact in dataset.facts])
    features = pd.get_dummies(facts[["format", "mode", "width", "height"]])
    features["aspect"] = features["width"] / features["height"]
    splits = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(features, dataset.labels, groups))
    alone = {name: _score(features[[name]], dataset.labels, splits) for name in features}
    best = max(alone, key=lambda name: alone[name])
    return Shortcut(_score(features, dataset.labels, splits), _by_class(dataset, best.split("_")[0]))


def _score(features: pd.DataFrame, labels: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]]) -> float:
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=3, class_weight="balanced", random_state=0)
    return float(balanced_accuracy_score(labels, cross_val_predict(tree, features, labels, cv=splits)))


def _by_class(dataset: Dataset, name: str) -> str:
    """Return the most usual value of a property of the files, class by class."""

    def value(row: int) -> str:
        fact = dataset.facts[row]
        return f"{fact.width}×{fact.height}" if name in SIZES else str(getattr(fact, name))

    parts = []
    for label, class_name in enumerate(dataset.classes[:CLASSES_NAMED]):
        rows = np.flatnonzero(dataset.labels == label)
        usual, count = Counter(value(int(row)) for row in rows).most_common(1)[0]
        parts.append(f"{class_name}: {usual} in {count / len(rows):.0%}")
    return "; ".join(parts)
