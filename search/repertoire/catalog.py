"""What can be chosen, without TensorFlow: backbones, augmentation policies, weightings, oracles.

The rooms of ``search.repertoire`` hold what each name does; a test keeps both sides in step.
"""

from dataclasses import dataclass

APPLICATIONS = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class Weights:
    """A file of pretrained weights.

    Those of ImageNet are named ``file`` under ``$KERAS_HOME/models``, and ``url`` is where Keras would
    fetch them. Those that come with this package have no address, but a digest that is checked.
    """

    file: str
    url: str = ""
    sha256: str = ""

    @property
    def packaged(self) -> bool:
        """Whether they come with this package."""
        return not self.url


@dataclass(frozen=True)
class Backbone:
    """A network that turns images into features.

    ``blocks`` is how many blocks can be unfrozen, counted from the top (the output end).
    ``effort`` is the cost of one forward pass at 224 px, in millions of multiply-adds of dense
    convolutions (depthwise ones are charged two to three times, as they run on CPUs); it serves the
    estimate of a search's cost only. ``weights`` is None for a network that starts
    from random weights.
    """

    name: str
    blocks: int
    effort: float
    weights: Weights | None

    @property
    def pretrained(self) -> bool:
        """Whether it starts from weights that were trained before, on other pictures."""
        return self.weights is not None

    def cacheable(self, unfrozen_blocks: int) -> bool:
        """Return whether a recipe that unfreezes so many blocks has a frozen part, whose activations can be kept.

        Views are fixed, so those of any augmentation can; where nothing is frozen, only pixels and views are kept.
        """
        return unfrozen_blocks < self.blocks


def _imagenet(name: str, blocks: int, effort: float, folder: str, file: str) -> Backbone:
    return Backbone(name, blocks, effort, Weights(file, f"{APPLICATIONS}/{folder}/{file}"))


_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels"

BACKBONES = {
    backbone.name: backbone
    for backbone in (
        Backbone("SmallCNN", 4, 50, None),
        Backbone(
            "Embedded",
            4,
            390,
            Weights("embedded.npz", sha256="41b97d151cfe0de812d7261211ea206fb892e8bcd4ebc7a6c5353c33d520aace"),
        ),
        Backbone("Embedded_scratch", 4, 390, None),
        _imagenet("MobileNet_0.25", 5, 100, "mobilenet", "mobilenet_2_5_224_tf_no_top.h5"),
        _imagenet("MobileNet", 5, 1300, "mobilenet", "mobilenet_1_0_224_tf_no_top.h5"),
        _imagenet("MobileNetV2_0.35", 5, 150, "mobilenet_v2", f"{_V2}_0.35_224_no_top.h5"),
        _imagenet("MobileNetV2", 5, 750, "mobilenet_v2", f"{_V2}_1.0_224_no_top.h5"),
        _imagenet("MobileNetV3Small", 4, 145, "mobilenet_v3", "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"),
        _imagenet("EfficientNetV2B0", 6, 1400, "efficientnet_v2", "efficientnetv2-b0_notop.h5"),
        _imagenet("ResNet50V2", 4, 3500, "resnet", "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _imagenet("DenseNet121", 4, 2850, "densenet", "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _imagenet("VGG16", 5, 15300, "vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    )
}

AUGMENT_POLICIES = {  # policy: whether it takes a strength
    "none": False,
    "flip_crop": False,
    "color": True,
    "randaugment": True,
}
DEFAULT_STRENGTH = 0.5
CLASS_WEIGHTS = ("none", "balanced")
OBJECTIVES = ("accuracy", "balanced_accuracy", "macro_f1")
ORACLES = ("tpe", "random", "bayesian", "grid")
