"""KFoldTuner: a search as Keras Tuner's users know one; the loop itself is in ``search.session``.

from search import KFoldTuner
tuner = KFoldTuner("spaces/finetune.py", data="data/my-images", trials=20)
tuner.search()                    # the same again resumes
tuner.results_summary()
best = tuner.get_best_hyperparameters()[0]
"""

import dataclasses
import inspect
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, Self

from search.executors.base import Executor
from search.executors.table import EXECUTORS, Executors, settings_of
from search.journal.history import HoldoutScore
from search.journal.journal import check_unused
from search.monitor.console import summary, wide_console
from search.monitor.screen import Screen, open_screen
from search.monitor.tensorboard import check_at_hand
from search.options import Options
from search.oracles import ORACLES, BaseTuner, HyperParameters, at_values, retell, tell_known
from search.oracles.habits import MODELS, TUNER, UNUSED, refused_arguments, refused_option
from search.oracles.hyperparameters import HyperModel
from search.oracles.networks import space_of
from search.prepare import Setup, prepare
from search.racing import ranked
from search.record import STUDY, Record, move_aside, read_record
from search.reopening import reopening
from search.session import Session
from search.space import Space, SpaceFile, read_space
from search.study import Study
from search.system.clock import Clock
from search.system.commands import command_of
from search.system.errors import UserError
from search.system.progress import Say


class KFoldTuner(BaseTuner):
    """A Keras Tuner tuner that trains every trial across the folds of a study.

    ``space`` is the path of a space file; or a function ``space(hp)``, or a Keras Tuner ``HyperModel``, given together
    with a ``study``. ``options`` are those of ``search.options.Options`` (data, groups, holdout, name, results, cache,
    trials, oracle, seed, lag, executor, slots, offline, strict, racing, fresh, tensorboard). ``executors`` are those to
    choose from. Making a tuner reads the data and plans the folds; ``search`` writes and trains. Raises UserError for
    anything that a person must mend.
    """

    _is_made = False
    _oracle: Any = None

    def __init__(
        self,
        space: str | Path | Space | SpaceFile | None = None,
        study: Study | None = None,
        *,
        screen: Screen | None = None,
        executors: Executors = EXECUTORS,
        **options: Any,
    ) -> None:
        """Read the data, plan the folds and find the weights; write nothing yet."""
        chosen = _options(options, executors)
        if chosen.tensorboard:
            check_at_hand()
        self.screen = screen or open_screen(wide_console())
        self._clock, self._executors = Clock(), executors
        with self.screen, self._clock.stage("prepare"):
            file, say, progress = _space_file(space, study), self.screen.say, self.screen.progress
            self.setup = prepare(file, chosen, say, progress, executors)
        oracle = ORACLES[self.setup.study.oracle](self.setup.hyperparameters, self.setup.study.seed)
        with tempfile.TemporaryDirectory() as folder:  # Keras Tuner looks for files of its own; there are none
            super().__init__(oracle=oracle, directory=folder, project_name="search")
        self.hypermodel = SimpleNamespace(build=self._no_models)
        self._is_made = True

    @classmethod
    def reopen(cls, record: Record, *, screen: Screen | None = None, **options: Any) -> Self:
        """Return the tuner of a search that has begun, with its recorded space; ``options`` as for ``reopening``.

        Raises UserError for a search whose space is no file, and where images, plan, weights or space are not what
        they were.
        """
        space, recorded = reopening(record, **options)
        return cls(space, screen=screen, **recorded)

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse methods of a subclass that nothing would call, with a UserError."""
        super().__init_subclass__(**options)
        if unused := [name for name in UNUSED if name in vars(cls)]:
            raise UserError(
                f"{cls.__name__}.{unused[0]} would never be called: a search of KFoldTuner has no such step."
            )

    def search(self, *values: Any, **named: Any) -> None:
        """Run the search, or resume it: every trial trains across all folds unless racing stops it.

        Raises UserError for any argument, as it would not be obeyed, and KeyboardInterrupt when interrupted: nothing
        but the runs in flight is lost.
        """
        if refusal := refused_arguments(values, named):
            raise UserError(refusal)
        with self._session() as session:
            self.oracle = session.oracle
            session.run()

    def score_on_holdout(self, trial_id: str, executor: Executor | None = None) -> HoldoutScore | None:
        """Return a trial's score on the hold-out, measured now unless it is known; None where nothing is held out.

        Raises UserError where the trial cannot be scored; the next call tries again.
        """
        score = self.record.history.holdout_score(trial_id)
        if score or not self.record.rules.holdout:
            return score
        with self._session(trial_id) as session:
            session.score_on_holdout(executor or session.executor())
        return session.history.holdout_score(trial_id)

    def _session(self, holdout_trial: str = "") -> Session:
        self._clock.skip()
        self.setup = _without_fresh(self.setup, self.screen.say)
        return Session(self.setup, self.screen, self._clock, self._executors, holdout_trial)

    @property
    def record(self) -> Record:
        """The search as its folder tells it. Raises UserError before the first ``search``."""
        return read_record(self.setup.folder)

    @property
    def oracle(self) -> Any:
        """The oracle; of a search that has begun, with all its trials."""
        begun = self._is_made and not self.setup.options.fresh and (self.setup.folder / STUDY).exists()
        if begun and not self._oracle.trials:
            study, history = self.setup.study, self.record.history
            self._oracle = retell(study.oracle, self.setup.hyperparameters, study.seed, history, study.lag)
            tell_known(self._oracle, history, lag=1)
        return self._oracle

    @oracle.setter
    def oracle(self, oracle: Any) -> None:
        self._oracle = oracle

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """Return the hyperparameters of the best complete trials, best first; baselines have none."""
        best = ranked(self.record.history.proposed)[:num_trials]
        return [at_values(self.setup.hyperparameters, trial.values) for trial in best]

    def _no_models(self, *_values: Any, **_named: Any) -> NoReturn:
        """Raise UserError: a search keeps predictions, not networks."""
        command = command_of(self.setup.folder, "export", to=f"{self.setup.folder.name}-model")
        raise UserError(MODELS.format(command=command))

    def _no_steps(self, *_values: Any, **_named: Any) -> NoReturn:
        """Raise UserError: nothing is called at epochs and batches."""
        raise UserError(
            "A search calls nothing of its tuner at epochs or batches: there are no callbacks. tensorboard=True writes "
            "what TensorBoard shows, and the recipe says what changes from epoch to epoch: Recipe(schedule=…)."
        )

    on_epoch_begin = on_epoch_end = on_batch_begin = on_batch_end = _no_steps
    get_best_models = load_model = save_model = _no_models

    def run_trial(self, *_values: Any, **_named: Any) -> NoReturn:
        """Raise UserError: only a search trains trials."""
        raise UserError("search() trains the trials, each on all its folds: no single one can be run by hand.")

    def save(self) -> None:
        """Do nothing: all that happens is written when it happens."""

    def reload(self) -> None:
        """Verify that there is a search: it is read whenever it is asked for. Raises UserError where there is none."""
        assert self.record

    @property
    def project_dir(self) -> str:
        """The folder of the search."""
        return str(self.setup.folder)

    def get_trial_dir(self, trial_id: str) -> NoReturn:
        """Raise UserError: a trial has no folder."""
        files = self.setup.folder / "runs" / f"{trial_id}-*.npz"
        raise UserError(f"A trial has no folder of its own. The predictions of its runs are in the files {files}.")

    @property
    def remaining_trials(self) -> int:
        """How many trials the budget still has."""
        begun = (self.setup.folder / STUDY).exists()
        return max(0, self.setup.study.max_trials - (self.record.history.spent if begun else 0))

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best trials with their intervals, and the winner's recipe."""
        summary(self.record, wide_console(), num_trials)


