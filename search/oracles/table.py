"""The table of oracles: Keras Tuner's, retold from the journal; the only file that knows their inner workings.

An oracle here keeps nothing of its own: what it proposes for trial ``n`` is a function of the
seed, ``n`` and the trials so far, so that a search which was interrupted goes on as if it had
not been. No point is proposed twice, and none is missed in a small space.
"""

import itertools
import warnings
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import optuna
from threadpoolctl import threadpool_limits

from search.journal.history import History, Trial
from search.oracles.hyperparameters import POINTS_CHECKED, HyperParameters, Values, points, random_points
from search.system.digests import seed_from
from search.system.errors import UserError
from search.system.tf import silenced

with silenced(), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Keras Tuner's own deprecated calls
    import keras_tuner
    from keras_tuner.engine import trial as trial_module
    from keras_tuner.engine.base_tuner import BaseTuner

__all__ = ["ORACLES", "BaseTuner", "ask", "retell", "tell", "tell_known"]

warnings.filterwarnings("ignore", category=DeprecationWarning, module="keras_tuner")  # its deprecated calls later on
optuna.logging.set_verbosity(optuna.logging.ERROR)

SCORE = "score"
COMPLETED, FAILED, RUNNING, STOPPED = "COMPLETED", "FAILED", "RUNNING", "STOPPED"
TPE_STARTUP = 8
POINTS_LISTED = 20_000
NEVER = 10**9


class JournalledOracle(keras_tuner.Oracle):
    """What our oracles share: journalled trials are repeated, new ones are a function of (seed, number).

    It owns no file: Keras Tuner's own are never written.
    """

    def __init__(self, hyperparameters: HyperParameters, seed: int) -> None:
        """Begin with no trials; ``seed`` is the study's."""
        super().__init__(
            objective=keras_tuner.Objective(SCORE, "max"),
            hyperparameters=hyperparameters,
            seed=seed_from(seed, "oracle"),
            max_consecutive_failed_trials=NEVER,
            **self.budget,
        )
        self.verbose = 0
        self.study_seed = seed
        self.journalled: dict[str, Values] = {}
        self.told = 0  # how many trials of the search, baselines too, it need not be told any more

    # No budget of Keras Tuner's: trial ids then have four digits for ever, and ours is the study's.
    budget: ClassVar[dict[str, Any]] = {"max_trials": None}
    tries = 10  # at a point that is new, before the points left are listed

    def save(self, *_args: Any) -> None:
        """Write nothing: the journal is the only truth."""

    def _save_trial(self, trial: trial_module.Trial) -> None:
        """Write nothing."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the journalled values of a trial, or new ones that no trial has had."""
        if trial_id in self.journalled:
            return {"status": RUNNING, "values": self.journalled[trial_id]}
        for attempt in range(self.tries):
            self._reseed(seed_from(self.study_seed, "ask", trial_id, attempt))
            values = self.propose(trial_id)
            if values is not None and self._compute_values_hash(values) not in self._tried_so_far:
                return {"status": RUNNING, "values": values}
        values = self._untried(seed_from(self.study_seed, "untried", trial_id))
        return {"status": STOPPED if values is None else RUNNING, "values": values}

    def _reseed(self, seed: int) -> None:
        self.ask_seed = self._seed_state = seed

    def propose(self, trial_id: str) -> Values | None:
        """Return values worth trying, perhaps tried before, or None."""
        return super().populate_space(trial_id)["values"]

    def _untried(self, seed: int) -> Values | None:
        """Return a random point that is new; from a list of those left where luck does not find one."""
        random = (point.values for point in random_points(self.hyperparameters, POINTS_CHECKED, seed))
        every_point = itertools.islice(points(self.hyperparameters), POINTS_LISTED)
        for candidates in (random, every_point):
            new_points = [point for point in candidates if self._compute_values_hash(point) not in self._tried_so_far]
            if new_points:
                return new_points[int(np.random.default_rng(seed).integers(len(new_points)))]
        return None


class RandomOracle(JournalledOracle, keras_tuner.oracles.RandomSearchOracle):
    """Independent uniform draws (Bergstra & Bengio 2012)."""


class BayesianOracle(JournalledOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Keras Tuner's Gaussian process with an upper confidence bound (Snoek et al. 2012)."""

    # DECISIONS: Keras Tuner's Gaussian process is asked once
    tries = 1  # each takes a second, and it hardly depends on the seed

    def _reseed(self, seed: int) -> None:
        super()._reseed(seed)
        self._random_state = np.random.RandomState(seed)
        self.seed = seed
        self.gpr = self._make_gpr()

    def propose(self, trial_id: str) -> Values | None:
        """Fit the process to the trials so far, on one thread: more are ten times slower here."""
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the process warns where its fit is poor
            return super().propose(trial_id)


class GridOracle(JournalledOracle, keras_tuner.oracles.GridSearchOracle):
    """Every point in order. Its state is rebuilt by telling it again all that happened, in order."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next point of the grid; it needs no seed, repeats none, and waits for no verdict."""
        self._populate_next += self.start_order[-1:]  # as if the last trial had ended: no point depends on scores
        return keras_tuner.oracles.GridSearchOracle.populate_space(self, trial_id)


class TPEOracle(JournalledOracle):
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023).

    The Optuna study lives for one question: it is filled with the trials so far, asked and dropped.
    """

    def propose(self, trial_id: str) -> Values | None:  # noqa: ARG002 the seed holds it
        """Return the values that Optuna would try next."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=self.ask_seed,
                n_startup_trials=TPE_STARTUP,
                multivariate=True,
                group=True,
                constant_liar=True,
            )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials([_optuna_trial(self.hyperparameters, trial) for trial in self.trials.values()])
        proposal, values = study.ask(), HyperParameters()
        for hp in self.hyperparameters.space:
            values.merge([hp])
            if values.is_active(hp):
                choice = proposal.suggest_categorical(hp.name, choices) if (choices := _choices(hp)) else None
                values.values[hp.name] = (
                    hp.prob_to_value(proposal.suggest_float(hp.name, 0, 1)) if choice is None else choice
                )
        return values.values


