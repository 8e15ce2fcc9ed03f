"""Class folders -> Dataset: one folder a class, perhaps below train/, val/ and test/."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from search.data.dataset import SPLIT_WORDS, Dataset, as_dataset, canonical_split
from search.data.images import SUFFIXES, is_image
from search.data.readers.paths import check_names, contents_of
from search.system.errors import UserError

JUNK_FOLDERS = frozenset({"__MACOSX", "@eaDir", "__pycache__"})


def read_class_folders(root: Path) -> Dataset:
    """Return the images below ``root``: one folder a class, any depth below it.

    Where all folders of ``root`` are called train, val or test and hold the class folders, they
    are merged and the given split is kept. Files that are no images, hidden ones and linked
    folders below a class are ``ignored``. Raises UserError for a missing folder, no class
    folders, fewer than two classes, and a class without images.
    """
    if not os.path.isdir(root):
        raise UserError(
            f"There is no data folder {root}. Name a folder that holds one folder of images for each class, "
            "a CSV manifest, or a .npz file."
        )
    ignored: list[str] = []
    closed: list[OSError] = []
    splits = {folder: canonical_split(folder.name) for folder in _split_folders(root)}
    tops = [(folder, split) for parent, split in (splits or {root: ""}).items() for folder in _folders(parent)]
    _check_folders(root, [folder for folder, _ in tops])
    for parent in {root, *splits}:
        ignored += [_safe_id(path, root) for path in parent.iterdir() if _is_junk(path) or not path.is_dir()]
    rows = [
        {"id": id_, "label": folder.name, "split": split}
        for folder, split in tops
        for id_ in _images(folder, root, ignored, closed)
    ]
    rows, unreadable = contents_of(root, rows)
    unreadable += [(f"{_safe_id(Path(e.filename), root)}/", f"cannot be opened: {e.strerror}") for e in closed]
    classes = sorted({folder.name for folder, _ in tops})
    if len(classes) == 1 and (deeper := _folders(tops[0][0])):
        raise UserError(
            f"{root} holds one class only ({classes[0]}), which holds the folders "
            f"{', '.join(folder.name for folder in deeper[:3])}. Did you mean {tops[0][0]}?"
        )
    return as_dataset(root, root, rows, classes, unreadable, sorted(ignored))


def _split_folders(root: Path) -> list[Path]:
    """Return train/, val/ and test/ if that is what ``root`` holds.

    Raises UserError where these could be splits or classes.
    """
    folders = _folders(root)
    split_folders = [folder for folder in folders if folder.name.strip().lower() in SPLIT_WORDS]
    words = [canonical_split(folder.name) for folder in split_folders]
    if len(split_folders) < 2:
        return []
    others = [folder.name for folder in folders if folder not in split_folders]
    loose = [folder.name for folder in split_folders if not _folders(folder)]
    if others or loose or len(set(words)) < len(words):
        names = ", ".join(folder.name for folder in split_folders)
        problem = f"{loose[0]} holds no class folders" if loose else "two of them mean the same"
        problem = f"{others[0]} lies beside them" if others else problem
        raise UserError(
            f"{root} looks like a data set that is already split ({names}), but {problem}. Each of them must hold one "
            "folder for each class and nothing else may lie beside them; if they are classes, rename them."
        )
    return folders


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not _is_junk(path))


def _is_junk(path: Path) -> bool:
    """Return whether a name is hidden or an operating system's; or a link back to a folder that holds it."""
    if path.name.startswith(".") or path.name in JUNK_FOLDERS:
        return True
    return path.is_symlink() and Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(path))


def _images(folder: Path, root: Path, ignored: list[str], closed: list[OSError]) -> Iterator[str]:
    """Yield the ids of the images below a class folder.

    ``ignored`` collects the ids of what is no image, ``closed`` the errors of folders that cannot be opened.
    """
    # This follows no links, and would pass over a folder that cannot be opened without a word.
    for parent, names, files in os.walk(folder, onerror=closed.append):
        inside = Path(parent)
        passed = [name for name in names if _is_junk(inside / name) or (inside / name).is_symlink()]
        names[:] = sorted(set(names) - set(passed))
        ignored += [f"{_safe_id(inside / name, root)}/" for name in passed]
        for name in sorted(files):
            path = inside / name
            image = not _is_junk(path) and path.is_file() and (path.suffix.lower() in SUFFIXES or is_image(path))
            if image:
                yield _id(path, root)
            else:
                ignored.append(_safe_id(path, root))


def _id(path: Path, root: Path) -> str:
    id_ = path.relative_to(root).as_posix()
    check_names([id_], str(root))
    return id_


def _safe_id(path: Path, root: Path) -> str:
    """Return the id of what is left out, with escapes for what would be refused in the name of an image."""
    return re.sub("[\0-\x1f\udc80-\udcff]", lambda odd: repr(odd[0])[1:-1], path.relative_to(root).as_posix())


def _check_folders(root: Path, folders: list[Path]) -> None:
    if folders:
        return
    loose = [path for path in root.iterdir() if path.suffix.lower() in SUFFIXES]
    if loose:
        raise UserError(
            f"{root} holds {len(loose)} images but no class folders. Sort them into one folder for each class, "
            f"such as {root}/cat and {root}/dog; or name them in a CSV file (image,label) and give that."
        )
    problem = "holds no class folders" if any(root.iterdir()) else "is empty"
    raise UserError(f"The data folder {root} {problem}. It must hold one folder of images for each class.")
