"""What every reader asks of files: names that a table can hold, paths that stay inside, contents."""

import os
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from search.data.decoding import SUFFIXES
from search.system.digests import file_sha256
from search.system.errors import UserError
from search.system.machine import cores
from search.system.texts import rename_hint

LARGEST = 2**30  # bytes; 100 megapixels of four 16-bit channels need fewer, and decoding holds whole files


def check_names(names: Iterable[str], where: str) -> None:
    """Raise UserError, beginning with ``where``, for a name that a table could not hold."""
    for name in names:
        if any(letter < " " or "\x7f" <= letter < "\xa0" or "\ud800" <= letter <= "\udfff" for letter in name):
            raise UserError(
                f"{where}: the name {name!r} is not valid UTF-8 or holds a control character: no table could hold it. "
                f"{rename_hint()}"
            )


def inside(name: str, where: str) -> str:
    """Return a path as a manifest writes it as an id: relative, with slashes, and leading nowhere else.

    Raises UserError, beginning with ``where``, for an absolute path and for one with ``..``.
    """
    path = PurePosixPath(slashed(name))
    windows_drive = len(name) > 1 and name[1] == ":"
    if path.is_absolute() or windows_drive or ".." in path.parts or not path.parts:
        raise UserError(
            f"{where}: the path {name!r} must be relative and lead to no other folder (no leading slash, no '..')."
        )
    check_names([path.as_posix()], where)
    return path.as_posix()


def within(name: str, where: str, start: Path, base: Path, nearest: Path) -> tuple[str, bool]:
    """Return a path as a table writes it as an id, and whether it leads there from ``base`` alone.

    Absolute paths, and those with "..", which count from the folder ``start``, must lead into ``base``. Raises
    UserError, beginning with ``where``, for any other; the way out is to name ``nearest``, which holds all images.
    """
    of_windows = name[1:2] == ":"
    if not of_windows and not leads_away(name):
        return inside(name, where), False
    bases = ((start.absolute(), base.absolute()), (start.resolve(), base.resolve()))
    for begin, folder in () if of_windows else bases:
        target = os.path.normpath(begin / slashed(name))
        if target != str(folder) and Path(target).is_relative_to(folder):
            return inside(Path(target).relative_to(folder).as_posix(), where), True
    there = f"--root {nearest}" if nearest.is_dir() and not of_windows else "--root FOLDER"
    raise UserError(
        f"{where}: the path {name!r} must be relative and lead to no other folder (no leading slash, no '..'), or "
        f"lead into {base}. If the images are elsewhere, name the folder that holds all of them: {there}, or "
        "Study(root=…)."
    )


def slashed(name: str) -> str:
    """Return a path with slashes, as Windows does not write them."""
    return name.replace("\\", "/")


def leads_away(name: str) -> bool:
    """Return whether a path is absolute or has ".."; those of a Windows drive lead nowhere here."""
    path = PurePosixPath(slashed(name))
    return name[1:2] != ":" and (path.is_absolute() or ".." in path.parts)


def nearest_folder(names: Iterable[str], start: Path) -> Path:
    """Return the folder that holds all images whose paths lead away from ``start``; that of the first, if it is /."""
    targets = [os.path.normpath(start.absolute() / slashed(name)) for name in names if leads_away(name)]
    parents = [os.path.dirname(target) for target in targets] or [str(start)]
    common = os.path.commonpath(parents)
    return Path(parents[0] if common in {"/", "//"} else common)


def check_outside(place: Path, data: Path, way_out: str) -> None:
    """Raise UserError, ending with ``way_out``, for a place among the images in the folder ``data``."""
    if data.is_dir() and place.resolve().is_relative_to(data.resolve()):
        raise UserError(f"{place} lies within the images of {data}. {way_out}.")


def contents_of(root: Path, rows: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], list[tuple[str, str]]]:
    """Return the rows with the ``content`` of their files, and the (id, reason) of those that cannot be opened."""

    def content(row: dict[str, str]) -> tuple[str, str]:
        try:
            problem = unfit((root / row["id"]).stat())
            return ("", problem) if problem else (file_sha256(root / row["id"]), "")
        except FileNotFoundError:
            return "", no_file(root / row["id"])
        except OSError as error:
            return "", f"cannot be opened: {error.strerror}"

    with ThreadPoolExecutor(cores()) as pool:
        read = list(pool.map(content, rows))
    good = [{**row, "content": sha256} for row, (sha256, problem) in zip(rows, read, strict=True) if not problem]
    return good, [(row["id"], problem) for row, (_, problem) in zip(rows, read, strict=True) if problem]


def no_file(path: Path) -> str:
    """Return why nothing is at ``path``, in words."""
    link = "a link to a file that is not there: fetch it with git annex get, datalad get or dvc pull, or mend the link"
    return link if path.is_symlink() else f"there is no such file{other_suffix(path)}"


def other_suffix(path: Path) -> str:
    """Return, to follow a phrase, with which suffix an image is there that is named with another one; "" if it is not.

    Suffixes that differ by case are others, as Linux has it.
    """
    spellings = [spelling for suffix in sorted(SUFFIXES) for spelling in (suffix, suffix.upper())]
    found = next((each for each in spellings if each != path.suffix and path.with_suffix(each).is_file()), "")
    return f"; it is there with the suffix {found}" if found and path.suffix else ""


def unfit(status: os.stat_result) -> str:
    """Return why a file must not be opened, or "": reading a pipe waits for ever, and some files have no end."""
    if not stat.S_ISREG(status.st_mode):
        return "a folder, not a file" if stat.S_ISDIR(status.st_mode) else "no ordinary file (a pipe, device or socket)"
    return f"larger than {LARGEST / 2**30:.0f} GiB" if status.st_size > LARGEST else ""
