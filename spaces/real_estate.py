"""Rooms of houses: six frozen ImageNet networks, with and without augmentation, three kinds of dropout: 36 recipes.

    python -m search run spaces/real_estate.py --data my-rooms
    python -m search run spaces/real_estate.py --data my-rooms --backbones EfficientNetLite0,MobileNetV2_0.35

It reproduces a student project on photographs of five kinds of rooms: five random splits (80 to 20) beside 150 held-
out images of each class, then ever smaller training parts, then 50, 250 or 480 synthetic images of each class, or
more of the two weakest classes alone.

What it found: scores on the validation part rose from .69 to .85 while training images became fewer, and synthetic
images seemed to help. What it got wrong: one model went on training from folder to folder, so it had seen later
validation images; the untouched test images stayed at .70. The generator of the synthetic images had been fitted on
images that the model got wrong, those of the test part among them. Here every run starts anew, and a synthetic image
trains a fold only if all that it was made from lies in the training part of that fold.

VGG's head has two hidden layers, that of the others none: there "first" and "middle" are the same place, so eight of
the 36 points are duplicates, which cost nothing. Classes with fewer than 150 images to spare need another --holdout.
"""

from search import Augment, Mlp, Recipe, Study, Times, amounts_at_hand, at_hand

study = Study(
    data="data/rooms",
    objective="balanced_accuracy",
    splits="shuffle",
    folds=5,
    val=0.2,
    holdout=150,  # of each class
    train_fractions=(1.0, 0.8, 0.62, 0.46, 0.3, 0.2, 0.1),
    oracle="grid",
    max_trials=36,  # five times as many with synthetic images at hand: --trials 180
    seed=7,
)

BACKBONES = ["VGG16", "VGG19", "Xception", "InceptionResNetV2", "DenseNet121", "ResNet50"]
WEAKEST = {"Bathroom": 480, "Kitchen": 250}  # change the names to those of your weakest classes
SYNTHETIC = {"none": 0, "50": 50, "250": 250, "480": 480, "weakest": WEAKEST}
DROPOUT = {"none": 0.0, "first": 0.2, "middle": 0.2}


def space(hp):
    backbone = hp.Choice("backbone", at_hand(BACKBONES))
    augment = hp.Choice("augment", [Augment("none"), Augment("layer", make="originals.layers:rooms")])
    place = hp.Choice("dropout", list(DROPOUT))
    amount = hp.Choice("synthetic", amounts_at_hand(SYNTHETIC))
    layers = Mlp((4096, 4096), dropout="middle" if place == "middle" else "first")
    return Recipe(
        backbone,
        unfrozen_blocks=0,
        head=layers if backbone.startswith("VGG") else "linear",
        dropout=DROPOUT[place],
        augment=augment,
        synthetic_per_class=SYNTHETIC[amount],
        optimizer="adam",
        learning_rate=Times(1.0),
        image_size=128,
        epochs=15,
    )
