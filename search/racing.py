"""What a trial needs now: its next job, or its verdict. Pure functions of the history.

A trial's final score is predicted from the runs that it has and from how the complete trials did
on the same folds; it is stopped when even a lucky rest would leave it behind the best.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from search.data.holdout import HOLDOUT
from search.journal.history import TIE, History, Trial
from search.journal.outcomes import CONFIRM, HOLDOUT_JOB, JobKind, Run, Status, Verdict
from search.repertoire.networks import AnyRecipe, Architecture, NetworkRecipe
from search.repertoire.shape import Shape, shape_of

FAILURES_ALLOWED = 2
# DECISIONS: Only stopped trials that could have won are finished
ENOUGH_TO_CORRECT = 10  # complete trials: see search.analysis.stats.selection
REACH_TO_CORRECT = 2.0  # standard deviations
BURN_IN = 4
FEWEST_RUNS = 2
# DECISIONS: Racing's defaults stay as they are
PATIENCE = 2.5  # in standard deviations of a normal: how unlikely a comeback must be
PRIOR_RUNS = 4
PRIOR_GAPS = 3
SPREAD_OF_GAPS = 0.02


@dataclass(frozen=True)
class PlannedFold:
    """What decisions need to know of a fold: its name, its (repeat, index) and its fraction."""

    id: str
    split: tuple[int, int]
    fraction: float


@dataclass(frozen=True)
class Rules:
    """What decides over trials: the folds in the order they are run, the objective, N images, racing or not.

    ``images`` counts those in the folds, without the hold-out. ``val`` is the part that validates
    in random splits, None for k-fold. ``holdout`` says whether there is one to score at the end;
    ``confirm`` how many of the best recipes train again on reshuffled folds. ``lag`` is how many trials may be open at
    a time: the verdicts of trials up to n - lag decide over trial n, and no others.
    """

    folds: tuple[PlannedFold, ...]
    objective: str
    images: int
    racing: bool = True
    val: float | None = None
    holdout: bool = False
    confirm: int = 0
    lag: int = 1

    @cached_property
    def fractions(self) -> list[float]:
        """Training sizes, smallest first."""
        return sorted({fold.fraction for fold in self.folds})

    @cached_property
    def splits(self) -> list[tuple[int, int]]:
        """(repeat, index) of every fold."""
        return sorted({fold.split for fold in self.folds})

    @cached_property
    def of_size(self) -> dict[float, list[str]]:
        """The names of the folds of each training size."""
        return {size: [fold.id for fold in self.folds if fold.fraction == size] for size in self.fractions}

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Where the scores of each fold stand in a table of (training sizes, splits)."""
        return {fold.id: (self.fractions.index(fold.fraction), self.splits.index(fold.split)) for fold in self.folds}

    @property
    def parts(self) -> float:
        """How many times the images hold a validation part: k, or 1 / val."""
        return 1 / self.val if self.val else len({index for _, index in self.splits})

    @property
    def validation_images(self) -> float:
        """The typical number of images that score one run."""
        return self.images / self.parts


@dataclass(frozen=True)
class Job:
    """The unit of work: some folds of one trial, by name. ``attempt`` counts the jobs that a session has begun.

    ``epoch`` is the one that it is in, for people to see; 0 where that is not known, or before the first.

    A job of the kind HELP has no folds: it stores the images that its recipe needs, for the workers of another job.
    """

    trial: str
    number: int
    recipe: AnyRecipe
    folds: tuple[str, ...]
    kind: JobKind = JobKind.FOLDS
    attempt: int = 0
    epoch: int = 0

    @property
    def name(self) -> tuple[str, int]:
        """Its trial and its number, which identify it in a search."""
        return self.trial, self.number

    @property
    def shape(self) -> Shape | Architecture:
        """The shape of its network; jobs of one shape train the same network."""
        return self.recipe.network if isinstance(self.recipe, NetworkRecipe) else shape_of(self.recipe)


