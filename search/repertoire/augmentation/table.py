"""The table of augmentation policies. A new one is a row in the file of its family, and its name here."""

from search.repertoire.augmentation.crops import COLOR, FLIP_CROP, RANDAUGMENT, RANDOM_ERASING, TRIVIALAUGMENT
from search.repertoire.augmentation.flips import FLIP, FLIP_ROTATE
from search.repertoire.augmentation.geometry import GENERATOR, GEOMETRIC
from search.repertoire.augmentation.layers import LAYER
from search.repertoire.augmentation.policy import Policy

NONE = "none"

POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(NONE, None, takes_strength=False, words="no augmentation"),
        FLIP_CROP,
        COLOR,
        RANDAUGMENT,
        FLIP,
        FLIP_ROTATE,
        GEOMETRIC,
        TRIVIALAUGMENT,
        RANDOM_ERASING,
        GENERATOR,
        LAYER,
    )
}
