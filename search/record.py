"""A search on disk: its folder, what was fixed when it began, whether it may go on, and how it is opened again.

``study.json``, ``space.py`` and the tables of images, synthetic images and folds are written
once; ``journal.jsonl`` and ``runs/`` grow; ``report/`` can be deleted and written again.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import pandas as pd

from search.data.dataset import Dataset
from search.data.depth import Ranges
from search.data.finding import listed
from search.data.folds import PLANNING_VERSION, Plan, lacking_classes, plan_digest, plan_table
from search.data.images import DECODING_VERSION
from search.data.synthetic import SyntheticPool
from search.integrity.differences import SAME_TEXT, change_of, code_of, differences, versions_since
from search.integrity.replayed import check_replayed
from search.integrity.studied import problem_of_study
from search.integrity.written import check_journal_is_there, check_written
from search.journal.events import SessionEvent
from search.journal.history import History
from search.journal.journal import FILE, read_events, replay
from search.racing import PlannedFold, Rules
from search.repertoire.recipe import Recipe
from search.space import SpaceFile
from search.study import UNWRITTEN, Study
from search.system.commands import first_command
from search.system.errors import UserError
from search.system.files import is_real_file, is_real_folder, sweep_files, unused, write_text
from search.system.machine import no_garbage_collection
from search.system.texts import csv_text, from_cell

FORMAT = 1
STUDY, SPACE, MODULES, RUNS = "study.json", "space.py", "modules", "runs"
FOLDS, IMAGES, SYNTHETIC = "folds.csv", "images.csv", "synthetic.csv"
RUN_FILES = re.compile(r"[a-z]?\d+-(?:\d+|holdout)\.npz")  # in RUNS: trial, and job
WRITTEN_ONCE = (STUDY, SPACE, FOLDS, IMAGES, SYNTHETIC)

WAYS_OUT = "Begin anew with --fresh, or under another --name."
IDENTITY_FIELDS = (
    *("objective", "folds", "repeats", "splits", "val", "holdout", "train_fractions", "groups"),
    *("trust_unsourced", "oracle", "seed"),
)

Texts = Mapping[str, str]  # of files, by their paths
NO_TEXTS: Texts = MappingProxyType({})
Identity = dict[str, Any]  # what must be the same for a search to go on, as ``identity_of`` makes it


@dataclass(frozen=True)
class About:
    """What study.json says: all that was fixed when a search began.

    ``identity`` is what must be the same for it to go on. ``weights`` maps backbones to the SHA-256 of their weights.
    ``data`` and ``synthetic`` are what was read, ``root`` the folder from which the ids of images lead to their files;
    ``space_file`` is None where the space was a function. ``images`` counts all of them, ``in_folds`` those that
    the folds use, ``holdout`` those held out and ``left_out`` those of neither. ``holdout_lacks`` are the classes with
    no image among those held out, empty where an older search does not say. ``classes`` has the number of images by
    name; ``unreadable`` pairs of (id, reason). ``findings`` are those of the audit, None where an older search has
    none. ``reading`` is what was said of the data, None for an older search. ``files`` are those of own backbones, by
    name. ``fields`` are those of the file itself: a report repeats them.
    """

    identity: Identity
    weights: dict[str, str]
    data: str
    root: str
    synthetic: str | None
    space_file: str | None
    images: int
    in_folds: int
    holdout: int
    holdout_lacks: list[str]
    left_out: int
    classes: dict[str, int]
    unreadable: list[list[str]]
    findings: list[dict[str, Any]] | None
    synthetic_unsourced: int
    reading: dict[str, Any] | None
    threads: int
    folds: tuple[PlannedFold, ...]
    files: dict[str, str]
    fields: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """Return what study.json says; a field that an older search lacks has the value that it had then."""
        return cls(
            identity=fields["identity"],
            weights=fields["weights"],
            data=fields["data"],
            root=fields.get("root") or fields["data"],
            synthetic=fields["synthetic"],
            space_file=fields.get("space_file"),
            images=fields["images"],
            in_folds=fields.get("in_folds", fields["images"]),
            holdout=fields.get("holdout", 0),
            holdout_lacks=fields.get("holdout_lacks", []),
            left_out=fields.get("beside_holdout", 0),
            classes=fields["classes"],
            unreadable=fields["unreadable"],
            findings=fields.get("findings"),
            synthetic_unsourced=fields.get("synthetic_unsourced", 0),
            reading=fields.get("reading"),
            threads=fields["threads"],
            folds=tuple(PlannedFold(fold["id"], tuple(fold["split"]), fold["fraction"]) for fold in fields["folds"]),
            files=fields.get("files", {}),
            fields=fields,
        )

    @property
    def baselines(self) -> dict[str, Recipe]:
        """The baselines by name, empty where an older search does not say."""
        return {name: Recipe.from_dict(recipe) for name, recipe in self.fields.get("baselines", {}).items()}

    @property
    def ranges(self) -> Ranges:
        """What is white in deep images."""
        return Ranges.recorded(self.identity.get("ranges"))

    @property
    def study(self) -> dict[str, Any]:
        """The fields of the study that must be the same for the search to go on."""
        study: dict[str, Any] = self.identity["study"]
        return study


@dataclass(frozen=True)
class Record:
    """A search as its folder tells it: what was fixed, and what the journal replays to."""

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

    Raises UserError for a file that cannot be read or was written by a newer version, where the journal is gone, and
    where a file that is written once is not what it was when the search began.
    """
    check_journal_is_there(folder, STUDY, RUNS)
    check_written(folder)
    path = folder / STUDY
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        version = fields["format"]
        problem = problem_of_study(fields) if version == FORMAT else ""
    except FileNotFoundError:  # --fresh moved it away just now
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}). {WAYS_OUT}") from None
    if problem:
        raise UserError(f"{path} cannot be read ({problem}). Restore it from a copy. {WAYS_OUT}")
    if version != FORMAT:
        raise UserError(f"{path} has format {version}, this version reads {FORMAT}. Use the version that began it.")
    return About.of(fields)


