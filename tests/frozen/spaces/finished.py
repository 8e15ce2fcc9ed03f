"""A search whose report has something in every part: trials that win, stop, fail, repeat."""

from search import Augment, Recipe, Study

study = Study(
    data="labelled",
    folds=3,
    train_fractions=(1.0, 0.6, 0.4, 0.25),
    holdout=1,
    oracle="grid",
    max_trials=20,
    image_size=64,
    seed=15,
)

SMALL = {"backbone": "SmallCNN", "unfrozen_blocks": None}
RECIPES = (
    {"unfrozen_blocks": 1, "learning_rate": 3e-3, "epochs": 10},
    {"unfrozen_blocks": 2, "learning_rate": 2e-3, "epochs": 60, "dropout": 0.4},
    {"unfrozen_blocks": 0, "class_weight": "balanced", "synthetic_per_class": 1.0},
    {"unfrozen_blocks": 2, "learning_rate": 2e-3, "epochs": 10, "class_weight": "balanced"},
    {**SMALL, "learning_rate": 3e-3, "epochs": 10, "augment": Augment("flip_crop"), "synthetic_per_class": 3},
    {"unfrozen_blocks": 0, "augment": Augment("color", 0.3), "learning_rate": 3e-3, "views": 2},
    {**SMALL, "learning_rate": 10.0, "weight_decay": 10.0, "epochs": 60},
    {"unfrozen_blocks": 1, "learning_rate": 3e-3, "epochs": 10},
    {"unfrozen_blocks": 1, "learning_rate": 2e-3, "epochs": 10, "augment": Augment("randaugment", 0.7), "views": 2},
    {"unfrozen_blocks": 0, "learning_rate": 1e-2, "dropout": 0.0, "synthetic_per_class": {"drei": 4, "<one>": 0.5}},
    {"unfrozen_blocks": 3, "learning_rate": 1e-3, "epochs": 10, "batch_size": 8},
    {"unfrozen_blocks": 2, "learning_rate": 1e-3, "epochs": 12, "synthetic_per_class": 0.5},
    {**SMALL, "learning_rate": 1e-5, "epochs": 4},
    {**SMALL, "learning_rate": 2e-5, "epochs": 4, "augment": Augment("color")},
    {"backbone": "Embedded_scratch", "unfrozen_blocks": None, "learning_rate": 1e-5, "epochs": 2},
)


def space(hp):
    return Recipe(**{"backbone": "Embedded", **RECIPES[hp.Choice("number", list(range(len(RECIPES))))]})