def next_step(history: History, trial: Trial, rules: Rules) -> Job | Verdict:
    """Return the job that ``trial`` needs now, or its verdict. Earlier trials must have theirs."""
    earlier = history.duplicate_of(trial)
    if earlier is not None:
        assert earlier.first_verdict is not None, "trials end in their order"
        return Verdict(Status.DUPLICATE, earlier.first_verdict.score, f"same recipe as {earlier.id}")
    if reason := _reason_to_fail(trial):
        return Verdict(Status.FAILED, None, reason)
    jobs = jobs_left(trial, rules)
    if not jobs:
        score = trial_score(trial, rules)
        return Verdict(Status.COMPLETED, score, f"{rules.objective} {score:.3f} over {len(rules.folds)} runs")
    if rules.racing and not trial.baseline and (verdict := hopeless(history, trial, rules)):
        return verdict
    return jobs[0]


def jobs_left(trial: Trial, rules: Rules) -> list[Job]:
    """Return the jobs that ``trial`` has yet to do if nothing stops it, in their order.

    Heads train all their folds in one job; deeper trials one fold at a time, smallest training
    size first, so that a hopeless one is stopped early. After the study's folds come the reshuffled ones.
    """
    todo = [fold.id for fold in rules.folds if fold.id not in trial.runs]
    kind = JobKind.FOLDS
    if not todo and trial.status is Status.COMPLETED:
        todo, kind = (
            [name for fold in rules.folds if (name := CONFIRM + fold.id) not in trial.confirmations],
            JobKind.CONFIRM,
        )
    parts = [todo] if trial.recipe.head_only and todo else [[fold] for fold in todo]
    return [Job(trial.id, trial.jobs + at, trial.recipe, tuple(part), kind) for at, part in enumerate(parts, start=1)]


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Return the complete trials, best first; of equal ones the earlier first, as times would not repeat."""
    complete = [trial for trial in trials if trial.status is Status.COMPLETED]
    return sorted(complete, key=lambda trial: (-round(score(trial), TIE), trial.id))


def score(trial: Trial) -> float:
    """Return the score of a complete trial."""
    assert trial.verdict is not None
    assert trial.verdict.score is not None
    return trial.verdict.score


def next_afterwards(history: History, rules: Rules) -> tuple[Trial, Job | Verdict] | None:
    """Return the last steps of a search, one at a time, each with its trial; None where nothing is left to do.

    No trial is open then, and none will be proposed. First those stopped trials are finished that could have won,
    as correcting the winner needs them. Then the best recipes train again on reshuffled folds, where that is
    wanted. Last, the winner is scored on the hold-out.
    """
    step = _next_to_finish(history, rules)
    if step:
        return step
    for job in confirmations_left(history, rules):
        return history.trials[job.trial], job
    best = ranked(history.trials.values())
    if best and (last := next_holdout_job(history, best[0], rules)):
        return best[0], last
    return None


def confirmations_left(history: History, rules: Rules) -> list[Job]:
    """Return the jobs that train the best recipes again on reshuffled folds, in their order."""
    best = ranked(history.trials.values())[: rules.confirm]
    return [job for trial in best if not _reason_to_fail(trial) for job in jobs_left(trial, rules)]


def _next_to_finish(history: History, rules: Rules) -> tuple[Trial, Job | Verdict] | None:
    complete, stopped = history.with_status(Status.COMPLETED), history.with_status(Status.STOPPED)
    promising = sorted(stopped, key=lambda trial: (-score(trial), trial.id))
    for trial in promising if len(complete) < ENOUGH_TO_CORRECT else []:
        if not (trial.is_being_finished or could_have_won(history, trial, rules)):
            continue
        if jobs := jobs_left(trial, rules):
            if _reason_to_fail(trial):
                continue
            return trial, jobs[0]
        final = trial_score(trial, rules)
        reason = f"{rules.objective} {final:.3f}, finished at the end; {_stop(trial)}"
        return trial, Verdict(Status.COMPLETED, final, reason)
    return None


def could_have_won(history: History, trial: Trial, rules: Rules) -> bool:
    """Return whether a stopped trial would be picked, had the images been others of the same kind.

    Correcting the winner draws folds anew and picks the best of each draw. A trial that no draw would
    pick changes nothing, so it is not worth finishing. A trial counts where its predicted score is within
    two standard deviations of the best: those of the prediction and of the draw together.
    """
    tables = _tables(history.with_status(Status.COMPLETED), rules)
    forecast = forecast_of(tables, cells(trial, rules), rules)
    behind = tables.mean(axis=(1, 2)).max() - forecast.score
    return bool(behind <= REACH_TO_CORRECT * np.sqrt(forecast.variance + forecast.variance_of_draws))


def _tables(complete: Iterable[Trial], rules: Rules) -> np.ndarray:
    return np.stack([cells(trial, rules) for trial in complete])


def _stop(trial: Trial) -> str:
    assert trial.verdict is not None
    return f"it had been stopped: {trial.verdict.reason}"


def next_holdout_job(history: History, winner: Trial, rules: Rules) -> Job | None:
    """Return the job that scores the winner on the hold-out; None where that is done, given up or not wanted."""
    if not rules.holdout or history.holdout_score(winner.id):
        return None
    failures = [failure for trial, failure in history.holdout_failures if trial == winner.id]
    if len(failures) >= FAILURES_ALLOWED or any(failure.final for failure in failures):
        return None
    return Job(winner.id, HOLDOUT_JOB, winner.recipe, (HOLDOUT,), JobKind.HOLDOUT)


def _reason_to_fail(trial: Trial) -> str:
    failures = [failure for failure in trial.failures if failure.job == trial.jobs + 1]
    if failures and failures[-1].final:
        return failures[-1].error
    if len(failures) >= FAILURES_ALLOWED:
        return f"{len(failures)} attempts failed, the last with {failures[-1].error}"
    return ""


def cells(trial: Trial, rules: Rules) -> np.ndarray:
    """Return the trial's objective as (training sizes, splits), NaN where it has not run."""
    table = np.full((len(rules.fractions), len(rules.splits)), np.nan)
    for fold, place in rules.places.items():
        run: Run | None = trial.runs.get(fold)
        if run is not None:
            table[place] = run.scores[rules.objective]
    return table


