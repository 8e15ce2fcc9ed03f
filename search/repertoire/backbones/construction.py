"""The network of a backbone, with the weights that the search began with."""

import zipfile
from typing import Any

from search.repertoire.backbones.backbone import Backbone
from search.repertoire.weights import check_weights, weights_file
from search.system.errors import UserError


def construct(backbone: Backbone, pretrained: bool, sha256: str = "") -> Any:
    """Return the Keras model of a backbone for images of any size, without pooling or a head.

    It is ``pretrained``, or has random weights (where it has no others, or for tests of the structure).
    Raises UserError where the weights are absent, other than the ``sha256`` that the search began
    with, or damaged.
    """
    if pretrained:
        check_weights(backbone, sha256)
    file = weights_file(backbone) if pretrained else None
    try:
        return backbone.make(file)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        fetched = backbone.weights is not None and backbone.weights.url
        way_out = "Delete the file and fetch it again" if fetched else "Install the package again"
        raise UserError(f"The weights of {backbone.name} cannot be loaded from {file}: {error}. {way_out}.") from error
