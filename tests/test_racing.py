"""What a trial needs now: decisions are pure functions of the history."""

import itertools

import numpy as np
import pytest

from search.journal.journal import replay
from search.racing import Job, PlannedFold, Rules, cells, forecast_of, next_afterwards, next_holdout_job, next_step
from search.repertoire.recipe import Recipe

pytestmark = pytest.mark.quick

FRACTIONS = (0.25, 1.0)
FOLDS = tuple(
    PlannedFold(f"f{index}" + ("" if fraction == 1 else f"@{fraction}"), (0, index), fraction)
    for fraction in FRACTIONS
    for index in range(5)
)
RULES = Rules(FOLDS, "accuracy", images=400)


def recipe(number=0, depth=1):
    rate = 1e-3 * (1 + number)
    return Recipe("MobileNetV2_0.35", unfrozen_blocks=depth, image_size=96, learning_rate=rate).to_dict()


def trial(number, scores, verdict=None, depth=1):
    """Events of a trial that ran on the first folds with these scores."""
    name = f"{number:04d}"
    yield {"event": "trial", "trial": name, "values": {}, "recipe": recipe(number, depth)}
    for job, (fold, score) in enumerate(zip(FOLDS, scores, strict=False), start=1):
        run = {"fold": fold.id, "scores": {"accuracy": float(score)}, "seconds": 1.0, "synthetic": {}}
        yield {"event": "job", "trial": name, "job": job, "file": "x", "sha256": "x", "runs": [run]}
    if verdict:
        yield {"event": "verdict", "trial": name, "status": verdict, "score": float(np.mean(scores)), "reason": ""}


def four_complete(rng, best=0.9):
    events = []
    for number in range(4):
        noise = rng.normal(0, 0.01, 10)
        events += trial(number, np.clip(best - 0.01 * number - 0.1 * (np.arange(10) < 5) + noise, 0, 1), "completed")
    return events


def step(events, number, rules=RULES):
    history = replay(events)
    return next_step(history, history.trials[f"{number:04d}"], rules)


def test_a_deep_trial_trains_one_fold_at_a_time_smallest_size_first():
    seen = []
    for done in range(10):
        job = step(trial(0, [0.5] * done), 0)
        assert isinstance(job, Job)
        assert (job.number, len(job.folds)) == (done + 1, 1)
        seen += job.folds
    assert seen == [fold.id for fold in FOLDS]


def test_heads_train_all_folds_in_one_job():
    job = step(trial(0, [], depth=0), 0)
    assert job.folds == tuple(fold.id for fold in FOLDS)


def test_a_complete_trial_scores_the_mean_over_sizes_of_the_mean_over_folds():
    verdict = step(trial(0, [0.5] * 5 + [0.9] * 5), 0)
    assert (verdict.status, verdict.score) == ("completed", pytest.approx(0.7))


def test_hopeless_trials_are_stopped_and_promising_ones_are_not():
    complete = four_complete(np.random.default_rng(0))
    stopped = step([*complete, *trial(4, [0.4, 0.42])], 4)
    assert (stopped.status, stopped.score < 0.7) == ("stopped", True)
    assert "points behind 0000 after 2 of 10 runs" in stopped.reason
    assert isinstance(step([*complete, *trial(4, [0.82, 0.79])], 4), Job)


def test_racing_waits_for_four_complete_trials_and_two_runs_and_can_be_off():
    complete = four_complete(np.random.default_rng(0))
    assert isinstance(step([*complete, *trial(4, [0.1])], 4), Job)
    three = [event for event in complete if event["trial"] != "0003"]
    assert isinstance(step([*three, *trial(4, [0.1, 0.1, 0.1])], 4), Job)
    off = Rules(FOLDS, "accuracy", 400, racing=False)
    assert isinstance(step([*complete, *trial(4, [0.1] * 9)], 4, off), Job)


def test_with_full_folds_alone_racing_works_on_those():
    full = tuple(fold for fold in FOLDS if fold.fraction == 1)
    rules = Rules(full, "accuracy", 400)
    events = []
    for number, scores in enumerate([[0.9, 0.91, 0.9, 0.89, 0.9]] * 4 + [[0.5, 0.52]]):
        name = f"{number:04d}"
        events.append({"event": "trial", "trial": name, "values": {}, "recipe": recipe(number)})
        for job, (fold, score) in enumerate(zip(full, scores, strict=False), start=1):
            run = {"fold": fold.id, "scores": {"accuracy": score}, "seconds": 1.0, "synthetic": {}}
            events.append({"event": "job", "trial": name, "job": job, "file": "", "sha256": "", "runs": [run]})
        if number < 4:
            events.append({"event": "verdict", "trial": name, "status": "completed", "score": 0.9, "reason": ""})
    assert step(events, 4, rules).status == "stopped"


