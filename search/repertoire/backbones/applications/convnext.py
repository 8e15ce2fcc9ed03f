"""ConvNeXt (Liu et al. 2022); its largest weights saw ImageNet-21k first."""

from search.repertoire.backbones.applications.rows import application, imagenet
from search.repertoire.backbones.backbone import IDENTITY, Backbone


def _row(size: str, parameters: int, mega_macs: float, sha256: str) -> Backbone:
    name, prefix = f"ConvNeXt{size}", f"convnext_{size.lower()}"
    return Backbone(
        name,
        make=application(name),
        scaling=IDENTITY,
        cuts=tuple(f"{prefix}_downsampling_layernorm_{number}" for number in range(3)),
        mega_macs=mega_macs,
        weights=imagenet("convnext", f"{prefix}_notop.h5", sha256=sha256, licence="MIT"),
        parameters=parameters,
    )


FAMILY = (
    _row("Tiny", 27_820_128, 20100, "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    _row("Small", 49_454_688, 34200, "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    _row("Base", 87_566_464, 49400, "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    _row("Large", 196_230_336, 85500, "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    _row("XLarge", 348_147_968, 129000, "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
)
