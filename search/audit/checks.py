"""What is odd about a data set, in words: every finding names its files and the way out.

Small-data results are ruined by data far more often than by recipes, so this runs before every
search. Each check is one function of what was read; none changes anything.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from search.audit.names import proposed_pattern
from search.audit.shortcuts import told_by_files
from search.data.dataset import Dataset
from search.data.duplicates import Pair
from search.data.finding import ERROR, FILES_NAMED, LEVELS, NOTE, WARNING, Finding, listed
from search.data.groups import joined
from search.data.loading import Inputs
from search.study import AUTO, Study
from search.system.errors import UserError

BLANK = 2.0  # standard deviation of a thumbnail's pixels, of 255
IMBALANCE = 3.0
NAMED = 5
FEWEST = 5  # images of a class in a part, below which a score is mostly luck
SHORTCUT = 0.15  # balanced accuracy above chance
LARGE_GROUP = 0.2  # of all images
WAYS_NAMED = 2
CLEARLY_MORE = 1.2  # times as many images that share a group


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that show the same: rows of the data set, whether the files are equal, and how they differ."""

    rows: tuple[int, ...]
    equal: bool
    how: tuple[str, ...]


@dataclass(frozen=True)
class Inspected:
    """What the checks look at: the data set, its thumbnails, its near-duplicates, the study.

    ``thumbnails`` has the shape (n, side, side, 3) uint8; ``near`` (n,) numbers the groups of
    near-duplicates, whatever the study makes of them, and ``pairs`` are the evidence. ``in_folds``
    are the rows that are not held out.
    """

    dataset: Dataset
    thumbnails: np.ndarray
    near: np.ndarray
    pairs: Sequence[Pair]
    study: Study
    in_folds: np.ndarray

    @cached_property
    def duplicates(self) -> list[DuplicateGroup]:
        """The groups of two or more near-duplicates, largest first."""
        groups = pd.Series(range(len(self.near))).groupby(self.near).agg(tuple)
        how: dict[int, list[str]] = {}
        for pair in self.pairs:
            how.setdefault(self.near[pair.first], []).append(pair.how)
        contents = self.dataset.contents
        found = [
            DuplicateGroup(rows, len({contents[row] for row in rows}) == 1, _in_short(how.get(number, [])))
            for number, rows in groups.items()
            if len(rows) > 1
        ]
        return sorted(found, key=lambda group: (-len(group.rows), group.rows))

    @cached_property
    def together(self) -> list[str]:
        """The group of each image with its near-duplicates, whatever the study makes of them."""
        return joined(self.dataset.groups, [self.near])

    def apart(self, groups: Sequence[DuplicateGroup]) -> list[DuplicateGroup]:
        """Return those whose images the study's groups do not all keep together."""
        return [group for group in groups if len(set(self.dataset.groups[list(group.rows)])) > 1]

    def ids(self, groups: Sequence[DuplicateGroup]) -> tuple[str, ...]:
        """Return the ids of all images in some groups."""
        return tuple(self.dataset.ids[row] for group in groups for row in group.rows)


def _in_short(how: Sequence[str]) -> tuple[str, ...]:
    """Return in what pictures differ; without the degrees where there are many."""
    if len(set(how)) <= WAYS_NAMED:
        return tuple(sorted(set(how)))
    parts = {part.split(" by ")[0] for words in how for part in words.split(", ")}
    return tuple(sorted(parts))


