"""MobileNet in three versions (Howard et al. 2017; Sandler et al. 2018; Howard et al. 2019), for small machines."""

from search.repertoire.backbones.applications.rows import application, imagenet, width_name
from search.repertoire.backbones.backbone import IDENTITY, SIGNED, Backbone

_CUTS = ("conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu")
_SHARES = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}  # in the names of files
_CUTS_V2 = ("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add")
_CUTS_V3 = {
    "Small": ("expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add"),
    "Large": ("expanded_conv_add", "expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_11_add"),
}


def _v1(width: float, parameters: int, mega_macs: float) -> Backbone:
    file = f"mobilenet_{_SHARES[width]}_224_tf_no_top.h5"
    return Backbone(
        width_name("MobileNet", width),
        make=application("MobileNet", alpha=width),
        scaling=SIGNED,
        cuts=_CUTS,
        mega_macs=mega_macs,
        weights=imagenet("mobilenet", file, licence="Apache-2.0"),
        parameters=parameters,
    )


def _v2(width: float, parameters: int, mega_macs: float) -> Backbone:
    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
    return Backbone(
        width_name("MobileNetV2", width),
        make=application("MobileNetV2", alpha=width),
        scaling=SIGNED,
        cuts=_CUTS_V2,
        mega_macs=mega_macs,
        weights=imagenet("mobilenet_v2", file, licence="Apache-2.0"),
        parameters=parameters,
    )


def _v3(size: str, kind: str, parameters: int, mega_macs: float, md5: str) -> Backbone:
    """Return a row of the third version: ``kind`` is its width, or "minimalistic"."""
    minimalistic = kind == "minimalistic"
    width = 1.0 if minimalistic else float(kind)
    name = f"MobileNetV3{size}"
    file = f"{size.lower()}{'_minimalistic' if minimalistic else ''}_224_{width}_float_no_top_v2.h5"
    return Backbone(
        f"{name}_{kind}" if minimalistic else width_name(name, width),
        make=application(name, alpha=width, minimalistic=minimalistic),
        scaling=IDENTITY,
        cuts=_CUTS_V3[size],
        mega_macs=mega_macs,
        weights=imagenet("mobilenet_v3", f"weights_mobilenet_v3_{file}", licence="Apache-2.0", md5=md5),
        parameters=parameters,
    )


FAMILY = (
    _v1(0.25, 218_544, 79.9),
    _v1(0.5, 829_536, 227),
    _v1(0.75, 1_832_976, 442),
    _v1(1.0, 3_228_864, 724),
    _v2(0.35, 410_208, 135),
    _v2(0.5, 706_224, 197),
    _v2(0.75, 1_382_064, 365),
    _v2(1.0, 2_257_984, 486),
    _v2(1.3, 3_766_048, 753),
    _v2(1.4, 4_363_712, 847),
    _v3("Small", "minimalistic", 441_000, 84, "cde8136e733e811080d9fcd8a252f7e4"),
    _v3("Small", "0.75", 583_160, 99, "ebdb5cc8e0b497cd13a7c275d475c819"),
    _v3("Small", "1.0", 939_120, 122, "d3e8ec802a04aa4fc771ee12a9a9b836"),
    _v3("Large", "minimalistic", 1_437_608, 319, "ec5221f64a2f6d1ef965a614bdae7973"),
    _v3("Large", "0.75", 1_808_736, 296, "40af19a13ebea4e2ee0c676887f69a2e"),
    _v3("Large", "1.0", 2_996_352, 380, "07fb09a5933dd0c8eaafa16978110389"),
)
