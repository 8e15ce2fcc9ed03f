"""Images to look at: those that recipes get wrong, those that they disagree on, and labels that may be mistaken.

All is said of out-of-fold predictions at full size: no network had trained on the image in question.
"""

from dataclasses import dataclass

import numpy as np

from search.analysis.judgement import FEWEST_RECIPES, Judgement
from search.analysis.predictions import Evidence
from search.analysis.stats.hard import label_errors, vote_entropy, votes_of, wrong_share
from search.record import Record
from search.system.commands import command_of
from search.system.errors import UserError
from search.system.validation import real

NEARLY_ALL = 0.9  # of the recipes


@dataclass(frozen=True)
class HardImage:
    """An image that ``wrong`` of so many ``recipes`` misclassify.

    ``taken_for`` is the most frequent wrong class, and ``probability`` what the winner gives the label.
    """

    id: str
    label: str
    taken_for: str
    wrong: int
    recipes: int
    probability: float

    @property
    def share(self) -> float:
        """The part of the recipes that have it wrong."""
        return self.wrong / self.recipes

    @property
    def by_all(self) -> bool:
        """Whether every recipe has it wrong."""
        return self.wrong == self.recipes


@dataclass(frozen=True)
class DisputedImage:
    """An image on whose class recipes and repeats disagree: the vote entropy, in [0, 1], and the votes by class."""

    id: str
    label: str
    entropy: float
    votes: dict[str, int]


@dataclass(frozen=True)
class DoubtfulLabel:
    """An image whose label may be mistaken: both classes, and the mean probability of each."""

    id: str
    label: str
    suggested: str
    confidence: float
    own: float


def hard_images(judgement: Judgement, share: float = NEARLY_ALL) -> list[HardImage]:
    """Return the images that at least a share, in (0, 1], of the recipes get wrong, the hardest first.

    Where repeats predict an image several times, a recipe has it wrong if more than half of its predictions are. None
    where too few recipes say something of single images.
    """
    evidence, classes = judgement.evidence_of_images, judgement.classes
    if evidence is None:
        return []
    size = evidence.sizes[-1]  # where every image is predicted best
    wrong, of = wrong_share(size.predictions, size.labels, size.image)
    shares = wrong / np.maximum(of, 1)
    rows = np.flatnonzero((shares >= share) & (of > 0))
    images = []
    for row in rows[np.argsort(-shares[rows], kind="stable")]:
        places = np.flatnonzero(size.image == row)
        label, answers = int(evidence.labels[row]), size.predictions[:, places].ravel()
        mistakes = np.bincount(answers[answers != label], minlength=len(classes))
        taken_for, probability = classes[int(mistakes.argmax())], float(size.own[0][places].mean())
        images.append(
            HardImage(evidence.ids[row], classes[label], taken_for, int(wrong[row]), int(of[row]), probability)
        )
    return images


def hard_ids(record: Record, share: float = NEARLY_ALL) -> tuple[str, ...]:
    """Return the ids of the images that at least a share, in (0, 1], of a search's recipes get wrong, hardest first.

    They may be the sources of synthetic images. That an image is hard was found with networks that had trained on
    others, and so on images that its folds validate on: who trains on what is made of it must still keep to the folds.
    Raises UserError where the share is none, and where too few trials are complete or their predictions are lost.
    """
    judgement = Judgement.of(record)
    check_evidence(judgement)
    return tuple(image.id for image in hard_images(judgement, real("share", share, 0, 1, open_low=True)))


def disputed_images(judgement: Judgement) -> list[DisputedImage]:
    """Return the images on which recipes and repeats disagree, those with the highest vote entropy first.

    Of equal ones the first is that whose two most probable classes, in the mean over recipes, are closest.
    """
    evidence, classes = judgement.evidence_of_images, judgement.classes
    if evidence is None:
        return []
    size = evidence.sizes[-1]
    votes = votes_of(size.predictions, size.image, (len(evidence.ids), len(classes)))
    entropy = vote_entropy(votes)
    ranked = np.sort(evidence.probabilities, axis=1)
    margin = ranked[:, -1] - ranked[:, -2] if len(classes) > 1 else np.ones(len(ranked))
    order = np.lexsort((margin, -entropy))
    return [
        DisputedImage(
            evidence.ids[row], classes[evidence.labels[row]], float(entropy[row]), _in_order(votes[row], classes)
        )
        for row in order
        if entropy[row] > 0
    ]


def _in_order(votes: np.ndarray, classes: list[str]) -> dict[str, int]:
    """Return how many votes each class has that has some, most first."""
    return {classes[at]: int(votes[at]) for at in np.argsort(-votes, kind="stable") if votes[at]}


def doubtful_labels(judgement: Judgement) -> list[DoubtfulLabel]:
    """Return the images whose labels may be mistaken (confident learning), the widest margin first."""
    evidence, classes = judgement.evidence_of_images, judgement.classes
    if evidence is None:
        return []
    scored = np.unique(evidence.sizes[-1].image)  # random splits may never score an image
    return [
        DoubtfulLabel(
            evidence.ids[scored[error.image]],
            classes[error.label],
            classes[error.suggested],
            error.confidence,
            error.own,
        )
        for error in label_errors(evidence.probabilities[scored], evidence.labels[scored])
    ]


def check_evidence(judgement: Judgement) -> Evidence:
    """Return the evidence on single images. Raises UserError where there is too little, with the way out."""
    if judgement.evidence_of_images is not None:
        return judgement.evidence_of_images
    record, complete = judgement.record, len(judgement.complete)
    read = len(judgement.evidence.trials) if judgement.evidence else 0
    needed = f"Single images can be judged from {FEWEST_RECIPES} complete trials on"
    if complete >= FEWEST_RECIPES:
        raise UserError(
            f"{needed}. {record.name} has {complete}, but the predictions of {complete - read} are missing or changed. "
            f"Restore {record.folder / 'runs'} from a copy."
        )
    budget = max((session.max_trials or 0 for session in record.history.sessions), default=0)
    more = len(record.history.proposed) + FEWEST_RECIPES - complete
    go_on = command_of(record.folder, "resume", trials=more if more > budget else None)
    raise UserError(f"{needed}, and {record.name} has {complete}. Go on with it: {go_on}")
