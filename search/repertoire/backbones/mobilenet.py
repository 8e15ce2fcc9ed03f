"""MobileNet in three versions (Howard et al. 2017; Sandler et al. 2018; Howard et al. 2019), for small machines."""

from search.repertoire.backbones.applications import application, imagenet
from search.repertoire.backbones.backbone import IDENTITY, SIGNED, Backbone

_CUTS = ("conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu")
_CUTS_V2 = ("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add")
_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels"

MOBILENET_QUARTER = Backbone(
    "MobileNet_0.25",
    make=application("MobileNet", alpha=0.25),
    scaling=SIGNED,
    cuts=_CUTS,
    mega_macs=100,
    weights=imagenet("mobilenet", "mobilenet_2_5_224_tf_no_top.h5"),
)
MOBILENET = Backbone(
    "MobileNet",
    make=application("MobileNet", alpha=1.0),
    scaling=SIGNED,
    cuts=_CUTS,
    mega_macs=1300,
    weights=imagenet("mobilenet", "mobilenet_1_0_224_tf_no_top.h5"),
)
MOBILENET_V2_THIRD = Backbone(
    "MobileNetV2_0.35",
    make=application("MobileNetV2", alpha=0.35),
    scaling=SIGNED,
    cuts=_CUTS_V2,
    mega_macs=150,
    weights=imagenet("mobilenet_v2", f"{_V2}_0.35_224_no_top.h5"),
)
MOBILENET_V2 = Backbone(
    "MobileNetV2",
    make=application("MobileNetV2", alpha=1.0),
    scaling=SIGNED,
    cuts=_CUTS_V2,
    mega_macs=750,
    weights=imagenet("mobilenet_v2", f"{_V2}_1.0_224_no_top.h5"),
)
MOBILENET_V3_SMALL = Backbone(
    "MobileNetV3Small",
    make=application("MobileNetV3Small"),
    scaling=IDENTITY,
    cuts=("expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add"),
    mega_macs=145,
    weights=imagenet("mobilenet_v3", "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"),
)

FAMILY = (MOBILENET_QUARTER, MOBILENET, MOBILENET_V2_THIRD, MOBILENET_V2, MOBILENET_V3_SMALL)
