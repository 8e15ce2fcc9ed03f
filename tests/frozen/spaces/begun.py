"""A small search of every kind of step: baselines, racing, a hold-out, a confirmation."""

from search import Augment, Recipe, Study, amounts_at_hand, at_hand

study = Study(
    data="digits",
    folds=3,
    train_fractions=(1.0, 0.5),
    holdout=1,
    oracle="tpe",
    max_trials=6,
    image_size=32,
    seed=14,
)


def space(hp):
    backbone = hp.Choice("backbone", at_hand(["MobileNetV2_0.35", "Embedded", "SmallCNN"]))
    with hp.conditional_scope("backbone", ["MobileNetV2_0.35", "Embedded"]):
        unfrozen_blocks = hp.Int("unfrozen_blocks", 0, 1)
    policy = hp.Choice("augment", ["none", "color"])
    with hp.conditional_scope("augment", ["color"]):
        strength = hp.Choice("augment_strength", [0.3, 0.7])
    return Recipe(
        backbone=backbone,
        unfrozen_blocks=unfrozen_blocks,
        dropout=hp.Choice("dropout", [0.0, 0.4]),
        augment=Augment(policy, strength),
        class_weight=hp.Choice("class_weight", ["none", "balanced"]),
        synthetic_per_class=hp.Choice("synthetic_per_class", amounts_at_hand([0.0, 0.5])),
        learning_rate=hp.Float("learning_rate", 3e-4, 1e-2, sampling="log"),
        epochs=2,
        views=2,
    )
