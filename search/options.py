"""What the command line, or a notebook, may set beside the study; and where things are kept."""

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.cache import claim
from search.errors import UserError
from search.study import Study

NONE = "none"  # switches off what the study has
LONGEST_NAME = 200  # bytes; most file systems stop at 255, and an old search gets a longer name


@dataclass(frozen=True)
class Options:
    """What may be set beside the study; None leaves it to the study or the default.

    ``groups`` and ``holdout`` are as in Study (numbers as text do, too), where "none" stands for its None.
    ``confirm`` is how many of the best recipes are trained again at the end, on reshuffled folds.
    """

    data: str | None = None
    synthetic: str | None = None
    groups: str | None = None
    holdout: float | str | None = None
    name: str | None = None
    results: str = "results"
    cache: str | None = None
    cache_gb: float = 20.0
    trials: int | None = None
    oracle: str | None = None
    seed: int | None = None
    executor: str = "processes"
    slots: int | None = None
    offline: bool = False
    strict: bool = False
    racing: bool = True
    baselines: bool = True
    confirm: int = 0
    fresh: bool = False
    tensorboard: bool = False

    @property
    def cache_bytes(self) -> int:
        """What the cache may hold."""
        return int(self.cache_gb * 1e9)


def overridden(study: Study, options: Options) -> Study:
    """Return the study with what the options set, its data made if a function makes them.

    Other data does not keep the study's synthetic images.
    """
    changes: dict[str, Any] = {}
    if options.data is not None:
        changes |= {"data": options.data, "synthetic": None}
    fields = {"synthetic": "synthetic", "trials": "max_trials", "oracle": "oracle", "seed": "seed"}
    changes |= {to: getattr(options, at) for at, to in fields.items() if getattr(options, at) is not None}
    if options.groups is not None:
        changes["groups"] = None if options.groups.lower() == NONE else options.groups
    if options.holdout is not None:
        changes["holdout"] = None if str(options.holdout).lower() == NONE else _number_or_text(options.holdout)
    if not options.baselines:
        changes["baselines"] = False
    study = study.replace(**changes)
    return study.replace(data=study.data_folder())


def _number_or_text(value: float | str) -> float | str:
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def as_arguments(options: Options) -> str:
    """Return the options that decide over the inputs, as they are given to ``check``."""
    names = ("data", "groups", "holdout", "synthetic", "cache")
    given = [f" --{name} {shlex.quote(str(getattr(options, name)))}" for name in names if getattr(options, name)]
    return "".join(given) + (" --offline" if options.offline else "")


def check_name(name: str) -> str:
    """Return the name of a search if it can be that of a folder."""
    if not name or name != Path(name).name or name.startswith(".") or "\0" in name or len(name.encode()) > LONGEST_NAME:
        raise UserError(f"--name {name!r} cannot be the name of a folder: use letters, digits, dashes and dots.")
    return name


def name_of(data: Path) -> str:
    """Return what a data set is called: its folder's name, or its file's without the suffix."""
    return data.stem if data.is_file() else data.resolve().name


def cache_folder(given: str | None, data: Path) -> Path:
    """Return where to cache: as given, else ``data/.cache`` here, else the user's cache; never among the images."""
    if given is not None:
        return Path(given)
    here = Path("data")
    if here.is_dir() and os.access(here, os.W_OK) and here.resolve() != data.resolve():
        return here / ".cache"
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
    """Raise UserError now for a file that cannot be written later."""
    if path.is_dir() or not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise UserError(f"{path} cannot be written: name a file in a folder that there is and that you may write to.")
