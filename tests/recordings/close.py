"""The space of the recordings "…-close": one backbone and sensible learning rates, so that most recipes are good.

This is where racing errs, if it does. The README beside it tells how to record again.
"""

import os

from search import Augment, Recipe, Study

study = Study(
    data="hymenoptera",  # --data names another
    objective="balanced_accuracy",
    folds=5,
    train_fractions=(1.0, 0.25),
    oracle="random",
    max_trials=48,
    image_size=int(os.environ.get("IMAGE_SIZE", "96")),
    seed=8,
)

DEPTHS = [0, 0, 0, 1, 2, 3]  # a value named thrice is drawn three times as often


def space(hp):
    depth = DEPTHS[hp.Choice("depth", list(range(6)))]
    return Recipe(
        backbone="MobileNetV2_0.35",
        unfrozen_blocks=depth,
        dropout=hp.Choice("dropout", [0.0, 0.2, 0.4]),
        augment=Augment(hp.Choice("augment", ["none", "flip_crop", "color"])),
        learning_rate=hp.Float("learning_rate", 1e-3, 6e-3, sampling="log") / (1 if depth == 0 else 8),
        weight_decay=hp.Choice("weight_decay", [1e-5, 1e-4, 1e-3]),
        epochs=12,
        views=4,
    )
