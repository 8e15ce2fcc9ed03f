"""The numbers of every trial: what the leaderboard, the costs and the recipes are drawn from."""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.ledger import at_size, in_order, interval
from search.analysis.stats.comparing import Standing
from search.analysis.stats.scores import SMALLEST_PROBABILITY, calibration_error, roc_auc
from search.journal.history import Trial
from search.journal.outcomes import Status
from search.repertoire import columns as recipes
from search.repertoire.networks import HYPERPARAMETER, AnyRecipe
from search.repertoire.synthetic import in_words
from search.report.exhibit import Column, Row, Sheet, limits, number, string, trial, whole


def at(metric: str, fraction: float) -> str:
    """Return the key of a metric at a training size: "accuracy@0.25"."""
    return f"{metric}@{fraction:g}"


def _sizes(judgement: Judgement) -> list[str]:
    rules = judgement.rules
    return [at(metric, size) for metric in ("accuracy", rules.objective) for size in reversed(rules.fractions)]


def _two_classes(judgement: Judgement) -> Sequence[str]:
    return ["roc_auc"] if len(judgement.classes) == 2 else []


def _recipe_column(column: recipes.RecipeColumn) -> Column:
    """Return the column of a field of a recipe, which is there only where ``columns_of`` has it.

    It is null where a network that the space builds stands beside recipes, and has no such field.
    """
    types = column.schema.get("type", "")
    names = [types] if isinstance(types, str) else types
    return Column(
        column.name,
        next(name for name in names if name != "null"),
        column.schema.get("description", ""),
        nullable=bool(types),
        keys=partial(_present, column.name),
        dtype=_dtype(column, names),
    )


def _dtype(column: recipes.RecipeColumn, types: Collection[str]) -> str:
    """Return the dtype of a column, "" where pandas may guess it: it would make floats of some whole numbers."""
    if column.field.exact:
        return "object"  # beside a ratio
    return "Int64" if {"integer", "null"} <= set(types) else ""  # beside a null


def _present(name: str, judgement: Judgement) -> Sequence[str]:
    return [column.name for column in _recipe_columns(judgement) if column.name == name]


def _hyperparameters(judgement: Judgement) -> Sequence[str]:
    return [column.name for column in _recipe_columns(judgement) if column.name.startswith(HYPERPARAMETER)]


def _recipe_columns(judgement: Judgement) -> list[recipes.RecipeColumn]:
    return recipes.columns_of(_recipes(judgement))


def _recipes(judgement: Judgement) -> list[AnyRecipe]:
    return [one.recipe for one in judgement.record.history.trials.values()]


RECIPE = tuple(
    map(_recipe_column, sorted(recipes.COLUMNS.values(), key=lambda column: column.field.subfields is not None))
)

COLUMNS = (
    Column("rank", "integer", "Place among complete trials, from 1; null for others.", nullable=True, dtype="Int64"),
    trial(),
    string("baseline", "What a baseline is called; empty for a trial that the oracle proposed."),
    string("status", "The verdict; open without one.", levels=tuple(map(str, Status))),
    number("score", "Mean of the objective over training sizes of the mean over folds; complete trials only."),
    number("score_low", "Lower limit of its corrected 95 % interval."),
    number("score_high", "Upper limit."),
    number("predicted", "The score that racing expected of a stopped trial."),
    number(
        "^(accuracy|balanced_accuracy|macro_f1)@[0-9.e-]+$",
        "The metric at a training size (1 is the whole training part), mean over folds.",
        keys=_sizes,
        pattern=True,
    ),
    number("drop", "Objective at full size minus that at the smallest training size."),
    number("drop_vs_median", "The drop minus the median drop of complete trials."),
    number("behind", "The winner's score minus this one's."),
    number(
        "behind_p",
        "One-sided p that the winner is better: pooled corrected t, Holm's adjustment over all complete trials.",
    ),
    number("behind_p_alone", "The same of this pair alone, without the adjustment."),
    number("log_loss", "Mean negative log-likelihood of the labels in nats, all out-of-fold predictions at full size."),
    number("calibration_error", "Expected calibration error, ten bins, the same predictions."),
    number("roc_auc", "Area under the ROC curve; two classes only.", keys=_two_classes),
    string(
        "standing",
        "How it stands against the best: worse where behind_p < .05, else probably worse where behind_p_alone < .05.",
        levels=(*map(str, Standing), ""),
    ),
    whole("runs", "Runs trained on the study's folds."),
    number("seconds", "Seconds of training of these.", nullable=False),
    *RECIPE,
    Column(
        f"^{re.escape(HYPERPARAMETER)}",
        "",
        "A hyperparameter of a network that the space builds; null where it does not count.",
        keys=_hyperparameters,
        pattern=True,
    ),
    string("summary", "The recipe in a line."),
    string("reason", "Of the verdict, in words."),
)


