"""Very little data: two small networks from scratch, and support vector machines on the features of a frozen one.

    python -m search run spaces/very_little_data.py --data my-images
    python -m search run spaces/very_little_data.py --data my-images --backbones EfficientNetLite0,MobileNetV2_0.35

It reproduces a blog post on classifying a few hundred uneven images of 150 px. One network has dropout in its head,
and augmentation. The other drops a tenth after each convolution and a quarter after the dense layer, weighs each
class by the size of the largest one, and tops each class up to 250 images by augmentation. Both train with Adadelta.
The post set out to compare them with an SVM; that is here too.

What it found is not on record here. What it got wrong: images were topped up once, before they were split, so
versions of one picture could lie on both sides. Here the training part of each fold is topped up for itself.
"""

from search import Augment, Mlp, Recipe, Sampling, Study, Svm, at_hand, conv_net

study = Study(
    data="data/little",
    objective="balanced_accuracy",
    folds=5,
    oracle="grid",
    max_trials=14,  # two networks, and 4 machines on each backbone
    image_size=150,
    seed=7,
)

FILTERS = (32, 32, 64)
VIEWS = Augment("generator", shear_range=10, zoom_range=0.2, horizontal_flip=True)
FROM_SCRATCH = {
    "optimizer": "adadelta",
    "weight_decay": 0.0,
    "schedule": "constant",
    "learning_rate": 1.0,
    "pooling": "flatten",
    "epochs": 30,
}


def space(hp):
    model = hp.Choice("model", ["dropout in the head", "dropout everywhere", "svm", "svm_rbf"])
    with hp.conditional_scope("model", ["svm", "svm_rbf"]):
        backbone = hp.Choice("backbone", at_hand(["VGG16", "EfficientNetLite0", "MobileNetV2_0.35"]))
        cost = hp.Choice("C", [1.0, 10.0])
    if model == "dropout in the head":
        return Recipe(
            conv_net(FILTERS, scaling=(1 / 255, 0)),
            unfrozen_blocks=None,
            head=Mlp((64,), dropout="middle"),
            dropout=0.5,
            augment=VIEWS,
            **FROM_SCRATCH,
        )
    if model == "dropout everywhere":
        return Recipe(
            conv_net(FILTERS, dropout=0.1, scaling=(1 / 255, 0)),
            unfrozen_blocks=None,
            head=Mlp((64,), dropout="middle"),
            dropout=0.25,
            class_weight="max_ratio",
            sampling=Sampling("top_up", 250),
            augment=VIEWS,
            **FROM_SCRATCH,
        )
    return Recipe(backbone, unfrozen_blocks=0, head=Svm("rbf" if model == "svm_rbf" else "linear", C=cost))
