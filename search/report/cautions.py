"""What a reader must know before any number: what is missing, what is odd, and where synthetic images come from."""

from collections.abc import Iterable

from search.analysis.chance import collapsed
from search.analysis.judgement import Judgement
from search.analysis.shortfalls import shortfalls, total
from search.data.finding import WARNING, in_a_line
from search.journal.history import Trial
from search.journal.outcomes import Run
from search.record import Record
from search.report.words import amount, called
from search.system.commands import command_of

NAMED = 5
FILES = 3


def cautions(judgement: Judgement) -> list[str]:
    """Return what a reader must know before any number: what is missing, and what is odd."""
    return [*_missing(judgement), *warnings(judgement.record), *_chosen_epochs(judgement)]


def _chosen_epochs(judgement: Judgement) -> list[str]:
    trials = [trial for trial in judgement.complete if trial.epoch is not None]
    if not trials:
        return []
    scores = "The score of one recipe is" if len(trials) == 1 else f"The scores of {len(trials)} recipes are"
    line = f"{scores} of the epoch that was best on these folds, which flatters a little. What the winner promises is "
    return [f"{line}lowered for that; comparisons between recipes are not."]


def _missing(judgement: Judgement) -> list[str]:
    evidence = judgement.evidence
    if judgement.winner is not None and evidence is None:
        return ["All stored predictions are missing or changed, so the report leaves out what needs them."]
    if evidence is not None and evidence.lost_files:
        more = f" and {len(evidence.lost_files) - FILES} more" if len(evidence.lost_files) > FILES else ""
        names = ", ".join(evidence.lost_files[:FILES])
        line = "Files of predictions are missing or changed, so the correction and the images leave out their trials"
        return [f"{line}: {names}{more}."]
    return []


def warnings(record: Record) -> list[str]:
    """Return what a reader of the scores must know of the data and of synthetic images, in sentences."""
    unsourced = record.about.synthetic_unsourced
    lines = [f"Data, {in_a_line(finding)}." for finding in record.about.findings or [] if finding["level"] == WARNING]
    if unsourced:
        images = "image" if unsourced == 1 else "images"
        lines.append(
            f"Scores may be flattered by {unsourced} synthetic {images} of unknown origin (trust_unsourced): the "
            "images that they were made from may be among those that validate."
        )
    if record.history.left_out:
        lines.append(_left_out(record))
    return [*lines, *_inexact(record.history.trials.values()), *_shortage(record.history.trials.values())]


def _inexact(trials: Iterable[Trial]) -> list[str]:
    """Return that some runs repeat only nearly, and why, in a sentence; nothing where all repeat to the last bit."""
    inexact = [trial for trial in trials if trial.inexact]
    if not inexact:
        return []
    reason = inexact[0].inexact.rstrip(".")
    return [f"Trained again, {_names(inexact)} would give nearly the same, not the very same. Why: {reason}."]


def _left_out(record: Record) -> str:
    """Return how many trials were not begun for want of time, and what goes on with them."""
    left_out, hours = record.history.left_out, record.history.sessions[-1].hours
    were = "trial was" if left_out == 1 else "trials were"
    again = command_of(record.folder, "resume", hours=f"{hours:g}" if hours else None)
    return f"{left_out} {were} not begun for want of time, so this is not the whole search. To go on: {again}"


def at_chance(record: Record) -> list[str]:
    """Return which trials do no better than guessing, and the likely cause, a sentence for each cause."""
    counts = record.about.classes.values()
    by_cause: dict[str, list[Trial]] = {}
    for each in collapsed(record.history.trials.values(), record.rules, counts).values():
        by_cause.setdefault(each.cause, []).append(each.trial)
    lines = [f"No better than guessing: {_names(trials)}. Why: {cause}." for cause, trials in by_cause.items()]
    more = len(lines) - NAMED
    return [*lines[:NAMED], *([f"{amount(more, 'more trial')} did no better than guessing."] if more > 0 else [])]


def _names(trials: list[Trial]) -> str:
    more = f" and {len(trials) - NAMED} more" if len(trials) > NAMED else ""
    return f"{', '.join(map(called, trials[:NAMED]))}{more}"


def _shortage(trials: Iterable[Trial]) -> list[str]:
    runs = [(trial, run) for trial in trials for run in trial.runs.values() if total(run, "asked")]
    short = [(trial, run) for trial, run in runs if (total(run, "drawn") or 0) < (total(run, "asked") or 0)]
    if not short:
        return []
    demand = sum(total(run, "asked") or 0 for _, run in runs)
    supply = sum(total(run, "drawn") or 0 for _, run in runs)
    text = (
        f"{len(short)} of {amount(len(runs), 'run')} with synthetic images got fewer than asked for, because no more "
        f"were admissible: {supply} of {demand} in all{_worst(short)}. folds.csv has every run."
    )
    return [text]


def _worst(short: list[tuple[Trial, Run]]) -> str:
    """Return the worst case of each class, as far as the journal names classes."""
    worst: dict[str, tuple[float, str]] = {}
    for trial, run in short:
        for name, (supply, demand) in shortfalls(run).items():
            case = (supply / demand, f"{name}, {supply} of {demand} (trial {trial.id}, {run.fold})")
            worst[name] = min(worst.get(name, case), case)
    cases = [case for _, case in sorted(worst.values())]
    more = f" and {len(cases) - NAMED} more classes" if len(cases) > NAMED else ""
    return f"; at worst {'; '.join(cases[:NAMED])}{more}" if cases else ""
