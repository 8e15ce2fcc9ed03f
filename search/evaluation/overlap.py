"""Which labelled images trained a model: the same files, near-duplicates as searches find them, and their copies."""

import numpy as np

from search.data.duplicates import near_duplicates
from search.data.images import THUMBNAIL
from search.evaluation.labelled import Labelled
from search.export.trained import TrainedOn, greys_of
from search.system.progress import Progress

SAME_FILE, BY_ANOTHER = "the same file", "a copy of another image here that did"


def how_known(labelled: Labelled, trained_on: TrainedOn, progress: Progress) -> list[str]:
    """Return for each image in what it differs from one that trained the model; "" for one that is new to it.

    Copies of an image that trained the model did so too, whatever the groups of a study make of copies.
    """
    contents = labelled.dataset.contents
    files = set(trained_on.contents)
    how = [SAME_FILE if content in files else "" for content in contents]
    for row, words in _alike(labelled, trained_on, progress).items():
        how[row] = how[row] or words
    for family in (labelled.near, np.unique(contents, return_inverse=True)[1]):
        known = set(family[[row for row, words in enumerate(how) if words]].tolist())
        how = [words or (BY_ANOTHER if number in known else "") for words, number in zip(how, family, strict=True)]
    return how


def _alike(labelled: Labelled, trained_on: TrainedOn, progress: Progress) -> dict[int, str]:
    """Return in what images differ from a near-duplicate that trained the model, by row."""
    before = len(trained_on)
    greys = np.concatenate([trained_on.pictures, greys_of(labelled.decoded[THUMBNAIL].pixels)])
    pictures = np.broadcast_to(greys[..., None], (*greys.shape, 3))  # as in colour, but in no more memory
    others = np.arange(len(greys)) >= before
    pairs = near_duplicates(pictures, progress, others)
    best = sorted((pair for pair in pairs if pair.first < before <= pair.second), key=lambda pair: pair.likeness)
    return {pair.second - before: pair.how for pair in best}