def test_prediction_follows_the_formula_by_hand():
    """DESIGN, racing: no full run yet, all five low runs seen."""
    rng = np.random.default_rng(3)
    complete = 0.8 + 0.05 * rng.standard_normal((4, 2, 5))
    table = np.full((2, 5), np.nan)
    table[0] = 0.7 + 0.02 * rng.standard_normal(5)
    forecast = forecast_of(complete, table, RULES)
    score, reach = forecast.score, forecast.reach
    m_low = (table[0] - complete.mean(axis=0)[0]).mean()
    assert score == pytest.approx(0.5 * (complete[:, 0].mean() + complete[:, 1].mean()) + m_low)
    p, c, k = complete.mean(), 4, 5
    s0 = 0.5 * p * (1 - p) / (400 / 5)
    g0 = 2 * s0 / k + 0.02**2
    gaps = complete[:, 1].mean(axis=1) - complete[:, 0].mean(axis=1)
    g = (4 * g0 + ((gaps - gaps.mean()) ** 2).sum()) / (3 + c)
    from scipy import stats

    quantile = stats.t.ppf(stats.norm.cdf(2.5), min(4 + (c - 1) * (k - 1), 3 + c))
    assert reach == pytest.approx(quantile * np.sqrt((0.5**2) * g * (1 + 1 / c)))


def test_a_complete_table_is_predicted_as_it_is():
    rng = np.random.default_rng(5)
    complete = 0.8 + 0.05 * rng.standard_normal((5, 2, 5))
    table = 0.7 + 0.05 * rng.standard_normal((2, 5))
    forecast = forecast_of(complete, table, RULES)
    score, reach = forecast.score, forecast.reach
    assert score == pytest.approx(table.mean())
    assert reach == 0


def test_more_runs_narrow_the_prediction():
    rng = np.random.default_rng(7)
    complete = 0.8 + 0.05 * rng.standard_normal((6, 2, 5))
    truth = 0.7 + 0.05 * rng.standard_normal((2, 5))
    reaches = []
    for done in range(2, 11):
        table = truth.copy().ravel()
        table[done:] = np.nan
        reaches.append(forecast_of(complete, table.reshape(2, 5), RULES).reach)
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(reaches))


def test_racing_keeps_the_winner_of_simulated_searches():
    """Forty recipes, two sizes, five folds with shared fold effects: the full winner survives nearly always."""
    kept, runs, searches = 0, 0, 25
    for search in range(searches):
        rng = np.random.default_rng(search)
        quality = rng.normal(0.8, 0.06, 40)
        low = quality - 0.1 + rng.normal(0, 0.02, 40)
        truth = np.stack([np.tile(low[:, None], 5), np.tile(quality[:, None], 5)], axis=1)
        scores = np.clip(truth + rng.normal(0, 0.02, (1, 2, 5)) + rng.normal(0, 0.03, truth.shape), 0, 1)
        events = []
        for number in range(40):
            done = 0
            while True:
                history = replay([*events, *trial(number, scores[number].ravel()[:done])])
                decision = next_step(history, history.trials[f"{number:04d}"], RULES)
                if not isinstance(decision, Job):
                    break
                done += 1
            events += trial(number, scores[number].ravel()[:done], decision.status)
            runs += done
        history = replay(events)
        winner = f"{int(scores.mean(axis=(1, 2)).argmax()):04d}"
        kept += history.trials[winner].verdict.status == "completed"
    assert kept >= searches - 1
    assert runs < 0.6 * searches * 400


def test_an_equal_recipe_is_a_duplicate_with_the_score_of_the_first():
    events = [
        *trial(0, [0.8] * 10, "completed"),
        {"event": "trial", "trial": "0001", "values": {}, "recipe": recipe(0)},
    ]
    verdict = step(events, 1)
    assert (verdict.status, verdict.score, verdict.reason) == ("duplicate", pytest.approx(0.8), "same recipe as 0000")


def failure(job, final=False):
    return {"event": "failure", "trial": "0000", "job": job, "error": "boom", "final": final}


def test_a_failed_job_is_tried_again_once_and_then_the_trial_fails():
    events = list(trial(0, [0.5]))
    assert step([*events, failure(2)], 0).number == 2
    verdict = step([*events, failure(2), failure(2)], 0)
    assert (verdict.status, verdict.score) == ("failed", None)
    assert "boom" in verdict.reason


def test_a_final_failure_is_not_tried_again():
    assert step([*trial(0, [0.5]), failure(2, final=True)], 0).status == "failed"


