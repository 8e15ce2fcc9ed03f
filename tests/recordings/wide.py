"""The space of the recordings "…-wide": good and bad recipes, half of them deep, learning rates over three decades.

The README beside it tells how to record again.
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
    seed=7,
)

# A value named twice is drawn twice as often.
NETWORKS = [*["MobileNetV2_0.35"] * 4, *["MobileNet_0.25"] * 3, "SmallCNN"]
DEPTHS = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, None]  # None trains everything


def space(hp):
    network = hp.Choice("network", list(range(8)))
    with hp.conditional_scope("network", list(range(7))):
        depth = hp.Choice("depth", list(range(12)))
    return Recipe(
        backbone=NETWORKS[network],
        unfrozen_blocks=None if network == 7 else DEPTHS[depth],
        dropout=hp.Choice("dropout", [0.0, 0.2, 0.4]),
        augment=Augment(hp.Choice("augment", ["none", "flip_crop", "color"])),
        learning_rate=hp.Float("learning_rate", 1e-5, 1e-2, sampling="log"),
        weight_decay=hp.Choice("weight_decay", [1e-5, 1e-4, 1e-3]),
        epochs=12,
        views=4,
    )
