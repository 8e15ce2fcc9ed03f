"""``check``: what is odd about the data, what would be searched and what it would cost."""

import sys
from pathlib import Path
from typing import Any

import click

from search.cli.options import (
    BACKBONES,
    CACHE,
    DATA,
    FOLDS,
    GROUPS,
    HOLDOUT,
    OFFLINE,
    SEED,
    SPACE,
    SYNTHETIC,
    TRIALS,
    echo,
    of_the_data,
)
from search.system.errors import UserError
from search.system.texts import json_text


@click.command()
@SPACE
@DATA
@of_the_data
@GROUPS
@HOLDOUT
@FOLDS
@BACKBONES
@SYNTHETIC
@CACHE
@TRIALS
@SEED
@OFFLINE
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone; what is said goes to standard error.")
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a page with all findings.")
def check(space: Path, as_json: bool, html: Path | None, **options: Any) -> None:
    """Say what is odd about the data, what SPACE would search and what it would cost; search nothing."""
    from search.check import check as result_of
    from search.monitor.console import wide_console
    from search.monitor.screen import open_screen
    from search.options import Options
    from search.report.checks import show, write_page
    from search.space import read_space
    from search.system.places import check_page

    try:
        if html is not None:
            check_page(html)
        with open_screen(wide_console(stderr=as_json)) as screen:
            result = result_of(read_space(space), Options(**options), screen.say, screen.progress)
    except UserError as error:
        if as_json:
            click.echo(json_text({"error": str(error)}))
        raise
    if as_json:
        click.echo(json_text(result.to_dict(), indent=2))
    else:
        show(result, wide_console())
    if html is not None:
        write_page(html, result)
        echo(f"Page: {html}", err=as_json)
    if result.audit.errors:
        sys.exit(1)
