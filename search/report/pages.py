"""The files of a report: Markdown to read, CSV and JSON for other tools, all from the same tables."""

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from search.clock import rounded
from search.files import write_text
from search.folder import Record
from search.journal import Run, add_stages
from search.racing import Rules, ranked
from search.report.caveats import warnings
from search.report.leaderboard import (
    at_size,
    interval,
    ledger,
    on_holdout,
    runs_table,
    seen_before,
    trials_table,
)

SCHEMA = 1
TOP = 20


def write_report(record: Record) -> list[Path]:
    """Write report.md, trials.csv, folds.csv, predictions.csv and report.json; return their paths."""
    folder = record.folder / "report"
    folder.mkdir(exist_ok=True)
    trials = trials_table(record)
    predictions, lost = predictions_table(record)
    texts = {
        "report.md": markdown(record, trials, lost),
        "trials.csv": trials.to_csv(index=False),
        "folds.csv": runs_table(record).to_csv(index=False),
        "predictions.csv": predictions.to_csv(index=False),
        "report.json": json.dumps(as_json(record, trials), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def as_json(record: Record, trials: pd.DataFrame) -> dict[str, Any]:
    """Return the report as JSON types; numbers that do not exist are null."""
    best = ranked(record.history.trials.values())
    return {
        "schema": SCHEMA,
        "name": record.name,
        "objective": record.rules.objective,
        "ended": record.history.ended,
        "ledger": ledger(record),
        "warnings": warnings(record),
        "winner": {"trial": best[0].id, "recipe": best[0].recipe.to_dict()} if best else None,
        "holdout": _looks(record),
        "trials": [_finite(row) for row in trials.to_dict("records")],
        "runs": [_finite(row) for row in runs_table(record).to_dict("records")],
        "study": record.about,
        "sessions": record.history.sessions,
        "profile": profile(record),
    }


def profile(record: Record) -> dict[str, Any]:
    """Return where the seconds went: of the driver by stage, and of workers by kind of trial and stage.

    "beside" is what workers did for no trial: helping with the views of another's job, jobs given up
    or failed, the hold-out. A driver that is killed cannot say; ``sessions`` counts those that did, of all.
    """
    history = record.history
    driver: dict[str, float] = {}
    workers: dict[str, dict[str, float]] = {"heads": {}, "unfrozen": {}, "beside": dict(history.beside)}
    for stages in history.driver:
        add_stages(driver, stages)
    for trial in history.trials.values():
        add_stages(workers["heads" if trial.recipe.head_only else "unfrozen"], trial.stages)
    told = f"{len(history.driver)} of {len(history.sessions)}"
    return {
        "sessions": told,
        "driver": rounded(driver),
        "workers": {kind: rounded(spent) for kind, spent in workers.items()},
    }


def _looks(record: Record) -> dict[str, Any] | None:
    """Return every look at the hold-out, None where nothing is held out."""
    if not record.rules.holdout:
        return None
    looks = [{"trial": look.trial, "scores": look.run.scores} for look in record.history.holdouts]
    seen = seen_before(record.history)
    return {"images": record.about["holdout"], "looks": looks, "blind": not seen, "note": seen or None}


def _finite(row: dict[Any, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if value is None or value is pd.NA:
            return None
        value = value.item() if isinstance(value, np.generic) else value
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {str(key): plain(value) for key, value in row.items()}


def predictions_table(record: Record) -> tuple[pd.DataFrame, list[str]]:
    """Return the winner's out-of-fold predictions, and the files that are missing or damaged.

    One row for each (fold, image): its id, its class, the predicted class, the probability of
    each class. Those on the hold-out, if it was scored, come last, as fold "holdout".
    """
    best = ranked(record.history.trials.values())
    classes = list(record.about["classes"])
    empty = pd.DataFrame(columns=["trial", "fold", "id", "label", "predicted", *(f"p({name})" for name in classes)])
    if not best:
        return empty, []
    look = record.history.look_at(best[0].id)
    parts, lost = [], []
    for run in [*(best[0].runs[fold.id] for fold in record.rules.folds), *([look.run] if look else [])]:
        arrays = read_run(record.folder, run)
        if arrays is None:
            lost.append(run.file)
            continue
        labels, probabilities = arrays["labels"], arrays["probabilities"]
        part = pd.DataFrame(probabilities.round(5), columns=[f"p({name})" for name in classes])
        part.insert(0, "predicted", [classes[label] for label in probabilities.argmax(axis=1)])
        part.insert(0, "label", [classes[label] for label in labels])
        part.insert(0, "id", arrays["ids"])
        part.insert(0, "fold", run.fold)
        part.insert(0, "trial", best[0].id)
        parts.append(part)
    return (pd.concat(parts, ignore_index=True) if parts else empty), sorted(set(lost))


def read_run(folder: Path, run: Run) -> dict[str, np.ndarray] | None:
    """Return the stored arrays of a run (ids, labels, probabilities, curve), None if the file is gone or changed."""
    try:
        data = (folder / run.file).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != run.sha256:
        return None
    with np.load(folder / run.file, allow_pickle=False) as stored:
        prefix = f"{run.fold}/"
        return {name.removeprefix(prefix): stored[name] for name in stored.files if name.startswith(prefix)}


def markdown(record: Record, trials: pd.DataFrame, lost: list[str]) -> str:
    """Return the report as Markdown."""
    parts = [f"# {record.name}", _answer(record)]
    parts += [f"**Warning:** {_inert(warning)}" for warning in warnings(record)]
    parts += ["## Best trials", _best_table(record, trials)]
    parts += ["## What happened", _ledger(record), "## What may be concluded", _limits(record)]
    if lost:
        parts.append(f"Missing or changed, so left out of predictions.csv: {', '.join(lost)}.")
    return "\n\n".join(parts) + "\n"


def _answer(record: Record) -> str:
    best = ranked(record.history.trials.values())
    if not best:
        return "No trial was completed, so there is no winner."
    winner, rules = best[0], record.rules
    limits = interval(winner, rules)
    sizes = "; ".join(
        f"{at_size(winner, rules, q, 'accuracy'):.3f} with {'all' if q == 1 else f'{q:.0%}'} of each training part"
        for q in reversed(rules.fractions)
    )
    recipe = "\n".join(f"    {name} = {value}" for name, value in winner.recipe.to_dict().items())
    unfinished = "" if record.history.ended else "**This search is not finished.** "
    trials = "complete trials" if len(best) > 1 else "complete trial"
    between = f"95 % interval {limits.low:.3f} to {limits.high:.3f}" if limits.known else "no interval"
    said = on_holdout(record)
    held = f"\n\nHold-out: {said}." if said else ""
    return (
        f"{unfinished}The best of {len(best)} {trials} is **{winner.id}** ({_inert(winner.recipe.summary())}). "
        f"Its score, the mean {rules.objective} over training sizes, is {limits.mean:.3f} ({between}); its accuracy "
        f"is {sizes}.{held}\n\n{recipe}"
    )


def _inert(text: str) -> str:
    """Return text that may hold names of classes, which must not act as Markdown or HTML."""
    return re.sub(r"([\\`|<>\[\]])", r"\\\1", " ".join(text.split()))


def _best_table(record: Record, trials: pd.DataFrame) -> str:
    if trials.empty:
        return "There are none yet."
    sizes = [column for column in trials.columns if column.startswith("accuracy@")]
    head = ["rank", "trial", "status", "score", "95 % interval", *sizes, "runs", "seconds", "recipe"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in trials.head(TOP).to_dict("records"):
        complete = row["status"] == "completed"
        cells = [
            str(row["rank"]) if complete else "",
            row["trial"],
            row["status"],
            f"{row['score']:.3f}" if complete else "",
            _between(row) if complete else "",
            *("" if math.isnan(row[size]) else f"{row[size]:.3f}" for size in sizes),
            str(row["runs"]),
            f"{row['seconds']:.1f}",
            _inert(record.history.trials[row["trial"]].recipe.summary()),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    more = len(trials) - TOP
    return "\n".join(lines) + (f"\n\n{more} more are in trials.csv." if more > 0 else "")


def _between(row: dict[Any, Any]) -> str:
    return "no interval" if math.isnan(row["score_low"]) else f"{row['score_low']:.3f} to {row['score_high']:.3f}"


def _ledger(record: Record) -> str:
    counts = ledger(record)
    images = record.about["images"]
    classes = ", ".join(f"`{name}` {count}" for name, count in record.about["classes"].items())
    left_out = "".join(f"\n- left out: `{id_}` ({reason})" for id_, reason in record.about["unreadable"])
    listed = "\n".join(f"- {name.replace('_', ' ')}: {value:g}" for name, value in counts.items())
    study = ", ".join(f"{name} {value}" for name, value in record.about["identity"]["study"].items())
    backbones = ", ".join(record.about["weights"])
    return (
        f"{images} images of `{record.about['data']}` ({classes}).{_held(record)}{left_out}\n\n"
        f"Study: {study}. Backbones at hand: {backbones}. Synthetic images: {record.about['synthetic'] or 'none'}.\n\n"
        f"{listed}\n- search ended: {record.history.ended or 'not yet'}"
    )


def _held(record: Record) -> str:
    if not record.rules.holdout:
        return ""
    beside = record.about.get("beside_holdout", 0)
    left = f", and {beside} are in neither, as they share a group with one of those" if beside else ""
    return f" The folds use {record.rules.images}; {record.about['holdout']} are held out{left}."


def _limits(record: Record) -> str:
    rules = record.rules
    part = f"{1 - 1 / rules.parts:.0%}"
    outside = " outside the hold-out" if rules.holdout else ""
    said = [
        f"Scores describe models trained on {part} of the images{outside} or less, not a model refitted on all.",
        _of_intervals(rules),
    ]
    if rules.holdout:
        seen = seen_before(record.history)
        said.append(
            "The hold-out is scored once, at the end, for the winner, by a model trained on all images of the folds; "
            f"that score is not flattered by the choice{f', but it was {seen}' if seen else ''}."
        )
    said.append(
        "Stopped trials are unproven, not inferior: they were predicted to stay behind. Failed and duplicate trials "
        "are counted and never ranked."
    )
    return "\n".join(f"- {text}" for text in said)


def _of_intervals(rules: Rules) -> str:
    flattery = "The best trial's score is also flattered by having been picked"
    if len(rules.splits) < 2:
        return f"There are no intervals: one split says nothing of how much splits differ; use more folds. {flattery}."
    return (
        "The interval of each trial allows for folds that share training images (Nadeau & Bengio 2003). "
        f"{flattery}, which it does not allow for."
    )
