"""KFoldTuner: a search as Keras Tuner's users know one; the loop itself is in ``search.session``.

from search import KFoldTuner
tuner = KFoldTuner("spaces/finetune.py", data="data/my-images", trials=20)
tuner.search()                    # the same again resumes
tuner.results_summary()
best = tuner.get_best_hyperparameters()[0]
"""

import dataclasses
import inspect
import shlex
import tempfile
import textwrap
from pathlib import Path
from typing import Any, NoReturn

from search.executors.processes import Executor
from search.journal import Look
from search.monitor.console import summary, wide_console
from search.monitor.screen import Screen, screen
from search.monitor.tensorboard import check_at_hand
from search.options import Options
from search.oracles import ORACLES, BaseTuner, HyperParameters, at_values
from search.prepare import prepare
from search.racing import ranked
from search.record import Record, read_record
from search.session import Session
from search.space import Space, SpaceFile, read_space
from search.study import Study
from search.system.clock import Clock
from search.system.errors import UserError


class KFoldTuner(BaseTuner):
    """A Keras Tuner tuner that trains every trial across the folds of a study.

    ``space`` is the path of a space file, or a function ``space(hp)`` given together with a
    ``study``. ``options`` are those of ``search.options.Options`` (data, groups, holdout, name, results, cache,
    trials, oracle, seed, executor, slots, offline, strict, racing, fresh, tensorboard). Making a tuner reads
    the data and plans the folds; ``search`` writes and trains. Raises UserError for anything that
    a person must mend.
    """

    def __init__(
        self, space: str | Path | Space, study: Study | None = None, *, view: Screen | None = None, **options: Any
    ) -> None:
        """Read the data, plan the folds and find the weights; write nothing yet."""
        if options.get("tensorboard"):
            check_at_hand()
        self.view = view or screen(wide_console())
        self._clock = Clock()
        with self.view, self._clock.stage("prepare"):
            self.prepared = prepare(_space_file(space, study), _options(options), self.view.say, self.view.progress)
        oracle = ORACLES[self.prepared.study.oracle](self.prepared.hyperparameters, self.prepared.study.seed)
        with tempfile.TemporaryDirectory() as folder:  # Keras Tuner looks for files of its own; there are none
            super().__init__(oracle=oracle, directory=folder, project_name="search")

    def search(self, *_args: Any, **_kwargs: Any) -> None:
        """Run the search, or go on with it: every trial across all folds, as far as it is worth it.

        Raises KeyboardInterrupt when interrupted: nothing but the runs in flight is lost.
        """
        self._clock.skip()
        with Session(self.prepared, self.view, self._clock) as session:
            self.oracle = session.oracle
            session.run()

    def score_on_holdout(self, trial_id: str, executor: Executor | None = None) -> Look | None:
        """Return the hold-out's look at a trial, taken now unless there was one; None where nothing is held out.

        Raises UserError where it comes to nothing; the next call tries again.
        """
        look = self.record.history.look_at(trial_id)
        if look or not self.record.rules.holdout:
            return look
        self._clock.skip()
        with Session(self.prepared, self.view, self._clock, look=trial_id) as session:
            session.look(executor or session.executor())
        return session.history.look_at(trial_id)

    @property
    def record(self) -> Record:
        """The search as its folder tells it. Raises UserError before the first ``search``."""
        return read_record(self.prepared.folder)

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """Return the hyperparameters of the best complete trials, best first; baselines have none."""
        best = ranked(self.record.history.proposed)[:num_trials]
        return [at_values(self.prepared.hyperparameters, trial.values) for trial in best]

    def get_best_models(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise UserError: a search keeps predictions, not networks."""
        command = f"python -m search export {shlex.quote(str(self.prepared.folder))} --to FOLDER"
        raise UserError(f"A search keeps predictions, not networks; train the recommended one with: {command}")

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best trials with their intervals, and the winner's recipe."""
        summary(self.record, wide_console(), num_trials)


def _space_file(space: str | Path | Space, study: Study | None) -> SpaceFile:
    if isinstance(space, str | Path):
        file = read_space(Path(space))
        return dataclasses.replace(file, study=study) if study else file
    if study is None:
        raise UserError("KFoldTuner(space) with a function needs a study as well: KFoldTuner(space, Study(data=…)).")
    try:
        text = textwrap.dedent(inspect.getsource(space))
    except (OSError, TypeError):
        raise UserError("The source of the space function cannot be found. Put it into a space file.") from None
    return SpaceFile(study, space, text, Path(f"{space.__name__}.py"), on_disk=False)


def _options(options: dict[str, Any]) -> Options:
    known = [field.name for field in dataclasses.fields(Options)]
    for name in options:
        if name not in known:
            raise UserError(f"KFoldTuner has no option {name!r}. Options are: {', '.join(known)}.")
    return Options(**options)
