"""DenseNet (Huang et al. 2017)."""

from search.repertoire.backbones.applications.rows import application, imagenet
from search.repertoire.backbones.backbone import Backbone


def _row(depth: int, parameters: int, mega_macs: float, md5: str) -> Backbone:
    name = f"DenseNet{depth}"
    file = f"{name.lower()}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return Backbone(
        name,
        make=application(name),
        scaling="torch",
        cuts=("pool2_pool", "pool3_pool", "pool4_pool"),
        mega_macs=mega_macs,
        weights=imagenet("densenet", file, md5=md5, licence="BSD-3-Clause"),
        parameters=parameters,
    )


FAMILY = (
    _row(121, 7_037_504, 2830, "30ee3e1110167f948a6b9946edeeb738"),
    _row(169, 12_642_880, 3360, "b8c4d4c20dd625c148057b9ff1c1176b"),
    _row(201, 18_321_984, 4290, "c13680b51ded0fb44dff2d8f86ac8bb1"),
)
