"""The shapes of networks that most tests build."""

from search.repertoire.shape import Shape


def linear_shape(backbone, blocks, side):
    """Return the shape of a network with a linear head, which AdamW trains."""
    return Shape(backbone, blocks, side, "linear", "adamw")
