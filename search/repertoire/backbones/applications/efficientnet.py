"""EfficientNet in two versions (Tan & Le 2019, 2021)."""

from search.repertoire.backbones.applications.rows import application, imagenet
from search.repertoire.backbones.backbone import IDENTITY, Backbone, Weights

_ADDRESS = "https://storage.googleapis.com/keras-applications"  # of the first version


def _v1(number: int, ends: str, parameters: int, mega_macs: float, md5: str) -> Backbone:
    """Return a row of the first version; ``ends`` are the letters of the last units of stages 1, 2, 3 and 5."""
    name, file = f"EfficientNetB{number}", f"efficientnetb{number}_notop.h5"
    first = "block1a_project_bn" if ends[0] == "a" else f"block1{ends[0]}_add"
    return Backbone(
        name,
        make=application(name),
        scaling=IDENTITY,
        cuts=(first, *(f"block{stage}{end}_add" for stage, end in zip("235", ends[1:], strict=True))),
        mega_macs=mega_macs,
        weights=Weights(file, f"{_ADDRESS}/{file}", md5=md5, licence="Apache-2.0"),
        parameters=parameters,
    )


def _v2(size: str, ends: str, parameters: int, mega_macs: float, md5: str, further: tuple[str, ...] = ()) -> Backbone:
    """Return a row of the second version; ``ends`` as for the first one, ``further`` is a cut between them."""
    name = f"EfficientNetV2{size}"
    first = "block1a_project_activation" if ends[0] == "a" else f"block1{ends[0]}_add"
    second, third, last = (f"block{stage}{end}_add" for stage, end in zip("235", ends[1:], strict=True))
    file = f"efficientnetv2-{size.lower()}_notop.h5"
    return Backbone(
        name,
        make=application(name),
        scaling=IDENTITY,
        cuts=(first, second, third, *further, last),
        mega_macs=mega_macs,
        weights=imagenet("efficientnet_v2", file, md5=md5, licence="Apache-2.0"),
        parameters=parameters,
    )


FAMILY = (
    _v1(0, "abbc", 4_049_571, 695, "50bc09e76180e00e4465e1a485ddc09d"),
    _v1(1, "bccd", 6_575_239, 1030, "74c4e6b3e1f6a1eea24c589628592432"),
    _v1(2, "bccd", 7_768_569, 1160, "111f8e2ac8aa800a7a99e3239f7bfb39"),
    _v1(3, "bcce", 10_783_535, 1610, "af6d107764bb5b1abb91932881670226"),
    _v1(4, "bddf", 17_673_823, 2420, "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    _v1(5, "ceeg", 28_513_527, 3640, "38879255a25d3c92d5e44e04ae6cec6f"),
    _v1(6, "cffh", 40_960_143, 5040, "9ecce42647a20130c1f39a5d4cb75743"),
    _v1(7, "dggj", 64_097_687, 7470, "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    _v2("B0", "abbe", 5_919_312, 819, "893217f2bb855e2983157299931e43ff", ("block4c_add",)),
    _v2("B1", "bccf", 6_931_124, 1140, "0e80663031ca32d657f9caa404b6ec37"),
    _v2("B2", "bccf", 8_769_374, 1310, "1dfe2e7a5d45b6632553a8961ea609eb"),
    _v2("B3", "bccg", 12_930_622, 1790, "f6abf7b5849ac99a89b50dd3fd532856"),
    _v2("S", "bddi", 20_331_360, 3120, "af0682fb74e8c54910f2d4393339c070"),
    _v2("M", "ceen", 53_150_388, 5840, "1b8dc055df72dde80d614482840fe342"),
    _v2("L", "dggs", 117_746_848, 13100, "b0b66b5c863aef5b46e8608fe1711615"),
)
