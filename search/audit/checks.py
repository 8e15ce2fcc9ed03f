"""What is odd about a data set, in words: every finding names its files and the way out.

Small-data results are ruined by data far more often than by recipes, so this runs before every
search. ``CHECKS`` is the table: each check is one function of what was read, and changes nothing.
A new one is a function in a file of its subject and a row here.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search.audit.classes import alike_classes, imbalance, shortcut, too_few
from search.audit.copies import across_splits, conflicting_labels, large_groups, near_duplicates, telling_names
from search.audit.files import doubtful, equal_files, folders_within, ignored, omitted, repeated, unreadable
from search.audit.inspection import DuplicateGroup, Inspection
from search.audit.numbering import numbered_names
from search.audit.pictures import blank, holds_pages, narrow, pages
from search.data.dataset import Dataset
from search.data.finding import ERROR, LEVELS, Finding

CHECKS: tuple[Callable[[Inspection], Iterator[Finding]], ...] = (
    unreadable,
    omitted,
    doubtful,
    alike_classes,
    conflicting_labels,
    across_splits,
    near_duplicates,
    telling_names,
    numbered_names,
    shortcut,
    folders_within,
    too_few,
    large_groups,
    narrow,
    pages,
    blank,
    equal_files,
    repeated,
    imbalance,
    ignored,
)


@dataclass(frozen=True)
class Audit:
    """What there is to say of a data set: facts in numbers, findings, gravest first, groups of near-duplicates."""

    facts: dict[str, Any]
    findings: tuple[Finding, ...]
    duplicates: tuple[DuplicateGroup, ...]

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep the search from running."""
        return [finding for finding in self.findings if finding.level == ERROR]

    def to_dict(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return the audit as JSON types; ``ids`` are those of the data set."""
        groups = [
            {"files": [ids[row] for row in g.rows], "equal": g.equal, "how": list(g.how)} for g in self.duplicates
        ]
        return {**self.facts, "findings": [asdict(finding) for finding in self.findings], "duplicates": groups}


def audit(inspection: Inspection, more: Sequence[Finding] = ()) -> Audit:
    """Return the audit of an inspection: what all checks find, and ``more`` findings from elsewhere."""
    findings = [*more, *(finding for check in CHECKS for finding in check(inspection))]
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    return Audit(facts(inspection.dataset), tuple(findings), tuple(inspection.duplicates))


def facts(dataset: Dataset) -> dict[str, Any]:
    """Return classes, sizes and kinds of the images, counted."""
    sides = [max(fact.width, fact.height) for fact in dataset.facts]
    return {
        "data": str(dataset.source),
        "images": len(dataset),
        "classes": dataset.counts,
        "splits": dataset.splits,
        "groups": int(dataset.table["group"].nunique()),
        "formats": dict(Counter(fact.format for fact in dataset.facts).most_common()),
        "modes": dict(Counter(fact.mode for fact in dataset.facts).most_common()),
        "longest_side": {"smallest": min(sides), "median": float(np.median(sides)), "largest": max(sides)}
        if sides
        else {},
        "turned": sum(fact.turned for fact in dataset.facts),
        "animated": sum(map(holds_pages, dataset.facts)),
    }
