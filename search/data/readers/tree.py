"""The files below a folder: which are images, and how many lie in each folder."""

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from search.data.decoding import SUFFIXES, is_foreign_picture, is_image
from search.data.foreign import SUFFIXES as FOREIGN
from search.data.readers.paths import check_names
from search.data.readers.splits import word_of

JUNK_FOLDERS = frozenset({"__MACOSX", "@eaDir", "__pycache__"})


@dataclass(frozen=True)
class Scan:
    """What lies below a folder: ids of images, ids of all folders, what is no image, and what cannot be opened.

    Images that cannot be read are among the ``ids``. ``closed`` are pairs of (id, reason). Hidden files, links from a
    folder to one that holds it, and linked folders below the classes are ``ignored``.
    """

    ids: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Node:
    """A folder in a tree: the number of images in it, its folders by name, and images in all of it."""

    images: int = 0
    total: int = 0
    folders: dict[str, "Node"] = field(default_factory=dict)

    def filled(self) -> dict[str, "Node"]:
        """Return the folders that hold images."""
        return {name: node for name, node in self.folders.items() if node.total}


def tree_of(ids: Iterable[str], folders: Iterable[str] = ()) -> Node:
    """Return the tree of images, with ``folders`` that may be empty."""
    root = Node()
    for folder in folders:
        _node(root, folder.split("/"))
    for id_ in ids:
        *parents, _ = id_.split("/")
        at = root
        at.total += 1
        for name in parents:
            at = at.folders.setdefault(name, Node())
            at.total += 1
        at.images += 1
    return root


def _node(root: Node, names: Iterable[str]) -> Node:
    for name in names:
        root = root.folders.setdefault(name, Node())
    return root


def scan(root: Path, levels: int = 1) -> Scan:
    """Return what lies below ``root``; links to folders are followed on the first ``levels``, and below splits."""
    result = Scan()
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            if not depth:
                raise
            result.closed.append((f"{safe_id(folder, root)}/", f"cannot be opened: {error.strerror}"))
            continue
        follows = depth < levels or (depth == 1 and word_of(folder.name) != "")
        stems = {path.stem for path in paths if path.suffix.lower() in SUFFIXES}
        for path in paths:
            if os.path.isdir(path):
                if _is_junk(path) or not (follows or not path.is_symlink()):
                    result.ignored.append(safe_id(path, root) + ("/" if depth else ""))
                else:
                    result.folders.append(path.relative_to(root).as_posix())
                    waiting.append((path, depth + 1))
            elif not _is_junk(path) and _is_picture(path, stems):
                result.ids.append(_id(path, root))
            else:
                result.ignored.append(safe_id(path, root))
    result.ids.sort()
    return result


def _is_picture(path: Path, stems: Collection[str]) -> bool:
    """Return whether a file is an image, or one that should be read and cannot be: of a foreign kind, or a broken link.

    A foreign one beside an image of the same stem (``stems``) is not missed, as raw photographs beside their JPEGs.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        return path.is_symlink() and not path.exists() and suffix in SUFFIXES | FOREIGN
    if suffix in SUFFIXES or (suffix not in FOREIGN and is_image(path)):
        return True
    return path.stem not in stems and is_foreign_picture(path)


def _is_junk(path: Path) -> bool:
    """Return whether a name is hidden or an operating system's; or a link back to a folder that holds it."""
    if path.name.startswith(".") or path.name in JUNK_FOLDERS:
        return True
    return path.is_symlink() and Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(path))


def _id(path: Path, root: Path) -> str:
    id_ = path.relative_to(root).as_posix()
    check_names([id_], str(root))
    return id_


def safe_id(path: Path, root: Path) -> str:
    """Return the id of what is left out, with escapes for what would be refused in the name of an image."""
    return re.sub("[\0-\x1f\udc80-\udcff]", lambda odd: repr(odd[0])[1:-1], path.relative_to(root).as_posix())