@dataclass(frozen=True)
class Audit:
    """What was found: facts in numbers, findings with the gravest first, groups of near-duplicates."""

    facts: dict[str, Any]
    findings: tuple[Finding, ...]
    duplicates: tuple[DuplicateGroup, ...]

    @property
    def errors(self) -> list[Finding]:
        """What keeps the search from running."""
        return [finding for finding in self.findings if finding.level == ERROR]

    def to_dict(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return the audit as JSON types; ``ids`` are those of the data set."""
        groups = [
            {"files": [ids[row] for row in g.rows], "equal": g.equal, "how": list(g.how)} for g in self.duplicates
        ]
        return {**self.facts, "findings": [asdict(finding) for finding in self.findings], "duplicates": groups}


def inspect(inputs: Inputs) -> Inspected:
    """Return what the checks look at; where there can be no plan of folds, all rows count as in folds."""
    in_folds = np.arange(len(inputs.dataset))
    with contextlib.suppress(UserError):
        if inputs.plan.holdout:
            in_folds = inputs.plan.holdout.train
    pixels = inputs.thumbnails.pixels
    return Inspected(inputs.dataset, pixels, inputs.near, inputs.pairs, inputs.study, in_folds)


def audit(inspected: Inspected, more: Sequence[Finding] = ()) -> Audit:
    """Return what all checks find, with ``more`` found elsewhere."""
    findings = [*more, *(finding for check in CHECKS for finding in check(inspected))]
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    return Audit(facts(inspected.dataset), tuple(findings), tuple(inspected.duplicates))


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
        "animated": sum(fact.frames > 1 and fact.format != "MPO" for fact in dataset.facts),
    }


def unreadable(inspected: Inspected) -> Iterator[Finding]:
    """Find files that were left out because they cannot be read."""
    lost = inspected.dataset.unreadable
    if lost:
        reasons = ", ".join(why for why, _ in Counter(reason for _, reason in lost).most_common(3))
        were = "was" if len(lost) == 1 else "were"
        yield Finding(
            WARNING,
            "unreadable",
            f"{_count(len(lost), 'image')} cannot be read and {were} left out ({reasons})",
            "Mend or remove them.",
            tuple(id_ for id_, _ in lost),
        )


def ignored(inspected: Inspected) -> Iterator[Finding]:
    """Find files that are no images."""
    files = inspected.dataset.ignored
    if files:
        yield Finding(NOTE, "ignored", f"{_count(len(files), 'file')} that are no images were passed over", "", files)


def repeated(inspected: Inspected) -> Iterator[Finding]:
    """Find images that a manifest lists twice."""
    ids = inspected.dataset.repeated
    if ids:
        text = f"{_count(len(ids), 'line')} of the manifest repeat an earlier one, and were left out"
        yield Finding(NOTE, "repeated", text, "Remove them.", ids)


def equal_files(inspected: Inspected) -> Iterator[Finding]:
    """Find byte-identical files."""
    dataset = inspected.dataset
    if dataset.copies:
        table = dataset.table
        copies = table[table.duplicated("content", keep=False)].sort_values(["content", "id"])
        yield Finding(
            NOTE,
            "equal files",
            f"{dataset.copies} images are byte-identical to another; equal files always share a fold",
            "Remove the copies: they add no information.",
            tuple(copies["id"]),
        )


def near_duplicates(inspected: Inspected) -> Iterator[Finding]:
    """Find images that show the same picture, resized, turned, cropped or otherwise changed."""
    groups = [group for group in inspected.duplicates if not group.equal]
    if not groups:
        return
    images = sum(len(group.rows) for group in groups)
    text = f"{images} images form {_count(len(groups), 'group')} of near-duplicates"
    if inspected.study.groups == AUTO:
        yield Finding(NOTE, "near-duplicates", f"{text}; each group shares a fold", "", inspected.ids(groups))
        return
    apart = inspected.apart(groups)
    if apart:
        yield Finding(
            WARNING,
            "near-duplicates",
            f"{text}, and {len(apart)} of these groups can be on both sides of a fold, which flatters every score",
            'Use Study(groups="auto"), or a pattern or column that keeps them together.',
            inspected.ids(apart),
        )


def conflicting_labels(inspected: Inspected) -> Iterator[Finding]:
    """Find near-duplicates and equal files of different classes: at least one label is wrong."""
    labels = inspected.dataset.labels
    noisy = [group for group in inspected.duplicates if len(set(labels[list(group.rows)])) > 1]
    if noisy:
        yield Finding(
            WARNING,
            "conflicting labels",
            f"{_count(len(noisy), 'group')} of duplicates carry different labels, so some labels are wrong",
            "Look at them and keep one label for each picture.",
            inspected.ids(noisy),
        )


def across_splits(inspected: Inspected) -> Iterator[Finding]:
    """Find duplicates that lie in two parts of a given split."""
    dataset = inspected.dataset
    splits = dataset.table["split"].to_numpy()
    if len(dataset.splits) < 2:
        return
    astride = [group for group in inspected.duplicates if len(set(splits[list(group.rows)])) > 1]
    if astride:
        parts = ", ".join(f"{name} {count}" for name, count in dataset.splits.items())
        yield Finding(
            WARNING,
            "leaking split",
            f"{_count(len(astride), 'group')} of duplicates lie on both sides of the given split ({parts}), so scores "
            "that others report on it are flattered",
            "The folds keep them together, and as a hold-out the split is used without the training images that its "
            "images have copies of."
            if not inspected.apart(astride)
            else 'With these groups they leak here too: use Study(groups="auto").',
            inspected.ids(astride),
        )


def large_groups(inspected: Inspected) -> Iterator[Finding]:
    """Find a group that is so large that folds cannot be balanced around it."""
    sizes = inspected.dataset.table["group"].value_counts()
    name, largest = sizes.index[0], int(sizes.iloc[0])
    if largest > LARGE_GROUP * len(inspected.dataset) and largest > 2:
        members = inspected.dataset.table["id"][inspected.dataset.table["group"] == name]
        yield Finding(
            WARNING,
            "large group",
            f"{largest} of {len(inspected.dataset)} images form one group, which must lie in one fold",
            "Look whether they really belong together; otherwise give groups as a pattern, a column, or None.",
            tuple(members),
        )


def imbalance(inspected: Inspected) -> Iterator[Finding]:
    """Find classes of very different sizes."""
    counts = inspected.dataset.counts
    small, large = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if counts[large] >= IMBALANCE * counts[small]:
        yield Finding(
            NOTE,
            "imbalance",
            f"class {large!r} has {counts[large] / counts[small]:.1f} times as many images as class {small!r} "
            f"({counts[large]} and {counts[small]})",
            'Judge by objective="balanced_accuracy" or "macro_f1", and search over class_weight.',
        )


def folders_alike(inspected: Inspected) -> Iterator[Finding]:
    """Find classes without an image of their own, but several folders each: they may be one level too high."""
    dataset = inspected.dataset
    within: dict[str, set[str]] = {name: set() for name in dataset.classes}
    for id_, label in zip(dataset.ids, dataset.labels, strict=True):
        *_, class_name, inner, _ = ("", "", *id_.split("/"))
        within[dataset.classes[label]].add(inner if class_name == dataset.classes[label] else "")
    if any("" in names or len(names) < 2 for names in within.values()):
        return
    same = len({tuple(sorted(names)) for names in within.values()}) == 1
    held = "; ".join(f"{name} holds {listed(sorted(names))}" for name, names in list(within.items())[:FILES_NAMED])
    yield Finding(
        WARNING if same else NOTE,
        "folders within classes",
        f"no class has an image of its own, but all have {'the same ' if same else ''}folders ({held})",
        "If those are the classes, name one of the folders above them as the data, or call these train, val and test.",
    )


def too_few(inspected: Inspected) -> Iterator[Finding]:
    """Find classes that a part of the plan would hold hardly any images of."""
    study = inspected.study
    validation = 1 / study.folds if study.splits == "kfold" else study.val
    smallest = min(study.train_fractions) * (1 - validation)
    labels = inspected.dataset.labels[inspected.in_folds]
    counts = {name: int((labels == label).sum()) for label, name in enumerate(inspected.dataset.classes)}
    validating = "Add images, or use fewer folds: such scores are mostly luck; repeats=… makes them steadier."
    training = "Add images, or use larger train_fractions."
    for part, share, way_out in (
        ("validation part", validation, validating),
        ("smallest training part", smallest, training),
    ):
        few = {name: count * share for name, count in counts.items() if count * share < FEWEST}
        if few:
            counted = ", ".join(f"{name}: {number:.1f}" for name, number in list(few.items())[:NAMED])
            counted += f", and {len(few) - NAMED} more" * (len(few) > NAMED)
            yield Finding(
                WARNING,
                "too few images",
                f"the {part} of a fold holds fewer than {FEWEST} images of {_count(len(few), 'class')} ({counted})",
                way_out,
            )


def blank(inspected: Inspected) -> Iterator[Finding]:
    """Find images of a single colour."""
    flat = [row for row, image in enumerate(inspected.thumbnails) if image.std(axis=(0, 1)).max() < BLANK]
    if flat:
        ids = tuple(inspected.dataset.ids[row] for row in flat)
        yield Finding(WARNING, "blank", f"{_count(len(flat), 'image')} show a single colour", "Remove them.", ids)


def shortcut(inspected: Inspected) -> Iterator[Finding]:
    """Find a class that can be told by the kind of its files: format, mode, width, height."""
    dataset = inspected.dataset
    found = told_by_files(dataset, inspected.together)
    chance = 1 / len(dataset.classes)
    luck = (chance * (1 - chance) / len(dataset)) ** 0.5
    if found and found.score >= chance + SHORTCUT + luck:
        yield Finding(
            WARNING,
            "shortcut",
            f"classes can be told by the kind of their files alone, without looking at a picture: {found.score:.0%} "
            f"balanced accuracy where guessing gives {chance:.0%}. {found.by_class}",
            "A network may learn that instead. Save all images in one format, mode and size, from like sources.",
        )


def telling_names(inspected: Inspected) -> Iterator[Finding]:
    """Find a pattern on file names that keeps more copies together than the groups do."""
    dataset, study = inspected.dataset, inspected.study
    proposal = proposed_pattern(dataset.ids, [(pair.first, pair.second) for pair in inspected.pairs], dataset.labels)
    if proposal is None or study.group_pattern == proposal.pattern:
        return
    now = dataset.table["group"].nunique()
    text = (
        f"file names tell copies: {proposal.explained:.0%} of the images that have one share with it the part that "
        f"{proposal.pattern} finds ({proposal.chance:.1%} of any two images do), which makes {proposal.keys} groups"
    )
    use = f'Study(groups=r"{proposal.pattern}")'
    if now > CLEARLY_MORE * proposal.keys:
        way_out = f"If that part names the original, use {use}."
        yield Finding(WARNING, "telling names", f"{text} where there are {now} now", way_out)
    else:
        yield Finding(NOTE, "telling names", f"{text}; there are {now} now", f"{use} would go by the names alone.")


def _count(number: int, thing: str) -> str:
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{number} {thing if number == 1 else plural}"


CHECKS: tuple[Callable[[Inspected], Iterator[Finding]], ...] = (
    unreadable,
    conflicting_labels,
    across_splits,
    near_duplicates,
    telling_names,
    shortcut,
    folders_alike,
    too_few,
    large_groups,
    blank,
    equal_files,
    repeated,
    imbalance,
    ignored,
)
