"""How a trained network is asked: of each image as it is, or of several views of it whose probabilities are averaged.

Scores on folds and on the hold-out, the exported model and its predictions all ask in the same way. A new way is one
more row of ``PREDICTIONS``.
"""

from dataclasses import dataclass

from search.repertoire.augmentation import AS_IS, MIRRORED
from search.repertoire.fields import FOURTH, TEXT, declare, describe, member


@dataclass(frozen=True)
class Prediction:
    """One way to ask a network: the ``views`` of an image without augmentation over which probabilities are averaged.

    ``note`` is what the card of an exported model says of it, "" for nothing.
    """

    name: str
    views: tuple[int, ...]
    note: str = ""


PREDICTIONS: dict[str, Prediction] = {
    prediction.name: prediction
    for prediction in (
        Prediction("none", (AS_IS,)),
        Prediction(
            "mirror",
            (AS_IS, MIRRORED),
            note="The model looks at each picture and at its mirror image, and gives the mean of both.",
        ),
    )
}


TTA = declare(
    "test-time augmentation",
    member(PREDICTIONS),
    describe(TEXT, f"{' or '.join(PREDICTIONS)}: views over which predictions are averaged."),
    words=lambda recipe: f"{recipe.tta} prediction",
    level=lambda recipe: recipe.tta,
    since=FOURTH,
)
