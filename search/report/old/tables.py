"""The tables of a report: what is drawn, printed and written as CSV and JSON all comes from these.

Scores are in [0, 1], differences on the same scale; what does not exist is NaN. A table without
rows has its columns all the same.
"""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from search.analysis.judgement import ALL, HEAD_ONLY, Judgement
from search.analysis.ledger import at_size, interval, ledger, runs_table, trials_table
from search.analysis.predictions import Evidence
from search.analysis.stats.comparing import ALPHA, mcnemar
from search.analysis.stats.scores import SMALLEST_PROBABILITY, calibration_error, roc_auc
from search.report.images import image_tables
from search.report.rows import Row, limits, table_of
from search.report.winner import winner_tables

DEPTHS = {HEAD_ONLY: -1, ALL: 10**6}  # beside numbers of blocks

Tables = dict[str, pd.DataFrame]

COLUMNS = {
    "survival": "trial fraction images score low high accuracy drop_vs_median winner recommended",
    "effects": "factor level trials runs effect low high p matters note",
    "interaction": "backbone unfrozen_blocks trials score low high",
    "comparisons": "trial against difference low high p p_holm better images_p",
    "baselines": "trial baseline score low high difference difference_low difference_high p_holm better",
    "confirmation": "trial score low high confirmed confirmed_low confirmed_high runs",
    "ledger": "what value",
}


def all_tables(judgement: Judgement) -> Tables:
    """Return every table of a report by its name, but for the predictions."""
    rows = {
        "survival": _survival(judgement),
        "effects": _effects(judgement),
        "interaction": _interaction(judgement),
        "comparisons": _comparisons(judgement),
        "baselines": _baselines(judgement),
        "confirmation": _confirmation(judgement),
        "ledger": [{"what": what, "value": value} for what, value in ledger(judgement.record).items()],
    }
    tables = {name: table_of(some, COLUMNS[name]) for name, some in rows.items()}
    return {
        "trials": _trials(judgement),
        "folds": runs_table(judgement.record),
        **tables,
        **winner_tables(judgement),
        **image_tables(judgement),
    }


def _trials(judgement: Judgement) -> pd.DataFrame:
    """Return the leaderboard, with what can be said of each complete trial beside the best."""
    table = trials_table(judgement.record)
    complete = [trial.id for trial in judgement.complete]
    drop, of_median = judgement.drops
    behind = dict(zip(complete[1:], judgement.differences, strict=True))
    within = {trial.id for trial in judgement.contenders}
    told = {trial: ("no" if trial in within else "yes") if within else "" for trial in complete}
    more = {
        "drop": dict(zip(complete, drop, strict=True)),
        "drop_vs_median": dict(zip(complete, of_median, strict=True)),
        "behind": {trial: found.mean for trial, found in behind.items()},
        "behind_p": {trial: found.p_holm for trial, found in behind.items()},
        **_pooled(judgement),
    }
    place = table.columns.get_loc("runs")
    table.insert(place, "told_apart", [told.get(trial, "") for trial in table["trial"]])
    for name, values in more.items():
        table.insert(place, name, table["trial"].map(values).astype(float))
        place += 1
    return table


def _pooled(judgement: Judgement) -> dict[str, dict[str, float]]:
    """Return what is computed of all predictions at full size together, by trial."""
    evidence, two = judgement.evidence, len(judgement.classes) == 2
    found: dict[str, dict[str, float]] = {name: {} for name in ("log_loss", "calibration_error", *["roc_auc"][:two])}
    if evidence is None:
        return found
    size = evidence.sizes[-1]
    for at, trial in enumerate(evidence.trials):
        own, right = size.own[at].astype(float), size.predicted[at] == size.labels
        found["log_loss"][trial] = float(-np.log(np.clip(own, SMALLEST_PROBABILITY, 1)).mean())
        found["calibration_error"][trial] = calibration_error(size.confidence[at], right)
        if two:
            found["roc_auc"][trial] = roc_auc(size.labels == 1, np.where(size.labels == 1, own, 1 - own))
    return found


def _survival(judgement: Judgement) -> Iterable[Row]:
    fractions = judgement.rules.fractions
    for trial, of_median in zip(judgement.complete, judgement.drops[1], strict=True):
        for fraction, images, score in zip(fractions, judgement.images, judgement.at_sizes(trial), strict=True):
            yield {
                "trial": trial.id,
                "fraction": fraction,
                "images": images,
                "score": score.mean,
                **limits(score),
                "accuracy": at_size(trial, judgement.rules, fraction, "accuracy"),
                "drop_vs_median": of_median,
                "winner": trial is judgement.winner,
                "recommended": trial is judgement.recommended,
            }


def _effects(judgement: Judgement) -> Iterable[Row]:
    for factor in judgement.factors:
        for level in factor.levels:
            yield {
                "factor": factor.name,
                "level": level.level,
                "trials": level.trials,
                "runs": level.runs,
                "effect": level.effect,
                "low": level.low,
                "high": level.high,
                "p": factor.p_holm,
                "matters": factor.matters,
                "note": factor.note,
            }


def _interaction(judgement: Judgement) -> Iterable[Row]:
    for cell in sorted(judgement.interaction, key=lambda cell: (cell.first, _depth_order(cell.second))):
        yield {
            "backbone": cell.first,
            "unfrozen_blocks": cell.second,
            "trials": cell.trials,
            "score": cell.mean,
            **limits(cell),
        }


def _depth_order(depth: str) -> int:
    return DEPTHS[depth] if depth in DEPTHS else int(depth)


def _comparisons(judgement: Judgement) -> Iterable[Row]:
    evidence = judgement.evidence
    for trial, found in zip(judgement.complete[1:], judgement.differences, strict=True):
        assert judgement.winner is not None
        yield {
            "trial": judgement.winner.id,
            "against": trial.id,
            "difference": found.mean,
            **limits(found),
            "p": found.p,
            "p_holm": found.p_holm,
            "better": found.p_holm < ALPHA,
            "images_p": _on_these_images(evidence, judgement.winner.id, trial.id) if evidence else math.nan,
        }


def _on_these_images(evidence: Evidence, first: str, second: str) -> float:
    if first not in evidence.trials or second not in evidence.trials:
        return math.nan
    size = evidence.sizes[-1]
    seen, times = np.unique(size.image, return_counts=True)
    right = []
    for trial in (first, second):
        hits = np.bincount(size.image, size.predicted[evidence.trials.index(trial)] == size.labels)[seen]
        right.append(2 * hits > times)  # of an image that repeats predict several times, most of them
    return mcnemar(*right)


def _baselines(judgement: Judgement) -> Iterable[Row]:
    found = {trial.id: each for trial, each in zip(judgement.complete[1:], judgement.differences, strict=True)}
    for trial in judgement.complete:
        if trial.baseline:
            score, behind = interval(trial, judgement.rules), found.get(trial.id)  # None for one that won
            yield {
                "trial": trial.id,
                "baseline": trial.baseline,
                "score": score.mean,
                **limits(score),
                "difference": behind.mean if behind else math.nan,
                **limits(behind, "difference_low", "difference_high"),
                "p_holm": behind.p_holm if behind else math.nan,
                "better": bool(behind and behind.p_holm < ALPHA),
            }


def _confirmation(judgement: Judgement) -> Iterable[Row]:
    for trial, confirmed in judgement.confirmed:
        score = interval(trial, judgement.rules)
        yield {
            "trial": trial.id,
            "score": score.mean,
            **limits(score),
            "confirmed": confirmed.mean,
            **limits(confirmed, "confirmed_low", "confirmed_high"),
            "runs": len(trial.confirmed),
        }
