"""The network of a backbone, with the weights that the search began with."""

import zipfile
from typing import Any

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.naming import with_own_names
from search.repertoire.weights import check_weights, weights_file
from search.system.errors import UserError
from search.system.modules import Home, beside_now
from search.system.precision import FLOAT32


def construct(
    backbone: Backbone, pretrained: bool, sha256: str = "", home: Home | None = None, precision: str = FLOAT32
) -> Any:
    """Return the Keras model of a backbone for images of any size, without pooling or a head.

    It is ``pretrained``, or has random weights (where it has no others, or for tests of the structure).
    An own backbone is made from its ``home``. Its layers compute in ``precision``, its weights are float32. Raises
    UserError where the weights are absent, other than the ``sha256`` that the search began with, or damaged.
    """
    if backbone.is_own:
        from search.repertoire.backbones.own import network_of

        return network_of(backbone, home or beside_now().home(), precision)
    if pretrained:
        check_weights(backbone, sha256)
    file = weights_file(backbone) if pretrained else None
    try:
        make = backbone.make
        assert callable(make)
        return with_own_names(lambda: make(file), precision)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        fetched = backbone.weights is not None and backbone.weights.url
        way_out = "Delete the file and fetch it again" if fetched else "Install the package again"
        raise UserError(f"The weights of {backbone.name} cannot be loaded from {file}: {error}. {way_out}.") from error
