"""Turn a finished search into a recording: what each trial scored and cost on each fold.

python tests/recordings/record.py results/hymenoptera-wide [more folders]
"""

import json
import sys
from pathlib import Path

from search.record import Record, read_record

HERE = Path(__file__).parent


def recording(record: Record) -> dict[str, object]:
    """Return the recording as JSON types. Every trial must be complete."""
    folds = record.rules.folds
    session = record.history.sessions[0]
    data, space = record.name.rsplit("-", 1)
    return {
        "about": f"{record.name}: a full search on {data}, every trial run on every fold; the README says how",
        "data": data,
        "images": record.rules.images,
        "classes": len(record.about.classes),
        "image_size": record.about.study["image_size"],
        "space": f"{space}.py",
        "seed": record.about.study["seed"],
        "threads": session.threads,
        "versions": session.versions,
        "objective": record.rules.objective,
        "folds": [{"id": fold.id, "split": fold.split, "fraction": fold.fraction} for fold in folds],
        "trials": [
            {
                "summary": trial.recipe.summary(),
                "scores": [round(trial.runs[fold.id].scores[record.rules.objective], 6) for fold in folds],
                "seconds": [round(trial.runs[fold.id].seconds, 3) for fold in folds],
                "recipe": trial.recipe.to_dict(),
            }
            for trial in record.history.with_status("completed")
        ],
    }


def text(told: dict[str, object]) -> str:
    """Return it as JSON, one line for each field, fold and trial."""
    lines = []
    for field, value in told.items():
        if isinstance(value, list):
            rows = ",\n  ".join(json.dumps(row) for row in value)
            lines.append(f'"{field}": [\n  {rows}\n]')
        else:
            lines.append(f'"{field}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        (HERE / f"{Path(folder).name}.json").write_text(text(recording(read_record(Path(folder)))))
