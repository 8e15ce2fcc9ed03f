"""Which level of a tree of folders names the classes, and which the splits: pure functions on counts of images."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from search.data.readers.names import (
    IMAGES,
    VERSIONS,
    is_case,
    is_date,
    is_number,
    is_serial,
    may_be_case,
    may_be_stage,
    says_no_class,
    some,
)
from search.data.readers.splits import Tops, is_wrapper, word_of
from search.data.readers.tree import Node

INSIDE = 0.1  # of the images; where more lie directly in the folders of a level, these are the classes
REPEATED = 0.5  # of the images, in folders whose names repeat
MANY, FEW = 20, 5  # folders called by numbers, with fewer images each than would fill five folds
STAGES, FILLED = 3, 20  # folders at most, with so many images each, that count cases and may be classes all the same
VERY_MANY, VERY_FEW = 100, 2  # folders and images each, whatever their names
FEWEST_LETTERS = 3
SAME = IMAGES | VERSIONS  # names of folders that lie in all classes
NAMED = 4


@dataclass(frozen=True)
class Part:
    """The folder ``prefix``, in which the class folders lie: its split ("" for none), and whether it has such folders.

    The name of a class is at position ``level`` of an id's parts.
    """

    prefix: tuple[str, ...] = ()
    split: str = ""
    labelled: bool = True

    @property
    def level(self) -> int:
        """The position of the class in the parts of an id."""
        return len(self.prefix)


@dataclass(frozen=True)
class Layout:
    """The parts of a tree; ``split_below`` says that splits lie within the classes (cat/train, cat/test).

    ``problem`` is why these look like splits and yet cannot be used as such, "" if nothing is wrong.
    """

    parts: tuple[Part, ...]
    split_below: bool = False
    problem: str = ""

    @property
    def has_splits(self) -> bool:
        """Whether a split is given."""
        return self.split_below or any(part.split for part in self.parts)


def layout_of(tree: Node) -> Layout:
    """Return where classes and splits are in a tree."""
    prefix: tuple[str, ...] = ()
    at, filled = tree, tree.filled()
    while len(filled) == 1 and not at.images:  # such as images/ beside labels/
        (name,) = filled
        if name.strip().lower() not in IMAGES or len(filled[name].filled()) < 2:
            break
        prefix, at = (*prefix, name), filled[name]
        filled = at.filled()
    return _splits_below(at, prefix) or _splits_within(at, prefix) or Layout((Part(prefix),))


def _splits_below(tree: Node, prefix: tuple[str, ...]) -> Layout | None:
    """Return the layout with splits as the first folders; None where they are none."""
    names = [name for name in tree.folders if word_of(name)]
    if not names:
        return None
    deep = {name: _unwrapped(name, tree.folders[name]) for name in names}
    inner = {name: frozenset(node.filled()) for name, (_, node) in deep.items()}
    others = tuple(name for name in tree.filled() if name not in names)
    tops = Tops(inner, others)
    if not tops.are_splits():
        return None
    parts = tuple(
        Part((*prefix, *deep[name][0]), word, name not in tops.unlabelled) for name, word in tops.words.items()
    )
    return Layout(parts, problem=tops.problem())


def _unwrapped(name: str, node: Node) -> tuple[tuple[str, ...], Node]:
    """Return the folder of a split below those that only repeat its name: seg_train/seg_train."""
    path: tuple[str, ...] = (name,)
    while not node.images and len(node.filled()) == 1:
        ((inner, below),) = node.filled().items()
        if not is_wrapper(path[0], inner):
            break
        path, node = (*path, inner), below
    return path, node


def _splits_within(tree: Node, prefix: tuple[str, ...]) -> Layout | None:
    """Return the layout with the same splits within every class; None where it is another."""
    within = [frozenset(node.filled()) for node in tree.filled().values()]
    words = {word_of(name) for names in within for name in names}
    loose = sum(node.images for node in tree.folders.values())
    deeper = any(split.filled() for node in tree.filled().values() for split in node.filled().values())
    if len(within) < 2 or loose or deeper or "" in words or len(words) < 2 or not all(within):
        return None
    return Layout((Part(prefix),), split_below=True)


@dataclass(frozen=True)
class Doubt:
    """Why the classes may be on another level of folders, and how many levels deeper (0 where that is unknown)."""

    reason: str
    deeper: int = 0


# DECISIONS: A run stops where the level of the classes is unclear
def doubt_of(tree: Node, layout: Layout) -> Doubt | None:
    """Return the doubt that the classes are where ``layout`` has them, None where all is well."""
    classes = class_nodes(tree, layout)
    return next(_doubts(classes, layout), None) if len(classes) > 1 else None


def class_nodes(tree: Node, layout: Layout) -> dict[str, Node]:
    """Return the folders of each class that hold images, merged over the splits."""
    classes: dict[str, Node] = {}
    for part in layout.parts:
        node = tree
        for name in part.prefix:
            node = node.folders[name]
        for name, below in node.filled().items() if part.labelled else ():
            classes[name] = _merged(classes[name], below) if name in classes else below
    return classes


def _merged(one: Node, other: Node) -> Node:
    folders = dict(one.folders)
    for name, node in other.folders.items():
        folders[name] = _merged(folders[name], node) if name in folders else node
    return Node(one.images + other.images, one.total + other.total, folders)


def _doubts(classes: Mapping[str, Node], layout: Layout) -> Iterator[Doubt]:
    total = sum(node.total for node in classes.values())
    names, shown = list(classes), some(list(classes))
    if not layout.split_below:
        if sum(node.images for node in classes.values()) <= INSIDE * total:
            yield from _doubts_below(classes, total)
        for name, node in classes.items():
            if word_of(name) and len(node.filled()) > 1 and node.images <= INSIDE * node.total:
                yield Doubt(f"{name} is called like a split and holds {some(list(node.filled()))}", 1)
    deeper = int(any(node.filled() for node in classes.values()) and not layout.split_below)
    are_cases = all(map(is_case, names)) and not (not deeper and _are_stages(classes))
    if are_cases or (len(names) > 2 and all(map(is_date, names)) and not all(map(is_number, names))):
        yield Doubt(f"{shown} look like cases and not like classes", deeper)
    typical = median(node.total for node in classes.values())
    if len(names) >= MANY and typical < FEW and all(map(is_serial, names)):
        yield Doubt(f"{len(names)} folders ({shown}) with {typical:g} images each look like cases, not classes", deeper)
    if len(names) >= VERY_MANY and typical <= VERY_FEW:
        yield Doubt(f"{len(names)} folders ({shown}) with {typical:g} images each look like cases, not classes", deeper)


def _are_stages(classes: Mapping[str, Node]) -> bool:
    """Return whether folders that count cases may be classes: few, full, and called day1 rather than patient1."""
    fewest = min(node.total for node in classes.values())
    return len(classes) <= STAGES and fewest >= FILLED and all(map(may_be_stage, classes))


def _doubts_below(classes: Mapping[str, Node], total: int) -> Iterator[Doubt]:
    """Yield what the folders within the classes say, where nearly all images lie in such folders."""
    parents, deeper = classes, 0
    while parents:
        deeper += 1
        inner = [(path, name, node) for path, top in parents.items() for name, node in top.filled().items()]
        counts = Counter(name for _, name, _ in inner if not word_of(name))
        repeated = {name for name, count in counts.items() if count > 1 and name.strip().lower() not in SAME}
        if deeper > 1 or not all(map(may_be_case, classes)):  # else these are 0 and 1 in patients called by numbers
            repeated = {name for name in repeated if not says_no_class(name)}
        within = [path for path, name, _ in inner if name in repeated]
        if len(repeated) > 1 and sum(node.total for _, name, node in inner if name in repeated) >= REPEATED * total:
            yield Doubt(
                f"the same folders ({some(sorted(repeated))}) lie in {some(list(dict.fromkeys(within)))}", deeper
            )
        parents = {f"{path}/{name}": node for path, name, node in inner}
    letters = [name for name in classes if len(name) == 1 and name.isalpha()]
    if len(letters) == len(classes) >= FEWEST_LETTERS:
        below = [(name.lower(), inside.lower()) for name, node in classes.items() for inside in node.filled()]
        if below and all(inside.startswith(letter) and len(inside) > 1 for letter, inside in below):
            yield Doubt(f"{some(letters)} are the first letters of the folders in them", 1)


def outline(tree: Node, lines: int = 5) -> list[str]:
    """Return a tree of folders in a few lines, with the number of images in each."""
    folders = list(tree.filled().items())
    shown = folders if len(folders) <= lines else folders[: lines - 1]
    rest = len(folders) - len(shown)
    return [_outlined(name, node) for name, node in shown] + [f"… and {rest} more folders"] * (rest > 0)


def _outlined(name: str, node: Node) -> str:
    inner = list(node.filled().items())
    holds = ", ".join(f"{below}/ {deeper.total}" for below, deeper in inner[:NAMED])
    more = f", … ({len(inner)} folders)" if len(inner) > NAMED else ""
    return f"{name}/: {node.total} {'image' if node.total == 1 else 'images'}" + (f" in {holds}{more}" if inner else "")
