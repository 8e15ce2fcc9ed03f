"""Contact sheets: grids of images with captions, as pictures that any viewer opens."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from search.report.style import PALETTE
from search.system.files import write_bytes
from search.system.texts import visible

FONTS = Path(__file__).with_name("fonts")
SIDE, COLUMNS = 144, 8  # px of an image, and images of a row, unless somebody says otherwise
TALLEST = 2_400  # px of a sheet
MARGIN, GAP = 16, 12  # px around a sheet, and between images
FRAME = 4  # px
TITLE, HEADING, CAPTION = 20, 16, 13  # px of type
LEADING = 1.35  # px of a line for each of its type
CUT, ABSENT = "…", "no picture"

Font = ImageFont.FreeTypeFont


@dataclass(frozen=True)
class Tile:
    """An image of a sheet: ``pixels`` (h, w, 3) uint8, None where there is no picture of it.

    Each line of the ``caption`` is cut in its middle where it is wider than the image. ``frame`` is a colour that
    Pillow knows, or that of this name in the palette of reports; "" for no frame.
    """

    pixels: np.ndarray | None
    caption: str = ""
    frame: str = ""


@dataclass(frozen=True)
class Group:
    """Images below a heading, which begin in a row of their own; "" is no heading."""

    heading: str
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class _Row:
    """A row of a sheet: a heading of lines, "" for none, and images below it."""

    heading: str
    tiles: Sequence[Tile]
    side: int

    @property
    def height(self) -> int:
        """How high it is, in px."""
        lines = max((len(tile.caption.splitlines()) for tile in self.tiles), default=0)
        return _above(self) + self.side + 2 * FRAME + _line(CAPTION) * lines + GAP


def contact_sheets(
    groups: Sequence[Group], *, title: str = "", side: int = SIDE, columns: int = COLUMNS, tallest: int = TALLEST
) -> list[Image.Image]:
    """Return images as sheets, in order: none for no images.

    Images are fitted into squares of ``side`` px, with ``columns`` of them in a row. A small image is enlarged a whole
    number of times, pixel by pixel. A sheet is at most ``tallest`` px high, but holds one row at least. Where there
    are several sheets, each says of how many it is which one.
    """
    rows = [row for group in groups for row in _rows(group, side, columns)]
    if not rows:
        return []
    width = 2 * MARGIN + max(len(row.tiles) for row in rows) * (side + 2 * FRAME + GAP) - GAP
    room = tallest - 2 * MARGIN - _line(TITLE)
    pages = list(_pages(rows, room))
    if len(pages) == 1:
        return [_drawn(rows, title, width)]
    before = f"{title}, " if title else ""
    return [_drawn(page, f"{before}sheet {at} of {len(pages)}", width) for at, page in enumerate(pages, start=1)]


def write_sheets(sheets: Sequence[Image.Image], folder: Path, name: str) -> list[Path]:
    """Write sheets as ``<name>.png``, of several ``<name>-1.png`` and so on, and return their paths.

    Those of this name that an earlier command wrote are removed.
    """
    names = [f"{name}-{number}.png" if len(sheets) > 1 else f"{name}.png" for number in range(1, len(sheets) + 1)]
    for path in folder.glob("*.png"):
        if path.name not in names and re.fullmatch(rf"{re.escape(name)}(?:-\d+)?\.png", path.name):
            path.unlink()
    for file, sheet in zip(names, sheets, strict=True):
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        write_bytes(folder / file, buffer.getvalue())
    return [folder / file for file in names]


def cut(text: str, width: float, font: Font) -> str:
    """Return a text in a line that is at most ``width`` px wide: the middle of a longer one is left out."""
    text = _drawable(visible(text), font)
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text) - 1  # letters that stay
    while low < high:
        many = (low + high + 1) // 2
        low, high = (many, high) if font.getlength(_shortened(text, many)) <= width else (low, many - 1)
    return _shortened(text, low)


@cache
def font(size: int, weight: str = "regular") -> Font:
    """Return the project's own font at a size in px."""
    return ImageFont.truetype(FONTS / f"arimo-{weight}.woff2", size)


