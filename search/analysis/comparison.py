"""Two trials side by side: what differs in their recipes, by how much they differ, and how sure that is."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.analysis.ledger import at_size, interval, status
from search.analysis.predictions import read_run
from search.analysis.stats.comparing import ALPHA, FEWEST_POOLED, Difference, difference, mcnemar
from search.analysis.stats.intervals import Interval
from search.events import Status
from search.journal import Trial
from search.racing import cells, ranked
from search.record import Record, read_record
from search.repertoire.columns import COLUMNS
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
    def told_apart(self) -> bool:
        """Whether one is better."""
        return self.p_picked < ALPHA  # not so where p is NaN


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
    found = difference(table, places[0], places[1], a.record.rules.parts)
    p = 2 * min(found.p, 1 - found.p)
    by_fold = (table[places[0]] - table[places[1]]).mean(axis=0)
    right_a, right_b = _right(a, b)
    return Comparison(
        a=a,
        b=b,
        fields=_differing(a.trial, b.trial),
        scores=(interval(a.trial, a.record.rules), interval(b.trial, b.record.rules)),
        accuracy={q: _accuracies(a, b, q) for q in reversed(a.record.rules.fractions)},
        difference=found,
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


def find(folder: Path, told: str) -> Side:
    """Return the complete trial that ``told`` names: an id, "best", or either after another search and a slash."""
    search, _, name = told.rpartition("/")
    elsewhere = Path(search) if Path(search).name != search else folder.parent / search
    record = read_record(elsewhere if search else folder)
    best = ranked(record.history.trials.values())
    if name == BEST:
        if not best:
            raise UserError(f"{record.name} has no complete trial yet, so it has no best one.")
        trial = best[0]
    else:
        trial = _trial(record, name)
    return Side(record, trial, f"{search}/{trial.id}" if search else trial.id, bool(best) and trial is best[0])


def _trial(record: Record, name: str) -> Trial:
    trials = record.history.trials
    trial = trials.get(name) or trials.get(name.zfill(4))
    if trial is None:
        known = f"They are {next(iter(trials))} to {list(trials)[-1]}" if trials else "It has none yet"
        raise UserError(f"There is no trial {name!r} in {record.name}. {known}; the best one is called {BEST!r}.")
    if status(trial) != "completed":
        reason = f" ({trial.verdict.reason})" if trial.verdict else ""
        raise UserError(
            f"Trial {trial.id} of {record.name} is {status(trial)}{reason}, not completed: it has no score to compare. "
            f"`python -m search report {record.name}` lists the complete ones."
        )
    return trial


def check_comparable(one: Record, other: Record) -> None:
    """Raise UserError, saying what differs, unless two searches share data, folds and objective."""
    first, second = one.about.identity, other.about.identity
    differs = []
    if first.get("data") != second.get("data"):
        differs.append(f"the images, labels or groups differ ({one.about.data}, {other.about.data})")
    if first.get("plan") != second.get("plan") or set(one.rules.folds) != set(other.rules.folds):
        differs.append("the planned folds differ (folds, training sizes, hold-out or seed)")
    if one.rules.objective != other.rules.objective:
        differs.append(f"the objective is {one.rules.objective} in one and {other.rules.objective} in the other")
    if differs:
        raise UserError(
            f"{one.name} and {other.name} cannot be compared: {'; '.join(differs)}. Scores can be compared where "
            "data, folds and objective are the same: search again with the same study."
        )


def _differing(a: Trial, b: Trial) -> list[tuple[str, str, str]]:
    columns = sorted(COLUMNS.values(), key=lambda column: bool(column.part))  # further parts come last
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


def sentences(found: Comparison) -> list[str]:
    """Return what may be concluded, in plain words."""
    a, b = found.a, found.b
    points, limits = 100 * found.difference.mean, [100 * found.difference.low, 100 * found.difference.high]
    better, worse = (a, b) if points > 0 else (b, a)
    if math.isnan(found.p):
        first = f"{a.name} and {b.name} cannot be told apart: so few scores say nothing of how much they vary."
    elif found.told_apart:
        low, high = sorted(map(abs, limits))
        first = (
            f"{better.name} is better than {worse.name}: by {abs(points):.1f} points, 95 % interval {low:.1f} to "
            f"{high:.1f} ({_p(found)})."
        )
    else:
        first = (
            f"{a.name} and {b.name} cannot be told apart: their difference is {points:+.1f} points, 95 % interval "
            f"{limits[0]:+.1f} to {limits[1]:+.1f} ({_p(found)})."
        )
    return [first, *_of_spread(found), *_of_picking(found)]


def _p(found: Comparison) -> str:
    alone = f"two-sided p = {found.p:.2g}"
    if found.p_picked == found.p:
        return alone
    return f"{alone} for this pair alone, {found.p_picked:.2g} as one that was picked"


def _of_spread(found: Comparison) -> list[str]:
    if found.pooled >= FEWEST_POOLED or math.isnan(found.p):
        return []
    said = (
        f"There are only {found.pooled} complete trials, so the spread is that of these {len(found.folds)} differences "
        f"alone; from {FEWEST_POOLED} complete trials on it is known better."
    )
    return [said]


def _of_picking(found: Comparison) -> list[str]:
    picked = [side for side in (found.a, found.b) if side.picked and side.of > 1]
    if len(picked) == 2:
        said = (
            f"Both were picked: {found.a.name} is the best of {found.a.of} complete trials, {found.b.name} of "
            f"{found.b.of}. Both scores are flattered by that, the more trials the more."
        )
        return [said]
    return [
        f"{side.name} was picked, as the best of {side.of} complete trials: its score, and so its lead, is flattered."
        for side in picked
    ]


def on_these_images(found: Comparison) -> str:
    """Return McNemar's test in words, and what it is not about."""
    if found.images_p is None:
        return "On these images: predictions of all images are not there (lost or changed), so nothing can be said."
    return (
        f"On these images, with the whole training part: {found.only_right[0]} right by {found.a.name} alone, "
        f"{found.only_right[1]} by {found.b.name} alone, of {found.images} (McNemar's exact two-sided "
        f"p = {found.images_p:.2g}). That is about these images and these trained networks only: it does not say which "
        "recipe is better."
    )


def as_json(found: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON types; numbers that do not exist are null."""
    limits = found.difference
    return {
        "a": _side(found.a, found.scores[0]),
        "b": _side(found.b, found.scores[1]),
        "objective": found.a.record.rules.objective,
        "recipe": [{"field": name, "a": one, "b": other} for name, one, other in found.fields],
        "accuracy": [{"fraction": q, "a": one, "b": other} for q, (one, other) in found.accuracy.items()],
        "difference": {"mean": limits.mean, "low": _finite(limits.low), "high": _finite(limits.high)},
        "p": _finite(found.p),
        "p_picked": _finite(found.p_picked),
        "better": (found.a if limits.mean > 0 else found.b).name if found.told_apart else None,
        "complete_trials": found.pooled,
        "folds": found.folds,
        "on_these_images": {"images": found.images, "only_right": list(found.only_right), "p": found.images_p},
        "said": [*sentences(found), on_these_images(found)],
    }


def _side(side: Side, score: Interval) -> dict[str, Any]:
    return {
        "search": side.record.name,
        "trial": side.trial.id,
        "score": score.mean,
        "low": _finite(score.low),
        "high": _finite(score.high),
        "best_of": side.of if side.picked else None,
        "recipe": side.trial.recipe.to_dict(),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