@no_garbage_collection()
def read_record(folder: Path) -> Record:
    """Return the search in ``folder``, running or ended.

    Raises UserError where there is none.
    """
    about = read_about(folder)
    if about is None:
        there = names_of_searches(folder.parent)
        known = f" There are: {', '.join(there)}." if there else ""
        raise UserError(f"There is no search in {folder}.{known} Begin one with: {first_command('run')}")
    journal = folder / FILE
    history = replay(read_events(journal), path=journal) if journal.exists() else History()
    record = Record(folder, about, history, rules_of(about, history))
    check_replayed(folder, history, record.rules)
    return record


def names_of_searches(results: Path) -> list[str]:
    """Return the names of the searches in a folder of results, in order."""
    return sorted(path.parent.name for path in results.glob(f"*/{STUDY}"))


def rules_of(about: About, history: History) -> Rules:
    """Return the rules that a search was last run with."""
    study, known = UNWRITTEN | about.study, (about.folds, about.study["objective"], about.in_folds)
    val = study["val"] if study.get("splits") == "shuffle" else None
    last = (history.sessions or [SessionEvent(racing=False)])[-1]
    return Rules(*known, last.racing, val, bool(about.holdout), last.confirm, study["lag"])


def read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """Return images.csv or synthetic.csv as texts; None where an older search has none."""
    try:
        return pd.read_csv(folder / name, dtype=str, keep_default_na=False).map(from_cell)
    except (OSError, ValueError):
        return None