def _shortened(text: str, letters: int) -> str:
    tail = letters // 2
    return text[: letters - tail] + CUT + (text[-tail:] if tail else "")


def _drawable(text: str, font: Font) -> str:
    """Return a text in which each letter that the font lacks stands as its number, as in Python."""
    return "".join(letter if _has(letter, font) else ascii(letter)[1:-1] for letter in text)


@cache
def _has(letter: str, font: Font) -> bool:
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))


def _line(size: int) -> int:
    return round(LEADING * size)


def _above(row: _Row) -> int:
    """Return the px that the heading of a row takes."""
    return _line(HEADING) + FRAME if row.heading else 0


def _rows(group: Group, side: int, columns: int) -> Iterator[_Row]:
    for at in range(0, len(group.tiles), columns):
        yield _Row("" if at else group.heading, group.tiles[at : at + columns], side)


def _pages(rows: Sequence[_Row], room: int) -> Iterator[list[_Row]]:
    """Yield the rows of each sheet; a group that goes on there has its heading again."""
    page: list[_Row] = []
    left, heading = room, ""
    for row in rows:
        heading = row.heading or heading
        if page and row.height > left:
            yield page
            again = f"{heading} (continued)" if heading and not row.heading else row.heading
            page, left = [replace(row, heading=again)], room
        else:
            page.append(row)
        left -= page[-1].height
    yield page


def _drawn(rows: Sequence[_Row], title: str, width: int) -> Image.Image:
    above = _line(TITLE) + GAP // 2 if title else 0
    height = 2 * MARGIN + above + sum(row.height for row in rows) - GAP
    sheet = Image.new("RGB", (width, height), PALETTE["paper"])
    pen = ImageDraw.Draw(sheet)
    inner = width - 2 * MARGIN
    if title:
        _write(pen, title, (MARGIN, MARGIN), inner, font(TITLE, "bold"))
    top = MARGIN + above
    for row in rows:
        if row.heading:
            _write(pen, row.heading, (MARGIN, top), inner, font(HEADING, "bold"))
        below = top + _above(row)
        for number, tile in enumerate(row.tiles):
            _place(sheet, pen, tile, (MARGIN + number * (row.side + 2 * FRAME + GAP), below), row.side)
        top += row.height
    return sheet


def _write(pen: ImageDraw.ImageDraw, text: str, at: tuple[int, int], width: int, font: Font, ink: str = "ink") -> None:
    pen.text(at, cut(text, width, font), PALETTE[ink], font)


def _place(sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, at: tuple[int, int], side: int) -> None:
    """Draw an image, its frame and its caption with their upper left corner at ``at``."""
    whole, (left, top) = side + 2 * FRAME, at
    if tile.pixels is None:
        pen.rectangle((left, top, left + whole - 1, top + whole - 1), PALETTE["shade"], PALETTE["line"])
        _write(pen, ABSENT, (left + 2 * FRAME, top + whole // 2 - CAPTION), side - 2 * FRAME, font(CAPTION), "soft")
    else:
        picture = _fitted(tile.pixels, side)
        place = left + (whole - picture.width) // 2, top + (whole - picture.height) // 2
        if tile.frame:
            corners = (place[0] - FRAME, place[1] - FRAME)
            ends = (place[0] + picture.width + FRAME - 1, place[1] + picture.height + FRAME - 1)
            pen.rectangle((*corners, *ends), PALETTE.get(tile.frame, tile.frame))
        sheet.paste(picture, place)
    for number, line in enumerate(tile.caption.splitlines()):
        _write(pen, line, (left, top + whole + 2 + number * _line(CAPTION)), whole, font(CAPTION))


def _fitted(pixels: np.ndarray, side: int) -> Image.Image:
    """Return an image whose longer side is ``side`` px, or the largest whole multiple below that of a small one."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    longest = max(image.size)
    if longest <= side:
        times = side // longest
        return image.resize((times * image.width, times * image.height), Image.Resampling.NEAREST)
    size = tuple(max(1, round(length * side / longest)) for length in image.size)
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
