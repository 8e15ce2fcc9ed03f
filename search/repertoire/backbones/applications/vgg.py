"""VGG (Simonyan & Zisserman 2015)."""

from search.repertoire.backbones.applications.rows import application, imagenet
from search.repertoire.backbones.backbone import Backbone


def _row(depth: int, parameters: int, mega_macs: float, md5: str) -> Backbone:
    name = f"VGG{depth}"
    file = f"{name.lower()}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return Backbone(
        name,
        make=application(name),
        scaling="caffe",
        cuts=("block1_pool", "block2_pool", "block3_pool", "block4_pool"),
        mega_macs=mega_macs,
        weights=imagenet(name.lower(), file, md5=md5, licence="CC BY"),
        parameters=parameters,
    )


FAMILY = (
    _row(16, 14_714_688, 15300, "6d6bbae143d832006294945121d1f1fc"),
    _row(19, 20_024_384, 19500, "253f8cb515780f3b799900260a226db6"),
)
