"""A search as an Optuna study, in an SQLite file that its dashboard opens.

optuna-dashboard sqlite:///FILE.db
"""

import json
import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from search.report.trackers.tracker import Tracker, missing
from search.system.commands import quoted
from search.system.errors import UserError, first_line

if TYPE_CHECKING:
    from search.journal.history import Trial
    from search.record import Record

IDENTITY = "identity"  # the attribute of a study by which a search knows its own again
A_DECADE = 10.0  # the ratio of numbers from which on an axis is logarithmic
IN_ADDRESSES = "?%{}"  # letters that the address of a database cannot have
OWN = """
    SELECT (SELECT count(*) FROM studies),
           (SELECT value_json FROM study_user_attributes WHERE key = ?),
           (SELECT count(*) FROM trials WHERE trial_id NOT IN
               (SELECT trial_id FROM trial_user_attributes WHERE key = 'trial'))
"""


def _write(record: "Record", target: str) -> str:
    """Write a search into a new file, or in place of the one that was written of it before."""
    from search.report.trackers.told import identity_of
    from search.system.files import new_file

    path = Path(target)
    _check_place(path, record.name, identity_of(record))
    with new_file(path) as file:
        _fill(f"sqlite:///{path.with_name(Path(file.name).name)}", record)
    return f"Optuna: study {record.name} in {path}; to look at it: optuna-dashboard {quoted(f'sqlite:///{path}')}"


OPTUNA = Tracker(
    "optuna",
    "FILE.db",
    "Also write the search as an Optuna study, which its dashboard opens. A study of the same search is replaced.",
    _write,
)


def _check_place(path: Path, name: str, identity: str) -> None:
    """Raise UserError where a file cannot be made there, or would replace what this search did not write."""
    if found := [letter for letter in IN_ADDRESSES if letter in str(path)]:
        raise UserError(
            f"{path} has a {found[0]} in its name, which means something else in the address of a study. Name another "
            "file with --optuna."
        )
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent} for {path.name}. Make it, or name another place.")
    if not path.exists() and not path.is_symlink():
        return
    problem = ""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as base:
            studies, own, others = base.execute(OWN, (IDENTITY,)).fetchone()
        if studies != 1 or own is None or json.loads(own) != identity:
            problem = "holds another study"
        elif others:
            problem = "holds trials that were added since"
    except (sqlite3.Error, ValueError) as error:
        problem = "is in use by another program" if "locked" in str(error) else "is no study of Optuna"
    if problem:
        raise UserError(f"{path} {problem}, so it is not replaced by that of {name}. Name a new file with --optuna.")


def _fill(url: str, record: "Record") -> None:
    """Make the study. Raises UserError where Optuna is missing, or cannot do it."""
    try:
        import optuna
    except ImportError as error:
        raise missing(OPTUNA.name, "optuna", error) from None
    from search.analysis.judgement import Judgement
    from search.report.trackers.told import about, identity_of

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(storage=storage, study_name=record.name, direction="maximize")
            study.set_metric_names([record.rules.objective])
        for name, value in about(Judgement.of(record)).items():
            study.set_user_attr(name, value)
        study.set_user_attr(IDENTITY, identity_of(record))
        study.set_user_attr("steps", {place: _named(fold) for place, fold in enumerate(record.about.folds)})
        study.add_trials(_trials(record))
    except optuna.exceptions.OptunaError as error:
        raise UserError(f"Optuna could not write the study: {first_line(error)}") from None
    finally:
        storage.remove_session()
        storage.engine.dispose()
        optuna.logging.set_verbosity(verbosity)


def _named(fold: Any) -> str:
    return f"fold {fold.id}, with {fold.fraction:.0%} of its training part"


def _trials(record: "Record") -> list[Any]:
    """Return the trials as Optuna has them: those of the oracle first, so that their numbers are its own."""
    history = record.history
    baselines = [trial for trial in history.trials.values() if trial.baseline]
    trials = [*history.proposed, *baselines]
    values = parameters(trials)
    distributions = _distributions(values)
    pairs = zip(trials, values, strict=True)
    return [_frozen(record, number, trial, own, distributions) for number, (trial, own) in enumerate(pairs)]


def _frozen(
    record: "Record", number: int, trial: "Trial", values: dict[str, Any], distributions: Mapping[str, Any]
) -> Any:
    from optuna.trial import FrozenTrial, TrialState

    from search.journal.outcomes import Status
    from search.report.trackers.told import facts_of, scores_of, steps_of, times_of

    states = {
        Status.COMPLETED: TrialState.COMPLETE,
        Status.STOPPED: TrialState.PRUNED,
        Status.DUPLICATE: TrialState.PRUNED,  # it was not trained, and its score is that of another trial
        Status.FAILED: TrialState.FAIL,
        Status.OPEN: TrialState.RUNNING,
    }
    steps, objective, scores = steps_of(record), record.rules.objective, scores_of(record, trial)
    begin, end = map(datetime.fromtimestamp, times_of(record, trial))
    is_open = trial.status is Status.OPEN
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=states[trial.status],
        value=scores.get("score"),
        datetime_start=begin,
        datetime_complete=None if is_open else end,
        params=values,
        distributions={name: distributions[name] for name in values},
        user_attrs=facts_of(record, trial) | {name: value for name, value in scores.items() if name != "score"},
        system_attrs={},
        intermediate_values={steps[fold]: run.scores[objective] for fold, run in trial.runs.items() if fold in steps},
    )


def parameters(trials: "Sequence[Trial]") -> list[dict[str, Any]]:
    """Return for each trial the values of those columns of recipes in which trials differ.

    Baselines have them as all others do. What does not count in a recipe, such as the strength of no augmentation,
    is left out of it.
    """
    from search.repertoire.columns import columns_of

    recipes = [trial.recipe for trial in trials]
    rows: list[dict[str, Any]] = [{} for _ in trials]
    for column in columns_of(recipes) if recipes else []:
        cells = [_scalar(column.cell(recipe)) for recipe in recipes]
        if len({json.dumps(cell) for cell in cells if cell is not None}) > 1:
            for row, cell in zip(rows, cells, strict=True):
                row.update({} if cell is None else {column.name: cell})
    return rows


def _scalar(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, str | bool | int | float) else json.dumps(cell, ensure_ascii=False)


def _distributions(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return for each parameter the range of the values that were tried: the journal does not know that of the space.

    Floating-point numbers that span a decade are on a logarithmic scale.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        kinds = {type(value) for value in values}
        low, high = (min(values), max(values)) if kinds <= {int, float} else (0, 0)
        if kinds == {int}:
            found[name] = IntDistribution(low, high)
        elif kinds <= {int, float}:
            found[name] = FloatDistribution(low, high, log=low > 0 and high >= A_DECADE * low)
        else:
            found[name] = CategoricalDistribution(sorted(set(values), key=str))
    return found
