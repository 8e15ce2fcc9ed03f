"""Where the images of a table are: below folders beside it, with or without the suffix that it leaves out."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from search.data.decoding import SUFFIXES
from search.data.readers.companions import is_called_mask
from search.data.readers.names import IMAGES, tokens
from search.data.readers.paths import check_names
from search.system.errors import UserError

SAMPLE = 200
DEEPEST = 2  # levels of folders beside a table in which its images are looked for
MOST_FOLDERS = 500


@dataclass(frozen=True)
class Beside:
    """The folders in which the images of a table may be: the one that bears its name, its own, and those in it.

    ``root`` is the only one where a person named it, with the folders in it.
    """

    table: Path
    root: Path | None = None
    _files: dict[Path, dict[str, list[str]]] = field(default_factory=dict, init=False, repr=False)

    @property
    def first(self) -> list[Path]:
        """The folders that paths in a table are relative to."""
        return [self.table.with_suffix(""), self.table.parent] if self.root is None else [self.root]

    @property
    def base(self) -> Path:
        """The folder below which all images must lie."""
        return self.table.parent if self.root is None else self.root

    @cached_property
    def further(self) -> list[Path]:
        """The folders below ``base``, the likely ones first."""
        level, folders = [self.base], []
        for _ in range(DEEPEST):
            level = [inner for folder in level for inner in _folders(folder)][:MOST_FOLDERS]
            folders += level
        words = set(tokens(self.table.stem))
        return sorted(folders, key=lambda folder: (_rank(folder, words), len(folder.parts), folder))

    def is_there(self, names: Sequence[str]) -> bool:
        """Return whether one of a sample of some names is an image in any of the folders."""
        some = [name for name in names[:: max(1, len(names) // SAMPLE)] if _is_plain(name)]
        return any(self._found(folder, name) for folder in (*self.first, *self.further) for name in some)

    def former(self, names: Sequence[str]) -> str:
        """Return how the absolute paths of a table begin if the rest of them leads from the root that a person named.

        Such are the paths of another machine. It is "" where there are none, where no root was named, and where they
        lead there as they are. All ``names`` have slashes.
        """
        somewhere = [name for name in names if name.startswith("/") or name[1:3] == ":/"]
        if self.root is None or not somewhere or os.path.isfile(somewhere[0]):
            return ""
        parts = PurePosixPath(os.path.commonpath([PurePosixPath(name).parent for name in somewhere])).parts
        some = somewhere[:: max(1, len(somewhere) // SAMPLE)]
        for length in range(len(parts), 0, -1):
            prefix = f"{PurePosixPath(*parts[:length])}/".replace("//", "/")
            if any(os.path.isfile(self.root / name.removeprefix(prefix)) for name in some):
                return prefix
        return ""

    def exact(self, names: Sequence[str]) -> Path | None:
        """Return the folder of ``first`` to which most of the names lead, judged by a sample if any of it is there."""
        for some in (names[:: max(1, len(names) // SAMPLE)], names):
            hits = [sum(os.path.isfile(folder / name) for name in some) for folder in self.first]
            if any(hits):
                return self.first[hits.index(max(hits))]
        return None

    def search(self, names: Sequence[str]) -> dict[str, str]:
        """Return the path below ``base`` of each of the names that is an image in one of the folders.

        Folders that hold none of a sample are not looked into.
        Where several folders hold an image of one name, the one with the most of all names counts, and of equals the
        likelier one. Raises UserError where two are equally likely.
        """
        places = [*self.first, *self.further]
        some = names[:: max(1, len(names) // SAMPLE)]
        places = [folder for folder in places if any(self._found(folder, name) for name in some)]
        hits = {folder: {name: at for name in names if (at := self._found(folder, name))} for folder in places}
        filled = [folder for folder in places if hits[folder]]
        words = set(tokens(self.table.stem))
        ranked = sorted(filled, key=lambda folder: (_rank(folder, words) > 2, -len(hits[folder]), _rank(folder, words)))
        if len(ranked) > 1 and _rank(ranked[0], words) == _rank(ranked[1], words):
            self._check_apart(ranked[0], ranked[1], hits)
        found: dict[str, str] = {}
        for folder in ranked:
            for name, at in hits[folder].items():
                inside = Path(os.path.relpath(folder / at, self.base)).as_posix()
                found.setdefault(name, inside)
        check_names(found.values(), str(self.table))
        return found

    def _check_apart(self, one: Path, other: Path, hits: dict[Path, dict[str, str]]) -> None:
        if len(hits[one]) == len(hits[other]) and hits[one].keys() & hits[other].keys():
            raise UserError(
                f"{self.table}: its images are in {one} and in {other} alike. Say which ones are meant with "
                f"--root {one}."
            )

    def _found(self, folder: Path, name: str) -> str:
        """Return the path of an image below ``folder``, with its suffix, "" if it is not there."""
        path = PurePosixPath(name)
        if path.suffix.lower() in SUFFIXES:
            return name if os.path.isfile(folder / name) else ""
        files = self._listed(folder / path.parent).get(path.name, [])
        return (path.parent / files[0]).as_posix() if files else ""

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        """Return the image files in a folder by their stems, those of its most frequent suffix first."""
        if folder not in self._files:
            try:
                names = sorted(PurePosixPath(name) for name in os.listdir(folder))
            except OSError:
                names = []
            names = [name for name in names if name.suffix.lower() in SUFFIXES]
            often = Counter(name.suffix for name in names)
            files: dict[str, list[str]] = {}
            for name in sorted(names, key=lambda name: (-often[name.suffix], name)):
                files.setdefault(name.stem, []).append(name.name)
            self._files[folder] = files
        return self._files[folder]


def _folders(folder: Path) -> Iterator[Path]:
    try:
        inner = sorted(folder.iterdir())
    except OSError:
        return
    yield from (path for path in inner if not path.name.startswith(".") and path.is_dir() and not path.is_symlink())


def _rank(folder: Path, words: set[str]) -> int:
    """Return how likely a folder holds the images of a table with these words in its name: 0 is likeliest."""
    if is_called_mask(folder.name):
        return 3
    own = set(tokens(folder.name))
    return 0 if own & words else 1 if own & IMAGES else 2


def _is_plain(name: str) -> bool:
    """Return whether a name can be looked for: relative, short, with no step upwards."""
    path = PurePosixPath(name)
    return bool(name) and len(name) < 1_000 and "\0" not in name and not path.is_absolute() and ".." not in path.parts
