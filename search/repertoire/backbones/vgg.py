"""VGG (Simonyan & Zisserman 2015)."""

from search.repertoire.backbones.applications import application, imagenet
from search.repertoire.backbones.backbone import Backbone

VGG_16 = Backbone(
    "VGG16",
    make=application("VGG16"),
    scaling="caffe",
    cuts=("block1_pool", "block2_pool", "block3_pool", "block4_pool"),
    mega_macs=15300,
    weights=imagenet("vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
)

FAMILY = (VGG_16,)
