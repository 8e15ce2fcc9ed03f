"""What a reader of the scores must know: oddities of the data, and what synthetic images trained, of what origin."""

from collections.abc import Iterable, Mapping

from search.data.finding import WARNING, in_a_line
from search.events import Run
from search.journal import Trial
from search.record import Record

NAMED = 5


def total(run: Run, what: str) -> int | None:
    """Return how many images were asked, admissible or drawn in a run; None where an old journal does not say."""
    counted = run.synthetic.get(what, None if run.synthetic else 0)
    return sum(counted.values()) if isinstance(counted, Mapping) else counted


def shortfalls(run: Run) -> dict[str, tuple[int, int]]:
    """Return (drawn, asked) of each class of which fewer were drawn than asked; old journals do not name classes."""
    asked, drawn = run.synthetic.get("asked", {}), run.synthetic.get("drawn", {})
    if not isinstance(asked, Mapping) or not isinstance(drawn, Mapping):
        return {}
    return {name: (drawn.get(name, 0), number) for name, number in asked.items() if drawn.get(name, 0) < number}


def columns(run: Run) -> dict[str, int | str | None]:
    """Return what a table says of a run; ``synthetic_short`` as in "cat: 3 of 8; dog: 0 of 8"."""
    short = "; ".join(f"{name}: {drawn} of {asked}" for name, (drawn, asked) in shortfalls(run).items())
    return {
        **{f"synthetic_{what}": total(run, what) for what in ("asked", "admissible", "drawn")},
        "synthetic_short": short,
    }


def warnings(record: Record) -> list[str]:
    """Return what a reader of the scores must know of the data and of synthetic images, in sentences."""
    unsourced = record.about.synthetic_unsourced
    said = [f"Data, {in_a_line(finding)}." for finding in record.about.findings or [] if finding["level"] == WARNING]
    if unsourced:
        images = "image" if unsourced == 1 else "images"
        said.append(
            f"Scores may be flattered by {unsourced} synthetic {images} of unknown origin (trust_unsourced): what they "
            "were made from may be among the images that validate."
        )
    return said + _shortage(record.history.trials.values())


def _shortage(trials: Iterable[Trial]) -> list[str]:
    runs = [(trial, run) for trial in trials for run in trial.runs.values() if total(run, "asked")]
    short = [(trial, run) for trial, run in runs if (total(run, "drawn") or 0) < (total(run, "asked") or 0)]
    if not short:
        return []
    asked = sum(total(run, "asked") or 0 for _, run in runs)
    drawn = sum(total(run, "drawn") or 0 for _, run in runs)
    text = (
        f"In {len(short)} of {len(runs)} runs with synthetic images fewer were admissible than asked for: {drawn} were "
        f"drawn where {asked} were asked for in all{_worst(short)}. folds.csv says where."
    )
    return [text]


def _worst(short: list[tuple[Trial, Run]]) -> str:
    """Return the worst case of each class, as far as the journal names classes."""
    worst: dict[str, tuple[float, str]] = {}
    for trial, run in short:
        for name, (drawn, asked) in shortfalls(run).items():
            case = (drawn / asked, f"{name}: {drawn} of {asked} (trial {trial.id}, {run.fold})")
            worst[name] = min(worst.get(name, case), case)
    cases = [words for _, words in sorted(worst.values())]
    more = f" and {len(cases) - NAMED} more classes" if len(cases) > NAMED else ""
    return f"; at worst {', '.join(cases[:NAMED])}{more}" if cases else ""
