"""How a search that has begun is opened again: with its recorded space, and the options of its last session."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.data.reading import as_before
from search.journal.events import SessionEvent
from search.record import IMAGES, MODULES, SPACE, About, Record, read_table
from search.space import SpaceFile, read_space
from search.study import Study
from search.system.commands import command_of
from search.system.errors import UserError
from search.system.precision import precision_in


def reopening(
    record: Record,
    *,
    verb: str = "resume",
    typed: Mapping[str, Any] | None = None,
    data: str | None = None,
    root: str | None = None,
    trials: int | None = None,
    confirm: int | None = None,
    tensorboard: bool = False,
    **options: Any,
) -> tuple[SpaceFile, dict[str, Any]]:
    """Return the recorded space and the options with which ``KFoldTuner`` reopens a search that has begun.

    The options of the last session are kept, except for those passed here; None keeps ``trials`` and
    ``confirm``. ``data`` is where the images are now, if they were moved, and ``root`` where those of a table are.
    ``verb`` is what was asked for, and ``typed`` its further options, for the command that a refusal shows.
    The tuner then verifies that images, plan, weights and space are what they were.
    Raises UserError for a search whose space is no file.
    """
    space, last = _space(record), (record.history.sessions or [SessionEvent(racing=True)])[-1]
    return space, {
        **_reading(record),
        **({"root": root} if root else {}),
        "study": _study(record.about, space.study),
        "name": record.name,
        "results": str(record.folder.parent),
        "data": data or _data(record, space.study, verb, typed or {}),
        "synthetic": None if data else record.about.synthetic,  # beside the data, wherever they are now
        "trials": trials or last.max_trials,
        "racing": last.racing,
        "baselines": last.baselines,
        "confirm": last.confirm if confirm is None else confirm,
        "tensorboard": tensorboard or last.tensorboard,
        "precision": precision_in(record.about.identity),
        **options,
    }


def _study(about: About, written: Study) -> Study:
    """Return the study of a search, whose file has ``written``; its image size is given only where it was."""
    study = written.as_recorded(about.study)
    given = written.image_size is not None or about.fields.get("image_size_given", False)
    return study if given else study.replace(image_size=None)


def _space(record: Record) -> SpaceFile:
    if record.about.space_file is None:
        raise UserError(
            f"{record.name} was begun from a function in a notebook: go on from there, with the same KFoldTuner."
        )
    modules = record.folder / MODULES
    return read_space(record.folder / SPACE, modules if modules.is_dir() else None, record.about.files)


def _reading(record: Record) -> dict[str, Any]:
    """Return how the images were read; an older search does not say it."""
    known = record.about.reading
    return as_before(read_table(record.folder, IMAGES), Path(record.about.data)) if known is None else known


def _data(record: Record, study: Study, verb: str, typed: Mapping[str, Any]) -> str | None:
    """Return where the images were, if they are there; None where a function of the study makes them once more."""
    if Path(record.about.data).exists():
        return record.about.data
    if callable(study.data):
        return None
    moved = {**typed, "data": "FOLDER"}
    if (record.about.reading or {}).get("root"):
        moved |= {"data": "TABLE", "root": typed.get("root") or "FOLDER"}
    raise UserError(
        f"The images of {record.name} were in {record.about.data}, where there is nothing now. If they were moved, "
        f"give the new place with --data: {command_of(record.folder, verb, **moved)}"
    )
