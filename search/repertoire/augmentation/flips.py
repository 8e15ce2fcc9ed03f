"""Policies that move pixels and change none: every version of an image, in turn."""

from PIL import Image, ImageOps

from search.repertoire.augmentation.policy import Policy, Version


def _same(image: Image.Image) -> Image.Image:
    return image


def _turned(how: Image.Transpose) -> Version:
    return lambda image: image.transpose(how)


FLIP = Policy("flip", None, takes_strength=False, words="flip", versions=(_same, ImageOps.mirror))
# All eight ways to lay a square on itself, for pictures that have no "up".
FLIP_ROTATE = Policy(
    "flip_rotate", None, takes_strength=False, words="flip_rotate", versions=(_same, *map(_turned, Image.Transpose))
)
