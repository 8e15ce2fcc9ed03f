"""Inception (Szegedy et al. 2016), with residual units (Szegedy et al. 2017), and Xception (Chollet 2017)."""

from search.repertoire.backbones.applications.rows import application, imagenet
from search.repertoire.backbones.backbone import SIGNED, Backbone

_KERNELS = "weights_tf_dim_ordering_tf_kernels_notop.h5"

INCEPTION_V3 = Backbone(
    "InceptionV3",
    make=application("InceptionV3"),
    scaling=SIGNED,
    cuts=("max_pooling2d", "max_pooling2d_1", "mixed2", "mixed7"),
    mega_macs=2840,
    weights=imagenet(
        "inception_v3", f"inception_v3_{_KERNELS}", md5="bcbd6486424b2319ff4ef7d526e38f63", licence="Apache-2.0"
    ),
    parameters=21_802_784,
    smallest=75,
)
INCEPTION_RESNET_V2 = Backbone(
    "InceptionResNetV2",
    make=application("InceptionResNetV2"),
    scaling=SIGNED,
    cuts=("max_pooling2d", "max_pooling2d_1", "block35_10_ac", "block17_20_ac"),
    mega_macs=6470,
    weights=imagenet(
        "inception_resnet_v2",
        f"inception_resnet_v2_{_KERNELS}",
        md5="d19885ff4a710c122648d3b5c3b684e4",
        licence="Apache-2.0",
    ),
    parameters=54_336_736,
    smallest=75,
)
XCEPTION = Backbone(
    "Xception",
    make=application("Xception"),
    scaling=SIGNED,
    cuts=("block1_conv2_act", "add", "add_1", "add_10"),
    mega_macs=5200,
    weights=imagenet("xception", f"xception_{_KERNELS}", md5="b0042744bf5b25fce3cb969f33bebb97", licence="MIT"),
    parameters=20_861_480,
    smallest=71,
)

FAMILY = (INCEPTION_V3, INCEPTION_RESNET_V2, XCEPTION)
