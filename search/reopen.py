"""A search opened again from its own folder: with the space, the study and the images that it began with."""

from pathlib import Path
from typing import Any

from search.record import SPACE, Record
from search.space import read_space
from search.system.errors import UserError


def reopening(
    record: Record,
    *,
    data: str | None = None,
    trials: int | None = None,
    confirm: int | None = None,
    tensorboard: bool = False,
    **options: Any,
) -> tuple[Path, dict[str, Any]]:
    """Return what ``KFoldTuner`` is made of for a search that has begun: its recorded space, and the options.

    What the last session was told stays, but for the ``options`` given; None leaves ``trials`` and
    ``confirm`` what they were. ``data`` is where the images are now, if they were moved. The tuner then
    verifies that images, plan, weights and space are what they were. Raises UserError for a search
    whose space is no file.
    """
    if record.about["space_file"] is None:
        raise UserError(
            f"{record.name} was begun from a function in a notebook: go on from there, with the same KFoldTuner."
        )
    space, last = record.folder / SPACE, record.history.sessions[-1] if record.history.sessions else {}
    study = read_space(space).study.as_recorded(record.about["identity"]["study"])
    return space, {
        "study": study,
        "name": record.name,
        "results": str(record.folder.parent),
        "data": data or record.about["data"],
        "synthetic": None if data else record.about["synthetic"],  # beside the data, wherever they are now
        "trials": trials or last.get("max_trials"),
        "racing": last.get("racing", True),
        "baselines": last.get("baselines", True),
        "confirm": last.get("confirm", 0) if confirm is None else confirm,
        "tensorboard": tensorboard or last.get("tensorboard", False),
        **options,
    }
