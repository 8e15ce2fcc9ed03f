"""Document: what a report on a search says and shows; pages only lay it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.data.finding import Finding

if TYPE_CHECKING:
    from search.report.exhibit import Display, Section


LEAD = 2  # paragraphs of an answer


@dataclass(frozen=True)
class Fact:
    """Something known, as text: what it is, its value, and a note on it, such as its interval."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Document:
    """What a report says and shows. All of its text is plain and may hold anything, names of classes too.

    ``answer`` begins with what works best and what to expect of it, the ``lead``. ``command`` is a
    line for a shell that retrains or exports the model, "" where there is none. ``facts`` are the
    numbers beside the leading one, ``cautions`` what a reader must know before any of them.
    ``sections`` are the chapters of the report with their words and exhibits. ``findings`` are those
    of the audit, ``versions`` also tell seeds and digests, ``limits`` what may be concluded.
    ``unfinished`` says that the search goes on. ``kind`` is what it is, and ``footer`` says where its numbers are.
    """

    title: str
    answer: Sequence[str]
    command: str = ""
    facts: Sequence[Fact] = ()
    cautions: Sequence[str] = ()
    sections: "Sequence[Section]" = ()
    findings: Sequence[Finding] = ()
    versions: Sequence[Fact] = ()
    limits: Sequence[str] = ()
    unfinished: bool = False
    kind: str = "Report of a search"
    footer: str = "Its tables are in trials.csv, folds.csv, predictions.csv and report.json."

    @property
    def lead(self) -> str:
        """What the answer begins with: what works best, and what to expect of it."""
        return " ".join(self.answer[:LEAD])

    @property
    def further(self) -> Sequence[str]:
        """The rest of the answer: how sure that is, what to do next, the recipe."""
        return self.answer[LEAD:]

    @property
    def chapters(self) -> "Sequence[Section]":
        """The sections that people read: without those that are optional and have nothing to say."""
        return [section for section in self.sections if section.words or not section.chapter.is_optional]

    @property
    def displays(self) -> "list[Display]":
        """All exhibits, in the order of the contents."""
        return [display for section in self.sections for display in section.displays]
