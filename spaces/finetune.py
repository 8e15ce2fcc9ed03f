"""Fine-tune a pretrained backbone, or train a small network, on a small folder of images.

    python -m search run spaces/finetune.py                     # handwritten digits, no network needed
    python -m search run spaces/finetune.py --data my-images    # your own: one folder for each class

The same line again resumes. `study` is what stays the same over all trials, `space(hp)` is what
varies: to fix a value write a value, to search over it wrap it in `hp.…` (Keras Tuner's idiom).
"""

from search import Augment, Recipe, Study, Times, amounts_at_hand, at_hand, handwritten_digits, image_sizes

study = Study(
    data=handwritten_digits,        # a folder of class folders, or a function that makes one
    objective="balanced_accuracy",
    folds=5,
    train_fractions=(1.0, 0.25),    # score = mean over both training sizes: who survives with a quarter of the data?
    oracle="tpe",
    max_trials=12,
    seed=7,
)

PRETRAINED = ["EfficientNetLite0", "MobileNetV2_0.35", "MobileNet_0.25", "MobileNetV2", "EfficientNetV2B0", "Embedded"]


def space(hp):
    # Backbones whose ImageNet weights are neither here nor downloadable are left out, and said. pip brings those of
    # EfficientNetLite0, this package those of Embedded; SmallCNN has no weights to begin with.
    backbones = at_hand([*PRETRAINED, "SmallCNN"])  # or those of --backbones
    backbone = hp.Choice("backbone", backbones)
    pretrained = [name for name in dict.fromkeys([*PRETRAINED, *backbones]) if name != "SmallCNN"]
    # To fix it: backbone = hp.Fixed("backbone", "Embedded"), as the scope needs its name.
    with hp.conditional_scope("backbone", pretrained):
        unfrozen_blocks = hp.Int("unfrozen_blocks", 0, 2)  # from the top; 0 trains the head alone
    policy = hp.Choice("augment", ["none", "flip_crop", "color", "randaugment"])
    with hp.conditional_scope("augment", ["color", "randaugment"]):
        strength = hp.Choice("augment_strength", [0.3, 0.7])
    return Recipe(
        backbone=backbone,
        image_size=hp.Choice("image_size", image_sizes()),  # as the images are, and a step up at twice the cost
        unfrozen_blocks=unfrozen_blocks,  # None (everything) for SmallCNN
        dropout=hp.Choice("dropout", [0.0, 0.2, 0.4]),
        augment=Augment(policy, strength),
        class_weight=hp.Choice("class_weight", ["none", "balanced"]),
        synthetic_per_class=hp.Choice("synthetic_per_class", amounts_at_hand([0.0, 0.5, 1.0])),
        learning_rate=Times(hp.Float("rate", 0.3, 3.0, sampling="log")),  # of what suits the depth
        epochs=15,
    )
