"""Bytes of images that no camera wrote, made by hand."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 40), (20, 40, 210), (255, 255, 255)
ORIENTATION = 0x0112
TURNED_BACK = {  # how a camera stores an upright picture, by EXIF orientation
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def solid(colour, mode="RGB", kind="PNG", **options):
    return encoded(Image.new(mode, (8, 8), colour), kind, **options)


def of_array(array, kind="PNG", **options):
    return encoded(Image.fromarray(array), kind, **options)


def grey(value, dtype, kind="TIFF"):
    return of_array(np.full((8, 8), value, dtype), kind)


def noise(kind="PNG", side=64, seed=0, **options):
    return of_array(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8), kind, **options)


def quarters(side=32):
    half = side // 2
    pixels = np.empty((side, side, 3), np.uint8)
    pixels[:half, :half], pixels[:half, half:], pixels[half:, :half], pixels[half:, half:] = RED, GREEN, BLUE, WHITE
    return pixels


def turned(orientation, kind="PNG"):
    """Return quarters as a camera with this EXIF orientation stores them."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = np.ascontiguousarray(TURNED_BACK.get(orientation, TURNED_BACK[1])(quarters()))
    return of_array(stored, kind, exif=exif)


def frames(kind, first=RED, **options):
    pages = [Image.new("RGB", (8, 8), colour) for colour in (first, BLUE, GREEN)]
    return encoded(pages[0], kind, save_all=True, append_images=pages[1:], **options)


def palette(kind="PNG", transparent=None):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*BLUE, *RED])
    image.paste(0, (0, 0, 8, 4))
    return encoded(image, kind, **({} if transparent is None else {"transparency": transparent}))


def ycck():
    """Return a red JPEG in YCCK, which Pillow reads but does not write."""
    # Red is C 0, M 255, Y 255, K 0; Adobe stores the inverse of it, and YCCK the luma and chroma of that one's inverse.
    data = bytearray(solid((76, 84, 255, 0), "CMYK", "JPEG", quality=100, subsampling=0))
    data[data.index(b"Adobe") + 11] = 2  # the colour transform
    return bytes(data)


def png_chunk(kind, data, crc=None):
    return (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)
    )


def png(width=8, height=8, extra=b"", crc=None, head_crc=None, packed=None):
    """Return a PNG whose header declares this size, whatever it holds."""
    packed = packed or zlib.compress((b"\0" + bytes(RED) * 8) * 8)
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IDAT", packed, crc)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header, head_crc) + extra + body + png_chunk(b"IEND", b"")


def zeros(length):
    """Return very many zeros, packed by and by."""
    squeeze = zlib.compressobj(1)
    megabytes, rest = divmod(length, 2**20)
    return b"".join(squeeze.compress(bytes(2**20)) for _ in range(megabytes)) + (
        squeeze.compress(bytes(rest)) + squeeze.flush()
    )


def whole_bomb(side=10_001):
    """Return a small PNG that really holds so many black pixels."""
    return png(side, side, packed=zeros(side * (3 * side + 1)))


def swelling(kind):
    """Return a PNG with a small chunk that swells to 200 MB."""
    start = {b"iCCP": b"icc\0\0", b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0"}[kind]
    return png(extra=png_chunk(kind, start + zeros(200 * 2**20)))


def gif(width=8, height=8, count=1):
    """Return a GIF of ``count`` frames whose header declares this size."""
    data = solid(0, "P", "GIF")
    start = data.index(b",")
    return data[:6] + struct.pack("<2H", width, height) + data[10:start] + data[start:-1] * count + b";"


def tiff_pages(count):
    """Return a TIFF of ``count`` white pages, all of which share one pixel."""
    tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1)]
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in tags)
    length = len(ifd) + 4
    starts = [12 + length * at for at in range(1, count)]
    return (
        b"II*\0"
        + struct.pack("<I4s", 12, b"\xff   ")
        + b"".join(ifd + struct.pack("<I", next_) for next_ in [*starts, 0])
    )


def bmp(width, height):
    data = solid(RED, kind="BMP")
    return data[:18] + struct.pack("<2i", width, height) + data[26:]


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
PSD = b"8BPS\0\1" + bytes(6) + struct.pack(">H2I2H", 3, 8, 8, 8, 3) + bytes(12) + b"\0\0" + bytes(192)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(/tmp/x) (w) file\n%%EOF\n"
HTML = b"<!DOCTYPE html><title>404 Not Found</title>" + b" " * 500
