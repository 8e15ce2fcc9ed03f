"""Arrays of numbers -> images as binary PGM or PPM, whose bytes are the same on every machine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search.data.depth import shift_to_8_bits
from search.system.errors import UserError

CHANNELS = (1, 3, 4)
_FIRST = (1, 3)


@dataclass(frozen=True)
class Stack:
    """Images of one size, to be read one at a time, as often as wanted.

    ``shape`` is (n, h, w), (n, h, w, 1 | 3 | 4) or (n, 1 | 3, h, w); ``where`` says where they lie.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: Callable[[], Iterator[np.ndarray]]
    where: str

    @classmethod
    def of(cls, array: np.ndarray, where: str) -> "Stack":
        """Return the images of an array in memory."""
        return cls(array.shape, array.dtype, lambda: iter(array), where)


def images(stacks: Sequence[Stack], deep: bool = True) -> Iterator[tuple[str, bytes]]:
    """Yield (suffix, content of a file) for each image of ``stacks``, in order.

    Grey images become PGM, coloured ones PPM, with alpha laid on white. Booleans are black and
    white. Numbers of 16 bits stay as they are, unless all are below 256; with alpha, or unless ``deep``, they become 8
    bits. Floats mean [0, 1] if none is above 1, else [0, 255]; one range holds for all stacks of a type.
    Raises UserError for other shapes and ranges, before the first image.
    """
    layouts = [_channels_last(stack) for stack in stacks]
    factors = _factors(stacks, deep)
    return (
        _encoded(_as_pixels(layout(row), *factors[stack.dtype], deep))
        for stack, layout in zip(stacks, layouts, strict=True)
        for row in stack.rows()
    )


def _channels_last(stack: Stack) -> Callable[[np.ndarray], np.ndarray]:
    """Return what turns a row of the stack into (h, w, channels)."""
    shape = stack.shape
    last = len(shape) == 4 and shape[3] in CHANNELS
    first = len(shape) == 4 and shape[1] in _FIRST
    if 0 not in shape and len(shape) == 3:
        return lambda row: row[..., np.newaxis]
    if 0 not in shape and last and not first:
        return lambda row: row
    if 0 not in shape and first and not last:
        return lambda row: row.transpose(1, 2, 0)
    problem = "could have its channels first or last" if first and last else "are no images"
    raise UserError(
        f"{stack.where}: numbers of shape {shape} {problem}. Images are (n, h, w) or (n, h, w, channels) with 1, 3 or "
        "4 channels, or (n, channels, h, w) with 1 or 3: reshape the array."
    )


def _factors(stacks: Sequence[Stack], deep: bool) -> dict[np.dtype, tuple[float, int]]:
    """Return for each type the factor, and the shift to the right, that lead to 0..255."""
    factors: dict[np.dtype, tuple[float, int]] = {}
    for dtype in {stack.dtype for stack in stacks}:
        alike = [stack for stack in stacks if stack.dtype == dtype]
        if dtype == np.uint8:
            factors[dtype] = 1, 0
        elif dtype == np.bool_:
            factors[dtype] = 255, 0
        elif dtype.kind in "iuf":
            factors[dtype] = _factor(dtype, *_range(alike), deep, alike[0].where)
        else:
            raise UserError(f"{alike[0].where}: pixels of the type {dtype} are no numbers. Save them as uint8.")
    return factors


def _range(stacks: Sequence[Stack]) -> tuple[float, float]:
    """Return the lowest and the highest number; NaN where there is one."""
    ends = np.array([(row.min(), row.max()) for stack in stacks for row in stack.rows()], dtype=np.float64)
    return float(ends.min()), float(ends.max())


def _factor(dtype: np.dtype, low: float, high: float, deep: bool, where: str) -> tuple[float, int]:
    if low >= 0 and high <= (1 if dtype.kind == "f" else 255):
        return (255, 0) if dtype.kind == "f" else (1, 0)
    if low >= 0 and high <= 255:
        return 1, 0
    if dtype.kind == "u" and dtype.itemsize == 2:
        return 1, shift_to_8_bits(high) if deep else 8
    range_ = "NaN (not a number)" if np.isnan(low) or np.isnan(high) else f"numbers from {low:g} to {high:g}"
    if dtype.kind in "iu" and low >= 0 and high <= np.iinfo(np.uint16).max:  # int64 is what NumPy makes of lists
        raise UserError(
            f"{where}: pixels of the type {dtype} hold {range_}. Images of more than 8 bits are of the type "
            "uint16: save x.astype('uint16') if these are such. All others must lie in [0, 1] or [0, 255]."
        )
    raise UserError(
        f"{where}: pixels of the type {dtype} hold {range_}. They must lie in [0, 1] or [0, 255]: undo the "
        "standardisation, or save the images as uint8 as they were before it."
    )


def _as_pixels(image: np.ndarray, factor: float, shift: int, deep: bool) -> np.ndarray:
    """Return (h, w, 1 or 3) uint8, or uint16 where numbers of 16 bits without alpha stay what they are."""
    if shift and deep and image.shape[2] < 4:
        return image.astype(np.uint16)
    if shift:
        numbers = image >> shift
    elif factor == 1 and image.dtype.kind != "f":
        numbers = image
    else:
        numbers = np.rint(image.astype(np.float64) * factor)
    pixels = numbers.astype(np.uint8)
    if pixels.shape[2] < 4:
        return pixels
    wide = pixels.astype(np.uint32)
    colour, alpha = wide[..., :3], wide[..., 3:]
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _encoded(pixels: np.ndarray) -> tuple[str, bytes]:
    height, width, channels = pixels.shape
    kind, suffix = ("P5", ".pgm") if channels == 1 else ("P6", ".ppm")
    white, stored = (0xFF, np.uint8) if pixels.dtype == np.uint8 else (0xFFFF, np.dtype(">u2"))
    return suffix, f"{kind}\n{width} {height}\n{white}\n".encode() + pixels.astype(stored).tobytes()
