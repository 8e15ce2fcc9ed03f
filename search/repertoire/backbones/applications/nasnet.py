"""NASNet-A (Zoph et al. 2018), whose cells take the outputs of two cells before them, so that no cut is found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.repertoire.backbones.applications.rows import application, imagenet
from search.repertoire.backbones.backbone import SIGNED, Backbone
from search.repertoire.backbones.graph import graph_of

STEP = 32  # px: what five halvings without a remainder need


# DECISIONS: NASNet is built for 224 px
def _network(name: str) -> Callable[[Path | None], Any]:
    """Return what builds a network for images whose side is a multiple of ``STEP``.

    Keras builds it for one size, from which it takes where cells shrink and what they pad. Both are the same for all
    such sizes, so that the operations of one are used for all.
    """

    def make(file: Path | None) -> Any:
        from search.system.tf import keras

        graph = graph_of(application(name, input_shape=(7 * STEP, 7 * STEP, 3))(file), any_size=True)
        return keras.Model(graph.input, graph.output, name=name)

    return make


def _row(size: str, parameters: int, mega_macs: float, md5: str) -> Backbone:
    name = f"NASNet{size}"
    file = f"nasnet_{size.lower()}_no_top.h5"
    return Backbone(
        name,
        make=_network(name),
        scaling=SIGNED,
        cuts=(),
        mega_macs=mega_macs,
        weights=imagenet("nasnet", file, at=f"NASNet-{size.lower()}-no-top.h5", md5=md5, licence="Apache-2.0"),
        parameters=parameters,
        step=STEP,
    )


FAMILY = (
    _row("Mobile", 4_269_716, 1190, "1ed92395b5b598bdda52abe5c0dbfd63"),
    _row("Large", 84_916_818, 13200, "d81d89dc07e6e56530c4e77faddd61b5"),
)
