"""Logistic regression on stored features, fitted all at once by scikit-learn."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from search.training.heads.dense import ABSENT, THREADS, Dense, DenseHead, unit_rows

if TYPE_CHECKING:
    from search.training.loop import HeadRuns

MOST_ITERATIONS = 1000


def fit(runs: "HeadRuns") -> list[DenseHead]:
    """Return the heads of the runs, each fitted on rows of length 1 and their weights in the loss."""
    heads = []
    for number in range(len(runs.runs)):
        runs.proceed()
        features, targets, weights, *_ = runs.examples(number)
        machine = LogisticRegression(C=runs.settings.C, max_iter=MOST_ITERATIONS)
        with warnings.catch_warnings(), threadpool_limits(THREADS):
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last iteration is as good as the one before
            machine.fit(unit_rows(features), targets.argmax(axis=1), weights)
        heads.append(_head(machine, targets.shape[1]))
    return heads


def _head(machine: LogisticRegression, classes: int) -> DenseHead:
    """Return the layer of a fitted machine; a class that it has not seen has no probability."""
    coefficients, intercepts = machine.coef_, machine.intercept_
    if len(machine.classes_) == 2:  # one row, of the second class
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
    kernel = np.zeros((coefficients.shape[1], classes), np.float32)
    bias = np.full(classes, ABSENT, np.float32)
    kernel[:, machine.classes_], bias[machine.classes_] = coefficients.T, intercepts
    return DenseHead((Dense(kernel, bias),), unit=True)
