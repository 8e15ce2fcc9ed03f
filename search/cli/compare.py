"""``compare``: two trials side by side, in tables and sentences, or as JSON."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from search.cli.options import RESULTS, folder_by_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from search.analysis.comparison import Comparison
    from search.analysis.stats.intervals import Interval


@click.command()
@click.argument("name")
@click.argument("a")
@click.argument("b")
@RESULTS
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def compare(name: str, a: str, b: str, results: str, as_json: bool) -> None:
    """Say how trials A and B of the search NAME differ, by how much, and how sure that is.

    A and B are trials such as 0007, or best; OTHER/0007 and OTHER/best are of another search with the same data,
    folds and objective.
    """
    from search.analysis import comparison
    from search.monitor.console import wide_console

    pair = comparison.compare(folder_by_name(name, results), a, b)
    if as_json:
        click.echo(json.dumps(comparison.as_json(pair), indent=2, ensure_ascii=False))
    else:
        show(pair, wide_console())


def show(pair: "Comparison", console: "Console") -> None:
    """Print a comparison: both recipes, what differs in them, the scores, and what may be concluded."""
    from rich.text import Text

    from search.analysis.comparison import on_these_images, sentences

    names = [side.name for side in (pair.a, pair.b)]
    console.print(Text(f"a: {names[0]}: {pair.a.trial.recipe.summary()}"), soft_wrap=True)
    console.print(Text(f"b: {names[1]}: {pair.b.trial.recipe.summary()}"), soft_wrap=True)
    if pair.fields:
        console.print(_table(("recipe", *names), pair.fields))
    else:
        console.print(Text("The recipes are the same."))
    console.print(_table((pair.a.record.rules.objective, *names, "a − b"), _score_rows(pair)))
    console.print(Text(f"a − b by fold, in points: {_by_fold(pair)}"), soft_wrap=True)
    console.print(Text(on_these_images(pair), style="dim"), soft_wrap=True)
    first, *rest = sentences(pair)
    console.print(Text(first, style="bold"), soft_wrap=True)
    for line in rest:
        console.print(Text(line), soft_wrap=True)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _score_rows(pair: "Comparison") -> list[tuple[str, ...]]:
    limits = pair.difference
    between = f" ({limits.low:+.3f} to {limits.high:+.3f})" if math.isfinite(limits.low) else " (no interval)"
    rows = [("score", *(_with_limits(score) for score in pair.scores), f"{limits.mean:+.3f}{between}")]
    for fraction, (one, other) in pair.accuracy.items():
        size = "accuracy, whole training part" if fraction == 1 else f"accuracy, {fraction:.0%} of it"
        rows.append((size, f"{one:.3f}", f"{other:.3f}", f"{one - other:+.3f}"))
    return rows


def _with_limits(score: "Interval") -> str:
    return f"{score.mean:.3f} ({score.low:.3f} to {score.high:.3f})" if score.known else f"{score.mean:.3f}"


def _by_fold(pair: "Comparison") -> str:
    return ", ".join(f"{fold} {100 * value:+.1f}" for fold, value in pair.folds.items())
