"""What the command line, or a notebook, may set beside the study."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.study import Study
from search.system.errors import UserError

NONE = "none"  # switches off what the study has
OF_THE_DATA = {"label_level": None, "labels_from": None, "root": None, "keep_masks": False}  # fields of Study; defaults
LONGEST_NAME = 200  # bytes; most file systems stop at 255, and an old search gets a longer name


@dataclass(frozen=True)
class Options:
    """What may be set beside the study; None leaves it to the study or the default.

    ``groups`` and ``holdout`` are as in Study (numbers as text do, too), where "none" stands for its None.
    ``confirm`` is how many of the best recipes are trained again at the end, on reshuffled folds.
    """

    data: str | None = None
    synthetic: str | None = None
    label_level: int | None = None
    labels_from: str | None = None
    root: str | None = None
    keep_masks: bool = False
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

    Other data keeps neither the study's synthetic images nor what the study says of its own data.
    """
    changes: dict[str, Any] = {}
    if options.data is not None:
        changes |= {"data": options.data, "synthetic": None, **OF_THE_DATA}
    changes |= {name: getattr(options, name) for name in OF_THE_DATA if getattr(options, name)}
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
    """Return the options that decide over the inputs, as ``check`` takes them."""
    names = ("data", "label_level", "labels_from", "root", "groups", "holdout", "synthetic", "cache")
    values = {name.replace("_", "-"): getattr(options, name) for name in names}
    arguments = [f" --{name} {shlex.quote(str(value))}" for name, value in values.items() if value]
    flags = {"keep-masks": options.keep_masks, "offline": options.offline}
    return "".join([*arguments, *(f" --{name}" for name, is_set in flags.items() if is_set)])


def check_name(name: str) -> str:
    """Return the name of a search if it can be that of a folder."""
    if not name or name != Path(name).name or name.startswith(".") or "\0" in name or len(name.encode()) > LONGEST_NAME:
        raise UserError(f"--name {name!r} cannot be the name of a folder: use letters, digits, dashes and dots.")
    return name


def name_of(data: Path) -> str:
    """Return what a data set is called: its folder's name, or its file's without the suffix."""
    return data.stem if data.is_file() else data.resolve().name
