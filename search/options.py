"""What the command line, or a notebook, may set beside the study."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.study import NONE, Study
from search.system.clock import seconds_of
from search.system.commands import RESULTS, command
from search.system.errors import UserError
from search.system.precision import FLOAT32
from search.system.texts import check_utf8
from search.system.validation import real

OF_THE_DATA = {"label_level": None, "labels_from": None, "root": None, "keep_masks": False}  # fields of Study; defaults
MOST_HOURS = 10**6
LONGEST_NAME = 200  # bytes; most file systems stop at 255, and an old search gets a longer name


@dataclass(frozen=True)
class Options:
    """What may be set beside the study; None leaves it to the study or the default.

    ``groups`` and ``holdout`` are as in Study (numbers as text do, too), where "none" stands for its None.
    ``gpus`` are those that workers use: numbers as in "0,1", "none", or None for all. Backbones
    compute in ``precision``.
    ``confirm`` is how many of the best recipes are trained again at the end, on reshuffled folds. ``run_timeout`` is
    how long a worker may go without progress: minutes, or text such as "90s". ``hours`` limit the next session.
    ``executor_settings`` are those that only some executors have, by name.
    """

    data: str | None = None
    synthetic: str | None = None
    label_level: int | None = None
    labels_from: str | None = None
    root: str | None = None
    keep_masks: bool = False
    groups: str | None = None
    holdout: float | str | None = None
    folds: int | None = None
    backbones: str | None = None
    name: str | None = None
    results: str = RESULTS
    cache: str | None = None
    cache_gb: float = 20.0
    trials: int | None = None
    oracle: str | None = None
    seed: int | None = None
    lag: int | None = None
    executor: str = "processes"
    executor_settings: Mapping[str, Any] = field(default_factory=dict)
    slots: int | None = None
    gpus: str | None = None
    precision: str = FLOAT32
    offline: bool = False
    strict: bool = False
    racing: bool = True
    baselines: bool = True
    confirm: int = 0
    fresh: bool = False
    tensorboard: bool = False
    run_timeout: float | str | None = None
    hours: float | None = None

    @property
    def cache_bytes(self) -> int:
        """What the cache may hold."""
        return int(self.cache_gb * 1e9)

    @property
    def seconds_without_progress(self) -> float | None:
        """``run_timeout`` in seconds. Raises UserError where it is no time span."""
        return None if self.run_timeout is None else seconds_of("--run-timeout", self.run_timeout)


def overridden(study: Study, options: Options) -> Study:
    """Return the study with what the options set, its data made if a function makes them.

    Other data keeps neither the study's synthetic images nor what the study says of its own data.
    """
    if options.hours is not None:
        real("hours", options.hours, 0, MOST_HOURS, open_low=True)
    for name in ("data", "synthetic", "name", "results", "cache"):
        check_utf8(str(getattr(options, name)), f"--{name}")
    changes: dict[str, Any] = {}
    if options.data is not None:
        changes |= {"data": options.data, "synthetic": None, **OF_THE_DATA}
    changes |= {name: getattr(options, name) for name in OF_THE_DATA if getattr(options, name)}
    fields = {name: name for name in ("synthetic", "folds", "backbones", "oracle", "seed", "lag")} | {
        "trials": "max_trials"
    }
    changes |= {to: getattr(options, at) for at, to in fields.items() if getattr(options, at) is not None}
    if options.groups is not None:
        changes["groups"] = None if options.groups.lower() == NONE else options.groups
    if options.holdout is not None:
        changes["holdout"] = None if str(options.holdout).lower() == NONE else _number_or_text(options.holdout)
    if not options.baselines:
        changes["baselines"] = False
    study = study.replace(**changes)
    folder = study.data_folder()
    check_utf8(name_of(folder), "The data folder")
    return study.replace(data=folder)


def _number_or_text(value: float | str) -> float | str:
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def check_command(file: Path, written: Study, study: Study, options: Options) -> str:
    """Return the line that checks what a search reads; ``written`` is the study as the space file has it."""
    return command("check", file, html="check.html", **_of_inputs(written, study, options), offline=options.offline)


def run_command(file: Path, written: Study, study: Study, options: Options) -> str:
    """Return the line that begins another search like this one, beside it; ``written`` is as for ``check_command``."""
    more = {"trials": study.max_trials, "oracle": study.oracle, "results": options.results}
    more |= {"lag": study.lag} if study.lag != written.lag else {}
    more |= {"precision": options.precision} if options.precision != FLOAT32 else {}
    name = f"{options.name or f'{file.stem}-{name_of(study.data_folder())}'}-2"
    return command("run", file, name=name, **_of_inputs(written, study, options), **more)


def _of_inputs(written: Study, study: Study, options: Options) -> dict[str, Any]:
    """Return the options that decide over the inputs."""
    kept = written.replace(**OF_THE_DATA) if options.data is not None else written  # as ``overridden`` does
    fields = (*OF_THE_DATA, "groups", "holdout", "folds", "backbones", "seed")
    changes = {name: getattr(study, name) for name in fields if getattr(study, name) != getattr(kept, name)}
    none = {name: NONE if value is None else value for name, value in changes.items()}
    none |= {"backbones": ",".join(study.backbones)} if "backbones" in none and study.backbones else {}
    return {"data": options.data, "synthetic": options.synthetic, **none, "cache": options.cache}


def check_name(name: str) -> str:
    """Return the name of a search if it can be that of a folder."""
    check_utf8(name, "The search")
    if (
        not name
        or name != Path(name).name
        or name.startswith(".")
        or not name.isprintable()
        or len(name.encode()) > LONGEST_NAME
    ):
        raise UserError(f"--name {name!r} cannot be the name of a folder: use letters, digits, dashes and dots.")
    return name


def name_of(data: Path) -> str:
    """Return what a data set is called: its folder's name, or its file's without the suffix."""
    return data.stem if data.is_file() else data.resolve().name
