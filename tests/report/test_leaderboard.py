"""Tables: only complete trials are ranked, and everything is counted once."""

import dataclasses

import pytest

from search.analysis import stats
from search.analysis.judgement import Judgement
from search.analysis.ledger import interval, ledger
from search.racing import ranked, score
from search.report.exhibits import folds, trials


def trials_of(made):
    return trials.SHEET.frame(Judgement.of(made.record))


def runs_of(made):
    return folds.EXHIBIT.sheet.frame(Judgement.of(made.record))


pytestmark = pytest.mark.quick


def test_only_complete_trials_are_ranked_best_first(filled):
    best = ranked(filled.history.trials.values())
    assert [trial.id for trial in best] == ["0001", "0005", "0000"]
    assert score(best[0]) > score(best[1]) > score(best[2])
    table = trials_of(filled)
    assert table["trial"].tolist() == ["0001", "0005", "0000", "0002", "0003", "0004", "0006"]
    assert table["rank"].dropna().tolist() == [1, 2, 3]
    assert table["status"].tolist() == ["completed"] * 3 + ["stopped", "failed", "duplicate", "open"]


def test_equal_scores_are_ranked_by_number_as_times_do_not_repeat(made):
    made.complete(1.0)
    made.complete(1.0)
    slow, cheap = made.history.trials.values()
    assert score(slow) == score(cheap)
    cheap.runs = {name: dataclasses.replace(run, seconds=0.1) for name, run in cheap.runs.items()}
    assert [trial.id for trial in ranked(made.history.trials.values())] == ["0000", "0001"]


def test_stopped_failed_and_duplicate_trials_never_get_a_score(filled):
    table = trials_of(filled).set_index("trial")
    others = table[table["status"] != "completed"]
    assert others[["rank", "score", "score_low", "score_high"]].isna().all(axis=None)
    assert others["predicted"].dropna().to_dict() == {"0002": 0.999}
    assert table.loc["0002", "accuracy@1":"accuracy@0.25"].isna().all()  # two of three runs are no size


def test_scores_and_intervals_are_those_of_the_folds_sizes_averaged_first(filled):
    table = trials_of(filled).set_index("trial")
    runs = runs_of(filled)
    for trial in ranked(filled.history.trials.values()):
        own = runs[runs["trial"] == trial.id]
        by_fold = own.groupby(own["fold"].str.split("@").str[0])["balanced_accuracy"].mean()
        limits = stats.corrected_interval(by_fold.tolist(), folds=3, within=(0, 1))
        assert interval(trial, filled.rules) == limits
        row = table.loc[trial.id]
        assert (row["score"], row["score_low"], row["score_high"]) == pytest.approx(
            (limits.mean, limits.low, limits.high)
        )
        assert row["score"] == pytest.approx(trial.verdict.score)
        assert row["accuracy@0.25"] == pytest.approx(own.loc[own["fraction"] == 0.25, "accuracy"].mean())
        assert row["balanced_accuracy@1"] == pytest.approx(own.loc[own["fraction"] == 1, "balanced_accuracy"].mean())


def test_runs_tell_what_was_asked_and_drawn(filled):
    runs = runs_of(filled)
    assert len(runs) == 3 * 6 + 2
    assert runs.loc[runs["trial"] == "0002", ["synthetic_asked", "synthetic_drawn"]].to_numpy().tolist() == [[8, 6]] * 2


def test_ledger_counts_everything_once(filled):
    assert ledger(filled.record) == {
        "trials": 7,
        "trials_completed": 3,
        "trials_stopped": 1,
        "trials_failed": 1,
        "trials_duplicate": 1,
        "trials_open": 1,
        "runs_planned": 6 * 6,
        "runs_trained": 3 * 6 + 2,
        "synthetic_asked": 16,
        "synthetic_drawn": 12,
        "failures": 1,
        "runs_confirming": 0,
        "confirming_seconds": 0,
        "trials_finished_at_the_end": 0,
        "baselines": 0,
        "holdout_looks": 0,
        "training_seconds": 30.0,
        "sessions": 1,
    }
