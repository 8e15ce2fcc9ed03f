"""A search for TensorBoard: the curves of every run, and the HPARAMS tab, made from journal and run files alone.

    tensorboard --logdir results/NAME/tensorboard

One file for each curve and for each trial that has ended, under one fixed name, complete or not
there. So nothing is shown twice, and what an interruption left out is written later. As with
Keras, training and validation are two runs with the tags ``epoch_loss`` and ``epoch_accuracy``.
"""

import contextlib
import io
import math
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from search.analysis.ledger import at_size
from search.analysis.predictions import Arrays, read_runs
from search.journal.history import Trial
from search.journal.outcomes import Run, Status
from search.racing import score
from search.record import Record
from search.repertoire.columns import briefs
from search.system.errors import UserError
from search.system.files import TEMPORARY, is_real_file, is_real_folder, new_file

FOLDER = "tensorboard"
FILE = "events.out.tfevents.search"  # TensorBoard reads what has "tfevents" in its name, and nothing else
HALF = "half"  # names what is not whole yet
ABANDONED = 60.0  # seconds after which no living process still writes a file
TAGS = ("epoch_loss", "epoch_accuracy")
PARTS = {"values": f"{FILE}.1", "result": f"{FILE}.2"}
STATUSES = {Status.COMPLETED: "STATUS_SUCCESS", Status.FAILED: "STATUS_FAILURE"}  # stopped ones are neither, yet

Point = tuple[float, int, dict[str, float]]  # seconds since 1970, epoch, values by tag


def check_at_hand() -> None:
    """Raise UserError where TensorBoard cannot be loaded."""
    try:
        import tensorboard.compat.proto.event_pb2
        import tensorboard.plugins.hparams.plugin_data_pb2  # noqa: F401 whether all of it is there is the question
    except ImportError as error:
        raise UserError(
            f"--tensorboard needs the package tensorboard, which cannot be loaded ({error}). Install it with: "
            "pip install tensorboard (or the extra: pip install -e '.[tensorboard]')."
        ) from None


# DECISIONS: TensorBoard gets no experiment
class Board:
    """The folder of one search that TensorBoard reads; ``update`` brings it up to date."""

    def __init__(self, search: Path) -> None:
        """Write into ``tensorboard/`` in the folder of a search. Raises UserError where TensorBoard is missing."""
        check_at_hand()
        self.folder = search / FOLDER
        self._done: set[tuple[str, ...]] = set()
        halves = [path for path in self.folder.glob(f".{HALF}*") if is_real_folder(self.folder) and is_real_file(path)]
        for half in halves:
            with contextlib.suppress(FileNotFoundError):  # whoever writes it has just finished
                if re.fullmatch(rf"\.{HALF}{TEMPORARY}", half.name) and time.time() - half.stat().st_mtime > ABANDONED:
                    half.unlink()

    def update(self, record: Record) -> list[str]:
        """Write what is not there yet; return the run files that are missing or damaged."""
        lost_files: set[str] = set()
        for trial in record.history.trials.values():
            holdout_score = record.history.holdout_score(trial.id)
            runs = [
                *trial.runs.values(),
                *trial.confirmations.values(),
                *([holdout_score.run] if holdout_score else []),
            ]
            missing = [run for run in runs if not self._has(trial.id, run.fold, "train")]  # which is written last
            stored = read_runs(record.folder, missing) if missing else {}
            for run in missing:
                if run.fold in stored:
                    self._write_run(record.folder, trial.id, run, stored[run.fold])
                else:
                    lost_files.add(run.file)
            self._write_trial(record, trial)
        return sorted(lost_files)

    def _write_run(self, search: Path, trial: str, run: Run, arrays: Arrays) -> None:
        """Write the curves of a run."""
        end, curve = (search / run.file).stat().st_mtime, arrays["curve"]
        parts = {"train": np.column_stack([np.arange(1, len(curve) + 1), curve])}
        if "validation" in arrays:
            parts = {"validation": arrays["validation"], **parts}
        for name, rows in parts.items():
            points = [
                (end + run.seconds * (epoch / len(curve) - 1), int(epoch), dict(zip(TAGS, values, strict=True)))
                for epoch, *values in rows.tolist()
            ]
            self._put((trial, run.fold, name), _scalars(points))

    def _write_trial(self, record: Record, trial: Trial) -> None:
        """Write a trial that has ended for the HPARAMS tab: its values, and how it ended.

        A stopped one may be finished at the end of a search, so its end is not written before.
        """
        files = {record.folder / run.file for run in trial.runs.values()}
        values, result = ("hparams", trial.id, "values"), ("hparams", trial.id, "result")
        if trial.status not in {Status.OPEN, Status.DUPLICATE} and not self._has(*values):
            self._put(values, [_start_event(trial, _end_of(files) - trial.seconds)])
        if trial.status in STATUSES and not self._has(*result):
            sizes = {f"accuracy@{q:g}": at_size(trial, record.rules, q, "accuracy") for q in record.rules.fractions}
            metrics = {tag: value for tag, value in sizes.items() if not math.isnan(value)}
            if trial.status is Status.COMPLETED:
                metrics["score"] = score(trial)
            end = _end_of(files)
            self._put(result, [*_scalars([(end, 0, metrics)]), _end_event(trial, end)])

    def _has(self, *place: str) -> bool:
        """Return whether a file is there; an empty one was lost in a power cut."""
        if place not in self._done and (path := self._path(*place)).exists() and path.stat().st_size > 0:
            self._done.add(place)
        return place in self._done

    def _path(self, *place: str) -> Path:
        """Return the file of some curves, or of one of the two parts of a trial, which TensorBoard reads by name."""
        folder = self.folder.joinpath(*place)
        return folder.parent / PARTS[place[-1]] if place[-1] in PARTS else folder / FILE

    def _put(self, place: tuple[str, ...], events: Iterable[Any]) -> None:
        """Write a file of events in one step, under a name that TensorBoard passes over until it is whole."""
        from tensorboard.summary.writer.record_writer import RecordWriter

        path, buffer = self._path(*place), io.BytesIO()
        writer = RecordWriter(buffer)
        for event in [_event(0.0, file_version="brain.Event:2"), *events]:
            writer.write(event.SerializeToString())
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path, beside=self.folder / HALF) as file:
            file.write(buffer.getvalue())


def _end_of(files: Iterable[Path]) -> float:
    """Return when the last of these files was written, in seconds since 1970; now where there is none."""
    return max((file.stat().st_mtime for file in files if file.exists()), default=time.time())


def _event(at: float, **fields: Any) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=at, **fields)


def _scalars(points: Iterable[Point]) -> list[Any]:
    """Return the events of curves."""
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    return [
        _event(at, step=epoch, summary=scalar_pb(tag, value))
        for at, epoch, values in points
        for tag, value in values.items()
    ]


def _start_event(trial: Trial, at: float) -> Any:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    return _event(at, summary=hparams_pb(briefs(trial.recipe), trial_id=trial.id, start_time_secs=at))


def _end_event(trial: Trial, at: float) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    end = SessionEndInfo(status=getattr(api_pb2, STATUSES[trial.status]), end_time_secs=at)
    about = metadata.create_summary_metadata(HParamsPluginData(session_end_info=end))
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
    return _event(at, summary=Summary(value=[value]))
