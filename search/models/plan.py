"""What a pretraining is, and the folder that keeps what is done of it, beside the file to be made."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from search.errors import UserError
from search.files import write_text
from search.hand import resolve
from search.models.drawing import SIDE
from search.options import check_file

BATCH = 128
SMALL, LARGE = 64, 96  # px: what the student is shown at first, and at the end
ENLARGED_AFTER = 0.85  # of all steps
PICTURE_BYTES = 3 * SIDE**2 + 50_000  # of a picture on disk, and of what two teachers say of it


@dataclass(frozen=True)
class Plan:
    """The teachers of a pretraining, how many pictures, passes over them, and the seed of all draws."""

    teachers: tuple[str, ...]
    pictures: int
    passes: int
    seed: int

    @property
    def steps(self) -> int:
        """Batches that the student is shown."""
        return self.passes * self.steps_of_a_pass

    @property
    def steps_of_a_pass(self) -> int:
        """Whole batches in the pictures."""
        return self.pictures // BATCH

    def side(self, step: int) -> int:
        """Return the side in px at which the student is shown pictures: small first, which is cheap, then larger.

        Growing pictures are from Tan & Le 2021 ("EfficientNetV2").
        """
        return SMALL if step < ENLARGED_AFTER * self.steps else LARGE


def work_folder(plan: Plan, file: Path) -> Path:
    """Return the folder that keeps what is done towards ``file``, made if it is not there.

    Raises UserError where the file is there already or cannot be written, where the teachers' weights
    are not at hand, where what was begun there is of another plan, and where the disk is too full.
    """
    check_file(file)
    if file.exists():
        raise UserError(f"{file} is there already, and nothing is overwritten: name another file with --to.")
    weights, missing = resolve(plan.teachers, offline=True, announce=lambda _: None)
    if missing:
        raise UserError(
            f"The weights of {missing[0].backbone} are not at hand, and nothing can be learnt from it without: "
            f"{missing[0].file} is not in {missing[0].folder}. Put it there, from {missing[0].url}, or name other "
            "teachers with --teacher."
        )
    folder = file.with_name(f"{file.name}.part")
    noted, wanted = folder / "plan.json", json.dumps({**asdict(plan), "teachers": weights}, indent=2)
    if not noted.exists():
        _check_room(plan, file)
        folder.mkdir(exist_ok=True)
        write_text(noted, wanted)
    elif noted.read_text(encoding="utf-8") != wanted:
        raise UserError(
            f"{folder} holds a pretraining that was begun otherwise:\n{noted.read_text(encoding='utf-8')}\n"
            "Give the same options to go on with it, delete the folder to begin anew, or name another file with --to."
        )
    return folder


def _check_room(plan: Plan, file: Path) -> None:
    needed, free = plan.pictures * PICTURE_BYTES, shutil.disk_usage(file.absolute().parent).free
    if needed > free:
        raise UserError(
            f"{plan.pictures} pictures need {needed / 1e9:.1f} GB beside {file}, and {free / 1e9:.1f} GB are free. "
            "Ask for fewer with --pictures, or name a file on another disk."
        )