def _without_fresh(setup: Setup, say: Say) -> Setup:
    """Return the setup without ``fresh``, after moving the old folder aside: it then resumes the new search.

    Raises UserError where a search is running in that folder.
    """
    if not setup.options.fresh or not setup.folder.exists():
        return setup
    check_unused(setup.folder)
    say(f"The old search is now in {move_aside(setup.folder)}.")
    return dataclasses.replace(setup, options=dataclasses.replace(setup.options, fresh=False))


def _space_file(space: str | Path | Space | SpaceFile | None, study: Study | None) -> SpaceFile:
    if study is not None and not isinstance(study, Study):
        raise UserError(
            f"KFoldTuner(space, {study!r}): the second value must be a Study(…). {refused_option('objective')}"
        )
    if isinstance(space, str | Path | SpaceFile):
        file = space if isinstance(space, SpaceFile) else read_space(Path(space))
        return dataclasses.replace(file, study=study, written=file.study) if study else file
    source: Any = space
    if isinstance(space, HyperModel):
        source, space = type(space), space_of(space)
    if not callable(space):
        raise UserError(f"KFoldTuner({space!r}) has no space: {TUNER['hypermodel']}.")
    if study is None:
        raise UserError("KFoldTuner(space) with a function needs a study as well: KFoldTuner(space, Study(data=…)).")
    try:
        text = textwrap.dedent(inspect.getsource(source))
    except (OSError, TypeError):
        raise UserError("The source of the space function cannot be found. Put it into a space file.") from None
    name = getattr(source, "__name__", "")  # that of a lambda is no name
    return SpaceFile(study, space, text, Path(f"{name if name.isidentifier() else 'space'}.py"), on_disk=False)


def _options(options: dict[str, Any], executors: Executors) -> Options:
    settings = settings_of(executors.values())
    known = {field.name for field in dataclasses.fields(Options)} - {"executor_settings"}
    for name in options:
        if name not in known and name not in settings:
            raise UserError(refused_option(name))
    given = {name: options.pop(name) for name in settings if name in options}
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    return Options(**options, executor_settings=given)
