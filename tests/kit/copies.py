"""Copies of a picture, as people make them; and how well groups that were found agree with true ones."""

import io
import math
from collections import Counter, defaultdict

from PIL import Image, ImageEnhance

from search.data.decoding import read_image
from search.data.registration import SIDE


def thumbnail(image, quality=95):
    data = io.BytesIO()
    image.convert("RGB").save(data, "JPEG", quality=quality)
    data.seek(0)
    return read_image(data, SIDE)


def cut(image, left, top, right, bottom):
    """Return the image without these parts of its width and height."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def turned(image):
    """Return the image turned by 5 degrees, with black corners."""
    return image.rotate(5, Image.Resampling.BICUBIC)


def without_corners(image):
    """Return a turned image without its black corners."""
    width, height = image.size
    slant = math.tan(math.radians(5)) / 2
    across, down = round(slant * height) + 1, round(slant * width) + 1
    return image.crop((across, down, width - across, height - down))


COPIES = {
    "re-encoded": lambda image: image,
    "resized": lambda image: image.resize((image.width * 3 // 5, image.height * 3 // 5)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "a quarter turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "cropped around": lambda image: cut(image, 0.05, 0.05, 0.05, 0.05),
    "cropped at a corner": lambda image: cut(image, 0, 0, 0.1, 0.1),
    "turned a little": turned,
    "turned without black corners": lambda image: without_corners(turned(image)),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "grey": lambda image: image.convert("L"),
}


def bcubed(found, true):
    """Return the mean share of each image's found group that is of its true group.

    That is the BCubed precision of the groups found; with the arguments exchanged, their recall.
    """
    together = defaultdict(list)
    for one, other in zip(found, true, strict=True):
        together[one].append(other)
    sums = (sum(count**2 for count in Counter(others).values()) / len(others) for others in together.values())
    return sum(sums) / len(found)
