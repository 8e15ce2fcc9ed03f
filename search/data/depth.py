"""Deep images: those of more than 8 bits a channel, and the one range of values that each kind of them has.

A file of 16 bits does not say how many of them its camera used: 12 of 16, shown in full, are nearly black. So
all files of a kind in a data set share the smallest usual range that holds every value of them. A search and its
exported model record it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from PIL import ImageFile

GREY, COLOUR, INTEGERS, FLOATS = "16-bit grey", "16-bit colour", "32-bit integer", "floating-point"
BITS = (0xFF, 0x3FF, 0xFFF, 0x3FFF, 0xFFFF)  # 8, 10, 12, 14 and 16 bits: what sensors give
# DECISIONS: Deep images share one range for each kind
TOPS: dict[str, tuple[int, ...]] = {**dict.fromkeys((GREY, COLOUR, INTEGERS), BITS), FLOATS: (1, 0xFF)}
MOST_ABOVE = 0.01  # of an image's values that may lie above the range; they become white
BITS_TAG, PLANES_TAG = 258, 284  # of a TIFF
APART = 2  # value of PLANES_TAG: each channel is stored by itself
HEAD = 32  # bytes of a file that tell whether it can be deep
COLOURS = frozenset({"RGB", "RGBA", "RGBX", "LA"})


class UnfitError(ValueError):
    """Why a sound file is no image for us, in words for people."""


@dataclass(frozen=True)
class Extent:
    """The kind of a deep image, and the lowest and the highest of its values, alpha apart."""

    kind: str
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray, kind: str) -> Self:
        """Return the extent of values as ``values_of`` returns them."""
        colours = _without_alpha(values)
        return cls(kind, float(colours.min()), float(colours.max()))

    @property
    def fits(self) -> bool:
        """Whether a range of the kind holds the values; false where some are no numbers."""
        return self.low >= 0 and self.high <= TOPS[self.kind][-1]

    def check(self) -> None:
        """Raise UnfitError for values that no range of the kind holds."""
        if self.fits:
            return
        if self.kind == FLOATS:
            words = f"floating-point values go from {self.low:g} to {self.high:g}, not from 0 to 1 or 255"
        else:
            words = f"whole numbers go from {self.low:.0f} to {self.high:.0f}, not from 0 to 255 or 65535"
        raise UnfitError(f"its {words}; bring all images there in the same way")


@dataclass(frozen=True)
class Ranges:
    """Which value is white, by kind of deep image. Black is 0.

    ``by_file`` is what searches of earlier versions mean: the range of each file is guessed from its values.
    """

    tops: Mapping[str, int] = field(default_factory=dict)
    by_file: bool = False

    @classmethod
    def recorded(cls, tops: Mapping[str, int] | None) -> Self:
        """Return the ranges of a record; None is one of an earlier version."""
        return cls(tops or {}, by_file=tops is None)

    def of(self, extents: Iterable[Extent]) -> "Ranges":
        """Return the ranges for images of these extents: as they are here, for other kinds the smallest that fits."""
        extents = list(extents)
        if self.by_file and extents:
            return self
        highest: dict[str, float] = {}
        for extent in extents:
            if extent.fits:
                highest[extent.kind] = max(extent.high, highest.get(extent.kind, 0))
        fitting = {kind: next(top for top in TOPS[kind] if top >= high) for kind, high in sorted(highest.items())}
        return Ranges({kind: self.tops.get(kind, top) for kind, top in fitting.items()})

    def joined(self, others: "Ranges") -> "Ranges":
        """Return these ranges, and those of the other kinds in ``others``."""
        return dataclasses.replace(self, tops=dict(sorted({**others.tops, **self.tops}.items())))

    @property
    def key(self) -> list[dict[str, int]]:
        """What names them in the cache: nothing where there are none, as in entries of earlier versions."""
        return [dict(self.tops)] if self.tops else []

    def eight_bits(self, values: np.ndarray, kind: str) -> np.ndarray:
        """Return values, (h, w) or (h, w, 3 or 4), as uint8 of the same shape. Alpha has all 16 bits.

        Raises UnfitError where the range of the kind is not known, or too many values lie above it.
        """
        Extent.of(values, kind).check()
        top = self.tops.get(kind)
        if top is None:
            raise UnfitError(
                f"a {kind} image, of which there was none in the data set: which value is white is not known. "
                "Save it with 8 bits a channel"
            )
        colours = _without_alpha(values)
        above = float((colours > top).mean())
        if above > MOST_ABOVE:
            raise UnfitError(
                f"{above:.0%} of its values lie above {top}, which is white in the {kind} images of the data set"
            )
        colours = np.minimum(colours, top)
        if kind == FLOATS:
            return (colours * (255 / top)).round().astype(np.uint8)
        shown = (colours >> shift_to_8_bits(top)).astype(np.uint8)
        return shown if colours.shape == values.shape else np.dstack([shown, (values[..., 3] >> 8).astype(np.uint8)])


OF_8_BITS = Ranges()  # of images none of which is deep
BY_FILE = Ranges(by_file=True)


def may_be_deep(head: bytes) -> bool:
    """Return whether a file whose first HEAD bytes are these can be a deep image, without asking a decoder."""
    if head.startswith(b"\x89PNG"):
        return head[24:25] == b"\x10"
    return head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"} or (head[:1] == b"P" and head[1:2] in b"256f")


def kind_of(image: ImageFile.ImageFile) -> str | None:
    """Return the kind of a deep image that is opened and not loaded yet; None for one of 8 bits."""
    if image.mode.startswith("I;") or (image.mode == "I" and image.format == "PPM"):
        return GREY
    if image.mode in {"I", "F"}:
        return INTEGERS if image.mode == "I" else FLOATS
    return COLOUR if image.mode in COLOURS and _is_deep_colour(image) else None


def values_of(image: ImageFile.ImageFile, kind: str, data: bytes) -> np.ndarray:
    """Return the values of a deep image that is opened and not loaded yet, as its file ``data`` has them.

    Their shape is (h, w), (h, w, 3) or (h, w, 4), and those of 16 bits are uint16. Raises UnfitError for channels that
    are stored apart, and ValueError for a file that is cut off.
    """
    if image.format == "PPM" and (white := _white_of_pixel_map(image)):
        return _values_of_pixel_map(image, data, image.tile[0].offset, white)
    if kind != COLOUR:
        values = np.asarray(image)
        return values.astype(np.uint16) if kind == GREY else values
    if getattr(image, "tag_v2", {}).get(PLANES_TAG) == APART:
        raise UnfitError("a TIFF of 16-bit colour whose channels are stored apart: save it with its channels together")
    upper = np.asarray(image)  # Pillow gives the upper byte alone, and knows whether the file is whole
    values = _decoded_by_opencv(data)
    values = values[..., : upper.shape[2]]
    if values.shape != upper.shape or not np.array_equal(values >> 8, upper):
        raise UnfitError("16-bit colour of a rare kind: save it with 8 bits a channel")
    return values


def shift_to_8_bits(high: float) -> int:
    """Return the shift to the right that leads the smallest range of whole numbers with ``high`` in it to 0 to 255."""
    return next(top for top in BITS if top >= high).bit_length() - 8


def _without_alpha(values: np.ndarray) -> np.ndarray:
    return values[..., :3] if values.ndim == 3 else values


def _is_deep_colour(image: ImageFile.ImageFile) -> bool:
    if image.format == "TIFF":
        bits: tuple[int, ...] = image.tag_v2.get(BITS_TAG, ())  # type: ignore[attr-defined]
        return bool(bits) and bits[0] == 16
    if image.format == "PPM":
        return _white_of_pixel_map(image) > 0xFF
    return image.format == "PNG" and str(image.tile[0].args).endswith(";16B")


def _white_of_pixel_map(image: ImageFile.ImageFile) -> int:
    """Return the highest value that a binary PGM or PPM declares, 0 for another one."""
    codec, _, _, args = image.tile[0]
    return int(args[1]) if codec == "ppm" and isinstance(args, tuple) else 0


def _values_of_pixel_map(image: ImageFile.ImageFile, data: bytes, offset: int, white: int) -> np.ndarray:
    """Return the values of a binary PGM or PPM of 16 bits, stretched to all of them; Pillow is slow and loses bits."""
    shape = (image.height, image.width) if image.mode == "I" else (image.height, image.width, 3)
    count = int(np.prod(shape))
    if len(data) < offset + 2 * count:
        raise UnfitError("cut off: its end is missing")
    values = np.frombuffer(data, ">u2", count, offset).reshape(shape)
    if white == 0xFFFF:
        return values.astype(np.uint16)
    return np.rint(values * (0xFFFF / white)).clip(0, 0xFFFF).astype(np.uint16)


def _decoded_by_opencv(data: bytes) -> np.ndarray:
    """Return the values of 16-bit colour, (h, w, 3 or 4) uint16, red first."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise UnfitError("16-bit colour of a rare kind: save it with 8 bits a channel")
    return values[..., [2, 1, 0, 3][: values.shape[2]]]