# Optuna passes over failed trials, and would propose their like again; a pruned one counts as worst.
OPTUNA_STATES = {
    COMPLETED: optuna.trial.TrialState.COMPLETE,
    # DECISIONS: TPE learns that a failed trial was pruned
    FAILED: optuna.trial.TrialState.PRUNED,
    RUNNING: optuna.trial.TrialState.RUNNING,
}


def _optuna_trial(hyperparameters: HyperParameters, trial: trial_module.Trial) -> optuna.trial.FrozenTrial:
    """Return a trial as Optuna has it: numbers as probabilities, active hyperparameters alone."""
    params: dict[str, Any] = {}
    distributions: dict[str, optuna.distributions.BaseDistribution] = {}
    for hp in hyperparameters.space:
        if hp.name in trial.hyperparameters.values and trial.hyperparameters.is_active(hp):
            value = trial.hyperparameters.values[hp.name]
            choices = _choices(hp)
            params[hp.name] = value if choices else hp.value_to_prob(value)
            distributions[hp.name] = (
                optuna.distributions.CategoricalDistribution(choices)
                if choices
                else optuna.distributions.FloatDistribution(0, 1)
            )
    return optuna.trial.create_trial(
        state=OPTUNA_STATES[trial.status],
        value=trial.score if trial.status == COMPLETED else None,
        params=params,
        distributions=distributions,
    )


def _choices(hp: Any) -> list[Any] | None:
    """Return the values of an unordered hyperparameter, None for a number."""
    numbers = (keras_tuner.engine.hyperparameters.Float, keras_tuner.engine.hyperparameters.Int)
    return None if isinstance(hp, numbers) else list(hp.values)


ORACLES: dict[str, type[JournalledOracle]] = {
    "tpe": TPEOracle,
    "random": RandomOracle,
    "bayesian": BayesianOracle,
    "grid": GridOracle,
}


def retell(kind: str, hyperparameters: HyperParameters, seed: int, history: History, lag: int = 1) -> JournalledOracle:
    """Return an oracle that knows of a search what it knew when it proposed the last trial.

    Raises UserError where the journal holds a trial that this oracle would not have proposed.
    """
    oracle = ORACLES[kind](hyperparameters, seed)
    oracle.journalled = {trial.id: trial.values for trial in history.proposed}
    for trial in history.proposed:
        _tell(oracle, history.known_to(trial.position, lag, oracle.told))
        proposal = oracle.create_trial(tuner_id=trial.id)
        if proposal.trial_id != trial.id or proposal.hyperparameters.values != trial.values:
            raise UserError(
                f"The {kind} oracle proposes other values for trial {trial.id} than the journal holds; another "
                "version of Keras Tuner began this search. Install that one, or begin anew with --fresh."
            )
    return oracle


def tell_known(oracle: JournalledOracle, history: History, lag: int) -> None:
    """Tell an oracle the verdicts that may decide over the next trial of a search. All are known to a lag of 1."""
    known = history.known_to(len(history.trials), lag, oracle.told)
    _tell(oracle, itertools.takewhile(lambda trial: trial.verdict, known))


def _tell(oracle: JournalledOracle, trials: Iterable[Trial]) -> None:
    """Tell an oracle the first verdicts of its next trials, whatever became of stopped ones later."""
    for trial in trials:
        oracle.told += 1
        if verdict := None if trial.baseline else trial.first_verdict:
            tell(oracle, trial.id, verdict.score)


def ask(oracle: JournalledOracle, trial_id: str) -> Values | None:
    """Return the values of a new trial, or None.

    None means that every point has been tried, or, while other trials are under way, that a grid
    must wait for one of them.
    """
    trial = oracle.create_trial(tuner_id=trial_id)
    return dict(trial.hyperparameters.values) if trial.status == RUNNING else None


def tell(oracle: JournalledOracle, trial_id: str, score: float | None) -> None:
    """End a trial: with its score, or as failed. A stopped trial is told with its predicted score."""
    trial = oracle.get_trial(trial_id)
    trial.status = FAILED if score is None else COMPLETED
    if score is not None:
        oracle.update_trial(trial_id, {SCORE: score})
    oracle.end_trial(trial)
