"""Two networks with ImageNet weights on real photographs: each its head alone, and with unfrozen blocks."""

from search import Augment, Recipe, Study

study = Study(
    data="tiny_flowers3",
    folds=2,
    train_fractions=(1.0, 0.5),
    oracle="grid",
    max_trials=20,
    baselines=False,
    image_size=48,
    seed=12,
)

RECIPES = (
    {"backbone": "MobileNet_0.25", "augment": Augment("color", 0.7), "epochs": 4, "views": 2},
    {"backbone": "MobileNet_0.25", "unfrozen_blocks": 1, "augment": Augment("flip_crop"), "epochs": 2, "views": 2},
    {"backbone": "MobileNetV2_0.35", "class_weight": "balanced", "epochs": 4, "dropout": 0.4},
    {"backbone": "MobileNetV2_0.35", "unfrozen_blocks": 1, "augment": Augment("randaugment"), "epochs": 2, "views": 2},
)


def space(hp):
    return Recipe(**RECIPES[hp.Choice("number", list(range(len(RECIPES))))])
