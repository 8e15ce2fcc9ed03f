"""A report as Markdown with its pictures beside it: the words, charts and tables of the page, in the same order."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from search.report import views
from search.report.captions import caption
from search.report.cells import View
from search.report.document import PARTS, Document, Fact
from search.report.reading import Tables

ROWS = 20
FILES = 3  # of a finding

# What each part shows after its words, charts by name and tables by function.
SHOWN: dict[str, tuple[str | Callable[[Tables], View], ...]] = {
    "answer": ("leaderboard", views.leaderboard, "cost", views.baselines, views.confirmation, views.comparisons),
    "survival": ("survival", views.survival),
    "matters": ("effects", views.effects, "interaction", views.interaction, "parallel"),
    "winner": (
        *("strip", "loss", "accuracy", "loss_small", "accuracy_small", "confusion", "recall", views.classes),
        *("calibration", views.calibration),
    ),
    "images": (views.hard, views.label_errors, views.confused, views.duplicates),
    "audit": (),
    "record": (views.ledger,),
}


def markdown(document: Document, tables: Tables, pictures: Mapping[str, str]) -> str:
    """Return the report as Markdown.

    ``pictures`` are the paths of the charts' pictures by name, relative to the report, as
    ``search.report.pictures.write_pictures`` returns them; a chart without one is left out. Every
    table has at most ``ROWS`` rows.
    """
    parts = [f"# {inert(document.title)}"]
    for part, title in PARTS.items():
        parts.append(f"## {title}")
        parts += _answer(document) if part == "answer" else []
        parts += [inert(sentence) for sentence in document.words.get(part, ())]
        parts += _findings(document) if part == "audit" else []
        parts += _limits(document) if part == "record" else []
        for shown in SHOWN[part]:
            parts += _picture(shown, tables, pictures) if isinstance(shown, str) else _table(shown(tables))
        parts += _versions(document) if part == "record" else []
    return "\n\n".join(parts) + "\n"


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
    yield inert(" ".join(document.answer))
    if document.command:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", document.command)), default=0))
        yield f"{fence}sh\n{document.command}\n{fence}"
    if document.facts:
        yield _listed(document.facts)
    if document.cautions:
        yield "**Before you believe any number:**"
        yield "\n".join(f"- {inert(caution)}" for caution in document.cautions)


def _listed(facts: Sequence[Fact]) -> str:
    return "\n".join(
        f"- {inert(fact.label)}: **{inert(fact.value)}**{f' ({inert(fact.note)})' if fact.note else ''}"
        for fact in facts
    )


def _picture(name: str, tables: Tables, pictures: Mapping[str, str]) -> list[str]:
    if name not in pictures:
        return []
    told = caption(name, tables)
    return [f"### {told.title}", inert(told.text), f"![{inert(told.alternative)}]({pictures[name]})"]


def _table(view: View) -> list[str]:
    if not view.rows:
        return []
    short = view.shortened(ROWS)
    lines = [
        "| " + " | ".join(inert(column.title) for column in short.columns) + " |",
        "|" + "|".join("---:" if column.numeric else "---" for column in short.columns) + "|",
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
    said = "\n".join(f"- {inert(limit)}" for limit in document.limits)
    return ["### What may be concluded", said] if said else []


def _versions(document: Document) -> list[str]:
    return ["### Versions and seeds", _listed(document.versions)] if document.versions else []
