"""DenseNet (Huang et al. 2017)."""

from search.repertoire.backbones.applications import application, imagenet
from search.repertoire.backbones.backbone import Backbone

DENSENET_121 = Backbone(
    "DenseNet121",
    make=application("DenseNet121"),
    scaling="torch",
    cuts=("pool2_pool", "pool3_pool", "pool4_pool"),
    mega_macs=2850,
    weights=imagenet("densenet", "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"),
)

FAMILY = (DENSENET_121,)
