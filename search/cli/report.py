"""``report``: write the report of a search, and print what matters most of it."""

import shlex
from pathlib import Path

import click

from search.cli.options import RESULTS, TENSORBOARD, folder_by_name


@click.command()
@click.argument("name")
@RESULTS
@TENSORBOARD
def report(name: str, results: str, tensorboard: bool) -> None:
    """Print the best trials of the search NAME and write its report."""
    folder = folder_by_name(name, results)
    if tensorboard:
        _write_board(folder)
    print_report(folder)


def print_report(folder: Path) -> None:
    """Write the report of the search in ``folder``, and print its summary, its answer and where the report lies."""
    from search.monitor.console import closing, summary, wide_console
    from search.record import read_record
    from search.report.write import PAGE, write_report

    console = wide_console()
    record = read_record(folder)
    written = write_report(record)  # first: what is printed may be cut off
    summary(record, console)
    closing(written.document, console)
    console.print(f"Report: {written.paths[PAGE]}", highlight=False, soft_wrap=True)
    console.print("        beside it report.md, report.json, and every table as CSV", highlight=False, soft_wrap=True)


def _write_board(folder: Path) -> None:
    from search.monitor.tensorboard import Board
    from search.record import read_record

    record = read_record(folder)
    board = Board(folder)
    lost_files = board.update(record)
    if lost_files:
        click.echo(f"Missing or changed, so not shown: {', '.join(lost_files)}.", err=True)
    click.echo(f"TensorBoard: tensorboard --logdir {shlex.quote(str(board.folder))}")