def test_failures_of_an_earlier_job_do_not_count():
    events = list(trial(0, [0.5] * 3))
    events.insert(2, failure(2))  # the second job failed once, then succeeded
    assert step([*events, failure(4)], 0).number == 4


def test_attempts_that_died_with_their_driver_say_nothing_of_the_job():
    attempt = {"event": "attempt", "trial": "0000", "job": 1, "folds": []}
    assert isinstance(step([*trial(0, []), *[attempt] * 50], 0), Job)


def test_cells_are_nan_where_nothing_has_run():
    history = replay(trial(0, [0.5, 0.6, 0.7]))
    table = cells(history.trials["0000"], RULES)
    assert table[0, :3].tolist() == [0.5, 0.6, 0.7]
    assert np.isnan(table[0, 3:]).all()
    assert np.isnan(table[1]).all()


def test_random_splits_validate_on_their_own_part_of_the_images():
    assert RULES.validation_images == 400 / 5
    assert Rules(FOLDS, "accuracy", 400, val=0.25).validation_images == 100
    assert Rules(FOLDS[:1], "accuracy", 400, val=0.5).parts == 2


HELD = Rules(FOLDS, "accuracy", images=400, holdout=True)


def look(events, rules=HELD, number=0):
    history = replay(events)
    return next_holdout_job(history, history.trials[f"{number:04d}"], rules)


def looked(number, score=0.7):
    run = {"fold": "holdout", "scores": {"accuracy": score}, "seconds": 1.0, "synthetic": {}}
    return {"event": "holdout", "trial": f"{number:04d}", "file": "x", "sha256": "x", "run": run}


def failed_look(final=False):
    return {"event": "failure", "trial": "0000", "job": 0, "error": "no memory", "final": final}


def test_the_winner_is_scored_on_the_holdout_once():
    events = four_complete(np.random.default_rng(1))
    job = look(events)
    assert (job.trial, job.number, job.folds) == ("0000", 0, ("holdout",))
    assert look(events, RULES) is None
    assert look([*events, looked(0)]) is None
    assert look([*events, looked(0)], number=1).trial == "0001"


def test_two_failures_end_the_looks_of_a_session_and_another_session_tries_again():
    events = [{"event": "session", "racing": True}, *four_complete(np.random.default_rng(1))]
    assert look([*events, failed_look()])
    assert look([*events, failed_look(), failed_look()]) is None
    assert look([*events, failed_look(final=True)]) is None
    assert look([*events, failed_look(), failed_look()], number=1)
    assert look([*events, failed_look(), failed_look(), {"event": "session", "racing": True}])


def test_no_decision_ever_sees_the_holdout():
    events = four_complete(np.random.default_rng(1))
    more = [*events, *trial(4, [0.85] * 3)]
    seen = [*events, looked(0, 0.01), failed_look(), *trial(4, [0.85] * 3)]
    assert step(more, 4) == step(seen, 4)
    for number in range(4):
        old, new = (replay(some).trials[f"{number:04d}"] for some in (more, seen))
        assert (old.runs, old.verdict, old.failures, old.seconds) == (new.runs, new.verdict, new.failures, new.seconds)
    assert replay(more).order == replay(seen).order


def stopped(number, behind):
    """Events of a trial that was stopped after its small folds, so many points behind the best."""
    return list(trial(number, 0.8 - behind + 0.01 * np.cos(np.arange(5)), "stopped"))


def next_at_the_end(events):
    step = next_afterwards(replay(events), RULES)
    return step and step[0].id


def test_a_stopped_trial_that_could_have_won_is_finished_and_a_hopeless_one_is_not():
    complete = four_complete(np.random.default_rng(1))
    assert next_at_the_end(complete + stopped(4, 0.2)) is None
    assert next_at_the_end(complete + stopped(4, 0.02)) == "0004"
    assert next_at_the_end(complete + stopped(4, 0.2) + stopped(5, 0.02)) == "0005"


def test_what_is_being_finished_is_finished_whatever_its_next_run_shows():
    events = four_complete(np.random.default_rng(1)) + stopped(4, 0.02)
    run = {"fold": FOLDS[5].id, "scores": {"accuracy": 0.1}, "seconds": 1.0, "synthetic": {}}
    events.append({"event": "job", "trial": "0004", "job": 6, "file": "x", "sha256": "x", "runs": [run]})
    assert next_at_the_end(events) == "0004"


def test_no_more_are_finished_than_ten_complete_ones_need():
    complete = four_complete(np.random.default_rng(1))
    for number in range(4, 10):
        complete += trial(number, [0.7 + 0.001 * number] * 10, "completed")
    assert next_at_the_end(complete + stopped(10, 0.02)) is None
