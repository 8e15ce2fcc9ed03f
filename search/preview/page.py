"""A preview on disk: contact sheets as PNG, and one page that needs no other file."""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from search.data.materialise import check_place
from search.data.readers.paths import check_outside
from search.preview.pictures import COLUMNS, Section
from search.report.html import environment, look
from search.report.sheets import contact_sheets, write_sheets
from search.report.thumbnails import jpeg
from search.system.files import write_text

PAGE = "index.html"
MARK = '<meta name="generator" content="python -m search preview">'  # tells a page from anybody else's
HEAD = 1_000  # bytes of a page, within which it stands
SHEET = re.compile(r"(?:augment-\d+|mix-\d+|synthetic)(?:-\d+)?\.png")
SMALLEST, LARGEST = 96, 160  # px of the side of an image on sheets, and the most on the page
TINY = 64  # px of the longest side, to which images are shown without loss, as JPEG blurs them


def check_target(folder: Path, data: Path) -> None:
    """Raise UserError for a folder that holds anything but an earlier preview, and for one among the images."""
    check_outside(folder, data, "Name a folder elsewhere with --to")
    if not is_preview(folder):
        check_place(folder)


def is_preview(folder: Path) -> bool:
    """Return whether a folder holds a page and sheets of an earlier preview, and nothing else."""
    page = folder / PAGE
    if not page.is_file() or MARK not in page.read_bytes()[:HEAD].decode(errors="replace"):
        return False
    return all(path == page or (SHEET.fullmatch(path.name) and path.is_file()) for path in folder.iterdir())


def write_preview(title: str, lines: Sequence[str], sections: Sequence[Section], folder: Path) -> list[Path]:
    """Write the sheets of each section, and the page; return the paths of the sheets.

    Sheets of an earlier preview are removed from the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sheets = []
    for section in sections:
        drawn = contact_sheets(section.groups, title=section.title, side=_side(section), columns=COLUMNS)
        sheets += write_sheets(drawn, folder, section.name)
    for path in folder.glob("*.png"):
        if path not in sheets and SHEET.fullmatch(path.name):
            path.unlink()
    write_text(folder / PAGE, page(title, lines, sections))
    return sheets


def page(title: str, lines: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the page: a part for each section, whose images are in it."""
    template = environment().get_template("preview.html")
    return template.render(title=title, lines=lines, sections=sections, uri=_uri, width=_width, tiny=_is_tiny, **look())


def _uri(pixels: np.ndarray) -> str:
    """Return an image as a data URI; it is no larger than it is shown."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if _is_tiny(pixels):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return f"data:image/jpeg;base64,{jpeg(np.asarray(image))}"


def _is_tiny(pixels: np.ndarray) -> bool:
    return max(pixels.shape[:2]) <= TINY


def _width(pixels: np.ndarray) -> int:
    """Return how wide an image is shown, in px: a small one a whole number of times as wide as it is."""
    return min(LARGEST, pixels.shape[1] * max(1, SMALLEST // pixels.shape[1]))


def _side(section: Section) -> int:
    """Return the side of the images of a section on sheets, in px: that which a network sees, where it suits."""
    shapes = [tile.pixels.shape[1] for group in section.groups for tile in group.tiles if tile.pixels is not None]
    return min(LARGEST, max(SMALLEST, *shapes))
