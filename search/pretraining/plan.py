"""What a pretraining is, and the folder beside the file to be made that holds what is done of it."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.pretraining.drawing import SIDE
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import resolve, weights_folder
from search.system.digests import file_sha256
from search.system.errors import UserError
from search.system.files import is_real_file, write_bytes, write_text
from search.system.machine import memory
from search.system.places import check_file

BATCH = 128
SMALL, LARGE = 64, 96  # px: what the student is shown at first, and at the end
ENLARGED_AFTER = 0.85  # of all steps
LESSON_BYTES = 23_040  # of what a teacher says of a picture: (256 + 64) numbers of two bytes at 36 places
STATE_BYTES = 5 * 10**7  # of what is learnt, there twice while it is written
PROCESS_BYTES = 2 * 10**9  # of TensorFlow and the batches
# DECISIONS: More room and more steps, not more pictures
PRETRAINING_VERSION = 2  # of what is drawn, asked and learnt: a change makes other weights
NOTE = "plan.json"
FINAL = r"(?:[a-z]+-)?pictures-\d{4}-\d+\.npy|bases\.npz|student\.npz"
ARRAYS = re.compile(rf"{FINAL}|\.(?:{FINAL})\.(?:[a-z0-9_]{{8}}|\d+)")  # that a pretraining writes, whole and half
MADE = "made.txt"  # the digest of the file, from just before it is there


@dataclass(frozen=True)
class PretrainingPlan:
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


def work_folder(plan: PretrainingPlan, file: Path) -> Path:
    """Return the folder for what is done towards ``file``, made if it is not there.

    Raises UserError where the file is there already or cannot be written, where the teachers' weights
    are not at hand, where the folder holds anything else, and where disk or memory are too small.
    """
    check_file(file)
    folder = file.with_name(f"{file.name}.part")
    note = folder / NOTE
    inputs = {"version": PRETRAINING_VERSION, **asdict(plan), "teachers": _weights_of(plan)}
    is_ours = _is_ours(folder, file)
    if os.path.lexists(file) and not is_ours:
        raise UserError(f"{file} is there already, and nothing is overwritten: name another file with --to.")
    if note.exists():
        _check_same(note, inputs)
    elif not is_ours:
        if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is in the way, and no pretraining made it: name another file with --to.")
        _check_room(plan, file)
        folder.mkdir(exist_ok=True)
        write_text(note, json.dumps(inputs, indent=2))
    return folder


def finish(folder: Path, file: Path, data: bytes) -> None:
    """Write ``file``, and remove what was in its work folder. Raises UserError if a file was put there meanwhile."""
    if os.path.lexists(file):
        raise UserError(f"{file} was put there meanwhile. Move it away, and run the same line again.")
    write_text(folder / MADE, hashlib.sha256(data).hexdigest())
    write_bytes(file, data)
    clear(folder)


def clear(folder: Path) -> None:
    """Remove what a pretraining wrote into its folder, and the folder if nothing else is in it."""
    arrays = [path for path in folder.iterdir() if ARRAYS.fullmatch(path.name) and is_real_file(path)]
    for path in (*arrays, folder / NOTE, folder / MADE):  # in this order, lest an interruption leave what nobody knows
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody else's files are in it
        folder.rmdir()


def _is_ours(folder: Path, file: Path) -> bool:
    """Return whether the pretraining in ``folder`` made ``file``, and was interrupted before it cleared up."""
    digest = folder / MADE
    return file.is_file() and digest.exists() and digest.read_text(encoding="utf-8") == file_sha256(file)


def _weights_of(plan: PretrainingPlan) -> list[list[str]]:
    """Return the teachers, in their order, with the digests of their weights."""
    weights, missing = resolve([BACKBONES[name] for name in plan.teachers], offline=True, announce=lambda _: None)
    if missing:
        one = missing[0]
        why = "is not" if one.reason == "--offline" else f"cannot be used ({one.reason}); put it whole"
        place = f"{one.weights.file} {why} in {weights_folder()}. It comes from {one.weights.url}"
        raise UserError(
            f"Nothing can be learnt from {one.backbone} without its weights: "
            f"{place if one.weights.url else one.reason}. Or name other teachers with --teacher."
        )
    return [[name, weights[name]] for name in plan.teachers]


def _check_same(note: Path, inputs: dict[str, Any]) -> None:
    folder = note.parent
    anew = "delete the folder to begin anew, or name another file with --to."
    try:
        recorded = dict(json.loads(note.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise UserError(f"{note} is damaged: {anew}") from None
    if recorded.get("version") != PRETRAINING_VERSION:
        raise UserError(f"{folder} holds a pretraining that another version of this program began: {anew}")
    changes = [name for name in inputs if recorded.get(name) != inputs[name]]
    if changes:
        words = "; ".join(f"{name} was {recorded.get(name)} and is {inputs[name]} now" for name in changes)
        raise UserError(
            f"{folder} holds a pretraining that was begun otherwise: {words}. Give what it was to go on with it, {anew}"
        )


def _check_room(plan: PretrainingPlan, file: Path) -> None:
    disk = STATE_BYTES + plan.pictures * (3 * SIDE**2 + LESSON_BYTES * len(plan.teachers))
    free = shutil.disk_usage(file.absolute().parent).free
    needed = PROCESS_BYTES + plan.pictures * (3 * LARGE**2 + LESSON_BYTES * len(plan.teachers))
    if disk > free:
        raise UserError(
            f"{plan.pictures} pictures need {disk / 1e9:.1f} GB beside {file}, and {free / 1e9:.1f} GB are free. "
            "Ask for fewer with --pictures, or name a file on another disk."
        )
    if needed > memory():
        raise UserError(
            f"{plan.pictures} pictures need {needed / 1e9:.1f} GB of memory to learn from, and there "
            f"are {memory() / 1e9:.1f} GB. Ask for fewer with --pictures."
        )
