"""``watch``: follow a search from another terminal."""

import click

from search.cli.options import RESULTS, echo, folder_by_name


@click.command()
@click.argument("name")
@RESULTS
def watch(name: str, results: str) -> None:
    """Show the search NAME live, from any terminal. Ctrl-C ends the watching, never the search."""
    from search.monitor.console import wide_console
    from search.monitor.watch import watch as follow

    try:
        follow(folder_by_name(name, results), wide_console())
    except KeyboardInterrupt:
        echo("\nNo longer watching; the search is as it was.")