def _rows(judgement: Judgement) -> Iterable[Row]:
    places = {trial.id: place for place, trial in enumerate(judgement.complete)}
    drop, of_median = judgement.drops
    pooled, columns, varied = _pooled(judgement), _recipe_columns(judgement), recipes.varied(_recipes(judgement))
    for one in in_order(judgement.record.history.trials.values()):
        place = places.get(one.id)
        behind = judgement.differences[place - 1] if place else None  # None for the winner
        yield {
            "rank": None if place is None else place + 1,
            **_of_verdict(one, judgement),
            "drop": np.nan if place is None else float(drop[place]),
            "drop_vs_median": np.nan if place is None else float(of_median[place]),
            "behind": behind.mean if behind else np.nan,
            "behind_p": behind.p_holm if behind else np.nan,
            "behind_p_alone": behind.p if behind else np.nan,
            **{name: values.get(one.id, np.nan) for name, values in pooled.items()},
            "standing": "" if place is None else str(judgement.standings[one.id]),
            "runs": len(one.runs),
            "seconds": round(one.seconds, 2),
            **_of_recipe(one, columns, varied),
            "reason": one.verdict.reason if one.verdict else "",
        }


def _of_verdict(one: Trial, judgement: Judgement) -> Row:
    rules = judgement.rules
    score = interval(one, rules) if one.status is Status.COMPLETED else None
    return {
        "trial": one.id,
        "baseline": one.baseline,
        "status": one.status,
        "score": score.mean if score else np.nan,
        **limits(score, "score_low", "score_high"),
        "predicted": one.verdict.score if one.status is Status.STOPPED and one.verdict else None,
        **{
            at(metric, size): at_size(one, rules, size, metric)
            for metric in ("accuracy", rules.objective)
            for size in rules.fractions
        },
    }


def _of_recipe(one: Trial, columns: Sequence[recipes.RecipeColumn], varied: Collection[str]) -> Row:
    return {**{column.name: column.cell(one.recipe) for column in columns}, "summary": one.recipe.summary(varied)}


def _pooled(judgement: Judgement) -> dict[str, dict[str, float]]:
    """Return what is computed of all predictions at full size together, by trial."""
    evidence, two = judgement.evidence, len(judgement.classes) == 2
    names = ("log_loss", "calibration_error", *["roc_auc"][:two])
    measures: dict[str, dict[str, float]] = {name: {} for name in names}
    if evidence is None:
        return measures
    size = evidence.sizes[-1]
    for place, name in enumerate(evidence.trials):
        own, right = size.own[place].astype(float), size.predictions[place] == size.labels
        measures["log_loss"][name] = float(-np.log(np.clip(own, SMALLEST_PROBABILITY, 1)).mean())
        measures["calibration_error"][name] = calibration_error(size.confidence[place], right)
        if two:
            measures["roc_auc"][name] = roc_auc(size.labels == 1, np.where(size.labels == 1, own, 1 - own))
    return measures


SHEET = Sheet("trials", "One row for each trial, complete ones first by rank.", COLUMNS, _rows)


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the complete trials, best first."""
    done = frame[frame["status"] == Status.COMPLETED].sort_values("rank", kind="stable")
    if "synthetic_per_class" not in done:
        return done
    return done.assign(synthetic_per_class=done["synthetic_per_class"].map(in_words, na_action="ignore"))


def best(frame: pd.DataFrame, most: int, recommended: Trial | None) -> pd.DataFrame:
    """Return the best complete trials, at most so many, and below them the baselines and the recommended one."""
    done = complete(frame)
    always = (done["baseline"] != "") | (done["trial"] == (recommended.id if recommended else ""))
    rest = done[~always].head(most - int(always.sum()))
    return done[always | done["trial"].isin(rest["trial"])]


def only_best(most: int, frame: pd.DataFrame) -> str:
    """Return in words that a chart holds but what ``best`` returns, "" where it holds all complete trials."""
    of = len(complete(frame))
    if of <= most:
        return ""
    return (
        f" The chart shows {most} of {of} complete trials: the baselines, the recommended one, and the best. "
        "trials.csv has all."
    )
