"""Document: the words of a report, beside its tables; who fills it decides what is said, pages only lay it out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search.data.finding import Finding

PARTS = {
    "answer": "The answer",
    "survival": "Survival with fewer images",
    "matters": "What matters",
    "winner": "The winner",
    "images": "Images to look at",
    "audit": "The data",
    "record": "The record",
}


@dataclass(frozen=True)
class Fact:
    """Something known, as text: what it is, its value, and a note on it, such as its interval."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Document:
    """What a report says in words. All of it is plain text that may hold anything, names of classes too.

    ``answer`` has three sentences; ``command`` is a line for a shell that retrains or exports the
    model, "" where there is none. ``facts`` are the few numbers of the winner, ``cautions`` what a
    reader must know before any of them. ``words`` are the leading sentences of each part in
    ``PARTS``, which may lack. ``pictures`` are thumbnails, by the id of the image, as
    data URIs of JPEGs; an image without one is named without it. ``findings`` are those of the
    audit, ``versions`` also tell seeds and digests, ``limits`` what may be concluded. The ledger
    is a table. ``unfinished`` says that the search goes on.
    """

    title: str
    answer: Sequence[str]
    command: str = ""
    facts: Sequence[Fact] = ()
    cautions: Sequence[str] = ()
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    versions: Sequence[Fact] = ()
    limits: Sequence[str] = ()
    unfinished: bool = False
