"""A report as Markdown with its pictures beside it: the words, charts and tables of the page, in the same order."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from search.report.document import Document, Fact

if TYPE_CHECKING:
    from search.report.exhibit import Display
    from search.report.table import Table

ROWS = 20
FILES = 3  # of a finding


def markdown(document: Document, pictures: Mapping[str, str]) -> str:
    """Return the report as Markdown.

    ``pictures`` are the paths of the charts' pictures by name, relative to the report, as
    ``search.report.figures.Pictures`` writes them; a chart without one is left out. Every
    table has at most ``ROWS`` rows.
    """
    blocks = [f"# {inert(document.title)}"]
    for section in document.chapters:
        chapter = section.chapter
        blocks.append(f"## {chapter.title}")
        blocks += PASSAGES[chapter.opening](document) if chapter.opening else ()
        blocks += map(inert, section.words)
        for passage in chapter.passages:
            blocks += PASSAGES[passage](document)
        for display in section.displays:
            blocks += _display(display, pictures)
        blocks += PASSAGES[chapter.closing](document) if chapter.closing else ()
    return "\n\n".join(blocks) + "\n"


def inert(text: str) -> str:
    """Return a text in one line that can act neither as Markdown nor as HTML nor as a link, whatever it holds."""
    line = re.sub(r"([\\`*\[\]<>|~$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", " ".join(text.split()))
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line)
    line = re.sub(r"^(#|[-+=](?=[-+=\s]|$))", r"\\\1", line)
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    # Some renderers make links of bare addresses.
    return re.sub(r"(?i)\b(https?|ftp|mailto|www)([:.])", r"\1\\\2", line)


def _answer(document: Document) -> Iterator[str]:
    if document.unfinished:
        yield "**This search is not finished.**"
    yield inert(document.lead)
    yield from map(inert, document.further)
    if document.command:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", document.command)), default=0))
        yield f"{fence}sh\n{document.command}\n{fence}"
    if document.facts:
        yield _facts(document.facts)
    if document.cautions:
        yield "**Before you believe any number:**"
        yield "\n".join(f"- {inert(caution)}" for caution in document.cautions)


def _facts(facts: Sequence[Fact]) -> str:
    return "\n".join(
        f"- {inert(fact.label)}: **{inert(fact.value)}**{f' ({inert(fact.note)})' if fact.note else ''}"
        for fact in facts
    )


def _display(display: "Display", pictures: Mapping[str, str]) -> Iterator[str]:
    figure, table = display.figure, display.table
    if figure and figure.name in pictures:
        yield f"### {figure.title}"
        yield inert(figure.reading)
        yield f"![{inert(figure.in_words)}]({pictures[figure.name]})"
    if table and table.rows:
        yield from table_blocks(table)


def table_blocks(table: "Table", most: int = ROWS) -> list[str]:
    """Return a table as blocks of Markdown: its caption, at most so many of its rows, and what is left out."""
    short = table.shortened(most)
    lines = [
        "| " + " | ".join(inert(title.text) for title in short.titles) + " |",
        "|" + "|".join("---:" if title.numeric else "---" for title in short.titles) + "|",
        *("| " + " | ".join(inert(cell.text) for cell in row.cells) + " |" for row in short.rows),
    ]
    return [inert(short.caption), "\n".join(lines), *([inert(short.left_out)] if short.left_out else [])]


def _findings(document: Document) -> list[str]:
    lines = [
        f"- **{finding.level.capitalize()}, {inert(finding.topic)}:** {inert(finding.text)}. {inert(finding.way_out)}"
        + _files(finding.files)
        for finding in document.findings
    ]
    return ["\n".join(lines)] if lines else ["Nothing odd was found in the data."]


def _files(files: tuple[str, ...]) -> str:
    if not files:
        return ""
    more = len(files) - FILES
    return f" ({', '.join(map(inert, files[:FILES]))}{f' and {more} more' if more > 0 else ''})"


def _limits(document: Document) -> list[str]:
    lines = "\n".join(f"- {inert(limit)}" for limit in document.limits)
    return ["### What may be concluded", lines] if lines else []


def _versions(document: Document) -> list[str]:
    return ["### Versions and seeds", _facts(document.versions)] if document.versions else []


PASSAGES: dict[str, Callable[[Document], Iterable[str]]] = {
    "answer": _answer,
    "findings": _findings,
    "limits": _limits,
    "versions": _versions,
}
