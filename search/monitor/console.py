"""What a terminal shows of a search: the leaderboard, and the summary and the answer at the end."""

import math
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from search.analysis.ledger import (
    at_size,
    in_order,
    interval,
    marks,
    on_holdout,
    range_of_marks,
)
from search.journal.history import History, Trial
from search.journal.outcomes import Status
from search.racing import Rules, ranked, score
from search.record import Record
from search.repertoire.columns import texts, varied
from search.report.cautions import at_chance, warnings
from search.report.document import Document
from search.report.words import amount, between, objective
from search.system.texts import visible_lines

ROWS = 10  # of the leaderboard
WIDTH_OF_FILES = 140
ROOM_FOR_SIZES = 64
FEWEST_TO_SHARE = 3  # trials, from which on what all recipes share is said once
STYLES = {
    Status.COMPLETED: "",
    Status.STOPPED: "dim",
    Status.FAILED: "red",
    Status.DUPLICATE: "dim",
    Status.OPEN: "cyan",
}


class HarmlessConsole(Console):
    """A console that shows no control character of a text; its own ones, for colours and the cursor, stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, with escapes in place of what a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)


def wide_console(*, stderr: bool = False) -> Console:
    """Return the console of standard output (or error); it is 140 characters wide where that is no terminal."""
    console = HarmlessConsole(stderr=stderr)
    return console if console.is_terminal else HarmlessConsole(stderr=stderr, width=WIDTH_OF_FILES)


def runs_done(history: History) -> int:
    """Return how many runs were trained."""
    return sum(len(trial.runs) for trial in history.trials.values())


def leaderboard(history: History, rules: Rules, rows: int, width: int) -> Table:
    """Return the best trials in about ``rows`` rows for a terminal of ``width`` characters.

    Trials under way always have a row; stopped ones have no score.
    """
    low, high = range_of_marks(history.trials.values(), rules)
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    sizes = list(reversed(rules.fractions)) if width >= ROOM_FOR_SIZES else []  # a number must not be cut short
    widths = {"#": 3, "trial": 5, "score": 7, "95 %": 9} | {"acc" if q == 1 else f"@{q:g}": 5 for q in sizes}
    for name, least in widths.items():
        table.add_column(name, justify="right", no_wrap=True, min_width=least)
    scale = f" {low:.2f}–{high:.2f}" if width >= ROOM_FOR_SIZES else ""
    table.add_column(f"folds{scale}", no_wrap=True, min_width=len(rules.folds) + len(rules.fractions) - 1)
    recipes, common = _distinct_parts(history.trials.values())
    table.add_column(f"recipe ({common})" if common else "recipe", overflow="fold", ratio=1)
    trials = in_order(history.trials.values())
    under_way = [trial for trial in trials if trial.status is Status.OPEN]
    rest = [trial for trial in trials if trial.status not in {Status.OPEN, Status.DUPLICATE}]
    places = {trial.id: str(place) for place, trial in enumerate(ranked(trials), start=1)}
    for trial in rest[: max(1, rows - len(under_way))] + under_way:
        table.add_row(
            places.get(trial.id, ""),
            trial.id,
            *_score_cells(trial, rules, sizes),
            marks(trial, rules, low, high),
            escape(recipes[trial.id]),
            style=STYLES[trial.status],
        )
    return table


def _distinct_parts(trials: Iterable[Trial]) -> tuple[dict[str, str], str]:
    """Return the words of each trial's recipe that not all recipes share, and the words that they share."""
    every = list(trials)
    fields = varied(trial.recipe for trial in every)
    parts = {trial.id: trial.recipe.summary(fields).split(", ") for trial in every}
    common = [part for part in next(iter(parts.values()), []) if all(part in own for own in parts.values())]
    if len(parts) < FEWEST_TO_SHARE:
        common = []
    distinct = {name: ", ".join(part for part in own if part not in common) for name, own in parts.items()}
    distinct |= {trial.id: f"{trial.baseline}: {distinct[trial.id]}" for trial in every if trial.baseline}
    return distinct, ", ".join(common)


def _score_cells(trial: Trial, rules: Rules, sizes: list[float]) -> list[str]:
    accuracies = [at_size(trial, rules, q, "accuracy") for q in sizes]
    at_sizes = ["" if math.isnan(accuracy) else f"{accuracy:.3f}" for accuracy in accuracies]
    if trial.status is not Status.COMPLETED:
        return ["running" if trial.status is Status.OPEN else trial.status, "", *at_sizes]
    limits = interval(trial, rules)
    ends = between(limits.low, limits.high, 2).replace(" to ", "–") if limits.known else "none"
    return [f"{score(trial):.3f}", ends, *at_sizes]


def summary(record: Record, console: Console, rows: int = ROWS) -> None:
    """Print the end of a search: the best trials with their intervals, the winner's recipe, the ledger."""
    best = ranked(record.history.trials.values())
    counts = {name: len(record.history.with_status(name)) for name in Status if name is not Status.OPEN}
    counts_in_words = ", ".join(
        f"{number} {name}" for name, number in counts.items() if number or name is Status.COMPLETED
    )
    console.print()
    console.print(leaderboard(record.history, record.rules, rows, console.width))
    console.print(
        f"\nThe score is the mean of {objective(record.rules.objective)} over folds and training sizes. "
        f"{_of_intervals(record.rules)}",
        style="dim",
        highlight=False,
    )
    ending = f" Ended: {record.history.end_reason}." if record.history.end_reason else ""
    console.print(f"Trials: {counts_in_words}. Runs trained: {runs_done(record.history)}.{ending}", highlight=False)
    for warning in [*warnings(record), *at_chance(record)]:
        console.print(warning, style="bold yellow", highlight=False, markup=False)
    if not best:
        console.print("No trial was completed, so there is no winner.", style="bold red")
        return
    if not record.history.end_reason:
        console.print(
            f"This search is not finished: so far {amount(len(best), 'trial')} trained in full. The same command "
            "goes on.",
            style="bold yellow",
            highlight=False,
        )
    console.print(f"{'Winner' if record.history.end_reason else 'Best so far'}: trial {best[0].id}", style="bold")
    if sentence := on_holdout(record):
        console.print(f"Hold-out: {sentence}", highlight=False, markup=False)
    for name, words in texts(best[0].recipe, digits=4).items():
        console.print(f"  {name} = {words}", highlight=False, markup=False)


def closing(document: Document, console: Console) -> None:
    """Print the answer of a report in sentences, and the command that exports the recommended recipe."""
    console.print()
    for sentence in document.answer:
        console.print(sentence, highlight=False, markup=False)
    if document.command:
        console.print(f"Take it away: {document.command}", highlight=False, markup=False, soft_wrap=True)


def _of_intervals(rules: Rules) -> str:
    if len(rules.splits) < 2:
        return "There is no interval: one split does not show how much splits differ. Use more folds."
    return (
        "The 95 % interval is that of each trial alone (Nadeau & Bengio): it is not corrected for having picked the "
        "best."
    )
