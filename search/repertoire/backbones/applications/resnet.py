"""ResNet (He et al. 2016), and with the activation before the convolution (He et al. 2016, "Identity mappings")."""

from search.repertoire.backbones.applications.rows import application, imagenet
from search.repertoire.backbones.backbone import SIGNED, Backbone


def _row(name: str, units: tuple[int, int, int], parameters: int, mega_macs: float, md5: str) -> Backbone:
    """Return a row; ``units`` is how many of them the stages before the last one have."""
    second = name.endswith("V2")
    return Backbone(
        name,
        make=application(name),
        scaling=SIGNED if second else "caffe",
        cuts=tuple(f"conv{stage}_block{unit}_out" for stage, unit in zip("234", units, strict=True)),
        mega_macs=mega_macs,
        weights=imagenet(
            "resnet",
            f"{name.lower()}_weights_tf_dim_ordering_tf_kernels_notop.h5",
            md5=md5,
            licence="BSD" if second else "MIT",
        ),
        parameters=parameters,
    )


FAMILY = (
    _row("ResNet50", (3, 4, 6), 23_587_712, 3860, "4d473c1dd8becc155b73f8504c6f6626"),
    _row("ResNet101", (3, 4, 23), 42_658_176, 7570, "88cf7a10940856eca736dc7b7e228a21"),
    _row("ResNet152", (3, 8, 36), 58_370_944, 11300, "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    _row("ResNet50V2", (3, 4, 6), 23_564_800, 3480, "fac2f116257151a9d068a22e544a4917"),
    _row("ResNet101V2", (3, 4, 23), 42_626_560, 7190, "c0ed64b8031c3730f411d2eb4eea35b5"),
    _row("ResNet152V2", (3, 8, 36), 58_331_648, 10900, "ed17cf2e0169df9d443503ef94b23b33"),
)
