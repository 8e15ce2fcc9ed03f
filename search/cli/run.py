"""``run``: search what a space file describes, or go on with it."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli.options import (
    BACKBONES,
    CACHE,
    CACHE_GB,
    CONFIRM,
    DATA,
    FOLDS,
    GPUS,
    GROUPS,
    HOLDOUT,
    HOURS,
    LAG,
    OFFLINE,
    PRECISION,
    RESULTS,
    RUN_TIMEOUT,
    SEED,
    SLOTS,
    SPACE,
    SYNTHETIC,
    TENSORBOARD,
    TRIALS,
    echo,
    of_the_data,
    of_the_executor,
)
from search.cli.report import print_report
from search.executors.table import DEFAULT, EXECUTORS
from search.study import ORACLES
from search.system.commands import command_of

if TYPE_CHECKING:
    from search.space import SpaceFile


@click.command()
@SPACE
@DATA
@of_the_data
@GROUPS
@HOLDOUT
@FOLDS
@BACKBONES
@SYNTHETIC
@click.option("--name", help="Name of the search; default <space>-<data folder>.")
@RESULTS
@CACHE
@CACHE_GB
@TRIALS
@HOURS
@click.option("--oracle", type=click.Choice(ORACLES), help="Who proposes the trials, instead of the study's.")
@SEED
@LAG
@of_the_executor
@SLOTS
@RUN_TIMEOUT
@GPUS
@PRECISION
@OFFLINE
@click.option(
    "--strict", is_flag=True, help="Refuse unreadable images and missing weights instead of leaving them out."
)
@click.option("--no-racing", is_flag=True, help="Train every trial on every fold, hopeless or not.")
@click.option("--no-baselines", is_flag=True, help="Leave out the recipes that need no search.")
@CONFIRM
@click.option("--fresh", is_flag=True, help="Begin anew; an old search of this name is moved aside.")
@TENSORBOARD
def run(space: Path, no_racing: bool, no_baselines: bool, confirm: int | None, **options: Any) -> None:
    """Run the search that the file SPACE describes, or resume it."""
    run_search(space, racing=not no_racing, baselines=not no_baselines, confirm=confirm or 0, **options)


def run_search(space: "Path | SpaceFile", **options: Any) -> None:
    """Run a search, or go on with it, and print its report; ``options`` are the fields of Options."""
    if options.get("tensorboard"):
        from search.monitor.tensorboard import check_at_hand

        check_at_hand()
    EXECUTORS[options.get("executor", DEFAULT)].preload()  # workers load TensorFlow while we do
    echo("Loading TensorFlow and Keras Tuner")
    from search.system.machine import no_garbage_collection

    with no_garbage_collection():
        from search.tuner import KFoldTuner
    gc.freeze()  # modules stay for good

    tuner = KFoldTuner(space, **options)
    tuner.search()
    folder = tuner.setup.folder
    del tuner  # a report of thousands of trials needs memory too
    gc.collect()
    _print_report(folder)


def _print_report(folder: Path) -> None:
    """Print the report; where that fails, a warning: the search has ended well, whatever becomes of its report."""
    try:
        problem = print_report(folder)
    except Exception as error:  # noqa: BLE001 nothing that a report does may look like a failure of the search
        again = command_of(folder, "report")
        problem = f"The report could not be written ({type(error).__name__}: {error}). Write it again: {again}"
    if problem:
        echo(f"Warning: The search has ended, and its results are whole. {problem}", err=True)
