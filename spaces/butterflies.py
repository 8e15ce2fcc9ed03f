"""Butterflies of uneven classes: ResNet50, all of it trained, on at most 120 images of each class.

    python -m search run spaces/butterflies.py --data my-butterflies
    python -m search run spaces/butterflies.py --data my-butterflies --backbones EfficientNetLite0

It reproduces a hobby project: undersampling to 120 images of each class, balanced class weights on top, the ranges of
Keras' ImageDataGenerator, Adam, and a network that trains from end to end, its BatchNorm too.

What it found is not on record here. What it got wrong: one split decided, on which every choice was made; and both
remedies for uneven classes were applied at once, and never compared with either or with neither. Here each of them is
a choice, and the network may also stay frozen.
"""

from search import Augment, Recipe, Sampling, Study, at_hand

study = Study(
    data="data/butterflies",
    objective="balanced_accuracy",
    folds=5,
    oracle="grid",
    max_trials=16,
    seed=7,
)

RANGES = Augment(
    "generator", rotation_range=20, width_shift_range=0.2, height_shift_range=0.2, zoom_range=0.2, horizontal_flip=True
)


def space(hp):
    backbone = hp.Choice("backbone", at_hand(["ResNet50"]))
    everything = hp.Choice("trained", ["everything", "head"]) == "everything"
    return Recipe(
        backbone,
        unfrozen_blocks=None if everything else 0,
        batch_norm="learning" if everything else "frozen",
        dropout=0.0,
        sampling=hp.Choice("sampling", [Sampling("undersample", 120), Sampling()]),
        class_weight=hp.Choice("class_weight", ["balanced", "none"]),
        augment=hp.Choice("augment", [RANGES, Augment("none")]),
        optimizer="adam",
        schedule="constant",
        learning_rate=1e-4 if everything else 1e-3,
        image_size=224,
        epochs=15,
    )
