"""The folder of a search: what was fixed when it began, and whether it may go on.

``study.json``, ``space.py`` and the tables of images, synthetic images and folds are written
once; ``journal.jsonl`` and ``runs/`` grow; ``report/`` can be deleted and written again.
"""

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from search.journal import FILE, History, read_events, replay
from search.racing import PlannedFold, Rules
from search.system.errors import UserError
from search.system.files import write_text

FORMAT = 1
STUDY, SPACE, RUNS = "study.json", "space.py", "runs"
FOLDS, IMAGES, SYNTHETIC = "folds.csv", "images.csv", "synthetic.csv"

NEEDED = {
    **dict.fromkeys(("identity", "weights", "classes"), dict),
    **dict.fromkeys(("images", "threads"), int),
    **dict.fromkeys(("unreadable", "folds"), list),
    "data": str,
    "synthetic": str | None,
}

WAYS_OUT = "Begin anew with --fresh, or under another --name."

About = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A search as its folder tells it: ``about`` is study.json, and what the journal replays to."""

    folder: Path
    about: About
    history: History
    rules: Rules

    @property
    def name(self) -> str:
        """The name of the search."""
        return self.folder.name


def read_about(folder: Path) -> About | None:
    """Return what study.json says, None where no search has begun.

    Raises UserError for a file that cannot be read or was written by a newer version.
    """
    path = folder / STUDY
    if not path.exists():
        return None
    try:
        about: About = json.loads(path.read_text(encoding="utf-8"))
        version = about["format"]
        lacking = [key for key in NEEDED if key not in about or not isinstance(about[key], NEEDED[key])]
    except FileNotFoundError:  # --fresh moved it away just now
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}). {WAYS_OUT}") from None
    if version == FORMAT and lacking:
        raise UserError(f"{path} cannot be read (it lacks {lacking[0]!r}, or has it wrong). {WAYS_OUT}")
    if version != FORMAT:
        raise UserError(f"{path} has format {version}, this version reads {FORMAT}. Use the version that began it.")
    return about


def read_record(folder: Path) -> Record:
    """Return the search in ``folder``, running or ended.

    Raises UserError where there is none.
    """
    about = read_about(folder)
    if about is None:
        there = sorted(path.parent.name for path in folder.parent.glob(f"*/{STUDY}"))
        known = f" There are: {', '.join(there)}." if there else ""
        raise UserError(
            f"There is no search in {folder}.{known} Begin one with: python -m search run spaces/finetune.py"
        )
    journal = folder / FILE
    history = replay(read_events(journal)) if journal.exists() else History()
    record = Record(folder, about, history, rules_of(about, history))
    check_scores(record)
    return record


def check_scores(record: Record) -> None:
    """Raise UserError for runs without a score of the objective."""
    objective = record.rules.objective
    for trial in record.history.trials.values():
        if any(objective not in run.scores for run in trial.runs.values()):
            raise UserError(
                f"The journal {record.folder / FILE} holds a run of trial {trial.id} without {objective}. {WAYS_OUT}"
            )


def rules_of(about: About, history: History) -> Rules:
    """Return the rules that a search was last run with."""
    folds = tuple(PlannedFold(f["id"], tuple(f["split"]), f["fraction"]) for f in about["folds"])
    last = history.sessions[-1] if history.sessions else {}
    study = about["identity"]["study"]
    val = study["val"] if study.get("splits") == "shuffle" else None
    # Searches that were begun before there were hold-outs say nothing of them.
    images = about["in_folds"] if "in_folds" in about else about["images"]
    racing, confirm = bool(last.get("racing")), int(last.get("confirm", 0))
    return Rules(folds, study["objective"], images, racing, val, bool(about.get("holdout")), confirm)


def read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """Return images.csv or synthetic.csv as texts; None where an older search has none."""
    try:
        return pd.read_csv(folder / name, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return None


def begin(folder: Path, about: About, space_text: str, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write what is fixed, study.json last: where it exists, the others do."""
    write_text(folder / SPACE, space_text)
    for name, table in tables.items():
        write_text(folder / name, table.to_csv(index=False))
    (folder / RUNS).mkdir(exist_ok=True)
    write_text(folder / STUDY, json.dumps({"format": FORMAT, **about}, indent=2, ensure_ascii=False) + "\n")


def sweep(folder: Path) -> None:
    """Remove the half-written files that a killed driver left; only for whoever holds the journal."""
    files = (STUDY, SPACE, FOLDS, IMAGES, SYNTHETIC)
    for name in (f"{RUNS}/.*.npz.*", *(f".{file}.*" for file in files)):
        for left_over in folder.glob(name):
            left_over.unlink()


def make(folder: Path) -> None:
    """Make the folder. Raises UserError where that is not possible."""
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


def move_aside(folder: Path) -> Path:
    """Rename the folder to ``<name>.old-<time>`` and return its new path: nothing is deleted."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    aside = folder.with_name(f"{folder.name}.old-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = folder.with_name(f"{folder.name}.old-{stamp}-{number}")
    folder.rename(aside)
    return aside


def check_same(folder: Path, about: About, identity: dict[str, Any], space_text: str) -> None:
    """Raise UserError, saying what differs and the ways out, unless the search began with ``identity``."""
    old, new = about["identity"], identity
    differences = []
    for field, was in old["study"].items():
        now = new["study"].get(field)
        if now != was:
            way_back = " (--groups none is what it was)" if field == "groups" and was is None else ""
            differences.append(f"{field} was {was!r} and is now {now!r}{way_back}")
    if old["space"] != new["space"]:
        recorded = (folder / SPACE).read_text(encoding="utf-8").splitlines()
        changed = list(difflib.unified_diff(recorded, space_text.splitlines(), "recorded", "now", n=0, lineterm=""))[2:]
        differences.append("the space changed:\n" + "\n".join(f"      {line}" for line in changed[:20]))
    words = {
        "data": "the images, their labels or groups changed",
        "synthetic": "the synthetic images changed",
        "plan": "the planned folds differ",
    }
    version = "this version {} otherwise than the one that began the search: finish it with that one"
    versions = {"training": "trains", "decoding": "decodes images", "planning": "plans folds"}
    other = [verb for field, verb in versions.items() if old.get(field) != new[field]]
    differences += [version.format(verb) for verb in other]
    differences += [
        words[field]
        for field in words
        if old[field] != new[field] and not (field == "plan" and versions["planning"] in other)
    ]
    if differences:
        listed = "\n".join(f"  - {difference}" for difference in differences)
        raise UserError(
            f"{folder} holds another search:\n{listed}\n"
            "Its results would not be comparable. Ways out: undo the change to resume it; begin another one with "
            "--name NAME; or begin anew with --fresh (the old folder is moved aside, not deleted)."
        )
