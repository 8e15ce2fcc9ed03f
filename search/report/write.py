"""The files of a report: a page, Markdown with pictures, CSV and JSON, all from the same contents."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.analysis.judgement import Judgement
from search.record import Record
from search.report import contents
from search.report.document import Document
from search.report.exhibit import Chapter
from search.report.figures import write_pictures
from search.report.html import page
from search.report.json import as_json
from search.report.markdown import markdown
from search.report.thumbnails import thumbnails
from search.system.files import write_text

PAGE = "index.html"


@dataclass(frozen=True)
class Report:
    """A report that was written: what it says, and its files by name."""

    document: Document
    paths: dict[str, Path]


def write_report(record: Record, chapters: Sequence[Chapter] = contents.CHAPTERS) -> Report:
    """Write the report of a search, running or ended, into its folder; ``chapters`` are what it is made of."""
    folder = record.folder / "report"
    folder.mkdir(exist_ok=True)
    judgement = Judgement.of(record)
    document = contents.document(judgement, chapters)
    displays = document.displays
    pictures = write_pictures((d.figure for d in displays if d.figure), folder)
    images = thumbnails(record, (id_ for d in displays if d.gallery for id_ in d.gallery.ids))
    frames = {d.exhibit.sheet.name: d.frame for d in displays}
    texts = {
        PAGE: page(document, images),
        "report.md": markdown(document, pictures),
        "report.json": json.dumps(as_json(judgement, document), ensure_ascii=False, allow_nan=False) + "\n",
        **{f"{name}.csv": frame.to_csv(index=False) for name, frame in frames.items()},
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return Report(document, {name: folder / name for name in texts})
