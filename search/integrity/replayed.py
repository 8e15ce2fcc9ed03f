"""Whether a replayed journal can be true: its runs are of planned folds, and its verdicts follow from its runs."""

import math
from collections.abc import Iterable
from pathlib import Path

from search.data.holdout import HOLDOUT
from search.journal.history import History, Trial
from search.journal.journal import FILE, WAYS_OUT
from search.journal.outcomes import CONFIRM, Run, Status, Verdict
from search.racing import Rules, trial_score
from search.study import OBJECTIVES
from search.system.errors import UserError

EQUAL = 1e-9  # scores that differ by less are the same sum, taken in another order
PREDICTED = (-1.0, 2.0)  # a mean of scores plus a mean of their differences lies within


def check_replayed(folder: Path, history: History, rules: Rules, trials: Iterable[Trial] | None = None) -> None:
    """Raise UserError, naming the trial, for what no search can have written; ``trials`` are all unless given."""
    planned = {fold.id for fold in rules.folds}
    for trial in history.trials.values() if trials is None else trials:
        if problem := _problem(trial, history, rules, planned):
            raise UserError(f"The journal {folder / FILE} holds {problem.format(f'trial {trial.id}')}. {WAYS_OUT}")


def _problem(trial: Trial, history: History, rules: Rules, planned: set[str]) -> str:
    """Return what cannot be in a trial, with {} where its name goes; "" where there is nothing."""
    confirmations = {fold.removeprefix(CONFIRM) for fold in trial.confirmations}
    if strangers := sorted((set(trial.runs) | confirmations) - planned):
        return f"a run of {{}} on {_braced(strangers[0])}, which is none of the planned folds"
    score = history.holdout_score(trial.id)
    if score and score.run.fold != HOLDOUT:
        return f"a hold-out score of {{}} on {_braced(score.run.fold)}"
    for run in (*trial.runs.values(), *trial.confirmations.values(), *([score.run] if score else [])):
        if problem := _problem_of_scores(run, rules.objective):
            return f"a run of {{}} on {_braced(run.fold)} {problem}"
    return _problem_of_verdict(trial, history, rules, planned)


def _problem_of_scores(run: Run, objective: str) -> str:
    if objective not in run.scores:
        return f"without {objective}"
    for name in OBJECTIVES:
        if not 0 <= run.scores.get(name, 0.0) <= 1:
            return f"with {name} {run.scores[name]:g}, which is not between 0 and 1"
    if run.scores.get("log_loss", 0.0) < 0:
        return f"with log_loss {run.scores['log_loss']:g}, which is below 0"
    return f"that took {run.seconds:g} seconds" if run.seconds < 0 else ""


def _problem_of_verdict(trial: Trial, history: History, rules: Rules, planned: set[str]) -> str:
    verdict = trial.verdict
    if verdict is None:
        return ""
    problem, score = "", verdict.score
    if verdict.status is Status.COMPLETED:
        problem = _problem_of_complete(trial, score, rules, planned)
    elif verdict.status is Status.FAILED and score is not None:
        problem = f"the score {score:g} for {{}}, which failed"
    elif verdict.status is Status.DUPLICATE:
        earlier = history.duplicate_of(trial)
        ends = [end.score for end in (earlier.stop, earlier.verdict) if end] if earlier else []
        problem = "" if score in ends else f"the score {score} for {{}}, which no earlier trial of its recipe has"
    return problem or _problem_of_stop(trial.stop or verdict)


def _problem_of_complete(trial: Trial, score: float | None, rules: Rules, planned: set[str]) -> str:
    if lacking := sorted(planned - set(trial.runs)):
        return f"the verdict that {{}} is complete, but no run of it on {_braced(lacking[0])}"
    expected = trial_score(trial, rules)
    if score is None or not math.isclose(score, expected, rel_tol=0, abs_tol=EQUAL):
        return f"the score {score} for {{}}, whose runs give {expected}"
    return ""


def _problem_of_stop(stop: Verdict) -> str:
    low, high = PREDICTED
    is_possible = stop.status is not Status.STOPPED or stop.score is None or low <= stop.score <= high
    return "" if is_possible else f"the predicted score {stop.score:g} for {{}}, which no prediction can give"


def _braced(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")
