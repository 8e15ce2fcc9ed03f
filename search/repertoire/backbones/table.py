"""The table of backbones: each is a row, whole, in the file of its family. Without TensorFlow until one is built.

To add one, write its row in the file of its family, or in a new file with a line here.
"""

from search.repertoire.backbones import efficientnet_lite, embedded, small_cnn
from search.repertoire.backbones.applications import (
    convnext,
    densenet,
    efficientnet,
    inception,
    mobilenet,
    nasnet,
    resnet,
    vgg,
)
from search.repertoire.backbones.backbone import Backbone
from search.system.commands import command
from search.system.errors import UserError
from search.system.validation import one_of

BACKBONES: dict[str, Backbone] = {  # by name, in the order in which messages list them
    backbone.name: backbone
    for backbone in (
        *small_cnn.FAMILY,
        *embedded.FAMILY,
        *efficientnet_lite.FAMILY,
        *mobilenet.FAMILY,
        *efficientnet.FAMILY,
        *resnet.FAMILY,
        *densenet.FAMILY,
        *vgg.FAMILY,
        *inception.FAMILY,
        *convnext.FAMILY,
        *nasnet.FAMILY,
    )
}


def check_name(field: str, name: object) -> None:
    """Raise UserError unless ``name`` is that of a backbone."""
    one_of(field, name, BACKBONES, listing=command("backbones"))


def backbone_of(field: str, value: str | Backbone) -> Backbone:
    """Return a backbone by its name in the table, or somebody's own with all that its network tells.

    Raises UserError for a name that is not known, and for an own one that cannot be used.
    """
    if not isinstance(value, Backbone):
        check_name(field, value)
        return BACKBONES[value]
    if BACKBONES.get(value.name) == value:
        return value
    if value.name in BACKBONES:
        raise UserError(f"Backbone({value.name!r}, …) has the name of one that the program has: give it another.")
    if not value.is_own:
        raise UserError(
            f"Backbone({value.name!r}, make=…): make must be a text that workers can follow: 'module:function', or the "
            "path of a .keras file."
        )
    from search.repertoire.backbones.own import found

    return found(value)
