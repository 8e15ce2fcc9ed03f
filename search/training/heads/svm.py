"""Support vector machines on stored features, one for each class against the rest, with calibrated probabilities.

A machine is fitted by scikit-learn on rows of length 1. Its decisions become a probability by a sigmoid (Platt 1999),
which is fitted on the decisions of machines that have not seen the images: those of inner folds of the training part.
The probabilities of all classes are brought to the sum 1. With two classes there is one machine.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from search.system.digests import seed_from
from search.training.heads.dense import ABSENT, THREADS, Dense, DenseHead, unit_rows

if TYPE_CHECKING:
    from search.training.loop import HeadRuns

INNER_FOLDS = 5
MOST_PRECOMPUTED = 8192  # rows, whose kernel takes half a gigabyte
CACHE_MEGABYTES = 500  # of the kernel of more rows

Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Machine:
    """What tells a class from the rest: the logit of its probability is kernel(x, support) @ ``dual`` + ``bias``."""

    support: np.ndarray
    dual: np.ndarray
    bias: float


@dataclass(frozen=True)
class Rows:
    """Examples of a run: ``unit`` rows (n, D) of length 1, their labels, weights, images and groups (n,), and a seed.

    Views of one image have the same number in ``images``, and images of one group in ``groups``.
    """

    unit: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    images: np.ndarray
    groups: np.ndarray
    seed: int


def fit(runs: "HeadRuns") -> list[DenseHead]:
    """Return the heads of the runs."""
    heads, settings = [], runs.settings
    for number, seed in enumerate(runs.seeds):
        runs.proceed()
        given = runs.examples(number)
        labels = given.targets.argmax(axis=1)
        rows = Rows(unit_rows(given.features), labels, given.weights, given.images, given.groups, seed)
        gamma = _gamma(settings.gamma, rows.unit) if settings.kernel == "rbf" else None
        with threadpool_limits(THREADS):
            heads.append(_head(rows, settings.C, gamma, given.targets.shape[1]))
    return heads


def _gamma(gamma: float | str, unit: np.ndarray) -> float:
    """Return the gamma of a radial kernel; "scale" is one over the sum of the variances of all features."""
    return 1 / max(unit.shape[1] * float(unit.var()), 1e-12) if isinstance(gamma, str) else gamma


def _head(rows: Rows, c: float, gamma: float | None, classes: int) -> DenseHead:
    """Return the head of a run; without ``gamma`` its kernel is linear. A class without examples has no probability."""
    present = np.unique(rows.labels)
    pair = len(present) == 2
    kernel = _kernel(rows.unit, gamma)
    machines = {
        int(label): _machine(rows, kernel, c, gamma, int(label)) for label in (present[1:] if pair else present)
    }
    bias = np.full(classes, ABSENT, np.float32)
    bias[present[0]] = 0.0  # of two classes, the logit of the first
    support = np.unique(np.concatenate([machine.support for machine in machines.values()]))
    dual = np.zeros((len(rows.unit), classes))
    for label, machine in machines.items():
        dual[machine.support, label], bias[label] = machine.dual, machine.bias
    activation = "linear" if pair else "log_sigmoid"  # softmax makes of these p / Σ p
    if gamma is None:
        weights = (rows.unit[support].T @ dual[support]).astype(np.float32)
        return DenseHead((Dense(weights, bias, activation),), unit=True)
    # Between rows of length 1, exp(-gamma |x - s|²) is exp(2 gamma x·s - 2 gamma).
    similarity = (2 * gamma * rows.unit[support].T).astype(np.float32)
    radial = Dense(similarity, np.full(len(support), -2 * gamma, np.float32), "exponential")
    return DenseHead((radial, Dense(dual[support].astype(np.float32), bias, activation)), unit=True)


def _kernel(unit: np.ndarray, gamma: float | None) -> np.ndarray | None:
    """Return the kernel (n, n) of rows of length 1, which all machines use; None where it would be too large."""
    if len(unit) > MOST_PRECOMPUTED:
        return None
    products = unit @ unit.T
    return products if gamma is None else np.exp(2 * gamma * (products - 1))


def _machine(rows: Rows, kernel: np.ndarray | None, c: float, gamma: float | None, label: int) -> Machine:
    """Return the machine of a class, fitted on all rows; its sigmoid is fitted on held-out decisions."""
    name, inputs = ("precomputed", kernel) if kernel is not None else ("linear" if gamma is None else "rbf", rows.unit)
    machine = SVC(C=c, kernel=name, gamma=gamma or "scale", cache_size=CACHE_MEGABYTES)
    truth = rows.labels == label
    calibrated = CalibratedClassifierCV(machine, method="sigmoid", cv=inner_splits(rows, truth, label), ensemble=False)
    (fitted,) = calibrated.fit(inputs, truth, sample_weight=rows.weights).calibrated_classifiers_
    machine, (sigmoid,) = fitted.estimator, fitted.calibrators
    # Its probability is 1 / (1 + exp(a decision + b)).
    return Machine(
        machine.support_, -sigmoid.a_ * machine.dual_coef_[0], float(-sigmoid.a_ * machine.intercept_[0] - sigmoid.b_)
    )


def inner_splits(rows: Rows, truth: np.ndarray, label: int) -> list[Split]:
    """Return the inner folds of a class against the rest, rows (training, held-out); a group of images stays together.

    Where one side is a single group, its images are parted. Where it is a single image, no machine can do without it:
    decisions on what trained it have to do.
    """
    images, first = np.unique(rows.images, return_index=True)
    seed = seed_from(rows.seed, "calibration", label) % 2**32
    parts = _held_out(rows.groups[first], truth[first], seed) or _held_out(images, truth[first], seed)
    every = np.arange(len(truth))
    held = [np.isin(rows.images, images[part]) for part in parts]
    return [(every[~part], every[part]) for part in held] or [(every, every)]


def _held_out(units: np.ndarray, sides: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return what each inner fold holds out of images, whole units of them (n,); none where a side is a single unit."""
    is_grouped = len(np.unique(units)) < len(units)
    folds = min(INNER_FOLDS, *(len(np.unique(units[side])) for side in (sides, ~sides)))
    for count in range(folds, 1, -1):
        if is_grouped:
            draws = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(units, sides, units)
        else:
            draws = StratifiedKFold(count, shuffle=True, random_state=seed).split(units, sides)
        parts = [part for _, part in draws]
        if all(len(part) and len(np.unique(np.delete(sides, part))) == 2 for part in parts):
            return parts
    return []
