"""EfficientNetV2 (Tan & Le 2021)."""

from search.repertoire.backbones.applications import application, imagenet
from search.repertoire.backbones.backbone import IDENTITY, Backbone

EFFICIENTNET_V2_B0 = Backbone(
    "EfficientNetV2B0",
    make=application("EfficientNetV2B0"),
    scaling=IDENTITY,
    cuts=("block1a_project_activation", "block2b_add", "block3b_add", "block4c_add", "block5e_add"),
    mega_macs=1400,
    weights=imagenet("efficientnet_v2", "efficientnetv2-b0_notop.h5"),
)

FAMILY = (EFFICIENTNET_V2_B0,)
