"""Every run that was trained, fold by fold; a file, shown nowhere."""

from collections.abc import Iterable

from search.analysis.judgement import Judgement
from search.analysis.shortfalls import columns
from search.report.exhibit import Column, Exhibit, Row, Sheet, number, string, trial

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")

COLUMNS = (
    trial(),
    string("fold", "f2, r1f2, f2@0.25."),
    number("fraction", "Part of the fold's training part.", nullable=False),
    *map(number, METRICS),
    number("seconds", nullable=False),
    Column("synthetic_asked", "integer", nullable=True),
    Column("synthetic_admissible", "integer", nullable=True, dtype="Int64"),
    Column("synthetic_drawn", "integer", nullable=True),
    string("synthetic_short", "Classes of which fewer were drawn than asked for."),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each run, in the order of trials and folds."""
    for one in judgement.record.history.trials.values():
        for fold in judgement.rules.folds:
            run = one.runs.get(fold.id)
            if run is not None:
                yield {
                    "trial": one.id,
                    "fold": fold.id,
                    "fraction": fold.fraction,
                    **{metric: run.scores.get(metric) for metric in METRICS},
                    "seconds": round(run.seconds, 3),
                    **columns(run),
                }


EXHIBIT = Exhibit("folds", Sheet("folds", "One row for each run, in the order of trials and folds.", COLUMNS, rows))
