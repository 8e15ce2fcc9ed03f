"""ResNet with the activation before the convolution (He et al. 2016, "Identity mappings")."""

from search.repertoire.backbones.applications import application, imagenet
from search.repertoire.backbones.backbone import SIGNED, Backbone

RESNET_50_V2 = Backbone(
    "ResNet50V2",
    make=application("ResNet50V2"),
    scaling=SIGNED,
    cuts=("conv2_block3_out", "conv3_block4_out", "conv4_block6_out"),
    mega_macs=3500,
    weights=imagenet("resnet", "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"),
)

FAMILY = (RESNET_50_V2,)