def identity_of(
    study: Study, image_size: int, space: str, dataset: Dataset, pool: SyntheticPool | None, plan: Plan, training: int
) -> Identity:
    """Return what must be the same for a search to go on.

    ``space`` is the digest of the space itself, ``training`` the version of the code that trains.
    """
    fields = {name: getattr(study, name) for name in IDENTITY_FIELDS}
    fields |= study.recorded
    ranges = dataset.ranges.joined(pool.ranges) if pool else dataset.ranges
    return {
        "study": {**fields, "image_size": image_size},
        "space": space,
        "data": dataset.digest,
        "synthetic": pool.digest if pool else None,
        "plan": plan_digest(plan.every),
        "training": training,
        "decoding": DECODING_VERSION,
        "planning": PLANNING_VERSION,
        **({"ranges": dict(ranges.tops)} if ranges.tops else {}),  # as searches of 8-bit images always were
    }


def about_of(
    identity: Identity,
    file: SpaceFile,
    dataset: Dataset,
    pool: SyntheticPool | None,
    plan: Plan,
    weights: dict[str, str],
    baselines: Mapping[str, Recipe],
    findings: list[dict[str, Any]],
    threads: int,
) -> About:
    """Return what study.json will say of a search that begins."""
    fields = {
        "identity": identity,
        "weights": weights,
        "baselines": {name: recipe.to_dict() for name, recipe in baselines.items()},
        "data": str(dataset.source.absolute()),  # not resolved: what lies beside a link counts
        "root": str(dataset.root.absolute()),
        "synthetic": str(pool.root.resolve()) if pool else None,
        "space_file": str(file.path) if file.on_disk else None,
        "images": len(dataset),
        "in_folds": plan.in_folds,
        "holdout": len(plan.holdout.validation) if plan.holdout else 0,
        "holdout_lacks": lacking_classes(dataset, plan.holdout),
        "beside_holdout": len(plan.left_out),
        "classes": dataset.counts,
        "unreadable": [list(pair) for pair in dataset.unreadable],
        "ignored": list(dataset.ignored),
        "reading": dataset.reading.to_dict(),
        "findings": findings,
        "synthetic_images": len(pool) if pool else 0,
        "synthetic_left_out": pool.left_out if pool else 0,
        "synthetic_unsourced": sum(pool.unsourced) if pool else 0,
        "threads": threads,
        **({"files": dict(file.beside.files)} if file.beside.files else {}),
        **({"image_size_given": True} if file.written and file.study.image_size else {}),  # in code, not in the file
        "folds": [{"id": f.id, "split": list(f.split), "fraction": f.fraction} for f in plan.folds],
    }
    return About.of(fields)


def images_table(dataset: Dataset) -> pd.DataFrame:
    """Return the images as images.csv has them: labels are the names of classes."""
    return dataset.table.assign(label=[dataset.classes[label] for label in dataset.labels])


def tables_of(dataset: Dataset, pool: SyntheticPool | None, plan: Plan) -> dict[str, pd.DataFrame]:
    """Return the images, the synthetic ones if any, and the folds, as tables by the names of their files."""
    synthetic = {SYNTHETIC: pool.table(dataset.ids)} if pool else {}
    return {IMAGES: images_table(dataset), **synthetic, FOLDS: plan_table(plan.every, dataset.ids)}


