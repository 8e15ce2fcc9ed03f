"""Good guys and bad guys: a dense layer on features of VGG16, with pixels as its weights know them, or not.

    python -m search run spaces/good_bad.py --data my-figures
    python -m search run spaces/good_bad.py --data my-figures --backbones EfficientNetLite0,MobileNetV2_0.35

It reproduces a hobby project that tells heroes of films from villains: VGG16 with average pooling, a dense layer of
128, SGD whose rate falls exponentially (0.01, times 0.9 in 10,000 steps), and one split, 80 to 20. SGD has a momentum
of 0.9 here, as everywhere in this package; whether the project's had one is not on record.

What it found is not on record here. What it got wrong: whether pixels are scaled as the weights of VGG16 need was
left to memory; and a single split of few images decided. (In two of the five projects predictions were also compared
with labels of another order: .92 became .50.) With two classes its sigmoid and a softmax are the same function of the
features, but learn at another pace: `loss` chooses between them, with a sigmoid for each class.

WARNING: `pixels` is a choice in this file alone, to show what the mistake costs. Each backbone of this package scales
pixels as its weights need; never leave that out. Of backbones that are not in RAW both choices are the same recipe.
"""

from search import Backbone, Mlp, Recipe, Schedule, Study, at_hand

study = Study(
    data="data/figures",
    objective="accuracy",
    splits="shuffle",
    folds=5,  # the project had one
    val=0.2,
    oracle="grid",
    max_trials=8,
    seed=7,
)

RAW = {  # the same networks, which take pixels from 0 to 255 for what they know
    "VGG16": Backbone("VGG16 unscaled", make="originals.layers:vgg16", scaling=(1, 0)),
    "EfficientNetLite0": Backbone("EfficientNetLite0 unscaled", make="originals.layers:lite0", scaling=(1, 0)),
    "MobileNetV2_0.35": Backbone("MobileNetV2_0.35 unscaled", make="originals.layers:mobilenet", scaling=(1, 0)),
}


def space(hp):
    backbone = hp.Choice("backbone", at_hand(["VGG16"]))
    pixels = hp.Choice("pixels", ["scaled", "as they are"])
    return Recipe(
        RAW.get(backbone, backbone) if pixels == "as they are" else backbone,
        unfrozen_blocks=0,
        head=Mlp((128,)),
        loss=hp.Choice("loss", ["cross_entropy", "binary_cross_entropy"]),  # softmax, or sigmoids
        dropout=0.0,
        optimizer="sgd",
        schedule=Schedule("exponential", factor=0.9, steps=10_000),
        learning_rate=0.01,
        weight_decay=0.0,
        image_size=224,
        epochs=30,
    )
