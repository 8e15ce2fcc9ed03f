"""File names that number the same things in several classes, such as the rooms of a house: 001_kitchen, 001_bathroom.

Most names count the images of a class, and then equal numbers mean nothing. Three things tell numbers of
things from counts: the class comes after the number; a word comes with it that is neither the class nor what
cameras write; or numbers are missing, and the same ones in several classes.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from search.audit.inspection import Inspection, count
from search.data.finding import WARNING, Finding

FEWEST_KEYS = 3  # that several classes have
LEAST_SHARED = 0.5  # of the images: their number is in another class too
LEAST_NAMED = 0.9  # of the images have their class in their name
DENSE = 0.7  # part of the numbers from the first to the last that are there, from which on they may be counts
ABOVE_CHANCE = 0.3
COUNTING_WORDS = frozenset(
    (
        *("cam", "camera", "dsc", "dscf", "dscn", "download", "file", "frame", "i", "im", "image", "images", "img"),
        *("item", "n", "nr", "no", "num", "number", "p", "photo", "pic", "picture", "pxl", "sample", "scan"),
        *("screenshot", "shot"),
    )
)


_Judge = Callable[[Sequence[str], Sequence[str], Sequence[str]], bool]  # of numbers, names, classes


@dataclass(frozen=True)
class Numbering:
    """A pattern whose group is the number of a thing in every file name, with that number of each image."""

    pattern: str
    keys: tuple[str, ...]

    def in_several(self, classes: Sequence[str]) -> set[str]:
        """Return the numbers that more than one class has."""
        classes_of = defaultdict(set)
        for key, name in zip(self.keys, classes, strict=True):
            classes_of[key].add(name)
        return {key for key, names in classes_of.items() if len(names) > 1}


def numbering(ids: Sequence[str], classes: Sequence[str]) -> Numbering | None:
    """Return how file names number the same things in several classes, None if they do not.

    ``ids`` are paths with slashes, ``classes`` the name of the class of each.
    """
    names = [PurePosixPath(id_).name for id_ in ids]
    for pattern, is_thing in _patterns(names):
        matches = [re.search(pattern, name) for name in names]
        if not all(matches):
            continue
        found = Numbering(pattern, tuple(match[1] for match in matches if match))
        shared = found.in_several(classes)
        images = sum(key in shared for key in found.keys)
        if len(shared) >= FEWEST_KEYS and images >= LEAST_SHARED * len(names) and is_thing(found.keys, names, classes):
            return found
    return None


def _patterns(names: Sequence[str]) -> Iterator[tuple[str, _Judge]]:
    """Yield patterns, each with what tells whether it finds things and not counts."""
    after = _mark([re.match(r".*?\d+([\W_])", name) for name in names])
    before = _mark([re.search(r"([\W_])[^\W_]*\.\w+$", name) for name in names])
    yield rf"^(\d+){after}", _class_follows
    yield rf"^([^\W\d_]+[\W_]?\d+){after}", _word_is_of_a_thing
    yield rf"{before}([^\W\d_]+[\W_]?\d+)\.\w+$", _word_is_of_a_thing
    yield rf"^(\d+){after}", _same_are_missing
    if not any(re.search(r"\d[xX]\d+\.\w+$", name) for name in names):  # the size of a preview: photo-48x48.jpg
        yield r"(?<!\d)(\d+)\.\w+$", _same_are_missing
    yield rf"^\D*(\d+){after}", _same_are_missing


def _mark(matches: Sequence[re.Match[str] | None]) -> str:
    """Return a pattern for what stands beside the numbers: the one character that always does, or any of its kind."""
    marks = {match[1] for match in matches if match}
    return re.escape(marks.pop()) if len(marks) == 1 else r"[\W_]"


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def _class_follows(keys: Sequence[str], names: Sequence[str], classes: Sequence[str]) -> bool:
    named = [
        _plain(class_name) in _plain(name[len(key) :])
        for key, name, class_name in zip(keys, names, classes, strict=True)
    ]
    return sum(named) >= LEAST_NAMED * len(named)


def _word_is_of_a_thing(keys: Sequence[str], _names: Sequence[str], classes: Sequence[str]) -> bool:
    words = {re.sub(r"[\W\d_]+", "", key).lower() for key in keys}
    known = COUNTING_WORDS | {_plain(name) for name in classes}
    return len(words) == 1 and not words & known


def _same_are_missing(keys: Sequence[str], _names: Sequence[str], classes: Sequence[str]) -> bool:
    numbers = [int(re.sub(r"\D", "", key)) for key in keys]
    of_class = defaultdict(set)
    for number, name in zip(numbers, classes, strict=True):
        of_class[name].add(number)
    there = set(numbers)
    density = len(there) / (max(there) - min(there) + 1)
    by_chance = max(len(some) for some in of_class.values()) / (max(there) - min(there) + 1)
    shared = sum(sum(number in some for some in of_class.values()) > 1 for number in there) / len(there)
    return density < DENSE and shared >= by_chance + ABOVE_CHANCE


def numbered_names(inspection: Inspection) -> Iterator[Finding]:
    """Find file names that number the same things in several classes, where the folds may separate them."""
    dataset = inspection.dataset
    classes = [dataset.classes[label] for label in dataset.labels]
    found = numbering(dataset.ids, classes)
    if found is None:
        return
    groups = defaultdict(set)
    for key, group in zip(found.keys, dataset.groups, strict=True):
        groups[key].add(group)
    if all(len(some) == 1 for some in groups.values()):
        return
    shared = found.in_several(classes)
    rows = [row for row, key in enumerate(found.keys) if key in shared]
    first = next(row for row in rows)
    other = next(row for row in rows if found.keys[row] == found.keys[first] and classes[row] != classes[first])
    yield Finding(
        WARNING,
        "numbered names",
        f"file names seem to number the same things in several classes: {dataset.ids[first]} and {dataset.ids[other]} "
        f"share {found.keys[first]}. {count(len(shared), 'number')} are in more than one class",
        "If each number stands for one thing, such as a house or a patient, its images must share a fold: "
        f"Study(groups=r\"{found.pattern}\"), or --groups '{found.pattern}'.",
        tuple(dataset.ids[row] for row in rows),
    )