def begin_record(
    folder: Path, about: About, space_text: str, tables: Mapping[str, pd.DataFrame], modules: Texts = NO_TEXTS
) -> None:
    """Write the files that never change, study.json last: where it exists, the others exist too.

    ``modules`` are the texts of those that the space imports from its own folder.
    """
    write_text(folder / SPACE, space_text)
    for name, text in modules.items():
        (folder / MODULES / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / MODULES / name, text)
    for name, table in tables.items():
        write_text(folder / name, csv_text(table))
    (folder / RUNS).mkdir(exist_ok=True)
    fields = {"format": FORMAT, **about.fields}
    write_text(folder / STUDY, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")


def remove_half_written(folder: Path) -> None:
    """Remove the half-written files that a killed driver left; only the driver that holds the journal may."""
    sweep_files(folder, re.compile("|".join(map(re.escape, WRITTEN_ONCE))))
    sweep_files(folder / MODULES, re.compile(r".+\.py"))
    sweep_files(folder / RUNS, RUN_FILES)


def remove_run_file(folder: Path, name: str) -> None:
    """Remove the file of a job that no trial needs any more, if ``name`` is one that we give, and no link."""
    path = folder / name
    is_ours = path.parent == folder / RUNS and RUN_FILES.fullmatch(path.name)
    if is_ours and is_real_folder(path.parent) and is_real_file(path):
        path.unlink()


def check_free(folder: Path) -> None:
    """Raise UserError where a search that begins in ``folder`` would replace files that no search wrote."""
    others = [name for name in WRITTEN_ONCE if (folder / name).exists()]
    if others and not (folder / FILE).exists():  # a driver makes the journal first
        raise UserError(f"{folder} holds {' and '.join(others)}, but no search. Give the search another --name.")


def check_movable(folder: Path) -> None:
    """Raise UserError for a folder that --fresh would move aside though it holds no search."""
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in (STUDY, FILE, RUNS)):
        raise UserError(f"{folder} holds no search, so --fresh leaves it where it is. Give the search another --name.")


def move_aside(folder: Path) -> Path:
    """Rename the folder to ``<name>.old-<time>`` and return its new path: nothing is deleted.

    Raises UserError for a folder that holds no search.
    """
    check_movable(folder)
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    aside = unused(folder.with_name(f"{folder.name}.old-{stamp}"))
    folder.rename(aside)
    return aside


def check_same(
    folder: Path,
    about: About,
    identity: Identity,
    space_text: str,
    dataset: Dataset | None = None,
    pool: SyntheticPool | None = None,
    modules: Texts = NO_TEXTS,
    plan: Plan | None = None,
    *,
    builds: bool = False,
    versions: Texts = NO_TEXTS,
) -> None:
    """Raise UserError, saying what differs and the ways out, unless the search began with ``identity``.

    ``dataset``, ``pool`` and ``plan`` are what there is now: they are compared with the tables of the search.
    ``modules`` are the texts of those that the space imports, whose code counts where it ``builds`` networks;
    ``versions`` are those of the libraries.
    """
    recorded = {
        name: path.read_text(encoding="utf-8") for name in modules if (path := folder / MODULES / name).exists()
    }
    was, now = {SPACE: (folder / SPACE).read_text(encoding="utf-8"), **recorded}, {SPACE: space_text, **modules}
    other_code = builds and code_of(was) != code_of(now)
    texts = _with_modules(was[SPACE], recorded), _with_modules(space_text, modules)
    images = read_table(folder, IMAGES), images_table(dataset) if dataset else None
    synthetic = read_table(folder, SYNTHETIC), pool.table(dataset.ids) if dataset and pool else None
    found = differences(about.identity, identity, texts, images, synthetic, other_code)
    found += versions_since(folder / FILE, versions) if SAME_TEXT in found else []
    if dataset and about.identity.get("data") == identity["data"] and about.classes != dataset.counts:
        found.append(f"{STUDY} was changed: its classes ({listed(list(about.classes))}) are not those of the images")
    if dataset and plan and not found:
        tables = tables_of(dataset, pool, plan)
        found = [
            change for name, table in tables.items() if (change := change_of(name, read_table(folder, name), table))
        ]
    if found:
        raise _another_search(folder, found)


def _another_search(folder: Path, found: Sequence[str]) -> UserError:
    lines = "\n".join(f"  - {difference}" for difference in found)
    return UserError(
        f"{folder} holds another search:\n{lines}\n"
        "Its results would not be comparable. Ways out: undo the change to resume it; begin another one with "
        "--name NAME; or begin anew with --fresh (the old folder is moved aside, not deleted)."
    )


def _with_modules(text: str, modules: Texts) -> str:
    """Return the text of a space, and below it that of its modules, whose lines begin with their names."""
    return "\n".join([text, *(f"{name}: {line}" for name, lines in modules.items() for line in lines.splitlines())])