def trial_score(trial: Trial, rules: Rules) -> float:
    """Return the score of a complete trial: mean over training sizes of the mean over folds."""
    return float(cells(trial, rules).mean(axis=0).mean())


def hopeless(history: History, trial: Trial, rules: Rules) -> Verdict | None:
    """Return the verdict "stopped" if the trial's predicted score stays behind the best complete one that it knows.

    It does not know those that were stopped, and finished before the search was extended.
    """
    known = history.known_to(trial.position, rules.lag)
    complete = [each for each in known if each.status is Status.COMPLETED and not each.stop]
    if len(complete) < BURN_IN or len(trial.runs) < FEWEST_RUNS:
        return None
    tables = _tables(complete, rules)
    forecast = forecast_of(tables, cells(trial, rules), rules)
    totals = tables.mean(axis=2).mean(axis=1)
    best = int(totals.argmax())
    if forecast.score + forecast.reach >= totals[best]:
        return None
    points = 100 * (totals[best] - forecast.score)
    progress = f"{len(trial.runs)} of {len(rules.folds)} runs"
    return Verdict(Status.STOPPED, forecast.score, f"{points:.1f} points behind {complete[best].id} after {progress}")


@dataclass(frozen=True)
class Forecast:
    """The score that a trial will probably have: its mean and variance, with ``df`` degrees of freedom.

    ``variance_of_draws`` is that of its lead over another trial where the folds are drawn anew.
    """

    score: float
    variance: float
    df: int
    variance_of_draws: float

    @property
    def reach(self) -> float:
        """How much higher than predicted the score could yet come out (2.5 sigma)."""
        quantile = special.stdtrit(self.df, special.ndtr(PATIENCE))  # Student's; 100 times as fast as scipy.stats
        return float(quantile * np.sqrt(self.variance))


