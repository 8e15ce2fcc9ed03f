"""The table of backbones: each is a row, whole, in the file of its family. Without TensorFlow until one is built.

To add one, write its row in the file of its family, or in a new file with a line here.
"""

from search.repertoire.backbones import (
    densenet,
    efficientnet,
    efficientnet_lite,
    embedded,
    mobilenet,
    resnet,
    small_cnn,
    vgg,
)
from search.repertoire.backbones.backbone import Backbone

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
    )
}
