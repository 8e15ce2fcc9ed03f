"""``evaluate``: how an exported model does on labelled images, and whether its search promised that."""

import sys
from pathlib import Path
from typing import Any

import click

from search.cli.options import CACHE, echo, of_the_data
from search.system.texts import visible_lines


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data")
@of_the_data
@click.option(
    "--groups",
    metavar="HOW",
    help="What counts as one group for intervals: auto (copies), none, a column, folder1 (the first folder), or a "
    "pattern on file names. Copies are one group too, unless none+ stands before the last three.",
)
@click.option("--split", metavar="NAME", help="Only the images of this given split, such as test.")
@click.option(
    "--skip-unknown", is_flag=True, help="Leave out the images of classes that the model does not know, and count them."
)
@CACHE
@click.option("--json", "form", flag_value="json", help="Print JSON alone; what is said goes to standard error.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV alone, a row for each image.")
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a page, with each wrong image.")
def evaluate(
    model: Path, data: str, split: str | None, skip_unknown: bool, form: str | None, html: Path | None, **options: Any
) -> None:
    """Say how the exported model in the folder MODEL does on labelled images, and whether that was promised.

    DATA is what a search reads too: class folders, a CSV manifest or arrays (.npz). Images that trained the model, and
    near-duplicates of them, are told and left out.
    """
    from search.evaluation.evaluation import evaluate as evaluation_of
    from search.evaluation.forms import as_csv, as_json, show
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.options import Options
    from search.system.places import check_page

    if html is not None:
        check_page(html)
    choices = Options(data=data, **options)
    with open_screen(wide_console(stderr=form is not None)) as screen:
        evaluation = evaluation_of(model, choices, screen.say, screen.progress, split, skip_unknown=skip_unknown)
    if form is None:
        hint = "" if html else "--html FILE shows each with its picture; --csv lists all images."
        show(evaluation, wide_console(), hint)
    else:
        text = as_csv(evaluation) if form == "csv" else as_json(evaluation)
        click.echo(visible_lines(text) if sys.stdout.isatty() else text, nl=False)
    if html is not None:
        from search.evaluation.page import write_page

        problem = write_page(html, evaluation)
        echo(f"Page: {html}", err=form is not None)
        if problem:
            echo(f"Warning: {problem}", err=True)