def forecast_of(complete: np.ndarray, table: np.ndarray, rules: Rules) -> Forecast:
    """Return what a trial's score will probably be.

    ``complete`` has the shape (c, sizes, splits), ``table`` (sizes, splits) with NaN for runs that
    are still to come and at least one that is not. Sizes are in ascending order, the last is full.

    Per size, the mean difference to the complete trials' cell means; an unfinished size is shrunk
    towards the sizes already seen, as far as sizes have been found to agree.
    """
    c, sizes, k = complete.shape
    fold_means = complete.mean(axis=0)
    p = float(complete.mean())
    chance = 0.5 * p * (1 - p) / rules.validation_images  # folds share the luck of a binomial draw by half
    spread = _spread_of_runs(complete, chance)
    df = [PRIOR_RUNS + (c - 1) * (k - 1)]
    gap = _spread_of_gaps(complete, chance) if sizes > 1 else 0.0
    if sizes > 1:
        df.append(PRIOR_GAPS + c)
    run_counts = (~np.isnan(table)).sum(axis=1)
    sizes_at_hand = [q for q in range(sizes) if run_counts[q]]
    mean = {q: float(np.nanmean(table[q] - fold_means[q])) for q in sizes_at_hand}
    var = {q: spread[q] * (1 / run_counts[q] - 1 / k) * (1 + 1 / c) for q in sizes_at_hand}
    mean, var = _shrink(mean, var, run_counts < k, gap, c)
    low = float(np.mean(list(mean.values())))
    missing_sizes = sizes - len(sizes_at_hand)
    weight = 1 / sizes
    score = float(sum(fold_means[q].mean() + mean.get(q, low) for q in range(sizes))) * weight
    # Runs seen stand for the unseen sizes too, so their error counts for those as well.
    scale = sizes / len(sizes_at_hand)
    total = sum((weight * scale) ** 2 * v for v in var.values()) + (missing_sizes * weight) ** 2 * gap * (1 + 1 / c)
    return Forecast(score, float(total), min(df), float(2 * spread.sum() / k * weight**2))


def _spread_of_runs(complete: np.ndarray, chance: float) -> np.ndarray:
    """Return the variance of one run about trial + fold, per size, with ``chance`` as its prior."""
    c, _, k = complete.shape
    residuals = (
        complete
        - complete.mean(axis=0, keepdims=True)
        - complete.mean(axis=2, keepdims=True)
        + complete.mean(axis=(0, 2), keepdims=True)
    )
    return (PRIOR_RUNS * chance + (residuals**2).sum(axis=(0, 2))) / (PRIOR_RUNS + (c - 1) * (k - 1))


def _spread_of_gaps(complete: np.ndarray, chance: float) -> float:
    """Return the variance, between trials, of the full mean less the mean at the smaller sizes."""
    c, _, k = complete.shape
    means = complete.mean(axis=2)
    gaps = means[:, -1] - means[:, :-1].mean(axis=1)
    prior = 2 * chance / k + SPREAD_OF_GAPS**2
    return float((PRIOR_GAPS + 1) * prior + ((gaps - gaps.mean()) ** 2).sum()) / (PRIOR_GAPS + c)


def _shrink(
    mean: dict[int, float], var: dict[int, float], unfinished: Sequence[bool] | np.ndarray, gap: float, c: int
) -> tuple[dict[int, float], dict[int, float]]:
    """Move the mean of each unfinished size towards the other sizes seen."""
    if len(mean) < 2:
        return mean, var
    new_mean, new_var = dict(mean), dict(var)
    for q in (q for q in mean if unfinished[q]):
        others = [p for p in mean if p != q]
        other = sum(mean[p] for p in others) / len(others)
        between = gap * (1 + 1 / c) + sum(var[p] for p in others) / len(others) ** 2
        share = between / (between + var[q]) if between + var[q] > 0 else 1.0
        new_mean[q] = share * mean[q] + (1 - share) * other
        new_var[q] = share**2 * var[q] + (1 - share) ** 2 * between
    return new_mean, new_var
