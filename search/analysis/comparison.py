"""Two trials side by side: what differs in their recipes, by how much they differ, and how sure that is."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.analysis.ledger import at_size, interval
from search.analysis.predictions import read_run
from search.analysis.stats.comparing import ALPHA, Difference, difference, mcnemar
from search.analysis.stats.intervals import Interval
from search.journal.history import Trial
from search.journal.outcomes import Status
from search.racing import cells, ranked
from search.record import Record, read_record
from search.repertoire.columns import COLUMNS, columns_of
from search.system.commands import command_of
from search.system.errors import UserError

BEST = "best"


@dataclass(frozen=True)
class Side:
    """One of the two trials: its search, how it is named in this comparison, and whether it is its search's best."""

    record: Record
    trial: Trial
    name: str
    picked: bool

    @property
    def of(self) -> int:
        """How many complete trials its search has."""
        return len(self.record.history.with_status(Status.COMPLETED))


@dataclass(frozen=True)
class Comparison:
    """What there is to say of two complete trials, a minus b; scores in [0, 1], NaN or None where there is nothing.

    ``fields`` holds (field, of a, of b) where recipes differ; ``folds`` the difference of the
    objective, mean over training sizes, by split; ``pooled`` how many complete trials the spread
    comes from; ``p`` is two-sided, of this pair alone; ``p_picked`` allows for a side that is here because it
    is the best of its search; ``images`` counts those of McNemar's two-sided ``images_p``.
    """

    a: Side
    b: Side
    fields: list[tuple[str, str, str]]
    scores: tuple[Interval, Interval]
    accuracy: dict[float, tuple[float, float]]
    difference: Difference
    p: float
    p_picked: float
    pooled: int
    folds: dict[str, float]
    only_right: tuple[int, int]
    images: int
    images_p: float | None

    @property
    def apart(self) -> bool:
        """Whether one is better."""
        return self.p_picked < ALPHA  # not so where p is NaN


# DECISIONS: compare gives a two-sided p
def compare(folder: Path, first: str, second: str) -> Comparison:
    """Compare two complete trials: of the search in ``folder``, or named ``OTHER/0007`` of another one.

    Raises UserError for a trial that is not there or not complete, and for searches whose data,
    folds or objective differ.
    """
    a, b = find(folder, first), find(folder, second)
    same_search = a.record.folder.resolve() == b.record.folder.resolve()
    if same_search and a.trial.id == b.trial.id:
        raise UserError(f"{first} and {second} are both trial {a.trial.id} of {a.record.name}. Name two trials.")
    if not same_search:
        check_comparable(a.record, b.record)
    table, places = _pooled(a, b)
    gap = difference(table, places[0], places[1], a.record.rules.parts)
    p = 2 * min(gap.p, 1 - gap.p)
    by_fold = (table[places[0]] - table[places[1]]).mean(axis=0)
    right_a, right_b = _right(a, b)
    return Comparison(
        a=a,
        b=b,
        fields=_differing(a.trial, b.trial),
        scores=(interval(a.trial, a.record.rules), interval(b.trial, b.record.rules)),
        accuracy={q: _accuracies(a, b, q) for q in reversed(a.record.rules.fractions)},
        difference=gap,
        p=p,
        p_picked=min(1.0, p * _rivals(a, b)) if math.isfinite(p) else p,
        pooled=len(table),
        folds=dict(zip(_split_names(a.record), map(float, by_fold), strict=True)),
        only_right=(int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())),
        images=len(right_a),
        images_p=mcnemar(right_a, right_b) if len(right_a) else None,
    )


