"""Images that recipes get wrong: hard or disputed ones, labels that may be mistaken, classes that are confused."""

from dataclasses import dataclass

import numpy as np
from scipy import special
from sklearn import metrics


def wrong_share(predicted: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (how many recipes had it wrong, how many predicted it) for each image number.

    ``predicted`` (c, R) and ``labels`` (R,) are class numbers, ``rows`` (R,) the image number of
    each prediction. Where repeats predict an image several times, a recipe had it wrong if more
    than half of its predictions are.
    """
    images = int(rows.max()) + 1 if len(rows) else 0
    times = np.bincount(rows, minlength=images)
    wrong = np.zeros(images, dtype=int)
    for recipe in predicted:
        wrong += np.bincount(rows, recipe != labels, images) * 2 > times
    return wrong, np.where(times > 0, len(predicted), 0)


def votes_of(predicted: np.ndarray, rows: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return how often each image was taken for each class, (images, classes) as in ``shape``.

    ``predicted`` (c, R) are class numbers, ``rows`` (R,) the image number of each prediction.
    """
    votes = np.zeros(shape, dtype=int)
    for recipe in predicted:
        np.add.at(votes, (rows, recipe), 1)
    return votes


# DECISIONS: What to label next is told by votes
def vote_entropy(votes: np.ndarray) -> np.ndarray:
    """Return how much a committee disagrees on each image, from 0 (all agree) to 1 (as evenly as can be).

    ``votes`` (n, classes) says how many members took an image for a class. That is the entropy of their shares, over
    its greatest value, log(min(members, classes)): query by committee (Dagan & Engelson 1995). It is 0 for an image
    with fewer than two votes.
    """
    members = votes.sum(axis=1)
    shares = votes / np.maximum(members, 1)[:, None]
    most = np.log(np.maximum(np.minimum(members, votes.shape[1]), 2))
    return np.asarray(np.where(members > 1, special.entr(shares).sum(axis=1) / most, 0.0))


@dataclass(frozen=True)
class LabelError:
    """An image whose given label may be mistaken: its row, both classes, and the mean probability of each."""

    image: int
    label: int
    suggested: int
    confidence: float
    own: float


def label_errors(probabilities: np.ndarray, labels: np.ndarray) -> list[LabelError]:
    """Return the images whose labels may be mistaken, the widest margin first (confident learning).

    ``probabilities`` (n, classes) are out-of-fold, mean over recipes; ``labels`` (n,) class numbers.
    A class is suggested where it is the most probable one, not the given one, and at least as
    probable as it is on average for images that carry it (Northcutt, Jiang & Chuang 2021).
    """
    own = probabilities[np.arange(len(labels)), labels]
    of_class = np.bincount(labels, minlength=probabilities.shape[1])
    # A class that no image has is never suggested.
    mean = np.bincount(labels, own, probabilities.shape[1]) / np.maximum(of_class, 1)
    thresholds = np.where(of_class > 0, mean, np.inf)
    suggested = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(labels)), suggested]
    suspect = np.flatnonzero((suggested != labels) & (confidence >= thresholds[suggested]))
    order = suspect[np.argsort(own[suspect] - confidence[suspect], kind="stable")]
    return [
        LabelError(int(at), int(labels[at]), int(suggested[at]), float(confidence[at]), float(own[at])) for at in order
    ]


def confused(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return how many images of each class were taken for each, shape (classes, classes): row the label."""
    if not len(labels):
        return np.zeros((classes, classes), dtype=int)
    return np.asarray(metrics.confusion_matrix(labels, predicted, labels=np.arange(classes)))
