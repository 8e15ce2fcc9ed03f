"""The files of a report: a page, Markdown with pictures, CSV and JSON, all from the same contents."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from search.analysis.judgement import Judgement
from search.record import Record
from search.report import contents
from search.report.document import Document
from search.report.drawing import DrawingError
from search.report.exhibit import Chapter
from search.report.exhibits import looked
from search.report.figures import Pictures
from search.report.html import page
from search.report.json import as_json
from search.report.markdown import markdown
from search.report.thumbnails import thumbnails
from search.system.files import write_text
from search.system.texts import csv_text

PAGE, REPORT = "index.html", "report"


@dataclass(frozen=True)
class Report:
    """A report that was written: what it says, its files by name, and what is missing from them, if anything."""

    document: Document
    paths: dict[str, Path]
    problem: str = ""


def write_report(record: Record, chapters: Sequence[Chapter] = contents.CHAPTERS, to: Path | None = None) -> Report:
    """Write the report of a search, running or ended; ``chapters`` are what it is made of.

    ``to`` is the folder for it, None for ``report`` in that of the search.
    """
    folder = to or record.folder / REPORT
    folder.mkdir(parents=True, exist_ok=True)
    judgement, problem = Judgement.of(record), ""
    with Pictures() as pictures:
        document = contents.document(judgement, chapters, pictures.begin)
        images = thumbnails(record, (id_ for d in document.displays if d.gallery for id_ in d.gallery.ids))
        images |= looked.pictures(record)
        try:
            pages = _pages(document, images, pictures.write(folder))
        except DrawingError as error:
            problem = f"The charts of this report could not be drawn: {error}. Its numbers and tables are whole."
            document = without_charts(document, problem)
            pages = _pages(document, images, {})
    frames = {d.exhibit.sheet.name: d.frame for d in document.displays}
    texts = {
        **pages,
        "report.json": json.dumps(as_json(judgement, document), ensure_ascii=False, allow_nan=False) + "\n",
        **{f"{name}.csv": csv_text(frame) for name, frame in frames.items()},
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return Report(document, {name: folder / name for name in texts}, problem)


def document_of(record: Record) -> Document:
    """Return what the report of a search says, which is not written."""
    return contents.document(Judgement.of(record))


def _pages(document: Document, images: dict[str, str], pictures: dict[str, str]) -> dict[str, str]:
    """Return the page, and the Markdown with ``pictures`` at these paths."""
    return {PAGE: page(document, images), "report.md": markdown(document, pictures)}


def without_charts(document: Document, problem: str) -> Document:
    """Return the document with a caution in place of its charts."""
    sections = [
        replace(section, rows=tuple(tuple(replace(d, figure=None) for d in row) for row in section.rows))
        for section in document.sections
    ]
    return replace(document, sections=sections, cautions=[*document.cautions, problem])
