"""The winner's out-of-fold predictions; a file of CSV, shown nowhere."""

from collections.abc import Iterable

from search.analysis.judgement import Judgement
from search.analysis.predictions import read_runs
from search.report.exhibit import Exhibit, Row, Sheet, number, string, trial


def _probabilities(judgement: Judgement) -> list[str]:
    return [f"p({name})" for name in judgement.classes]


COLUMNS = (
    trial(),
    string("fold", 'The fold, or "holdout".'),
    string("id"),
    string("label"),
    string("predicted"),
    number(r"^p\(.*\)$", "The probability of a class.", keys=_probabilities, pattern=True),
)


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield each (fold, image) but for those whose files are missing or changed.

    Those on the hold-out, if it was scored, come last, as fold "holdout".
    """
    winner, record = judgement.winner, judgement.record
    if winner is None:
        return
    classes, keys = judgement.classes, _probabilities(judgement)
    look = record.history.look_at(winner.id)
    runs = [winner.runs[fold.id] for fold in judgement.rules.folds]
    for fold, arrays in read_runs(record.folder, [*runs, *([look.run] if look else [])]).items():
        images = zip(arrays["ids"], arrays["labels"], arrays["probabilities"], strict=True)
        for id_, label, probabilities in images:
            yield {
                "trial": winner.id,
                "fold": fold,
                "id": id_,
                "label": classes[label],
                "predicted": classes[int(probabilities.argmax())],
                **dict(zip(keys, probabilities.round(5), strict=True)),
            }


EXHIBIT = Exhibit(
    "predictions",
    Sheet(
        "predictions",
        "One row for each (fold, image): its class, the predicted class, the probability of each class.",
        COLUMNS,
        rows,
        in_json=False,
    ),
)
