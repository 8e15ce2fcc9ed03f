"""What a probability is worth: a temperature that mends it, and the probability below which not to answer.

Temperature scaling is that of Guo, Pleiss, Sun & Weinberger 2017 (On Calibration of Modern Neural Networks); answering
only above a probability is selective classification (Chow 1970; Geifman & El-Yaniv 2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from search.analysis.stats.scores import SMALLEST_PROBABILITY

COLDEST, HOTTEST = 0.05, 20.0  # temperatures
AT_REST = 1.0  # the temperature that changes nothing


@dataclass(frozen=True)
class Temperature:
    """By what the logits of a model are divided, and the log-loss (in nats) on images that did not fit it.

    ``value`` is 1 where dividing does not lower it. ``raw`` is the log-loss without a temperature, ``nested`` with one
    that was fitted to the other folds.
    """

    value: float
    raw: float
    nested: float


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (n, classes) whose logits are divided by a temperature."""
    if temperature == AT_REST:
        return probabilities
    logits = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of −ln of the probabilities of the labels, in nats."""
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, SMALLEST_PROBABILITY)).mean())


# DECISIONS: A temperature counts one mistake more than there was
def best_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature with the lowest log-loss on these probabilities (R, classes), from 0.05 to 20.

    One of R + 2 answers is taken to be wrong beside those that are (Platt 1999: labels that are not quite sure). Else
    the colder the better, where none is wrong.
    """
    logits = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))
    missed = 1 / (len(labels) + 2)
    truth = np.full(logits.shape, missed / max(1, logits.shape[1] - 1))
    truth[np.arange(len(labels)), labels] = 1 - missed

    def loss(exponent: float) -> float:
        return float(-(truth * log_softmax(logits / np.exp(exponent), axis=1)).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(float(np.log(COLDEST)), float(np.log(HOTTEST))), method="bounded")
    return float(np.exp(found.x))


def nested(
    probabilities: np.ndarray, labels: np.ndarray, images: np.ndarray, splits: np.ndarray
) -> tuple[Temperature, np.ndarray]:
    """Return a temperature, and the out-of-fold probabilities (R, classes) as models with one would have given them.

    ``labels``, ``images`` and ``splits`` (R,) number the class, the image and the fold of each prediction. The
    predictions of a fold get the temperature that was fitted to those of all images that are not in it. Where that does
    not lower the log-loss, the temperature is 1, and the probabilities stay as they are.
    """
    mended = probabilities.astype(float)
    for split in np.unique(splits):
        inside = splits == split
        others = ~np.isin(images, images[inside])
        if others.any():
            mended[inside] = tempered(mended[inside], best_temperature(probabilities[others], labels[others]))
    before, after = log_loss(probabilities, labels), log_loss(mended, labels)
    if after < before:
        return Temperature(best_temperature(probabilities, labels), before, after), mended
    return Temperature(AT_REST, before, after), probabilities


@dataclass(frozen=True)
class Step:
    """What answering only from a probability on leaves: how many images are answered, and how many of them wrongly."""

    probability: float
    answered: int
    wrong: int


def steps(probabilities: np.ndarray, labels: np.ndarray) -> list[Step]:
    """Return where it pays to stop answering, from the surest answers to all of them.

    Between two steps more answers would be right, or only wrong ones would be added.
    """
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != labels
    order = np.argsort(-confidence, kind="stable")
    levels = confidence[order]
    last = np.flatnonzero(np.append(levels[1:] < levels[:-1], True))  # of equal probabilities
    answered, errors = last + 1, np.cumsum(wrong[order])[last]
    pays = np.append(errors[1:] > errors[:-1], True)
    return [
        Step(float(levels[at]), int(count), int(error))
        for at, count, error in zip(last[pays], answered[pays], errors[pays], strict=True)
    ]


def step_for(known: Sequence[Step], share: float) -> Step | None:
    """Return the step with the most answers of which at most this share are wrong; None where there is none."""
    fit = [step for step in known if step.wrong <= share * step.answered]
    return max(fit, key=lambda step: step.answered, default=None)
