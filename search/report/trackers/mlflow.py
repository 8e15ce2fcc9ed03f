"""A search in MLflow: a run for the search, and below it one for each trial."""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from search.report.trackers.tracker import Tracker, missing
from search.system.errors import UserError, first_line
from search.system.texts import visible

if TYPE_CHECKING:
    from search.analysis.judgement import Judgement
    from search.journal.history import Trial
    from search.record import Record

QUIETLY = {  # unless a person has set them
    "MLFLOW_DISABLE_TELEMETRY": "true",  # MLflow otherwise tells its makers how it is used
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # of which the default takes minutes where there is no server
}
IDENTITY, TRIAL, STATE = "search.identity", "search.trial", "search.state"  # tags, by which runs are known again
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"  # tags that MLflow knows
PAGE, METRICS, PARAMS = 1000, 1000, 100  # what a request may hold at most
LETTERS = 5000  # of a tag, and of a parameter
SQLITE, OWN = "sqlite:///", "experiments"  # how addresses of files begin, and a table that only MLflow makes
SECRET = re.compile(r"(?<=//)[^/@]*@")


def _write(record: "Record", target: str) -> str:
    """Write what the store at ``target`` does not have yet."""
    for name, value in QUIETLY.items():
        os.environ.setdefault(name, value)
    try:
        from alembic.util.exc import CommandError  # of a database with the tables of another program
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise missing(MLFLOW.name, "mlflow-skinny", error) from None
    from search.analysis.judgement import Judgement

    _check_store(target)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        written, there = _Runs(MlflowClient(tracking_uri=target), record).update(Judgement.of(record))
    except (MlflowException, SQLAlchemyError, CommandError, OSError, ImportError) as error:
        raise UserError(
            f"MLflow could not write to {visible(shown(target))}: {SECRET.sub('', first_line(error)).rstrip('.')}. "
            "Give a database, such as sqlite:///mlflow.db, or the address of a server, such as http://localhost:5000."
        ) from None
    return f"MLflow: experiment {record.name} in {shown(target)}, {written} runs written, {there} there already"


MLFLOW = Tracker(
    "mlflow",
    "URI",
    "Also write the search to MLflow, such as sqlite:///mlflow.db or http://localhost:5000: a run, with one for each "
    "trial below it. What is there already is not written twice.",
    _write,
)


def _check_store(target: str) -> None:
    """Raise UserError for an SQLite file of another program, which MLflow would otherwise put its own tables into."""
    path = Path(target.removeprefix(SQLITE))
    if not target.startswith(SQLITE) or not path.is_file() or not path.stat().st_size:
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as base:
            tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be read as a database of MLflow: {error}. Name a new file.") from None
    if tables and OWN not in tables:
        raise UserError(f"{path} is a database of another program, and stays as it is. Name a new file.")


def shown(target: str) -> str:
    """Return an address without the name and the password that it may have."""
    return SECRET.sub("", target)


