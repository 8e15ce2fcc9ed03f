"""``compare``: two trials side by side, in tables and sentences, or as JSON."""

import click

from search.cli.options import RESULTS, folder_by_name
from search.system.texts import json_text


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
    from search.analysis.comparison import compare as compare_trials
    from search.monitor.console import wide_console
    from search.report import comparison

    pair = compare_trials(folder_by_name(name, results), a, b)
    if as_json:
        click.echo(json_text(comparison.as_json(pair), indent=2))
    else:
        comparison.show(pair, wide_console())
