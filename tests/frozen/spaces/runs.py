"""Seven recipes: heads, bodies at several depths, every augmentation, class weights, synthetic images."""

from search import Augment, Recipe, Study

study = Study(
    data="digits",
    folds=2,
    train_fractions=(1.0, 0.5),
    oracle="grid",
    max_trials=20,
    baselines=False,
    image_size=32,
    seed=11,
)

RECIPES = (
    {"backbone": "Embedded", "epochs": 4, "learning_rate": 3e-3},
    {
        "backbone": "Embedded",
        "dropout": 0.4,
        "augment": Augment("color", 0.7),
        "class_weight": "balanced",
        "synthetic_per_class": 2,
        "epochs": 4,
        "views": 2,
    },
    {
        "backbone": "Embedded",
        "augment": Augment("randaugment"),
        "synthetic_per_class": {"0": 3, "1": 0.5},
        "epochs": 4,
        "views": 3,
        "batch_size": 8,
    },
    {"backbone": "Embedded", "unfrozen_blocks": 1, "augment": Augment("flip_crop"), "epochs": 3, "views": 2},
    {
        "backbone": "Embedded",
        "unfrozen_blocks": 2,
        "augment": Augment("randaugment", 0.7),
        "class_weight": "balanced",
        "synthetic_per_class": 0.5,
        "weight_decay": 1e-2,
        "epochs": 2,
        "views": 2,
    },
    {"backbone": "Embedded", "unfrozen_blocks": None, "learning_rate": 5e-4, "dropout": 0.0, "epochs": 2},
    {
        "backbone": "SmallCNN",
        "unfrozen_blocks": None,
        "augment": Augment("color", 0.3),
        "class_weight": "balanced",
        "synthetic_per_class": 1.0,
        "epochs": 3,
        "views": 2,
        "batch_size": 16,
    },
)


def space(hp):
    return Recipe(**RECIPES[hp.Choice("number", list(range(len(RECIPES))))])