def _pooled(a: Side, b: Side) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the cells of all complete trials of both searches, and the rows of ``a`` and ``b``.

    Searches with one seed share trials, baselines above all: the same runs count once.
    """
    row_of: dict[tuple[str, bytes], int] = {}
    rows: list[np.ndarray] = []
    places: dict[tuple[Path, str], int] = {}
    for record in (a.record, b.record):
        for trial in record.history.with_status(Status.COMPLETED):
            table = cells(trial, record.rules)
            row = row_of.setdefault((trial.recipe.digest, table.tobytes()), len(rows))
            rows += [table] if row == len(rows) else []
            places[record.folder.resolve(), trial.id] = row
    first, second = (places[side.record.folder.resolve(), side.trial.id] for side in (a, b))
    return np.stack(rows), (first, second)


def _rivals(a: Side, b: Side) -> int:
    """Return among how many comparisons this one was picked: 1 unless a side is the best of its search (Bonferroni)."""
    return max(1, sum(side.of - 1 for side in (a, b) if side.picked))


def find(folder: Path, name: str) -> Side:
    """Return the complete trial that ``name`` names: an id, "best", or either after another search and a slash."""
    search, _, trial_name = name.rpartition("/")
    elsewhere = Path(search) if Path(search).name != search else folder.parent / search
    record = read_record(elsewhere if search else folder)
    best = ranked(record.history.trials.values())
    if trial_name == BEST:
        if not best:
            raise UserError(f"{record.name} has no complete trial yet, so it has no best one.")
        trial = best[0]
    else:
        trial = _trial(record, trial_name)
    return Side(record, trial, f"{search}/{trial.id}" if search else trial.id, bool(best) and trial is best[0])


def _trial(record: Record, name: str) -> Trial:
    trials = record.history.trials
    trial = trials.get(name) or trials.get(name.zfill(4))
    if trial is None:
        known = f"They are {next(iter(trials))} to {list(trials)[-1]}" if trials else "It has none yet"
        raise UserError(f"There is no trial {name!r} in {record.name}. {known}; the best one is called {BEST!r}.")
    if trial.status is not Status.COMPLETED:
        reason = f" ({trial.verdict.reason})" if trial.verdict else ""
        raise UserError(
            f"Trial {trial.id} of {record.name} is {trial.status}{reason}, not completed: it has no score to compare. "
            f"This lists the complete ones: {command_of(record.folder, 'report')}"
        )
    return trial


def check_comparable(one: Record, other: Record) -> None:
    """Raise UserError, saying what differs, unless two searches share data, folds and objective."""
    first, second = one.about.identity, other.about.identity
    differences = []
    if first.get("data") != second.get("data"):
        differences.append(f"the images, labels or groups differ ({one.about.data}, {other.about.data})")
    if first.get("plan") != second.get("plan") or set(one.rules.folds) != set(other.rules.folds):
        differences.append("the planned folds differ (folds, training sizes, hold-out or seed)")
    if one.rules.objective != other.rules.objective:
        differences.append(f"the objective is {one.rules.objective} in one and {other.rules.objective} in the other")
    if differences:
        raise UserError(
            f"{one.name} and {other.name} cannot be compared: {'; '.join(differences)}. Scores can be compared where "
            "data, folds and objective are the same: search again with the same study."
        )


def _differing(a: Trial, b: Trial) -> list[tuple[str, str, str]]:
    places = {name: place for place, name in enumerate(COLUMNS)}  # hyperparameters have none, and come after them
    columns = sorted(
        columns_of([a.recipe, b.recipe]),
        key=lambda column: (bool(column.subfield), places.get(column.name, len(places))),
    )
    return [
        (column.name, column.text(a.recipe, 3), column.text(b.recipe, 3))
        for column in columns
        if column.cell(a.recipe) != column.cell(b.recipe)
    ]


def _accuracies(a: Side, b: Side, fraction: float) -> tuple[float, float]:
    one, other = (at_size(side.trial, side.record.rules, fraction, "accuracy") for side in (a, b))
    return one, other


def _split_names(record: Record) -> list[str]:
    names = {fold.split: fold.id for fold in record.rules.folds if fold.fraction == 1}
    return [names[split] for split in record.rules.splits]


def _right(a: Side, b: Side) -> tuple[np.ndarray, np.ndarray]:
    """Return which images each has right at full size, of those that both have predictions of, shape (n,)."""
    one, other = _hits(a), _hits(b)
    both = sorted(one.keys() & other.keys())
    return np.array([one[id_] for id_ in both], dtype=bool), np.array([other[id_] for id_ in both], dtype=bool)


def _hits(side: Side) -> dict[str, bool]:
    """Return whether each image is right, from its probabilities summed over repeats; nothing if a file is lost."""
    total: dict[str, np.ndarray] = {}
    label: dict[str, int] = {}
    for fold in (fold.id for fold in side.record.rules.folds if fold.fraction == 1):
        arrays = read_run(side.record.folder, side.trial.runs[fold])
        if arrays is None or "ids" not in arrays:  # the oldest runs do not name their images
            return {}
        for id_, own, probabilities in zip(arrays["ids"], arrays["labels"], arrays["probabilities"], strict=True):
            total[str(id_)] = total.get(str(id_), 0) + probabilities
            label[str(id_)] = int(own)
    return {id_: int(probabilities.argmax()) == label[id_] for id_, probabilities in total.items()}
