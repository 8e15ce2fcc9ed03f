"""``report``: write the report of a search, and print what matters most of it."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from search.cli.options import RESULTS, TENSORBOARD, echo, folder_by_name
from search.report.trackers.table import TRACKERS
from search.system.commands import board_command, command_of
from search.system.errors import UserError, in_words


def of_the_trackers(command: Callable[..., None]) -> Callable[..., None]:
    """Return the verb with an option for each tracker."""
    for row in reversed(TRACKERS.values()):
        command = click.option(f"--{row.name}", metavar=row.metavar, help=row.help)(command)
    return command


@click.command()
@click.argument("name")
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), help="Where it is written. [default: report/]")
@RESULTS
@TENSORBOARD
@of_the_trackers
def report(name: str, to: Path | None, results: str, tensorboard: bool, **targets: str | None) -> None:
    """Print the best trials of the search NAME and write its report."""
    folder = folder_by_name(name, results)
    if tensorboard:
        _write_board(folder)
    problem = print_report(folder, to)
    if problem and (to is not None or os.access(folder, os.W_OK)):
        raise UserError(problem)
    if problem:  # results of somebody else can be read all the same
        echo(f"Warning: {problem}", err=True)
    for tracker, target in targets.items():
        if target is not None:
            from search.record import read_record

            echo(TRACKERS[tracker].write(read_record(folder), target))


def print_report(folder: Path, to: Path | None = None) -> str:
    """Write the report of the search in ``folder``, and print its summary, its answer and where the report lies.

    ``to`` is as for ``write_report``. Returns why the report could not be written, "" where it was: what is known
    of the search is printed all the same.
    """
    from search.report.drawing import preload

    preload()  # while we read
    from search.monitor.console import closing, summary, wide_console
    from search.record import read_record
    from search.report.write import PAGE, Report, document_of, write_report
    from search.system.machine import no_garbage_collection

    console = wide_console()
    record = read_record(folder)
    written: Report | None = None
    problem = ""
    try:
        with no_garbage_collection():
            written = write_report(record, to=to)  # first: what is printed may be cut off
    except OSError as error:
        place = error.filename or to or folder / "report"
        again = command_of(folder, "report", to=f"{folder.name}-report")
        problem = f"The report could not be written. {in_words(error, str(place))} Or write it elsewhere: {again}"
    summary(record, console)
    closing(written.document if written else document_of(record), console)
    if written is not None:
        for line in (
            f"Report: {written.paths[PAGE]}",
            "        beside it report.md, report.json, and every table as CSV",
        ):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        if written.problem:
            console.print(f"Warning: {written.problem}", style="bold yellow", highlight=False, markup=False)
    return problem


def _write_board(folder: Path) -> None:
    from search.monitor.tensorboard import Board
    from search.record import read_record

    record = read_record(folder)
    board = Board(folder)
    lost_files = board.update(record)
    if lost_files:
        echo(f"Missing or changed, so not shown: {', '.join(lost_files)}.", err=True)
    echo(f"TensorBoard: {board_command(board.folder)}")
