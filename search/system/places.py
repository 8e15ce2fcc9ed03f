"""Where caches and files go, and whether they can be written there."""

import os
import shutil
from pathlib import Path

from search.system.cache import claim
from search.system.errors import UserError

PAGE = b"<!doctype html"  # the beginning of a page


def cache_folder(choice: str | None, data: Path) -> Path:
    """Return where to cache: the choice, else ``data/.cache`` here, else the user's cache; never among the images."""
    if choice is not None:
        return Path(choice)
    here = Path("data")
    if here.is_dir() and os.access(here, os.W_OK) and here.resolve() != data.resolve():
        return here / ".cache"
    return users_cache()


def users_cache() -> Path:
    """Return where to cache what belongs to no data set."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "finetune-search"


def check_cache(cache: Path) -> None:
    """Raise UserError for a cache that cannot be made or written, and for a folder of something else."""
    try:
        claim(cache)
    except OSError as error:
        raise UserError(
            f"The cache folder {cache} cannot be made: {error.strerror}. Give another with --cache."
        ) from None
    if not os.access(cache, os.W_OK):
        raise UserError(f"The cache folder {cache} cannot be written to. Give another with --cache.")


def check_space(cache: Path, needed: int) -> None:
    """Raise UserError unless the cache has room for so many bytes."""
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise UserError(
            f"The decoded images need {needed / 1e6:,.1f} MB, but {cache} has {free / 1e6:,.1f} MB left. "
            "Free some space, or give another folder with --cache."
        )


def check_file(path: Path) -> None:
    """Raise UserError for a path at which no file could be written."""
    if path.is_dir() or not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise UserError(f"{path} cannot be written: name a file in a folder that there is and that you may write to.")


def check_page(path: Path) -> None:
    """Raise UserError for a path at which no page could be written, or that would cost a file that is no page."""
    check_file(path)
    if path.exists() and not _is_page(path):
        raise UserError(f"{path} is there and is no HTML page, so it is not replaced. Name another file.")


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(PAGE)).lower() == PAGE


def make_folder(folder: Path) -> None:
    """Make the folder of a search. Raises UserError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The results folder {folder} cannot be made: {error.strerror}. Give a folder that you may write to "
            "with --results."
        ) from None


def check_writable(folder: Path) -> None:
    """Raise UserError now if ``folder`` cannot be made or written to later."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        problem = "is not a folder" if not nearest.is_dir() else "cannot be written to"
        raise UserError(
            f"The results folder {folder} cannot be made: {nearest} {problem}. Give another place with --results."
        )
