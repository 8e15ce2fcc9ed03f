"""``resume``: go on with a search that has begun, from its own folder."""

from typing import Any

import click

from search.cli.options import (
    CACHE,
    CACHE_GB,
    CONFIRM,
    GPUS,
    HOURS,
    MOVED,
    RESULTS,
    ROOT,
    RUN_TIMEOUT,
    SLOTS,
    TENSORBOARD,
    folder_by_name,
    of_the_executor,
    shared,
)
from search.cli.run import run_search


@click.command()
@click.argument("name")
@RESULTS
@CACHE
@CACHE_GB
@click.option("--trials", type=click.IntRange(1), help="How many trials; more than before extends the search.")
@HOURS
@of_the_executor
@SLOTS
@RUN_TIMEOUT
@GPUS
@TENSORBOARD
@CONFIRM
@MOVED
@ROOT
def resume(name: str, results: str, trials: int | None, confirm: int | None, tensorboard: bool, **options: Any) -> None:
    """Go on with the search NAME from its own recorded space."""
    from search.record import read_record
    from search.reopening import reopening

    record = read_record(folder_by_name(name, results))
    typed = {"trials": trials, "confirm": confirm, "tensorboard": tensorboard, **shared(options)}
    space, reopened = reopening(record, typed=typed, trials=trials, confirm=confirm, tensorboard=tensorboard, **options)
    run_search(space, **reopened)