class _Runs:
    """The runs of a search in a store of MLflow."""

    def __init__(self, client: Any, record: "Record") -> None:
        """Find them in the experiment of the search's name, which is made where there is none."""
        from search.report.trackers.told import identity_of

        self.client, self.record, self.identity = client, record, identity_of(record)
        self.experiment = self._experiment()
        self.known: dict[str, Any] = {}
        for run in self._own():
            self.known[run.data.tags.get(TRIAL, "")] = run

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.record.name)
        if found is None:
            return str(self.client.create_experiment(self.record.name))
        if found.lifecycle_stage != "active":
            raise UserError(
                f"The experiment {self.record.name} was deleted in MLflow, and is still in its bin. Restore it, or "
                "remove it for good with: mlflow gc"
            )
        return str(found.experiment_id)

    def _own(self) -> Iterator[Any]:
        token: str | None = ""
        while token is not None:
            query = f"tags.`{IDENTITY}` = '{self.identity}'"
            page = self.client.search_runs([self.experiment], query, max_results=PAGE, page_token=token or None)
            yield from page
            token = page.token or None

    def update(self, judgement: "Judgement") -> tuple[int, int]:
        """Write the run of the search and those of trials that changed; return how many runs were, and were not."""
        written = [self._write_search(judgement)]
        parent = self.known[""].info.run_id
        written += [self._write_trial(trial, parent) for trial in self.record.history.trials.values()]
        return sum(written), len(written) - sum(written)

    def _write_search(self, judgement: "Judgement") -> bool:
        """Write what is known of the search, unless its run says so already: one run, which grows with it."""
        from search.report.trackers.told import about
        from search.system.digests import digest

        record = self.record
        facts = about(judgement) | {"trials": len(record.history.trials)}
        state, run = digest(facts), self.known.get("")
        if run is not None and run.data.tags.get(STATE) == state:
            return False
        numbers = {name: value for name, value in facts.items() if isinstance(value, int | float)}
        texts = {f"search.{name}": str(value) for name, value in facts.items() if name not in numbers}
        if run is None:
            run = self._begin(record.name, record.history.sessions[0].at if record.history.sessions else None, {})
        self._log(
            run.info.run_id, texts | {NOTE: facts["note"]}, {}, [(name, value, 0) for name, value in numbers.items()]
        )
        if record.history.end_reason:
            self.client.set_terminated(run.info.run_id, "FINISHED")
        self.client.set_tag(run.info.run_id, STATE, state)
        self.known[""] = run
        return True

    def _write_trial(self, trial: "Trial", parent: str) -> bool:
        """Write a trial, unless its run says the same already; one that says something else is put into the bin."""
        from search.journal.outcomes import Status
        from search.repertoire.columns import briefs
        from search.report.trackers.told import facts_of, scores_of, steps_of, times_of
        from search.system.digests import digest

        facts, scores, steps = facts_of(self.record, trial), scores_of(self.record, trial), steps_of(self.record)
        state = digest([facts, scores])
        if (known := self.known.get(trial.id)) is not None:
            if known.data.tags.get(STATE) == state:
                return False
            self.client.delete_run(known.info.run_id)
        begin, end = times_of(self.record, trial)
        run = self._begin(trial.id, begin, {TRIAL: trial.id, PARENT: parent}).info.run_id
        metrics = [
            *((name, value, 0) for name, value in scores.items()),
            *(
                (f"fold_{name}", value, steps[run.fold])
                for run in trial.runs.values()
                if run.fold in steps
                for name, value in run.scores.items()
            ),
        ]
        texts = {f"search.{name}": str(value) for name, value in facts.items()}
        self._log(run, texts | {NOTE: _note(facts)}, briefs(trial.recipe), metrics, end)
        statuses = {Status.COMPLETED: "FINISHED", Status.FAILED: "FAILED", Status.OPEN: "RUNNING"}
        status = statuses.get(trial.status, "KILLED")
        if status != "RUNNING":
            self.client.set_terminated(run, status, end_time=int(1000 * end))
        self.client.set_tag(run, STATE, state)  # last: what lacks it is not whole
        return True

    def _begin(self, name: str, at: float | None, tags: Mapping[str, str]) -> Any:
        start = None if at is None else int(1000 * at)
        return self.client.create_run(self.experiment, start, {IDENTITY: self.identity, **tags}, name)

    def _log(
        self,
        run: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        metrics: Sequence[tuple[str, float, int]],
        at: float | None = None,
    ) -> None:
        import time

        from mlflow.entities import Metric, Param, RunTag

        moment = int(1000 * (time.time() if at is None else at))
        every = [Metric(name, float(value), moment, step) for name, value, step in metrics]
        texts = [Param(name, str(value)[:LETTERS]) for name, value in params.items()]
        self.client.log_batch(run, tags=[RunTag(name, value[:LETTERS]) for name, value in tags.items()])
        for part in range(0, len(every), METRICS):
            self.client.log_batch(run, metrics=every[part : part + METRICS])
        for part in range(0, len(texts), PARAMS):
            self.client.log_batch(run, params=texts[part : part + PARAMS])


def _note(facts: Mapping[str, Any]) -> str:
    baseline = f'The baseline "{facts["baseline"]}": ' if "baseline" in facts else ""
    partial = " Its scores are partial: of the folds that it was trained on." if facts["status"] == "stopped" else ""
    reason = f" {facts['status'].capitalize()}: {facts['reason']}." if "reason" in facts else ""
    return f"{baseline}{facts['recipe']}.{reason}{partial}"
